"""Recurrent cells with any activation functions, for networks whose gates are no sigmoids.

Gate order and parameter names are PyTorch's, so weights move to and from ``torch.nn``'s cells.

    lstm  i, f, o = ρ(W x + b + U h + b')      g = φ(…)    c' = f ⊙ c + i ⊙ g    h' = o ⊙ φ(c')
    gru   r, z = ρ(…)    n = φ(W x + b + r ⊙ (U h + b'))     h' = (1 − z) ⊙ n + z ⊙ h
    rnn   h' = φ(W x + b + U h + b')

reset_after=False of a gru: n = φ(W x + b + b' + U (r ⊙ h)). Source: Keras's LSTMCell, GRUCell and SimpleRNNCell, which
name φ "activation" and ρ "recurrent_activation". Legend: B batch, I input, H hidden.
"""

from __future__ import annotations

from typing import Any, ClassVar

import torch

from ...errors import check_choice, check_number
from ...ops.draws import bernoulli
from ...types import State
from .activations import ACTIVATIONS
from .base import Tensor


class ActivatedCell(torch.nn.Module):
    """Base of the cells: parameters, and the mask of a recurrent dropout, which is drawn once a call of the layer.

    Args:
        input_size: I.
        hidden_size: H.
        activation: φ, a key of :data:`rnnkit.layers.graph.activations.ACTIVATIONS`.
        bias: with b and b'.
        recurrent_dropout: probability of dropping a unit of h in the products with U while training.
    """

    gates: ClassVar[int]

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        activation: str = "tanh",
        bias: bool = True,
        recurrent_dropout: float = 0.0,
    ) -> None:
        super().__init__()
        check_choice(activation, "activation", tuple(ACTIVATIONS))
        check_number(recurrent_dropout, "recurrent_dropout", below=1)
        self.input_size, self.hidden_size, self.output_size = input_size, hidden_size, hidden_size
        self.activation, self.bias, self.recurrent_dropout = activation, bias, recurrent_dropout
        rows = self.gates * hidden_size
        self.weight_ih = torch.nn.Parameter(torch.empty(rows, input_size))
        self.weight_hh = torch.nn.Parameter(torch.empty(rows, hidden_size))
        self.bias_ih = torch.nn.Parameter(torch.empty(rows)) if bias else None
        self.bias_hh = torch.nn.Parameter(torch.empty(rows)) if bias else None
        self._kept: Tensor | None = None
        bound = hidden_size**-0.5
        for parameter in self.parameters():
            torch.nn.init.uniform_(parameter, -bound, bound)

    def begin(self, x: Tensor) -> None:
        """Draw the mask of a call on x [B, ...]; none in evaluation."""
        rate = self.recurrent_dropout
        self._kept = None
        if rate and self.training:
            self._kept = bernoulli((x.shape[0], self.hidden_size), 1 - rate, 1 / (1 - rate), self.weight_hh)

    def _dropped(self, h: Tensor) -> Tensor:
        return h if self._kept is None else h * self._kept

    def _inputs(self, x: Tensor) -> Tensor:
        return torch.nn.functional.linear(x, self.weight_ih, self.bias_ih)

    def arguments(self) -> dict[str, Any]:
        """Return the arguments of the constructor."""
        return {
            "input_size": self.input_size,
            "hidden_size": self.hidden_size,
            "activation": self.activation,
            "bias": self.bias,
            "recurrent_dropout": self.recurrent_dropout,
        }

    def config(self) -> dict[str, Any]:
        """Return the builder and the arguments that make this cell again."""
        return {"builder": f"graph.{type(self).__name__}", "arguments": self.arguments()}

    def initial_state(
        self, batch: int, device: torch.device | str | None = None, dtype: torch.dtype | None = None
    ) -> State:
        """Return zeros [B, H]."""
        weight = self.weight_hh
        return torch.zeros(batch, self.hidden_size, device=device or weight.device, dtype=dtype or weight.dtype)

    def extra_repr(self) -> str:
        return f"{self.input_size}, {self.hidden_size}, activation={self.activation}"


class ActivatedRNNCell(ActivatedCell):
    """h' = φ(W x + b + U h + b'); see the module.

    Example:
        >>> y, state = ActivatedRNNCell(3, 5, "softsign")(torch.zeros(4, 3), torch.zeros(4, 5))
        >>> tuple(y.shape)
        (4, 5)
    """

    gates = 1

    def forward(self, x: Tensor, state: Tensor) -> tuple[Tensor, Tensor]:
        """Map x [B, I] and h [B, H] to the output and the next h."""
        recurrent = torch.nn.functional.linear(self._dropped(state), self.weight_hh, self.bias_hh)
        h = ACTIVATIONS[self.activation](self._inputs(x) + recurrent)
        return h, h


