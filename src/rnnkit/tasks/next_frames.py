"""A trained network that predicts the next frames of a clip: of a whole clip, or frame by frame as they come.

What is stored with the network makes it whole: the size and the colours of frames, and how many it was trained to
observe and to predict. Legend: N clips, T frames observed, S frames predicted, C channels, H height, W width.
"""

from __future__ import annotations

from collections.abc import Mapping
from os import PathLike
from typing import Any

import torch
from torch import Tensor

from ..data.video import ClipInfo, clip_info, fit_frames, read_clip, sample_frames
from ..errors import DataError, check_whole
from ..layers.modes import mode
from ..ops.state import map_state
from ..serialization import read_config, read_values, write_values
from .video import frame_pixels

STORED = "next_frames"  # in the extra of a model's file
_VERSION = 1
_OBSERVED = 10  # times as many frames of a long clip are read as the network was trained on


class FramePredictor:
    """Predict the next frames of clips.

    Args:
        model: a :class:`rnnkit.FrameForecaster`.
        size: (height, width) that frames are scaled to.
        observed: T, frames that the network was trained to observe.
        horizon: S, frames that it was trained to predict.
        fit: what becomes of frames of another shape; see `rnnkit.data.video.fit_frames`.
        every: 2 takes every second frame.

    Example:
        >>> import rnnkit
        >>> model = rnnkit.FrameForecaster(1, hidden_sizes=(16, 16), frames=8)
        >>> predictor = FramePredictor(model, (16, 16), observed=5, horizon=3)
        >>> clip = torch.zeros(5, 1, 16, 16, dtype=torch.uint8)
        >>> predictor.forecast(clip).shape
        torch.Size([3, 1, 16, 16])
        >>> stream = predictor.stream()
        >>> for frame in clip:
        ...     following = stream.push(frame)
        >>> bool(torch.allclose(stream.forecast(3)[0], following, atol=1e-5))
        True
    """

    def __init__(
        self,
        model: Any,
        size: tuple[int, int],
        *,
        observed: int,
        horizon: int,
        fit: str = "pad",
        every: int = 1,
    ) -> None:
        for name, value in (("observed", observed), ("horizon", horizon), ("every", every)):
            check_whole(value, name)
        self.model, self.size, self.fit = model, (int(size[0]), int(size[1])), fit
        self.observed, self.horizon, self.every = observed, horizon, every

    @property
    def colours(self) -> Any:
        """How frames are read: "L" or "RGB"."""
        return "RGB" if self.model.frame_channels == 3 else "L"

    def read(self, path: str | PathLike[str], info: ClipInfo | None = None, *, most: int | None = None) -> Tensor:
        """Return the frames of a clip, uint8 [T, C, H, W].

        Args:
            path: as in `rnnkit.data.video.read_clip`.
            info: what `rnnkit.data.video.clip_info` returned, so that it is not read again.
            most: so many of the last ones; None: all.

        Raises:
            DataError: there is no such clip, or no frame that can be read.
        """
        known = clip_info(path) if info is None else info
        # The last frame is read, and those that lie a multiple of `every` before it.
        numbers = [known.frames - 1 - number for number in reversed(sample_frames(known.frames, every=self.every))]
        numbers = numbers if most is None else numbers[-most:]
        fit: Any = self.fit
        return read_clip(path, mode=self.colours, frames=numbers, size=self.size, fit=fit, info=known)

    @torch.inference_mode()
    def forecast(self, clip: Tensor, count: int | None = None) -> Tensor:
        """Return the frames after a clip, float32 [S, C, H, W] in [0, 1].

        Args:
            clip: uint8 [T, C, H, W].
            count: S; None: as many as the network was trained to predict.
        """
        return self.forecasts(clip[None], count)[0]

    @torch.inference_mode()
    def forecasts(self, clips: Tensor, count: int | None = None, *, batch_size: int = 32) -> Tensor:
        """Return the frames after each of several clips, [N, S, C, H, W].

        Args:
            clips: uint8 [N, T, C, H, W].
            count: S; None: as many as the network was trained to predict.
            batch_size: clips that are computed together.
        """
        count = self.horizon if count is None else count
        found, device = [], next(self.model.parameters()).device
        with mode(self.model, training=False):
            for begin in range(0, len(clips), batch_size):
                frames = clips[begin : begin + batch_size].to(device).float() / 255
                found.append(self.model.forecast(frames, count).cpu())
        return torch.cat(found)

    def continuation(self, path: str | PathLike[str], count: int | None = None) -> tuple[Tensor, Tensor]:
        """Return the last frames of a clip, uint8 [T, C, H, W], and those that follow, float32 [S, C, H, W].

        Of a long clip so many frames are read as ten times the network was trained to observe.

        Raises:
            DataError: there is no such clip, or no frame that can be read.
        """
        clip = self.read(path, most=_OBSERVED * self.observed)
        return clip, self.forecast(clip, count)

    def stream(self) -> FrameStream:
        """Return an object that takes frames one by one."""
        return FrameStream(self)

    def to_extra(self) -> dict[str, Any]:
        """Return what is stored with the network, JSON values, for ``learner.extra``."""
        names = ("observed", "horizon", "fit", "every")
        return {STORED: {"size": list(self.size), **{name: getattr(self, name) for name in names}}}

    @staticmethod
    def from_extra(model: Any, extra: Mapping[str, Any]) -> FramePredictor:
        """Return the predictor of a network and what `to_extra` stored.

        Raises:
            DataError: the model predicts no frames.
        """
        if STORED not in extra:
            raise DataError("the model predicts no frames; expected one of a run of `rnnkit train next-frames`")
        one = dict(extra[STORED])
        height, width = one.pop("size")
        names = ("observed", "horizon", "fit", "every")
        return FramePredictor(model, (int(height), int(width)), **{name: one[name] for name in names})

    def __repr__(self) -> str:
        return f"FramePredictor({self.model!r}, {self.size}, observed={self.observed}, horizon={self.horizon})"


