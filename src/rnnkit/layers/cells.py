"""One step as a module: PyTorch's cells, with checks of their arguments and a sigmoid."""

from __future__ import annotations

from typing import Any

import torch
from torch.nn.utils import parametrize

from ..errors import ShapeError, check_choice
from ..ops.direction import RecurrentWeights
from ..ops.simple_rnn import NONLINEARITIES, Nonlinearity, simple_rnn_step
from ..types import State
from ._checks import described
from .argument_names import INSTEAD, RENAMED, explains_arguments

Tensor = torch.Tensor
# Cells whose call returns their next state and no output beside it.
TORCH_CELLS = (torch.nn.LSTMCell, torch.nn.GRUCell, torch.nn.RNNCell)


class LSTMCell(torch.nn.LSTMCell):
    """Run one LSTM step, (h, c) = cell(x, (h, c)); equations in :mod:`rnnkit.ops.lstm`.

    A ``torch.nn.LSTMCell`` in every respect (arguments, parameter names, gate order; state dicts load both ways), which
    checks its arguments. PyTorch's fused cell computes it: that was faster than the written-out step on one thread of
    an EPYC (Zen 5) with H = 32: 12 against 17 µs at batch 1, 24 against 29 µs at batch 32.
    ``rnnkit.RNN(cell)`` runs it over whole sequences, with h as its output.

    Legend: B batch, I input, H hidden.

    Args:
        input_size, hidden_size, bias, device, dtype: as in ``torch.nn.LSTMCell``.

    Shapes:
        input [B, I] and hx (h [B, H], c [B, H]), or None for zeros → (h [B, H], c [B, H]); all without B unbatched.

    Raises:
        ShapeError: the input or the state does not fit.

    Example:
        >>> import torch, rnnkit
        >>> h, c = rnnkit.LSTMCell(3, 5)(torch.zeros(4, 3))
        >>> tuple(h.shape), tuple(c.shape)
        ((4, 5), (4, 5))
    """

    __init__ = explains_arguments(RENAMED, INSTEAD)(torch.nn.LSTMCell.__init__)

    def forward(self, input: Tensor, hx: tuple[Tensor, Tensor] | None = None) -> tuple[Tensor, Tensor]:
        """Run one step; see the class."""
        if hx is not None and not (isinstance(hx, tuple | list) and len(hx) == 2):
            raise ShapeError(f"hx is {described(hx)}; an LSTM cell carries a pair: pass (h, c)")
        _check_call(self, input, () if hx is None else hx)
        return super().forward(input, hx)

    def config(self) -> dict[str, Any]:
        """Return the builder and the arguments that make this cell again."""
        return _own_config(self)

    def initial_state(
        self, batch: int, device: torch.device | str | None = None, dtype: torch.dtype | None = None
    ) -> State:
        """Return zeros (h, c), [B, H] each."""
        return zeros(self, batch, device, dtype)


class GRUCell(torch.nn.GRUCell):
    """Run one GRU step, h = cell(x, h); equations in :mod:`rnnkit.ops.gru`.

    A ``torch.nn.GRUCell`` in every respect, which checks its arguments. PyTorch's fused cell computes it: that was
    faster than the written-out step on one thread of an EPYC (Zen 5) with H = 32: 12 against 23 µs at batch 1, 20
    against 30 µs at batch 32. ``rnnkit.RNN(cell)`` runs it over whole sequences.

    Legend: B batch, I input, H hidden.

    Args:
        input_size, hidden_size, bias, device, dtype: as in ``torch.nn.GRUCell``.

    Shapes:
        input [B, I] and hx [B, H], or None for zeros → h [B, H]; all without B unbatched.

    Raises:
        ShapeError: the input or the state does not fit.

    Example:
        >>> import torch, rnnkit
        >>> tuple(rnnkit.GRUCell(3, 5)(torch.zeros(4, 3)).shape)
        (4, 5)
    """

    __init__ = explains_arguments(RENAMED, INSTEAD)(torch.nn.GRUCell.__init__)

    def forward(self, input: Tensor, hx: Tensor | None = None) -> Tensor:
        """Run one step; see the class."""
        _check_call(self, input, () if hx is None else (hx,))
        return super().forward(input, hx)

    def config(self) -> dict[str, Any]:
        """Return the builder and the arguments that make this cell again."""
        return _own_config(self)

    def initial_state(
        self, batch: int, device: torch.device | str | None = None, dtype: torch.dtype | None = None
    ) -> State:
        """Return zeros [B, H]."""
        return zeros(self, batch, device, dtype)


