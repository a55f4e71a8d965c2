"""The GRU layer."""

from __future__ import annotations

from typing import Any

import torch

from ..ops.gru import gru_reference, gru_step
from ..types import Backend, State
from ._recurrent import RecurrentLayer
from .initialisation import Init

Tensor = torch.Tensor


class GRU(RecurrentLayer, torch.nn.GRU):
    """Gated recurrent units, stacked and in one or both directions; equations in :mod:`rnnkit.ops.gru`.

    A ``torch.nn.GRU`` in every respect (arguments, parameter names, gate order, outputs; state dicts load both ways),
    which also takes ``lengths`` and ``resets``. It has no native kernel yet: it runs through PyTorch, and through
    its reference where PyTorch lacks an option (resets).

    Legend: B batch, T time, I input, H hidden, L layers, D directions.

    Args:
        input_size, hidden_size, num_layers, bias, batch_first, dropout, bidirectional: as in ``torch.nn.GRU``.
        init: ``"torch"`` or ``"keras"``, see :mod:`rnnkit.layers.initialisation`.
        backend: ``"auto"``, ``"torch"`` or ``"reference"``.

    Shapes:
        input [T, B, I] → output [T, B, D·H], state [L·D, B, H].

    Raises:
        ConfigError, ShapeError, BackendError: as in :class:`rnnkit.SimpleRNN`.

    Example:
        >>> import torch, rnnkit
        >>> output, state = rnnkit.GRU(3, 5, bidirectional=True)(torch.zeros(7, 4, 3))
        >>> tuple(output.shape), tuple(state.shape)
        ((7, 4, 10), (2, 4, 5))
    """

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        num_layers: int = 1,
        bias: bool = True,
        batch_first: bool = False,
        dropout: float = 0.0,
        bidirectional: bool = False,
        device: torch.device | str | None = None,
        dtype: torch.dtype | None = None,
        *,
        init: Init = "torch",
        backend: Backend = "auto",
    ) -> None:
        self._configure("GRU", init, backend, bidirectional)
        torch.nn.GRU.__init__(
            self,
            input_size,
            hidden_size,
            num_layers,
            bias,
            batch_first,
            dropout,
            bidirectional,
            device=device,
            dtype=dtype,
        )

    def _direction(
        self, x: Tensor, state: State | None, layer: int, reverse: bool, backend: Backend, **ragged: Any
    ) -> tuple[Tensor, State]:
        if state is None:
            state = x.new_zeros(x.shape[0 if self.batch_first else 1], self.hidden_size)
        return gru_reference(
            x, state, *self._weights(layer, reverse), reverse=reverse, batch_first=self.batch_first, **ragged
        )

    def _cell(self, x: Tensor, state: State, layer: int) -> tuple[Tensor, State]:
        h = gru_step(x, state, *self._weights(layer))
        return h, h

    def _native_problem(self, device: torch.device, dtype: torch.dtype) -> str | None:
        return "the native core has no GRU kernel yet"

    def initial_state(
        self, batch: int, device: torch.device | str | None = None, dtype: torch.dtype | None = None
    ) -> State:
        weight = self.weight_ih_l0
        shape = (self.num_layers * self.num_directions, batch, self.hidden_size)
        return torch.zeros(shape, device=device or weight.device, dtype=dtype or weight.dtype)
