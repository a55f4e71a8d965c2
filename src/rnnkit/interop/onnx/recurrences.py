"""One layer of a recurrence in one direction, as numbers: what rnnkit's and PyTorch's layers and cells hold.

Legend: G gates, H hidden, I input, S features of h (P with a projection), D directions.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

import torch
from torch.nn.utils import parametrize

from ...layers._options import suffix_of
from ...layers._recurrent import RecurrentLayer
from ...ops.direction import NO_OPTIONS, RecurrentOptions, RecurrentWeights
from .activations import OF_OPERATORS
from .writer import Unsupported

Tensor = torch.Tensor
Kind = Literal["simple_rnn", "lstm", "gru"]
GATES: dict[Kind, int] = {"simple_rnn": 1, "lstm": 4, "gru": 3}


@dataclass(frozen=True)
class Direction:
    """The weights and options of one layer and direction, in evaluation.

    Attributes:
        kind: the recurrence.
        weights: see :class:`rnnkit.ops.direction.RecurrentWeights`.
        options: see :class:`rnnkit.ops.direction.RecurrentOptions`; their zoneout is a constant [S] or [H].
        nonlinearity: of the state and of an LSTM's or GRU's candidate, a key of :data:`.activations.FUNCTIONS`.
        reset_after: of a GRU.
        reverse: whether it runs from the last step to the first.
        gate: the function of the gates, such a key.
    """

    kind: Kind
    weights: RecurrentWeights
    options: RecurrentOptions = NO_OPTIONS
    nonlinearity: str = "tanh"
    reset_after: bool = True
    reverse: bool = False
    gate: str = "sigmoid"

    @property
    def hidden(self) -> int:
        """H."""
        return int(self.weights.w_hh.shape[0]) // GATES[self.kind]

    @property
    def state_sizes(self) -> dict[str, int]:
        """Features of each tensor of the state by its name."""
        h = int(self.weights.w_hh.shape[1])
        return {"h": h, "c": self.hidden} if self.kind == "lstm" else {"h": h}

    def problem(self) -> str | None:
        """What ONNX's own operator lacks; None where it computes the recurrence."""
        options = self.options
        lacking = {
            "layer_norm": options.norm is not None,
            "zoneout": options.zoneout_h is not None or options.zoneout_c is not None,
            "proj_size": self.weights.w_hr is not None,
            "activation": not {self.nonlinearity, self.gate} <= OF_OPERATORS.keys(),
        }
        return ", ".join(name for name, there in lacking.items() if there) or None

    def bias(self) -> tuple[Tensor, Tensor]:
        """b_ih and b_hh, zeros where the layer has none."""
        rows = self.weights.w_ih.shape[0]
        b_ih, b_hh = self.weights.b_ih, self.weights.b_hh
        zeros = self.weights.w_ih.new_zeros(rows)
        return (zeros if b_ih is None else b_ih), (zeros if b_hh is None else b_hh)


@dataclass(frozen=True)
class Recurrence:
    """A stack of recurrent layers.

    Attributes:
        layers: the directions of each layer, one or two.
        start: the state before the first step by name, [L·D, 1, S]; {}: zeros.
        stacked: whether the state's tensors are [L·D, B, S]; else, for a single cell, [B, S].
    """

    layers: tuple[tuple[Direction, ...], ...]
    start: dict[str, Tensor]
    stacked: bool = True

    @property
    def directions(self) -> int:
        """D."""
        return len(self.layers[0])

    @property
    def state_sizes(self) -> dict[str, int]:
        """Features of each tensor of the state by its name."""
        return self.layers[0][0].state_sizes


def recurrence_of(module: Any) -> Recurrence:
    """Return what a recurrent layer computes in evaluation.

    Raises:
        Unsupported: a class of the user's own.
    """
    kind: Any = parametrize.type_before_parametrizations(module)
    name = f"{kind.__module__.split('.')[0]}.{kind.__name__}"
    if isinstance(module, RecurrentLayer) and kind.__module__.startswith("rnnkit."):
        return _of_layer(module, _rnnkit_direction(module))
    if kind in (torch.nn.RNN, torch.nn.LSTM, torch.nn.GRU):
        return _of_layer(module, _torch_direction(module))
    raise Unsupported(
        f"{name} arrived, a recurrence that rnnkit does not know the equations of; ONNX files hold rnnkit's and "
        "PyTorch's SimpleRNN, LSTM and GRU"
    )


