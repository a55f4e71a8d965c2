"""LSTMs over maps: a cell and a layer."""

from __future__ import annotations

from typing import Any

import torch

from ..ops.conv_lstm import conv_lstm_step, tile_lstm
from ..types import State
from ._conv_recurrent import RENAMED, Algorithm, ConvRecurrence, ConvRecurrentLayer
from .argument_names import INSTEAD, explains_arguments

Tensor = torch.Tensor


class _ConvLSTM(ConvRecurrence):
    gates = 4
    state_names = ("h", "c")
    peepholes: bool
    peephole: Tensor | None

    def _add_peepholes(self, peepholes: bool) -> None:
        self.peepholes = bool(peepholes)
        self.peephole = torch.nn.Parameter(self.weight_hh.new_empty(3, self.hidden_size)) if peepholes else None

    def _step(self, from_x: Tensor, state: State) -> tuple[Tensor, State]:
        h, c = conv_lstm_step(from_x, state, self.weight_hh, self.bias_hh, self.peephole)
        return h, (h, c)

    def _own_arguments(self) -> tuple[str, ...]:
        return ("peepholes", *super()._own_arguments())


class ConvLSTMCell(_ConvLSTM):
    """One step of an LSTM over maps, as a cell for :class:`rnnkit.RNN`; equations in :mod:`rnnkit.ops.conv_lstm`.

    :class:`rnnkit.ConvLSTM` has the same weights and computes the same sequences faster.

    Args:
        input_size: C, channels of the input.
        hidden_size: H, channels of the state.
        kernel_size: k, odd.
        bias: whether there are biases.
        peepholes: whether the gates see c, with a weight for each channel.
        device, dtype: of the weights.

    Shapes:
        x [B, C, h, w] and (h, c) [B, H, h, w] each (None for zeros) → (output, state), the next h and (h, c).

    Raises:
        ConfigError: a size below 1, or an even kernel. ShapeError: the input or the state does not fit.

    Example:
        >>> import torch, rnnkit
        >>> layer = rnnkit.RNN(rnnkit.ConvLSTMCell(1, 8, peepholes=True), batch_first=True)
        >>> output, (h, c) = layer(torch.randn(2, 5, 1, 16, 16))
        >>> tuple(output.shape), tuple(c.shape)
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
        peepholes: bool = False,
    ) -> None:
        self._make_weights(input_size, hidden_size, kernel_size, bias, device, dtype)
        self._add_peepholes(peepholes)
        self.reset_parameters()

    def forward(self, x: Tensor, state: State | None = None) -> tuple[Tensor, State]:
        """Run one step; see the class."""
        return self._checked_step(x, state)


class ConvLSTM(_ConvLSTM, ConvRecurrentLayer):
    """An LSTM over sequences of maps; equations in :mod:`rnnkit.ops.conv_lstm`.

    It is computed as :class:`rnnkit.ConvGRU` is, with the same algorithms.

    Args:
        input_size: C, channels of the input.
        hidden_size: H, channels of the state.
        kernel_size: k, odd.
        bias: whether there are biases.
        peepholes: whether the gates see c, with a weight for each channel.
        algorithm: ``"tiles"``, ``"direct"`` (PyTorch's convolutions), or ``"auto"`` for the faster one.
        device, dtype: of the weights.

    Shapes:
        input [B, T, C, h, w] → output [B, T, H, h, w], state (h, c), [B, H, h, w] each.

    Raises:
        ConfigError: a size below 1, an even kernel, or an unknown algorithm. ShapeError: an input that does not fit.

    Example:
        >>> import torch, rnnkit
        >>> layer = rnnkit.ConvLSTM(1, 16)
        >>> output, (h, c) = layer(torch.randn(2, 5, 1, 16, 12))
        >>> stream = layer.stream(batch=2)
        >>> tuple(output.shape), tuple(stream(torch.randn(2, 1, 16, 12)).shape)
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
        peepholes: bool = False,
        algorithm: Algorithm = "auto",
    ) -> None:
        self._make_weights(input_size, hidden_size, kernel_size, bias, device, dtype)
        self._add_peepholes(peepholes)
        self._configure(algorithm)
        self.reset_parameters()

    def _run_tiles(self, from_x: Tensor, state: Any, keep: Tensor | None, size: tuple[int, int]) -> tuple[Tensor, ...]:
        return tile_lstm(from_x, state, self.weight_hh, self.peephole, keep, size)
