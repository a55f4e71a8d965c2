"""What :class:`rnnkit.RNN` asks of a cell, and what it checks."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable
from numbers import Integral
from typing import Any

import torch

from ..errors import ConfigError, ShapeError, suggest
from ..types import State
from ._checks import described
from .argument_names import INSTEAD, OWN_CELL, RENAMED
from .cells import TORCH_CELLS, zeros

Tensor = torch.Tensor
Cell = Callable[..., Any]


def explains_torch_call(init: Callable[..., None]) -> Callable[..., None]:
    """``RNN.__init__`` with an error that says what to type for a call of ``torch.nn.RNN``."""

    known = set(inspect.signature(init).parameters) - {"self"}

    @functools.wraps(init)
    def checked(self: Any, *arguments: Any, **options: Any) -> None:
        sizes = [_is_size(one) for one in arguments]
        no_cell = not arguments and "cell" not in options
        if any(sizes) or "hidden_size" in options or (no_cell and _is_size(options.get("input_size"))):
            shown = [_written(one) for one in arguments] + [f"{name}={_written(one)}" for name, one in options.items()]
            if len(arguments) < 2 and "hidden_size" not in options:
                shown.insert(1, "hidden_size" if arguments else "hidden_size=128")
            got = ", ".join(_written(one) for one in arguments) or "..."
            raise ConfigError(
                f"rnnkit.RNN({got}) got sizes; expected a cell, a step of your own: rnnkit.RNN(cell). "
                f"For the layer of torch.nn.RNN type rnnkit.SimpleRNN({', '.join(shown)})"
            )
        if no_cell:
            raise ConfigError("rnnkit.RNN got no cell; expected a step of your own: rnnkit.RNN(cell)")
        if len(arguments) > 1:
            raise ConfigError(
                f"rnnkit.RNN got {len(arguments)} arguments by position; expected the cell alone. For two directions "
                "type rnnkit.RNN(cell, reverse_cell=other), for several layers "
                "rnnkit.Chain(rnnkit.RNN(first), rnnkit.RNN(second))"
            )
        for name in options.keys() - known:
            raise ConfigError(f"rnnkit.RNN has no argument {name}{_instead(name) or suggest(name, sorted(known))}")
        init(self, *arguments, **options)

    return checked


_CHAIN = "; for several layers type rnnkit.Chain(rnnkit.RNN(first), rnnkit.RNN(second))"
_INSTEAD = {
    "num_layers": _CHAIN,
    "dropout": "; put torch.nn.Dropout between the layers: rnnkit.Chain(rnnkit.RNN(first), torch.nn.Dropout(0.1), "
    "rnnkit.RNN(second))",
    "bidirectional": "; for a second direction type rnnkit.RNN(cell, reverse_cell=other)",
    "nonlinearity": "; it belongs to the cell: rnnkit.RNN(rnnkit.SimpleRNNCell(input_size, hidden_size, "
    'nonlinearity="relu"))',
    "bias": "; it belongs to the cell: rnnkit.RNN(rnnkit.GRUCell(input_size, hidden_size, bias=False))",
}


def _instead(name: str) -> str:
    """What to type for an argument of PyTorch's or of Keras's; "" where nothing is known."""
    if name in _INSTEAD:
        return _INSTEAD[name]
    if name in RENAMED or INSTEAD.get(name) == OWN_CELL:
        return "; it belongs to the cell: rnnkit.RNN(rnnkit.GRUCell(input_size, hidden_size))"
    return f"; {INSTEAD[name]}" if name in INSTEAD else ""


def _is_size(value: object) -> bool:
    return isinstance(value, Integral) and not isinstance(value, bool)


def _written(value: object) -> str:
    return repr(int(value)) if isinstance(value, Integral) and not isinstance(value, bool) else repr(value)


def cell_name(cell: Cell) -> str:
    """Return the name of a function, or of a module's class."""
    return getattr(cell, "__name__", type(cell).__name__)


def cell_output_size(cell: Cell) -> int | None:
    """Return the features of a cell's output: its ``output_size`` or ``hidden_size``; None where it has neither."""
    size: int | None = getattr(cell, "output_size", None)
    return getattr(cell, "hidden_size", None) if size is None else size


def check_cell(cell: object, argument: str) -> None:
    """Raise ConfigError unless ``cell`` can be called as a step; ``argument`` is its name in the message."""
    if isinstance(cell, type) or not callable(cell):
        arrived = f"the class {cell.__name__}" if isinstance(cell, type) else f"a {type(cell).__name__}"
        raise ConfigError(
            f"{argument} is {arrived}; expected a function or a module: (x_t, state) -> (output_t, state)"
        )
    if isinstance(cell, torch.nn.RNNBase):
        raise ConfigError(
            f"{argument} is a {cell_name(cell)}, which runs whole sequences itself. Use it without rnnkit.RNN, or pass "
            "a cell, which is one step"
        )


def own_initial_state(cell: Cell, batch: int, device: torch.device, dtype: torch.dtype) -> State:
    """Return the initial state that the cell gives; raise ConfigError where it gives none."""
    own = getattr(cell, "initial_state", None)
    if callable(own):
        return own(batch, device, dtype)
    if isinstance(cell, TORCH_CELLS):
        return zeros(cell, batch, device, dtype)
    raise ConfigError(
        f"the initial state of {cell_name(cell)} is unknown. Pass it: rnnkit.RNN(cell, "
        "initial_state=torch.zeros(1, hidden)), nested as the cell's state is, or a function "
        "(batch, device, dtype) -> state. Or give the cell a method initial_state(batch, device, dtype). Or pass a "
        "state to the call: layer(x, hx)"
    )


def state_shapes(state: State, name: str) -> Any:
    """Return the nested shapes of a state; raise ShapeError where it is no state."""
    if isinstance(state, Tensor):
        return tuple(state.shape)
    if type(state) is not tuple:  # a named tuple or a list would come back as a plain tuple
        raise ShapeError(f"{name} holds a {type(state).__name__}; a state is a tensor or a plain, nested tuple of them")
    return tuple(state_shapes(part, name) for part in state)


def checked_step(cell: Cell) -> Callable[[Tensor, State], tuple[Tensor, State]]:
    """Return the cell as ``(x_t, state) -> (output_t, state)`` with a check of what it returns."""

    def step(x: Tensor, before: State) -> tuple[Tensor, State]:
        returned = cell(x, before)
        if isinstance(cell, TORCH_CELLS):
            returned = (returned[0] if isinstance(returned, tuple) else returned, returned)
        if not isinstance(returned, tuple) or len(returned) != 2:
            raise ShapeError(f"{cell_name(cell)} returned {described(returned)}; expected a pair: return output, state")
        output, after = returned
        if not isinstance(output, Tensor) or output.shape[:1] != x.shape[:1]:
            raise ShapeError(
                f"{cell_name(cell)} returned {described(output)} as its output; expected a tensor with the batch, "
                f"{x.shape[0]}, on axis 0: return output, state"
            )
        expected, shapes = (
            state_shapes(before, "the state"),
            state_shapes(after, f"the state that {cell_name(cell)} returned"),
        )
        if shapes != expected:
            raise ShapeError(
                f"{cell_name(cell)} got a state of shapes {expected} and returned one of {shapes}; a step keeps its "
                "state's nesting and shapes, and returns (output, state) in this order"
            )
        return output, after

    return step
