"""A trained network that names the class of a clip: of a whole clip, or frame by frame as they come.

    frames → gray or colour, one size → a vector for each frame → recurrence → pooling over time → softmax

What is stored with the network makes it whole: the size of the frames, their colours, and how they are sampled. Legend:
N clips, T frames, C channels of a frame, K classes.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from os import PathLike
from typing import Any, NamedTuple

import torch
from torch import Tensor

from ..data.video import ClipInfo, clip_info, fit_frames, read_clip, sample_frames, stream_frames
from ..errors import DataError, check_whole
from ..layers.modes import mode
from ..layers.sequence_adapters import as_sequence_module
from ..layers.sequence_stream import sequence_stream
from ..ops.state import map_state
from ..serialization import read_config, read_values, write_values
from ..types import pad_rows
from .video_batches import scaled

STORED = "video"  # in the extra of a model's file
_VERSION = 1
_KEPT = 4  # times as many frames as a network sees are kept of a long clip, to be sampled


class ClipAnswer(NamedTuple):
    """What a network says of a clip.

    Attributes:
        label: the most probable class.
        confidence: its probability.
        probabilities: of each class.

    Example:
        >>> ClipAnswer.of(["left", "right"], torch.tensor([0.25, 0.75])).label
        'right'
    """

    label: str
    confidence: float
    probabilities: dict[str, float]

    @staticmethod
    def of(classes: Sequence[str], shares: Tensor) -> ClipAnswer:
        """Return the answer of probabilities [K]."""
        best = int(shares.argmax())
        return ClipAnswer(classes[best], float(shares[best]), dict(zip(classes, shares.tolist(), strict=True)))


class ClipClassifier:
    """Name the class of clips.

    Args:
        model: a :class:`rnnkit.SequenceClassifier` after a :class:`rnnkit.FrameFront`.
        size: (height, width) that frames are scaled to.
        fit: what becomes of frames of another shape; see `rnnkit.data.video.fit_frames`.
        frames: those that the network sees of a clip, at most.
        every: 2 takes every second frame.

    Example:
        >>> import rnnkit
        >>> front = rnnkit.FrameFront(1, channels=(4,), strides=(4,), features=8, grid=2)
        >>> model = rnnkit.SequenceClassifier(rnnkit.GRU(8, 8), ["left", "right"], pooling="mean", front=front)
        >>> classifier = ClipClassifier(model, (16, 16))
        >>> clip = torch.zeros(5, 1, 16, 16, dtype=torch.uint8)
        >>> tuple(classifier.shares([clip, clip[:3]]).shape)
        (2, 2)
        >>> stream = classifier.stream()
        >>> answers = [stream.push(frame) for frame in clip]
        >>> abs(answers[-1].probabilities["left"] - float(classifier.shares([clip])[0, 0])) < 1e-5
        True
    """

    def __init__(
        self, model: Any, size: tuple[int, int], *, fit: str = "pad", frames: int = 16, every: int = 1
    ) -> None:
        check_whole(frames, "frames")
        check_whole(every, "every")
        self.model, self.size, self.fit = model, (int(size[0]), int(size[1])), fit
        self.frames, self.every = frames, every

    @property
    def classes(self) -> tuple[str, ...]:
        """The names of the classes."""
        return tuple(self.model.class_names)

    @property
    def colours(self) -> Any:
        """How frames are read: "L" or "RGB"."""
        return "RGB" if self.model.front.frame_channels == 3 else "L"

    def read(self, path: str | PathLike[str], info: ClipInfo | None = None) -> Tensor:
        """Return the frames of a clip, uint8 [T, C, H, W], as many as are kept of one.

        Args:
            path: as in `rnnkit.data.video.read_clip`.
            info: what `rnnkit.data.video.clip_info` returned, so that it is not read again.

        Raises:
            DataError: there is no such clip, or no frame that can be read.
        """
        known = clip_info(path) if info is None else info
        numbers = sample_frames(known.frames, _KEPT * self.frames, every=self.every)
        fit: Any = self.fit
        return read_clip(path, mode=self.colours, frames=numbers, size=self.size, fit=fit, info=known)

    def classify(self, path: str | PathLike[str]) -> ClipAnswer:
        """Return the class of a clip.

        Raises:
            DataError: there is no such clip, or no frame that can be read.
        """
        clip = self.read(path)
        return ClipAnswer.of(self.classes, self.shares([clip[sample_frames(len(clip), self.frames)]])[0])

    @torch.inference_mode()
    def shares(self, clips: Sequence[Tensor], *, batch_size: int = 16) -> Tensor:
        """Return the probabilities of the classes [N, K].

        Args:
            clips: uint8 [T, C, H, W] each, of the classifier's size.
            batch_size: clips that are computed together.
        """
        found, device = [], next(self.model.parameters()).device
        with mode(self.model, training=False):
            for begin in range(0, len(clips), batch_size):
                frames, lengths = pad_rows([scaled(clip) for clip in clips[begin : begin + batch_size]])
                found.append(self.model(frames.to(device), lengths=lengths).softmax(1).cpu())
        return torch.cat(found)

    def stream(self) -> ClipStream:
        """Return an object that takes frames one by one."""
        return ClipStream(self)

    def to_extra(self) -> dict[str, Any]:
        """Return what is stored with the network, JSON values, for ``learner.extra``."""
        stored = {"size": list(self.size), "fit": self.fit, "frames": self.frames, "every": self.every}
        return {STORED: stored}

    @staticmethod
    def from_extra(model: Any, extra: Mapping[str, Any]) -> ClipClassifier:
        """Return the classifier of a network and what `to_extra` stored.

        Raises:
            DataError: the model names no clips.
        """
        if STORED not in extra:
            raise DataError("the model names no classes of clips; expected one of a run of `rnnkit train video`")
        one = extra[STORED]
        size = (int(one["size"][0]), int(one["size"][1]))
        return ClipClassifier(model, size, fit=str(one["fit"]), frames=int(one["frames"]), every=int(one["every"]))

    def __repr__(self) -> str:
        return f"ClipClassifier({self.model!r}, {self.size}, frames={self.frames}, every={self.every})"


class ClipStream:
    """Frames one by one: ``answer = stream.push(frame)`` is what is known of the clip up to that frame.

    After the last frame of a clip with no more frames than the network was trained on, the answer is that of the whole
    clip. Of a longer one a stream sees every frame (or each `every`-th), where `ClipClassifier.classify` samples.

    Attributes:
        count: the frames that arrived.
        answer: to the frames so far; None before the first one.
        every: 2 passes over every second frame.
    """

    def __init__(self, classifier: ClipClassifier) -> None:
        self._classifier, self.every = classifier, classifier.every
        model = classifier.model
        self._device = next(model.parameters()).device
        with mode(model, training=False):
            self._body = sequence_stream(as_sequence_module(model.body), 1)
        self._start = self._body.state
        self.reset()

    def reset(self) -> None:
        """Begin a new clip."""
        self.count, self.answer = 0, None
        self._seen = 0
        self._before: Tensor | None = None
        self._sum: Tensor | None = None
        self._most: Tensor | None = None
        self._body.state = self._start

    count: int
    answer: ClipAnswer | None

    @torch.inference_mode()
    def push(self, frame: Any) -> ClipAnswer:
        """Take the next frame.

        Args:
            frame: a picture's file; or an array or tensor of bytes, or of floats in [0, 1]: [H, W], [H, W, 3] or
                [C, H, W], of any size.

        Returns:
            the answer to all frames so far.

        Raises:
            DataError: it is no picture.
        """
        pixels = self._pixels(frame)
        self.count += 1
        if self.answer is not None and (self.count - 1) % self.every:
            return self.answer
        model = self._classifier.model
        with mode(model, training=False):
            now = scaled(pixels).to(self._device)
            pair = torch.stack([now if self._before is None else self._before, now])[None]
            features = model.front(pair)[0][:, 1]
            output = self._body(features).clone()
            self._before, self._seen = now, self._seen + 1
            self._sum = output if self._sum is None else self._sum + output
            self._most = output if self._most is None else torch.maximum(self._most, output)
            pooled = {"last": output, "max": self._most, "mean": self._sum / self._seen}
            names = ("last", "max", "mean") if model.pooling == "concat" else (model.pooling,)
            shares = model.head(torch.cat([pooled[name] for name in names], 1)).softmax(1)[0]
        self.answer = ClipAnswer.of(self._classifier.classes, shares.cpu())
        return self.answer

    def state_dict(self) -> dict[str, Any]:
        """Return what the frames so far left: tensors and JSON values."""
        return {
            "version": _VERSION,
            "count": self.count,
            "seen": self._seen,
            "answer": None if self.answer is None else list(self.answer.probabilities.values()),
            "before": _copied(self._before),
            "sum": _copied(self._sum),
            "most": _copied(self._most),
            "state": None if self._body.state is None else map_state(lambda leaf: leaf.clone(), self._body.state),
        }

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Continue from what `state_dict` returned.

        Raises:
            DataError: it is the state of another network, or of no stream.
        """
        if not isinstance(state, Mapping) or state.get("version") != _VERSION or "most" not in state:
            raise DataError(f"the state is of no stream of clips of version {_VERSION}")
        classes, known = self._classifier.classes, state["answer"]
        if known is not None and len(known) != len(classes):
            raise DataError(f"the state is of {len(known)} classes; this network has {len(classes)}")

        def moved(leaf: Tensor) -> Tensor:
            return leaf.to(self._device)

        self.count, self._seen = int(state["count"]), int(state["seen"])
        self._before, self._sum, self._most = (
            None if state[name] is None else moved(state[name]) for name in ("before", "sum", "most")
        )
        self.answer = None if known is None else ClipAnswer.of(classes, torch.tensor(known))
        self._body.state = (
            None if state["state"] is None else map_state(lambda leaf: leaf.to(self._device), state["state"])
        )

    def save(self, path: str | PathLike[str]) -> None:
        """Write the state to a file that ends in ``.safetensors``."""
        write_values(self.state_dict(), path)

    def load(self, path: str | PathLike[str]) -> None:
        """Continue from what `save` wrote.

        Raises:
            DataError: the file is damaged, or another one.
        """
        self.load_state_dict(read_values(path))

    def _pixels(self, frame: Any) -> Tensor:
        classifier = self._classifier
        pixels = frame_pixels(frame, classifier.colours)
        fit: Any = classifier.fit
        return fit_frames(pixels[None], classifier.size, fit=fit)[0]


