"""Convolutions over the picture of a line of text: its columns become steps, its rows become features.

    x [B, W columns, H rows]  →  5 × 5, both axes halved  →  3 × 3, every s-th column, max of 2 rows
                              →  3 × 3, max of 2 rows  →  3 × 3
    v_t = relu(norm(W · [all rows and channels of column t] + b))

Each convolution is followed by layer normalisation over the channels of a pixel, and relu. So W columns become
ceil(W / stride) steps, with the stride 2 · s. Shi et al. 2015 ("An end-to-end trainable neural network for image-based
sequence recognition") put such convolutions in front of a recurrence that is trained by CTC. Theirs are deeper and use
batch normalisation, which makes a row depend on the padding of others.

Legend: B batch, W width, H height, T steps, F features.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch.nn import functional as F

from ..errors import ConfigError, check_number, check_whole
from ..ops.padding import valid_steps
from ..types import State
from ._checks import Lengths
from .dropout import drop_features
from .sequence_module import SequenceModule, check_features, masked

Tensor = torch.Tensor


class LineFront(SequenceModule):
    """Convolutions over pictures of unequal widths, whose columns become steps; see the module for the layers.

    Args:
        height: H, rows of each picture.
        channels: of the four convolutions.
        features: F, of a step.
        stride: columns that become a step, 2 or 4.
        dropout: probability of dropping a feature of all steps of a row while training.

    Shapes:
        x [B, W, H] (and ``lengths`` [B]), the columns of each picture from left to right → features
        [B, ceil(W / stride), F], their lengths (None without), and None for a state. Nothing behind a row's length is
        read; features there are 0.

    Raises:
        ConfigError: a size below 1, or another stride. ShapeError: pictures of another height.

    Example:
        >>> import torch, rnnkit
        >>> front = rnnkit.LineFront(32, channels=(4, 8, 8, 8), features=16)
        >>> features, lengths, _ = front(torch.zeros(2, 90, 32), lengths=[90, 50])
        >>> tuple(features.shape), lengths.tolist()
        ((2, 23, 16), [23, 13])
    """

    def __init__(
        self,
        height: int,
        channels: Sequence[int] = (32, 64, 96, 128),
        features: int = 128,
        *,
        stride: int = 4,
        dropout: float = 0.0,
    ) -> None:
        super().__init__()
        check_whole(height, "height")
        check_whole(features, "features")
        channels = tuple(channels)
        if len(channels) != 4 or min(channels) < 1:
            raise ConfigError.of("channels", channels, "expected four numbers of at least 1, one for each convolution")
        if stride not in (2, 4):
            raise ConfigError.of("stride", stride, "expected 2 or 4")
        check_number(dropout, "dropout", below=1)
        self.input_size, self.output_size, self.channels = height, features, channels
        self.stride, self.dropout = stride, dropout
        sizes = (1, *channels)
        # Columns are passed over by convolutions alone: zeros behind a row's end are what they pad with.
        self._steps, self._pools = ((2, 2), (1, stride // 2), (1, 1), (1, 1)), (1, 2, 2, 1)
        self.convs = torch.nn.ModuleList(
            torch.nn.Conv2d(one, other, kernel, step, kernel // 2)
            for one, other, kernel, step in zip(sizes[:-1], channels, (5, 3, 3, 3), self._steps, strict=True)
        )
        self.norms = torch.nn.ModuleList(torch.nn.LayerNorm(size) for size in channels)
        rows = -(-height // 2)
        for high in self._pools:
            rows = -(-rows // high)
        self.join = torch.nn.Linear(rows * channels[-1], features)
        self.norm = torch.nn.LayerNorm(features)

    def config(self) -> dict[str, Any]:
        """Builder and arguments that make this module again, for ``rnnkit.load``."""
        arguments = {
            "height": self.input_size,
            "channels": list(self.channels),
            "features": self.output_size,
            "stride": self.stride,
            "dropout": self.dropout,
        }
        return {"builder": "LineFront", "arguments": arguments}

    def forward(self, x: Tensor, lengths: Lengths | None = None) -> tuple[Tensor, Lengths | None, State | None]:
        """Map x [B, W, H] and lengths [B] or None to (features [B, ceil(W / stride), F], their lengths, None)."""
        check_features(x, self.input_size, self)
        steps = None if lengths is None else torch.as_tensor(lengths)
        # Channels lie last in memory: the convolutions are faster so, and the normalisation reads them in one piece.
        y = masked(x, steps).transpose(1, 2)[:, None].contiguous(memory_format=torch.channels_last)
        for number, high in enumerate(self._pools):
            y = self.convs[number](y)
            if high > 1:
                y = F.max_pool2d(y, (high, 1), ceil_mode=True)
            y = torch.relu(self.norms[number](y.permute(0, 2, 3, 1)).permute(0, 3, 1, 2))
            if steps is not None:
                steps = -(-steps // self._steps[number][1])
                y = y * valid_steps(steps, y.shape[3], y.device)[:, None, None].to(y.dtype)
        y = self.join(y.permute(0, 3, 2, 1).flatten(2))
        y = masked(torch.relu(self.norm(y)), steps)
        if self.dropout and self.training:
            y = drop_features(y, self.dropout)
        return y, steps, None

    def __repr__(self) -> str:
        """The arguments on one line, without the layers inside."""
        arguments = self.config()["arguments"]
        return f"LineFront({', '.join(f'{name}={value!r}' for name, value in arguments.items())})"