def _of_layer(module: Any, direction: Callable[[int, bool], Direction]) -> Recurrence:
    ways = (False, True) if module.bidirectional else (False,)
    layers = tuple(tuple(direction(layer, way) for way in ways) for layer in range(module.num_layers))
    options = getattr(module, "options", None)
    start = {}
    if options is not None and options.learn_initial_state:
        start = {name: getattr(module, f"initial_{name}").detach() for name in module.state_names}
    return Recurrence(layers, start)


def _rnnkit_direction(module: RecurrentLayer) -> Callable[[int, bool], Direction]:
    def direction(layer: int, reverse: bool) -> Direction:
        weights = module._direction_weights(layer, reverse)
        options = module._direction_options(weights.w_ih, 1, 1, layer, reverse)
        kernel: Any = module.kernel
        return Direction(
            kernel, weights, options, getattr(module, "nonlinearity", "tanh"), module.options.reset_after, reverse
        )

    return direction


def _torch_direction(module: Any) -> Callable[[int, bool], Direction]:
    kinds: dict[str, Kind] = {"LSTM": "lstm", "GRU": "gru", "RNN_TANH": "simple_rnn", "RNN_RELU": "simple_rnn"}

    def direction(layer: int, reverse: bool) -> Direction:
        suffix = suffix_of(layer, reverse)
        names = ["weight_ih", "weight_hh", *(("bias_ih", "bias_hh") if module.bias else ())]
        weights = RecurrentWeights(*(getattr(module, one + suffix) for one in names))
        if module.proj_size:
            weights = weights._replace(w_hr=getattr(module, "weight_hr" + suffix))
        sort = kinds[module.mode]
        return Direction(sort, weights, nonlinearity=getattr(module, "nonlinearity", "tanh"), reverse=reverse)

    return direction


_CELLS: dict[str, Kind] = {
    "LSTMCell": "lstm",
    "GRUCell": "gru",
    "RNNCell": "simple_rnn",
    "SimpleRNNCell": "simple_rnn",
    "ActivatedLSTMCell": "lstm",
    "ActivatedGRUCell": "gru",
    "ActivatedRNNCell": "simple_rnn",
}


def recurrences_of_cells(module: Any) -> list[Recurrence]:
    """Return what a :class:`rnnkit.RNN` over rnnkit's or PyTorch's cells computes, one for each direction.

    Raises:
        Unsupported: a cell of the user's own, or an initial state that a function makes.
    """
    cells = [module.cell] if module.reverse_cell is None else [module.cell, module.reverse_cell]
    directions = []
    for reverse, cell in enumerate(cells):
        kind: Any = parametrize.type_before_parametrizations(cell) if isinstance(cell, torch.nn.Module) else type(cell)
        known = kind.__name__ in _CELLS and kind.__module__.startswith(("rnnkit.", "torch.nn."))
        if not known:
            name = getattr(cell, "__name__", kind.__name__)
            if name in ("ConvGRUCell", "ConvLSTMCell"):
                layer = name.removesuffix("Cell")
                raise Unsupported(
                    f"rnnkit.RNN({name}) arrived, which is not written to ONNX files; type rnnkit.{layer} in its "
                    "place, which has the same weights"
                )
            raise Unsupported(
                f"rnnkit.RNN({name}) has a cell of your own, whose equations no file can hold; ONNX files hold "
                "rnnkit.SimpleRNN, LSTM and GRU and their cells"
            )
        weights = RecurrentWeights(cell.weight_ih, cell.weight_hh, cell.bias_ih, cell.bias_hh)
        directions.append(
            Direction(
                _CELLS[kind.__name__],
                weights,
                nonlinearity=getattr(cell, "nonlinearity", getattr(cell, "activation", "tanh")),
                gate=getattr(cell, "recurrent_activation", "sigmoid"),
                reset_after=getattr(cell, "reset_after", True),
                reverse=bool(reverse),
            )
        )
    if module.initial is not None:
        raise Unsupported(
            "rnnkit.RNN(..., initial_state=...) begins with a state of its own, which is not written to ONNX files; "
            "type learn_initial_state=True of rnnkit.LSTM, GRU or SimpleRNN in its place"
        )
    return [Recurrence(((one,),), {}, stacked=False) for one in directions]
