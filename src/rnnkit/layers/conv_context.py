"""Convolutions over steps that stand where a recurrence could: each output sees a window of steps, the same both ways.

    y^0 = x,   a^l_t = relu(norm(Σ_k W^l_k y^{l−1}_{t+k} + b^l)),  k from −r to r
    y^l = a^l + y^{l−1} where both have as many features, else a^l

An output sees 2 · r · L + 1 steps. With kernel size 1, r is 0 and each step stands alone. ``norm`` is layer
normalisation over the features of a step (Ba et al. 2016), so that no row depends on the others. Dense convolutions
without a gate; Bai et al. 2018 ("An empirical evaluation of generic convolutional and recurrent networks for sequence
modeling") compare such networks with recurrent ones.

Legend: B batch, T time, I input, F features, L layers, r half the kernel.
"""

from __future__ import annotations

from typing import Any

import torch

from ..errors import ConfigError, check_number, check_whole
from ..types import State
from ._checks import Lengths
from .sequence_module import SequenceModule, check_features, masked

Tensor = torch.Tensor


class ConvContext(SequenceModule):
    """Layers of convolutions over steps, as many steps out as in; see the module for the equations.

    Args:
        input_size: I.
        channels: F, of each layer.
        num_layers: L.
        kernel_size: steps of a kernel, an odd number.
        dropout: probability of dropping a feature between layers while training.

    Shapes:
        x [B, T, I] (and ``lengths`` [B]) → y [B, T, F], 0 behind a row's length, the same lengths, no state. Nothing
        behind a row's length is read.

    Raises:
        ConfigError: a size below 1, an even kernel, or a dropout out of range. ShapeError: an input that does not fit.

    Example:
        >>> import torch, rnnkit
        >>> context = rnnkit.ConvContext(16, channels=24, num_layers=2, kernel_size=5)
        >>> y, lengths, _ = context(torch.randn(2, 10, 16), torch.tensor([10, 4]))
        >>> tuple(y.shape), context.receptive_field
        ((2, 10, 24), 9)
    """

    def __init__(
        self, input_size: int, channels: int, num_layers: int = 2, *, kernel_size: int = 5, dropout: float = 0.0
    ) -> None:
        super().__init__()
        for name, value in (("input_size", input_size), ("channels", channels), ("num_layers", num_layers)):
            check_whole(value, name)
        check_whole(kernel_size, "kernel_size")
        if kernel_size % 2 == 0:
            raise ConfigError.of("kernel_size", kernel_size, "expected an odd number, so that the middle is a step")
        check_number(dropout, "dropout", below=1)
        self.input_size, self.output_size = input_size, channels
        self.num_layers, self.kernel_size, self.dropout = num_layers, kernel_size, dropout
        sizes = [input_size] + [channels] * (num_layers - 1)
        self.convs = torch.nn.ModuleList(torch.nn.Conv1d(size, channels, kernel_size, padding="same") for size in sizes)
        self.norms = torch.nn.ModuleList(torch.nn.LayerNorm(channels) for _ in sizes)

    @property
    def receptive_field(self) -> int:
        """The number of steps that an output sees."""
        return (self.kernel_size - 1) * self.num_layers + 1

    def config(self) -> dict[str, Any]:
        """Builder and arguments that make this module again, for ``rnnkit.load``."""
        names = ("input_size", "num_layers", "kernel_size", "dropout")
        arguments = {name: getattr(self, name) for name in names} | {"channels": self.output_size}
        return {"builder": "ConvContext", "arguments": arguments}

    def forward(self, x: Tensor, lengths: Lengths | None = None) -> tuple[Tensor, Lengths | None, State | None]:
        """Map x [B, T, I] and lengths [B] or None to (y [B, T, F], the same lengths, None)."""
        check_features(x, self.input_size, self)
        y = masked(x, lengths)
        for number, (conv, norm) in enumerate(zip(self.convs, self.norms, strict=True)):
            if number and self.dropout and self.training:
                y = torch.nn.functional.dropout(y, self.dropout)
            a = torch.relu(norm(conv(y.transpose(1, 2)).transpose(1, 2)))
            y = masked(a + y if a.shape == y.shape else a, lengths)
        return y, lengths, None

    def __repr__(self) -> str:
        """The arguments on one line, without the layers inside."""
        arguments = self.config()["arguments"]
        return f"ConvContext({', '.join(f'{name}={value!r}' for name, value in arguments.items())})"
