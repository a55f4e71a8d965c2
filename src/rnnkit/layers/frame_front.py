"""Convolutions over the frames of a clip, in front of a recurrent body: a vector of features for each frame.

    z_t = [x_t, x_t − x_{t−1}]                     the frame, and what changed since the one before; x_0 is x_1
    m_t = front(z_t)                               convolutions (:class:`rnnkit.PictureFront`), a map with F channels
    y_t = relu(norm(W grid(m_t) + b))              means over G × G fields of the map

Means over the whole frame do not hold positions, and a recurrence behind them could not learn motion from them;
so there is a grid of fields. The difference of two frames shows motion to the convolutions themselves, as the stacked
frames of Simonyan & Zisserman 2014 ("Two-stream convolutional networks") do. Convolutions below a recurrence over time
are the networks of Donahue et al. 2015 ("Long-term recurrent convolutional networks"). ``norm`` is layer normalisation.

Legend: B clips, T frames, C channels of a frame, H height, W width, F channels of the map, G fields a side, M features.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
import torch.nn.functional as F

from ..errors import ShapeError, check_number, check_whole
from ..ops.padding import valid_steps
from ..types import State
from ._checks import Lengths, described
from .dropout import drop_features
from .picture_front import PictureFront
from .sequence_module import SequenceModule

Tensor = torch.Tensor


class FrameFront(SequenceModule):
    """A vector of features for each frame of a clip; see the module for the equations.

    Args:
        frame_channels: C, 1 for gray frames, 3 for colour.
        channels: of each stage of the convolutions.
        strides: of each stage.
        features: M.
        grid: G.
        blocks: pairs of convolutions behind the first one of each stage.
        differences: whether the change since the frame before is an input, too.
        dropout: probability of dropping a feature of all frames of a clip while training.

    Shapes:
        x [B, T, C, H, W] (and ``lengths`` [B]) → features [B, T, M], the same lengths, and None for a state. Nothing
        behind a clip's length is read; features there are 0.

    Raises:
        ConfigError: sizes that do not fit. ShapeError: frames that do not fit.

    Example:
        >>> import torch, rnnkit
        >>> front = rnnkit.FrameFront(1, channels=(4, 8), strides=(2, 2), features=16)
        >>> model = rnnkit.SequenceClassifier(rnnkit.LSTM(16, 8), classes=["left", "right"], front=front)
        >>> tuple(model(torch.rand(2, 5, 1, 16, 16), lengths=[5, 3]).shape)
        (2, 2)
    """

    def __init__(
        self,
        frame_channels: int = 3,
        channels: Sequence[int] = (16, 32, 48),
        strides: Sequence[int] = (2, 2, 2),
        features: int = 128,
        *,
        grid: int = 4,
        blocks: int = 0,
        differences: bool = True,
        dropout: float = 0.0,
    ) -> None:
        super().__init__()
        check_whole(frame_channels, "frame_channels")
        check_whole(features, "features")
        check_whole(grid, "grid")
        check_number(dropout, "dropout", below=1)
        self.frame_channels, self.output_size, self.grid = frame_channels, features, grid
        self.differences, self.dropout = bool(differences), dropout
        self.front = PictureFront(frame_channels * (1 + self.differences), channels, strides, blocks=blocks)
        self.join = torch.nn.Linear(self.front.output_size * grid * grid, features)
        self.norm = torch.nn.LayerNorm(features)

    def config(self) -> dict[str, Any]:
        """Builder and arguments that make this module again, for ``rnnkit.load``."""
        arguments = {
            "frame_channels": self.frame_channels,
            "channels": list(self.front.channels),
            "strides": list(self.front.strides),
            "features": self.output_size,
            "grid": self.grid,
            "blocks": self.front.blocks,
            "differences": self.differences,
            "dropout": self.dropout,
        }
        return {"builder": "FrameFront", "arguments": arguments}

    def forward(self, x: Tensor, lengths: Lengths | None = None) -> tuple[Tensor, Lengths | None, State | None]:
        """Map x [B, T, C, H, W] and lengths [B] or None to (features [B, T, M], the lengths, None)."""
        if not isinstance(x, Tensor) or x.dim() != 5 or x.shape[2] != self.frame_channels or 0 in x.shape[1:]:
            hint = ": type x[:, :, None] for frames of one channel" if isinstance(x, Tensor) and x.dim() == 4 else ""
            raise ShapeError(
                f"x is {described(x)}; FrameFront expects clips (batch, time, {self.frame_channels}, height, width)"
                f"{hint}"
            )
        if self.differences:
            x = torch.cat([x, F.pad(x[:, 1:] - x[:, :-1], (0, 0, 0, 0, 0, 0, 1, 0))], 2)
        if lengths is None:
            y = self._frames(x.flatten(0, 1)).unflatten(0, x.shape[:2])
        else:
            valid = valid_steps(torch.as_tensor(lengths), x.shape[1], x.device)
            seen = self._frames(x[valid])
            y = seen.new_zeros(*x.shape[:2], seen.shape[1]).index_put((valid,), seen)
        if self.dropout and self.training:
            y = drop_features(y, self.dropout)
        return y, lengths, None

    def _frames(self, x: Tensor) -> Tensor:
        maps = self.front(x.contiguous(memory_format=torch.channels_last))
        fields = F.adaptive_avg_pool2d(maps, self.grid).flatten(1)
        return torch.relu(self.norm(self.join(fields)))

    def __repr__(self) -> str:
        """The arguments on one line, without the layers inside."""
        arguments = self.config()["arguments"]
        return f"FrameFront({', '.join(f'{name}={value!r}' for name, value in arguments.items())})"