def frame_pixels(frame: Any, colours: Any) -> Tensor:
    """Return a frame as bytes [C, H, W], in gray or colour.

    Args:
        frame: a picture's file; or an array or tensor of bytes, or of floats in [0, 1]: [H, W], [H, W, C] or [C, H, W]
            with C 1 or 3.
        colours: "L" or "RGB".

    Raises:
        DataError: it is no picture.

    Example:
        >>> frame_pixels(torch.rand(4, 6, 3), "L").shape, frame_pixels(torch.rand(4, 6), "RGB").shape
        (torch.Size([1, 4, 6]), torch.Size([3, 4, 6]))
    """
    if isinstance(frame, str | PathLike):
        return next(stream_frames(frame, mode=colours))
    pixels = torch.as_tensor(frame)
    if pixels.dim() == 2:
        pixels = pixels[None]
    if pixels.dim() == 3 and pixels.shape[0] not in (1, 3) and pixels.shape[2] in (1, 3):
        pixels = pixels.permute(2, 0, 1)
    if pixels.dim() != 3 or pixels.shape[0] not in (1, 3) or 0 in pixels.shape:
        raise DataError(
            f"a frame of shape {list(torch.as_tensor(frame).shape)} arrived; expected [height, width], or with 1 or 3 "
            "channels first or last"
        )
    if pixels.dtype != torch.uint8:
        if not pixels.is_floating_point() or not bool(((pixels >= 0) & (pixels <= 1)).all()):
            raise DataError("a frame has values outside of [0, 1]; expected bytes (uint8), or floats from 0 to 1")
        pixels = (pixels * 255).round().to(torch.uint8)
    if colours == "RGB":
        return pixels.expand(3, -1, -1) if len(pixels) == 1 else pixels
    if len(pixels) == 1:
        return pixels
    weights = torch.tensor([0.299, 0.587, 0.114], device=pixels.device)[:, None, None]  # as Pillow's, of ITU-R 601
    return (pixels * weights).sum(0, keepdim=True).round().to(torch.uint8)


def load_clip_classifier(path: str | PathLike[str], *, device: str = "auto") -> ClipClassifier:
    """Return the classifier of a run folder.

    Args:
        path: the folder of a run of the recipe video.
        device: where to compute.

    Raises:
        RunFolderError: there is no model. DataError: it names no clips.

    Example:
        >>> classifier = load_clip_classifier("runs/video-1")                   # doctest: +SKIP
        >>> classifier.classify("clip.gif").label                               # doctest: +SKIP
        'jump'
    """
    from ..models.loading import load
    from ..training.execution import find_device

    extra = read_config(path).get("extra", {})
    if STORED not in extra:
        raise DataError(f"{path} names no classes of clips; expected a run of `rnnkit train video`")
    return ClipClassifier.from_extra(load(path).to(find_device(device)), extra)


def _copied(leaf: Tensor | None) -> Tensor | None:
    return None if leaf is None else leaf.clone()
