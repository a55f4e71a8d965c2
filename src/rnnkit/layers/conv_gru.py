"""GRUs over maps: a cell and a layer."""

from __future__ import annotations

from typing import Any

import torch

from ..ops.conv_gru import conv_gru_step, tile_gru
from ..types import State
from ._conv_recurrent import RENAMED, Algorithm, ConvRecurrence, ConvRecurrentLayer
from .argument_names import INSTEAD, explains_arguments

Tensor = torch.Tensor


class _ConvGRU(ConvRecurrence):
    gates = 3
    reset_after: bool

    def _step(self, from_x: Tensor, state: State) -> tuple[Tensor, State]:
        h = conv_gru_step(from_x, state, self.weight_hh, self.bias_hh, reset_after=self.reset_after)
        return h, h

    def _own_arguments(self) -> tuple[str, ...]:
        return ("reset_after", *super()._own_arguments())


class ConvGRUCell(_ConvGRU):
    """One step of a GRU over maps, as a cell for :class:`rnnkit.RNN`; equations in :mod:`rnnkit.ops.conv_gru`.

    :class:`rnnkit.ConvGRU` has the same weights and computes the same sequences faster.

    Args:
        input_size: C, channels of the input.
        hidden_size: H, channels of the state.
        kernel_size: k, odd.
        bias: whether there are biases.
        reset_after: False applies the reset gate before the convolution, as published.
        device, dtype: of the weights.

    Shapes:
        x [B, C, h, w] and h [B, H, h, w] (None for zeros) → (output, state), both the next h [B, H, h, w].

    Raises:
        ConfigError: a size below 1, or an even kernel. ShapeError: the input or the state does not fit.

    Example:
        >>> import torch, rnnkit
        >>> layer = rnnkit.RNN(rnnkit.ConvGRUCell(1, 8), batch_first=True)
        >>> output, h = layer(torch.randn(2, 5, 1, 16, 16), lengths=[5, 3])
        >>> tuple(output.shape), tuple(h.shape)
        ((2, 5, 8, 16, 16), (2, 8, 16, 16))
    """

    @explains_arguments(RENAMED, INSTEAD)
    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        kernel_size: int = 3,
        bias: bool = True,
        device: torch.device | str | None = None,
        dtype: torch.dtype | None = None,
        *,
        reset_after: bool = True,
    ) -> None:
        self._make_weights(input_size, hidden_size, kernel_size, bias, device, dtype)
        self.reset_after = bool(reset_after)
        self.reset_parameters()

    def forward(self, x: Tensor, state: State | None = None) -> tuple[Tensor, State]:
        """Run one step; see the class."""
        return self._checked_step(x, state)


class ConvGRU(_ConvGRU, ConvRecurrentLayer):
    """A GRU over sequences of maps; equations in :mod:`rnnkit.ops.conv_gru`.

    The convolutions of the input are computed for all steps at once, the gates of a step by one convolution, and
    nothing is concatenated. On a CPU with kernels of 3 × 3 the state stays in tiles from step to step
    (:mod:`rnnkit.ops.tile_conv`), with a backward pass of its own that is differentiable once; ``algorithm="direct"``
    is differentiable any number of times. Under autocast the layer computes in its weights' dtype.

    Args:
        input_size: C, channels of the input.
        hidden_size: H, channels of the state.
        kernel_size: k, odd.
        bias: whether there are biases.
        reset_after: False applies the reset gate before the convolution, as published.
        algorithm: ``"tiles"``, ``"direct"`` (PyTorch's convolutions), or ``"auto"`` for the faster one.
        device, dtype: of the weights.

    Shapes:
        input [B, T, C, h, w] → output [B, T, H, h, w], state [B, H, h, w].

    Raises:
        ConfigError: a size below 1, an even kernel, or an unknown algorithm. ShapeError: an input that does not fit.

    Example:
        >>> import torch, rnnkit
        >>> layer = rnnkit.ConvGRU(1, 16)
        >>> output, h = layer(torch.randn(2, 5, 1, 16, 12), lengths=[5, 3])
        >>> tuple(output.shape), tuple(h.shape)
        ((2, 5, 16, 16, 12), (2, 16, 16, 12))
    """

    @explains_arguments(RENAMED, INSTEAD)
    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        kernel_size: int = 3,
        bias: bool = True,
        device: torch.device | str | None = None,
        dtype: torch.dtype | None = None,
        *,
        reset_after: bool = True,
        algorithm: Algorithm = "auto",
    ) -> None:
        self._make_weights(input_size, hidden_size, kernel_size, bias, device, dtype)
        self.reset_after = bool(reset_after)
        self._configure(algorithm)
        self.reset_parameters()

    def _input_bias(self) -> Tensor | None:
        if not self.reset_after or self.bias_hh is None:
            return super()._input_bias()
        assert self.bias_ih is not None
        count = 2 * self.hidden_size  # that of n is multiplied by the reset gate
        return self.bias_ih + torch.nn.functional.pad(self.bias_hh[:count], (0, self.hidden_size))

    def _run_tiles(self, from_x: Tensor, state: Any, keep: Tensor | None, size: tuple[int, int]) -> tuple[Tensor, ...]:
        own = self.reset_after and self.bias_hh is not None
        b_n = self.bias_hh[2 * self.hidden_size :] if own and self.bias_hh is not None else None
        return (tile_gru(from_x, state, self.weight_hh, b_n, keep, size, reset_after=self.reset_after),)
