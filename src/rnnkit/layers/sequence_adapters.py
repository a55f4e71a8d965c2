"""The call of a :class:`SequenceModule` for modules whose own call is another one.

An adapter holds a reference to its module and nothing else. It is no ``torch.nn.Module``: so the names of parameters in
a state dict are those of the module. Adapters are kept in an :class:`Adapted`, so that a module may be replaced or
accelerated in place at any time.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import torch
from torch import nn

from ..errors import ConfigError, ShapeError
from ..types import State
from ._adapters import ADAPTERS, Chunk, Layer, OwnFront, Result
from ._checks import Lengths
from .cells import TORCH_CELLS
from .sequence_module import SequenceModule

Tensor = torch.Tensor
SequenceInterface = SequenceModule | Layer
"""What a model asks of its layers; :class:`SequenceModule` documents each part."""


class Adapted:
    """What is made of modules: made once, and again where a module was replaced or changed its class.

    A copy of it, pickled ones too, is empty: a copied model makes its own.
    """

    def __init__(self) -> None:
        self._made: tuple[tuple[Any, ...], Any] = ((), None)

    def __call__(self, modules: tuple[Any, ...], make: Callable[[tuple[Any, ...]], Any]) -> Any:
        key, made = (*modules, *map(type, modules)), self._made
        if key != made[0]:
            made = self._made = key, make(modules)
        return made[1]

    def __reduce__(self) -> Any:
        return Adapted, ()


class Chained(Layer):
    """Several layers, one behind the other, as one.

    The state is a tuple of the states of those parts that have one; the state itself where one part has.
    """

    def __init__(self, parts: Sequence[SequenceInterface]) -> None:
        self._parts = parts

    @property
    def parts(self) -> Sequence[SequenceInterface]:
        return self._parts

    @property
    def _states(self) -> list[SequenceInterface]:
        return [part for part in self.parts if part.stateful]

    @property
    def stateful(self) -> bool:  # type: ignore[override]
        return bool(self._states)

    @property
    def input_size(self) -> int | None:
        for part in self.parts:
            if part.input_size is not None or part.output_size is not None:
                return part.input_size
        return None

    @property
    def output_size(self) -> int | None:
        return next((part.output_size for part in reversed(self.parts) if part.output_size is not None), None)

    @property
    def state_batch_axis(self) -> int:  # type: ignore[override]
        return next((part.state_batch_axis for part in self._states), 0)

    @property
    def carry_problem(self) -> str | None:
        for part in self.parts:
            if part.carry_problem is not None:
                return part.carry_problem
        if len({part.state_batch_axis for part in self._states}) > 1:
            return "the states of its layers have the batch on different axes (an RNN(cell) beside an rnnkit layer)"
        return None

    def __call__(self, x: Tensor, lengths: Lengths | None = None) -> Result:
        states = []
        for part in self.parts:
            x, lengths, state = _checked_result(part, part(x, lengths))
            if part.stateful:
                states.append(state)
        return x, lengths, self._joined(states)

    def run(self, x: Tensor, state: State | None, lengths: Lengths | None, resets: Tensor | None) -> Chunk:
        return self.each(partial(_part_chunk, lengths=lengths, resets=resets), x, state)

    def each(
        self, run: Callable[[SequenceInterface, Tensor, State | None], Chunk], x: Tensor, state: State | None
    ) -> Chunk:
        """Let ``run(part, x, state)`` compute each part, one behind the other; return y and the state behind."""
        before, after = self._split(state), []
        for part in self.parts:
            x, following = run(part, x, before.pop(0) if part.stateful else None)
            if part.stateful:
                after.append(following)
        return x, self._joined(after)

    def initial_state(
        self, batch: int, device: torch.device | str | None = None, dtype: torch.dtype | None = None
    ) -> State | None:
        return self._joined([part.initial_state(batch, device, dtype) for part in self._states])

    def last_output(self, y: Tensor, lengths: Lengths | None, state: State | None) -> Tensor:
        last = self.parts[-1]
        return last.last_output(y, lengths, self._split(state)[-1] if last.stateful else None)

    def _joined(self, states: list[State]) -> State | None:
        return None if not states else states[0] if len(states) == 1 else tuple(states)

    def _split(self, state: State | None) -> list[State | None]:
        count = len(self._states)
        if state is None or count == 1:
            return [state] * count
        if not isinstance(state, tuple) or len(state) != count:
            raise ShapeError(
                f"state is a {type(state).__name__}; expected a tuple of {count} states, one for each "
                "layer that has one, as forward_chunk returns it"
            )
        return list(state)


class _ChainedSequential(Chained):
    """The modules of a ``torch.nn.Sequential``, any of which may be replaced."""

    def __init__(self, module: nn.Sequential, name: str) -> None:
        self._module, self._name, self._adapted = module, name, Adapted()

    @property
    def parts(self) -> Sequence[SequenceInterface]:
        return self._adapted(tuple(self._module), self._make)  # type: ignore[no-any-return]

    def _make(self, modules: tuple[nn.Module, ...]) -> list[SequenceInterface]:
        return [as_sequence_module(part, f"{self._name}[{index}]") for index, part in enumerate(modules)]


def _part_chunk(part: SequenceInterface, x: Tensor, state: State | None, **ragged: Any) -> Chunk:
    return part.forward_chunk(x, state, **ragged)


def _checked_result(part: SequenceInterface, result: Any) -> Result:
    if isinstance(result, tuple) and len(result) == 3 and isinstance(result[0], Tensor):
        return result
    what = f"{len(result)} things" if isinstance(result, tuple) else f"a {type(result).__name__}"
    raise ConfigError(f"{type(part).__name__} returned {what}; expected y, lengths, state: return y, lengths, None")


def as_sequence_module(module: Any, name: str = "module") -> SequenceInterface:
    """Give a module the call ``(x, lengths) -> (y, lengths, state)``; one that has it is returned as it is.

    Args:
        module: a :class:`SequenceModule`; ``rnnkit.SimpleRNN``, ``LSTM``, ``GRU`` or ``RNN``; ``torch.nn.LSTM``,
            ``GRU`` or ``RNN``; ``torch.nn.Embedding``, ``Conv1d``, ``Linear``, ``LayerNorm``, ``RMSNorm``, ``Dropout``
            or an activation; or a ``torch.nn.Sequential`` of these. A "front" or "augment" may also be a module of the
            user's whose ``forward(x, lengths)`` returns y, or (y, lengths).
        name: of the argument, for the message.

    Raises:
        ConfigError: another module; the message says how to make it one of these.

    Example:
        >>> import torch
        >>> layer = as_sequence_module(torch.nn.LSTM(3, 5))
        >>> y, lengths, (h, c) = layer(torch.zeros(2, 7, 3), lengths=[7, 4])
        >>> tuple(y.shape), lengths, tuple(h.shape)
        ((2, 7, 5), [7, 4], (1, 2, 5))
    """
    if isinstance(module, SequenceModule):
        return module
    for kinds, adapter in ADAPTERS:
        if isinstance(module, kinds):
            return adapter(module)
    if type(module) is nn.Sequential and len(module) > 0:
        chained = _ChainedSequential(module, name)
        assert chained.parts  # raises for a part that is no layer
        return chained
    if name in ("front", "augment") and _takes_lengths(module):
        return OwnFront(module)
    raise ConfigError(_refusal(module, name))


def _takes_lengths(module: Any) -> bool:
    """Return whether a module of the user's can be called as ``module(x, lengths)``; a cell is another thing."""
    if not isinstance(module, nn.Module) or isinstance(module, TORCH_CELLS):
        return False
    parameters = list(inspect.signature(module.forward).parameters)
    return len(parameters) > 1 and parameters[1] == "lengths"


