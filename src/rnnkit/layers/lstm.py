"""The LSTM layer."""

from __future__ import annotations

from typing import Any

import torch

from ..ops.lstm import lstm_reference, lstm_step
from ..types import Backend, State
from ._recurrent import RecurrentLayer
from .initialisation import Init

Tensor = torch.Tensor


class LSTM(RecurrentLayer, torch.nn.LSTM):
    """Long short-term memory, stacked and in one or both directions; equations in :mod:`rnnkit.ops.lstm`.

    A ``torch.nn.LSTM`` in every respect (arguments, parameter names, gate order, outputs; state dicts load both ways),
    which also takes ``lengths`` and ``resets``. It has no native kernel yet: it runs through PyTorch, and through
    its reference where PyTorch lacks an option (resets).

    Legend: B batch, T time, I input, H hidden, P projected (H without), L layers, D directions.

    Args:
        input_size, hidden_size, num_layers, bias, batch_first, dropout, bidirectional, proj_size: as in torch's.
        init: ``"torch"`` or ``"keras"``, see :mod:`rnnkit.layers.initialisation`.
        backend: ``"auto"``, ``"torch"`` or ``"reference"``.

    Shapes:
        input [T, B, I] → output [T, B, D·P], state (h [L·D, B, P], c [L·D, B, H]).

    Raises:
        ConfigError, ShapeError, BackendError: as in :class:`rnnkit.SimpleRNN`.

    Example:
        >>> import torch, rnnkit
        >>> output, (h, c) = rnnkit.LSTM(3, 5, num_layers=2)(torch.zeros(7, 4, 3))
        >>> tuple(output.shape), tuple(h.shape), tuple(c.shape)
        ((7, 4, 5), (2, 4, 5), (2, 4, 5))
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
        proj_size: int = 0,
        device: torch.device | str | None = None,
        dtype: torch.dtype | None = None,
        *,
        init: Init = "torch",
        backend: Backend = "auto",
    ) -> None:
        self._configure("LSTM", init, backend, bidirectional)
        torch.nn.LSTM.__init__(
            self, input_size, hidden_size, num_layers, bias, batch_first, dropout, bidirectional, proj_size,
            device=device, dtype=dtype,
        )  # fmt: skip

    def _direction(
        self, x: Tensor, state: State | None, layer: int, reverse: bool, backend: Backend, **ragged: Any
    ) -> tuple[Tensor, State]:
        if state is None:
            batch = x.shape[0 if self.batch_first else 1]
            state = (x.new_zeros(batch, self.proj_size or self.hidden_size), x.new_zeros(batch, self.hidden_size))
        return lstm_reference(
            x, state, *self._projected_weights(layer, reverse), reverse=reverse, batch_first=self.batch_first, **ragged
        )

    def _projected_weights(self, layer: int, reverse: bool = False) -> list[Any]:
        suffix = f"_l{layer}_reverse" if reverse else f"_l{layer}"
        return [*self._weights(layer, reverse), getattr(self, "weight_hr" + suffix) if self.proj_size else None]

    def _cell(self, x: Tensor, state: State, layer: int) -> tuple[Tensor, State]:
        h, c = lstm_step(x, state, *self._projected_weights(layer))
        return h, (h, c)

    def _native_problem(self, device: torch.device, dtype: torch.dtype) -> str | None:
        return "the native core has no LSTM kernel yet"

    def initial_state(
        self, batch: int, device: torch.device | str | None = None, dtype: torch.dtype | None = None
    ) -> State:
        weight, rows = self.weight_ih_l0, self.num_layers * self.num_directions
        device, dtype = device or weight.device, dtype or weight.dtype
        return (
            torch.zeros(rows, batch, self.proj_size or self.hidden_size, device=device, dtype=dtype),
            torch.zeros(rows, batch, self.hidden_size, device=device, dtype=dtype),
        )

    def _own_arguments(self) -> dict[str, Any]:
        return {"proj_size": self.proj_size}