class GatedCell(ActivatedCell):
    """Base of the cells with gates: `recurrent_activation` is ρ."""

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        activation: str = "tanh",
        bias: bool = True,
        recurrent_dropout: float = 0.0,
        *,
        recurrent_activation: str = "sigmoid",
    ) -> None:
        check_choice(recurrent_activation, "recurrent_activation", tuple(ACTIVATIONS))
        super().__init__(input_size, hidden_size, activation, bias, recurrent_dropout)
        self.recurrent_activation = recurrent_activation

    def arguments(self) -> dict[str, Any]:
        """Return the arguments of the constructor."""
        return super().arguments() | {"recurrent_activation": self.recurrent_activation}

    def extra_repr(self) -> str:
        return f"{super().extra_repr()}, recurrent_activation={self.recurrent_activation}"


class ActivatedLSTMCell(GatedCell):
    """An LSTM's step with any φ and ρ; see the module.

    Example:
        >>> cell = ActivatedLSTMCell(3, 5, recurrent_activation="hard_sigmoid")
        >>> y, (h, c) = cell(torch.zeros(4, 3), cell.initial_state(4))
        >>> tuple(c.shape)
        (4, 5)
    """

    gates = 4

    def forward(self, x: Tensor, state: tuple[Tensor, Tensor]) -> tuple[Tensor, tuple[Tensor, Tensor]]:
        """Map x [B, I] and (h, c) [B, H] to the output and the next (h, c)."""
        h, c = state
        phi, rho = ACTIVATIONS[self.activation], ACTIVATIONS[self.recurrent_activation]
        recurrent = torch.nn.functional.linear(self._dropped(h), self.weight_hh, self.bias_hh)
        i, f, g, o = (self._inputs(x) + recurrent).chunk(4, -1)
        c = rho(f) * c + rho(i) * phi(g)
        h = rho(o) * phi(c)
        return h, (h, c)

    def initial_state(
        self, batch: int, device: torch.device | str | None = None, dtype: torch.dtype | None = None
    ) -> State:
        """Return zeros (h, c), [B, H] each."""
        h = super().initial_state(batch, device, dtype)
        assert isinstance(h, Tensor)
        return h, torch.zeros_like(h)


class ActivatedGRUCell(GatedCell):
    """A GRU's step with any φ and ρ; see the module.

    Args:
        reset_after: False applies the reset gate before the recurrent product.

    Example:
        >>> cell = ActivatedGRUCell(3, 5, recurrent_activation="hard_sigmoid", reset_after=False)
        >>> tuple(cell(torch.zeros(4, 3), torch.zeros(4, 5))[0].shape)
        (4, 5)
    """

    gates = 3

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        activation: str = "tanh",
        bias: bool = True,
        recurrent_dropout: float = 0.0,
        *,
        recurrent_activation: str = "sigmoid",
        reset_after: bool = True,
    ) -> None:
        super().__init__(
            input_size, hidden_size, activation, bias, recurrent_dropout, recurrent_activation=recurrent_activation
        )
        self.reset_after = reset_after

    def arguments(self) -> dict[str, Any]:
        """Return the arguments of the constructor."""
        return super().arguments() | {"reset_after": self.reset_after}

    def forward(self, x: Tensor, state: Tensor) -> tuple[Tensor, Tensor]:
        """Map x [B, I] and h [B, H] to the output and the next h."""
        phi, rho = ACTIVATIONS[self.activation], ACTIVATIONS[self.recurrent_activation]
        linear, size = torch.nn.functional.linear, 2 * self.hidden_size
        x_r, x_z, x_n = self._inputs(x).chunk(3, -1)
        h = self._dropped(state)
        bias = self.bias_hh
        gates = linear(h, self.weight_hh[:size], None if bias is None else bias[:size])
        r, z = rho(x_r + gates[:, : self.hidden_size]), rho(x_z + gates[:, self.hidden_size :])
        b_n = None if bias is None else bias[size:]
        if self.reset_after:
            n = phi(x_n + r * linear(h, self.weight_hh[size:], b_n))
        else:
            n = phi(x_n + linear(r * h, self.weight_hh[size:], b_n))
        h = (1 - z) * n + z * state
        return h, h