def _refusal(module: Any, name: str) -> str:
    if isinstance(module, type):
        return f"{name} is the class {module.__name__}; expected a module: {module.__name__}(...)"
    arrived = f"{name} is a {type(module).__name__}; expected a layer over sequences"
    if isinstance(module, TORCH_CELLS):
        return f"{arrived}, and a cell is a single step: rnnkit.RNN(cell)"
    if isinstance(module, nn.Module):
        kind = type(module).__name__
        return (
            f"{arrived}: rnnkit.LSTM(input_size, hidden_size) or a class derived from rnnkit.SequenceModule. If it is "
            f"a single step (x, state) -> (y, state), type rnnkit.RNN({kind}(...)); if it treats each step by itself, "
            f"rnnkit.PerStep({kind}(...))"
        )
    if callable(module):
        return f"{arrived}; for a function that is a single step type rnnkit.RNN({getattr(module, '__name__', 'cell')})"
    return f"{arrived} such as rnnkit.LSTM(input_size, hidden_size)"


def check_fit(parts: Sequence[tuple[str, SequenceInterface]]) -> None:
    """Raise ConfigError where a layer returns other features than the next one takes.

    Args:
        parts: layers from input to output, each with its name for the message.
    """
    before, features = "", None
    for name, part in parts:
        if features is not None and part.input_size is not None and part.input_size != features:
            raise ConfigError(
                f"{before} puts out {features} features but {name} takes {part.input_size}; build the {name} with "
                f"input_size={features}"
            )
        if part.output_size is not None:
            before, features = name, part.output_size
