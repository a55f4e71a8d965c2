"""The next frames of a clip, by two recurrences over maps.

    p_t = patches of 4 × 4 pixels of [x_t, x_{t−1}]                       space to depth, a quarter of the size
    a_t = ConvGRU(p_t, a_{t−1})                                           at a quarter of the size
    b_t = ConvGRU(relu(conv_3(a_t), every second pixel), b_{t−1})         at an eighth
    c_t = relu(conv_3(a_t + up(W b_t)) + a_t)
    v, h = softmax(linear(b_t))                                           shifts of each field of 8 × 8 pixels, K times
    g_t = σ(patches back(linear(c_t)))                                    a frame that is made of nothing
    m_t = softmax(patches back(linear(c_t)))                              for each pixel, which of K + 1 to take
    y_{t+1} = Σ_k m_{t,k} ⊙ moved_k(x_t) + m_{t,K+1} ⊙ g_t

While frames are observed, x_t is the frame. Behind the last one x_t is the prediction y_t, and gradients go through it.
So one recurrence both encodes and forecasts, and the state after any frame is all that a stream needs. What moves is
mostly there in the frame before: to move it is learned in far fewer steps than to draw it anew (Finn et al. 2016,
"Unsupervised learning for physical interaction through video prediction"; the moves are those of
:mod:`rnnkit.ops.moved_frames`). With K = 0 every frame is drawn anew, as by Shi et al. 2015 ("Convolutional LSTM
network"), whose encoder–forecaster this is with GRUs.

Legend: B clips, T frames observed, S frames behind the first one that come out, C channels, H height, W width, K
motions, r pixels that a field moves a frame, at most.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar

import torch
import torch.nn.functional as F

from ..errors import ConfigError, ShapeError, check_whole
from ..layers._checks import described
from ..layers.conv_gru import ConvGRU
from ..ops.moved_frames import move_fields
from ..types import State

Tensor = torch.Tensor
PATCH, FIELD = 4, 8  # pixels of a side
_DARK = -2.0  # the first logit of a pixel that is drawn: most pixels of most frames are darker than the middle


class FrameForecaster(torch.nn.Module):
    """Predicts the next frames of clips; see the module for the equations.

    Args:
        frame_channels: C, 1 for gray frames, 3 for colour.
        hidden_sizes: channels of the two recurrences, at a quarter and at an eighth of the size.
        frames: the number of the frame up to which a call predicts, counted from the clip's first one: observed and
            predicted together.
        motions: K; 0 draws every frame anew.
        reach: r.

    Shapes:
        x [B, T, C, H, W] in [0, 1], T < `frames`, H and W multiples of 8 → predictions of the second frame up to number
        `frames`, [B, frames − 1, C, H, W] in [0, 1]: of the observed frames from those before, then of those behind.

    Raises:
        ConfigError: a size below 1. ShapeError: frames that do not fit.

    Example:
        >>> import torch, rnnkit
        >>> model = rnnkit.FrameForecaster(1, hidden_sizes=(16, 16), frames=8)
        >>> tuple(model(torch.rand(2, 5, 1, 16, 24)).shape)
        (2, 7, 1, 16, 24)
        >>> tuple(model.forecast(torch.rand(2, 5, 1, 16, 24), 4).shape)
        (2, 4, 1, 16, 24)
    """

    default_loss: ClassVar[str] = "mse"
    default_objective: ClassVar[str] = "horizon"
    default_metrics: ClassVar[tuple[str, ...]] = ()

    def __init__(
        self,
        frame_channels: int = 1,
        hidden_sizes: Sequence[int] = (32, 48),
        *,
        frames: int = 20,
        motions: int = 2,
        reach: int = 4,
    ) -> None:
        super().__init__()
        check_whole(frame_channels, "frame_channels")
        check_whole(frames, "frames", 2)
        check_whole(motions, "motions", 0)
        check_whole(reach, "reach")
        hidden_sizes = tuple(hidden_sizes)
        if len(hidden_sizes) != 2 or min(hidden_sizes) < 1:
            raise ConfigError.of("hidden_sizes", hidden_sizes, "expected two numbers of at least 1")
        self.frame_channels, self.hidden_sizes = frame_channels, hidden_sizes
        self.frames, self.motions, self.reach = frames, motions, reach
        fine, coarse = hidden_sizes
        pixels = PATCH * PATCH
        self.fine = ConvGRU(2 * frame_channels * pixels, fine)
        self.down = torch.nn.Conv2d(fine, coarse, 3, 2, padding=1)
        self.coarse = ConvGRU(coarse, coarse)
        self.up = torch.nn.Conv2d(coarse, fine, 1)
        self.mix = torch.nn.Conv2d(fine, fine, 3, padding=1)
        self.draw = torch.nn.Conv2d(fine, frame_channels * pixels, 1)
        torch.nn.init.constant_(self.draw.bias, _DARK)  # type: ignore[arg-type]
        self.choose = torch.nn.Conv2d(fine, (motions + 1) * pixels, 1) if motions else None
        self.shift = torch.nn.Conv2d(coarse, 2 * motions * (2 * reach + 1), 1) if motions else None

    def config(self) -> dict[str, Any]:
        """Builder and arguments that make this model anew, for ``rnnkit.load``."""
        names = ("frame_channels", "frames", "motions", "reach")
        arguments = {name: getattr(self, name) for name in names} | {"hidden_sizes": list(self.hidden_sizes)}
        return {"builder": "FrameForecaster", "arguments": arguments}

    def forward(self, x: Tensor) -> Tensor:
        """Map clips x [B, T, C, H, W] to the predictions of their second frame up to number `frames`; see the class."""
        seen, state = self.observe(x)
        more = self.frames - x.shape[1] - 1
        if more < 0:
            raise ShapeError(f"x has {x.shape[1]} frames; expected fewer than {self.frames}, up to which is predicted")
        return seen if not more else torch.cat([seen, self.roll(seen[:, -1], state, more)], 1)

    def observe(self, x: Tensor, state: State | None = None) -> tuple[Tensor, State]:
        """Read frames, and predict the one behind each of them.

        Args:
            x: [B, T, C, H, W] in [0, 1].
            state: what this method returned for the frames before; None at the beginning of a clip.

        Returns:
            the predictions of frames 2 to T + 1, [B, T, C, H, W], and the state after frame T.
        """
        self._check(x)
        first = x[:, :1] if state is None else state[2][:, None]
        before = torch.cat([first, x[:, :-1]], 1)
        return self._steps(x, before, state)

    def roll(self, last: Tensor, state: State, count: int) -> Tensor:
        """Go on from predictions, and return those behind them.

        Args:
            last: the last prediction, [B, C, H, W].
            state: of `observe`.
            count: frames to predict.

        Returns:
            [B, count, C, H, W].
        """
        found = []
        for _ in range(count):
            frame = last[:, None]
            predicted, state = self._steps(frame, state[2][:, None], state)
            last = predicted[:, 0]
            found.append(last)
        return torch.stack(found, 1)

    def forecast(self, x: Tensor, count: int, state: State | None = None) -> Tensor:
        """Predict the frames behind x [B, T, C, H, W], and return [B, count, C, H, W].

        Args:
            x: the frames that are known.
            count: frames to predict.
            state: of the frames before x; None: there are none.
        """
        check_whole(count, "count")
        seen, state = self.observe(x, state)
        first = seen[:, -1]
        if count == 1:
            return first[:, None]
        return torch.cat([first[:, None], self.roll(first, state, count - 1)], 1)

    def _steps(self, x: Tensor, before: Tensor, state: State | None) -> tuple[Tensor, State]:
        """Read frames x [B, T, C, H, W], each with the one before it, and predict the next one of each."""
        old = (None, None) if state is None else state[:2]
        patches = _each(lambda one: F.pixel_unshuffle(one, PATCH), torch.cat([x, before], 2))
        a, a_last = self.fine(patches, old[0])
        b, b_last = self.coarse(_each(lambda one: torch.relu(self.down(one)), a), old[1])
        a, b = a.flatten(0, 1), b.flatten(0, 1)
        c = torch.relu(self.mix(a + F.interpolate(self.up(b), scale_factor=2.0, mode="nearest")) + a)
        y = self._frames(b, c, x.flatten(0, 1)).unflatten(0, x.shape[:2])
        return y, (a_last, b_last, x[:, -1])

    def _frames(self, b: Tensor, c: Tensor, x: Tensor) -> Tensor:
        """Make the next frames [N, C, H, W] of the maps and of the last frames x."""
        drawn = torch.sigmoid(F.pixel_shuffle(self.draw(c), PATCH))
        if self.choose is None or self.shift is None:
            return drawn
        weights = self.shift(b).permute(0, 2, 3, 1).unflatten(-1, (2, self.motions, -1)).softmax(-1)
        down, right = weights.unbind(3)
        moved = move_fields(x, down, right, FIELD)
        shares = F.pixel_shuffle(self.choose(c), PATCH).softmax(1)[:, :, None]
        return (shares * torch.cat([moved, drawn[:, None]], 1)).sum(1)

    def _check(self, x: Any) -> None:
        fits = isinstance(x, Tensor) and x.dim() == 5 and x.shape[2] == self.frame_channels and 0 not in x.shape
        if not fits:
            hint = ": type x[:, :, None] for frames of one channel" if isinstance(x, Tensor) and x.dim() == 4 else ""
            raise ShapeError(
                f"x is {described(x)}; FrameForecaster expects clips (batch, time, {self.frame_channels}, height, "
                f"width){hint}"
            )
        if x.shape[3] % FIELD or x.shape[4] % FIELD:
            raise ShapeError(
                f"x has frames of {x.shape[3]} × {x.shape[4]} pixels; expected multiples of {FIELD}: scale or pad them"
            )

    def __repr__(self) -> str:
        """The arguments on one line, without the layers inside."""
        arguments = self.config()["arguments"]
        return f"FrameForecaster({', '.join(f'{name}={value!r}' for name, value in arguments.items())})"


def _each(function: Any, x: Tensor) -> Tensor:
    """Apply a function of maps [N, ...] to each step of x [B, T, ...]."""
    found = function(x.flatten(0, 1))
    each: Tensor = found.unflatten(0, x.shape[:2])
    return each