class FrameStream:
    """Frames one by one: ``following = stream.push(frame)`` is the prediction of the frame after it.

    Attributes:
        count: the frames that arrived.
        following: the prediction of the next frame, float32 [C, H, W] in [0, 1]; None before the first one.
    """

    def __init__(self, predictor: FramePredictor) -> None:
        self._predictor = predictor
        self._device = next(predictor.model.parameters()).device
        self.reset()

    count: int
    following: Tensor | None

    def reset(self) -> None:
        """Begin a new clip."""
        self.count, self.following, self._state = 0, None, None

    @torch.inference_mode()
    def push(self, frame: Any) -> Tensor:
        """Take the next frame.

        Args:
            frame: a picture's file; or an array or tensor of bytes, or of floats in [0, 1]: [H, W], [H, W, 3] or
                [C, H, W], of any size.

        Returns:
            the prediction of the next one, float32 [C, H, W] of the predictor's size.

        Raises:
            DataError: it is no picture.
        """
        predictor = self._predictor
        fit: Any = predictor.fit
        pixels = fit_frames(frame_pixels(frame, predictor.colours)[None], predictor.size, fit=fit)
        with mode(predictor.model, training=False):
            seen, self._state = predictor.model.observe(pixels[None].to(self._device).float() / 255, self._state)
        self.count += 1
        following: Tensor = seen[0, -1].cpu()
        self.following = following
        return following

    @torch.inference_mode()
    def forecast(self, count: int | None = None) -> Tensor:
        """Return the next frames, float32 [S, C, H, W]; the stream stays where it is.

        Args:
            count: S; None: as many as the network was trained to predict.

        Raises:
            DataError: no frame has arrived.
        """
        if self.following is None:
            raise DataError("no frame has arrived; expected at least one: stream.push(frame)")
        predictor = self._predictor
        count = predictor.horizon if count is None else count
        check_whole(count, "count")
        first = self.following[None].to(self._device)
        if count == 1:
            return first.cpu()
        with mode(predictor.model, training=False):
            more = predictor.model.roll(first, self._state, count - 1)[0]
        return torch.cat([first, more]).cpu()

    def state_dict(self) -> dict[str, Any]:
        """Return what the frames so far left: tensors and numbers."""
        return {
            "version": _VERSION,
            "count": self.count,
            "following": None if self.following is None else self.following.clone(),
            "state": None if self._state is None else map_state(lambda leaf: leaf.clone(), self._state),
        }

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Continue from what `state_dict` returned.

        Raises:
            DataError: it is the state of no stream, or of one with frames of another size.
        """
        if not isinstance(state, Mapping) or state.get("version") != _VERSION or "following" not in state:
            raise DataError(f"the state is of no stream of frames of version {_VERSION}")
        following = state["following"]
        expected = [self._predictor.model.frame_channels, *self._predictor.size]
        if following is not None and list(following.shape) != expected:
            raise DataError(f"the state is of frames {list(following.shape)}; this network reads {expected}")
        self.count, self.following = int(state["count"]), following
        held = state["state"]
        self._state = None if held is None else map_state(lambda leaf: leaf.to(self._device), held)

    def save(self, path: str | PathLike[str]) -> None:
        """Write the state to a file that ends in ``.safetensors``."""
        write_values(self.state_dict(), path)

    def load(self, path: str | PathLike[str]) -> None:
        """Continue from what `save` wrote.

        Raises:
            DataError: the file is damaged, or another one.
        """
        self.load_state_dict(read_values(path))


def load_frame_predictor(path: str | PathLike[str], *, device: str = "auto") -> FramePredictor:
    """Return the predictor of a run folder.

    Args:
        path: the folder of a run of the recipe next-frames.
        device: where to compute.

    Raises:
        RunFolderError: there is no model. DataError: it predicts no frames.

    Example:
        >>> predictor = load_frame_predictor("runs/next-frames-1")              # doctest: +SKIP
        >>> seen, following = predictor.continuation("clip.gif")                # doctest: +SKIP
    """
    from ..models.loading import load
    from ..training.execution import find_device

    extra = read_config(path).get("extra", {})
    if STORED not in extra:
        raise DataError(f"{path} predicts no frames; expected a run of `rnnkit train next-frames`")
    return FramePredictor.from_extra(load(path).to(find_device(device)), extra)