class SimpleRNNCell(torch.nn.RNNCell):
    """Run one step of a simple recurrence, h = σ(W x + b_ih + U h + b_hh); see :mod:`rnnkit.ops.simple_rnn`.

    A ``torch.nn.RNNCell`` in every respect, which also takes σ = sigmoid and checks its arguments (PyTorch's cell
    broadcasts h [H, H] over an unbatched input). PyTorch's cell computes tanh and relu: that was faster than the
    written-out step on one thread of an EPYC (Zen 5) with H = 32: 6 against 9 µs at batch 1, 10 against 13 µs at batch
    32. The written-out step computes sigmoid. ``rnnkit.RNN(cell)`` runs it over whole sequences.

    Legend: B batch, I input, H hidden.

    Args:
        input_size, hidden_size, bias, device, dtype: as in ``torch.nn.RNNCell``.
        nonlinearity: ``"tanh"``, ``"relu"`` or ``"sigmoid"``.

    Shapes:
        input [B, I] and hx [B, H], or None for zeros → h [B, H]; all without B unbatched.

    Raises:
        ConfigError: an unknown nonlinearity. ShapeError: the input or the state does not fit.

    Example:
        >>> import torch, rnnkit
        >>> cell = rnnkit.SimpleRNNCell(3, 5, nonlinearity="sigmoid")
        >>> tuple(cell(torch.zeros(4, 3)).shape)
        (4, 5)
    """

    nonlinearity: Nonlinearity

    @explains_arguments({**RENAMED, "activation": "nonlinearity"}, INSTEAD)
    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        bias: bool = True,
        nonlinearity: Nonlinearity = "tanh",
        device: torch.device | str | None = None,
        dtype: torch.dtype | None = None,
    ) -> None:
        check_choice(nonlinearity, "nonlinearity", NONLINEARITIES)
        super().__init__(input_size, hidden_size, bias, nonlinearity, device, dtype)

    def forward(self, input: Tensor, hx: Tensor | None = None) -> Tensor:
        """Run one step; see the class."""
        _check_call(self, input, () if hx is None else (hx,))
        if self.nonlinearity != "sigmoid":
            return super().forward(input, hx)
        h = input.new_zeros(*input.shape[:-1], self.hidden_size) if hx is None else hx
        weights = RecurrentWeights(self.weight_ih, self.weight_hh, self.bias_ih, self.bias_hh)
        return simple_rnn_step(input, h, weights, nonlinearity="sigmoid")

    def config(self) -> dict[str, Any]:
        """Return the builder and the arguments that make this cell again."""
        return _own_config(self)

    def initial_state(
        self, batch: int, device: torch.device | str | None = None, dtype: torch.dtype | None = None
    ) -> State:
        """Return zeros [B, H]."""
        return zeros(self, batch, device, dtype)


def zeros(
    cell: torch.nn.RNNCellBase, batch: int, device: torch.device | str | None, dtype: torch.dtype | None
) -> State:
    """Return the zero state of one of PyTorch's cells: h [B, H], or (h, c) for an LSTM's."""
    weight = cell.weight_ih
    h = torch.zeros(batch, cell.hidden_size, device=device or weight.device, dtype=dtype or weight.dtype)
    return (h, torch.zeros_like(h)) if isinstance(cell, torch.nn.LSTMCell) else h


def _own_config(cell: torch.nn.RNNCellBase) -> dict[str, Any]:
    arguments: dict[str, Any] = {"input_size": cell.input_size, "hidden_size": cell.hidden_size, "bias": cell.bias}
    if isinstance(cell, torch.nn.RNNCell):
        arguments["nonlinearity"] = cell.nonlinearity
    return {"builder": parametrize.type_before_parametrizations(cell).__name__, "arguments": arguments}


def _check_call(cell: torch.nn.RNNCellBase, x: Tensor, states: Any) -> None:
    if x.dim() not in (1, 2) or x.shape[-1] != cell.input_size:
        features = cell.input_size
        raise ShapeError(f"input has shape {tuple(x.shape)}; expected (batch, {features}), or ({features},) unbatched")
    expected = (*x.shape[:-1], cell.hidden_size)
    for leaf in states:
        if not isinstance(leaf, Tensor):
            raise ShapeError(f"hx holds {described(leaf)}; expected a tensor of shape {expected}")
        if leaf.shape != expected:
            raise ShapeError(
                f"hx has shape {tuple(leaf.shape)} and the input {tuple(x.shape)}; expected hx of {expected}"
            )
        if leaf.dtype != x.dtype and not torch.is_autocast_enabled(x.device.type):
            raise ShapeError(f"hx is {leaf.dtype} and the input {x.dtype}; convert one with .to(dtype)")
