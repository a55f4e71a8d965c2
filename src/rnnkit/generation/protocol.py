"""What can generate: a step from ids and a state to logits and the next state."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import torch

from ..errors import ConfigError, ShapeError
from ..ops.state import map_state, tensors
from ..types import State

Tensor = torch.Tensor


class Step(NamedTuple):
    """What a step returns: logits [B, V], the state after it, attention over the source [B, S] where there is one."""

    logits: Tensor
    state: State
    attention: Tensor | None = None


class TokenModel:
    """The protocol of all that generates. Derive from it, and define `step` and `initial_state`.

    `step` must be pure: it returns a new state and leaves the one that it was given.

    Legend: B batch, T time, V vocabulary, S steps of a source.

    Attributes:
        state_batch_axis: the axis of the batch in each tensor of the state.
        device: where ids have to be.
        rows: the number of rows that `initial_state` is of; None where it can be any.
        source_lengths: of the rows' sources [B], for the coverage penalty; None where there are none.

    Example:
        >>> class Counter(TokenModel):  # after i comes i + 1
        ...     state_batch_axis = 0
        ...     def initial_state(self, batch):
        ...         return torch.zeros(batch, 0)
        ...     def step(self, ids, state):
        ...         return 9.0 * torch.nn.functional.one_hot((ids + 1) % 5, 5), state
        >>> from rnnkit.generation import generate
        >>> generate(Counter(), [0], max_tokens=3, temperature=0).ids
        [[1, 2, 3]]
    """

    state_batch_axis: int = 1
    device: torch.device | str = "cpu"
    rows: int | None = None
    source_lengths: Tensor | None = None

    def step(self, ids: Tensor, state: State) -> tuple[Any, ...]:
        """Read one token a row.

        Args:
            ids: int64 [B].
            state: what this method returned before, or `initial_state`.

        Returns:
            logits or log-probabilities [B, V] and the next state; after them, where the model has it, the attention
            over the source [B, S].
        """
        raise NotImplementedError(f"{type(self).__name__} has no step(ids, state) -> (logits, state)")

    def initial_state(self, batch: int) -> State:
        """Return the state before the first token of ``batch`` rows."""
        raise NotImplementedError(f"{type(self).__name__} has no initial_state(batch) -> state")

    def read(self, ids: Tensor, lengths: list[int] | None, state: State) -> tuple[Any, ...]:
        """Read a prompt; models that take whole sequences in one call override this.

        Args:
            ids: int64 [B, T], padded on the right.
            lengths: valid steps of each row, at least 1; None: all are valid.
            state: as in `step`.

        Returns:
            what `step` returns, after each row's last valid token.
        """
        result = Step(*self.step(ids[:, 0], state))
        ends = None if lengths is None else torch.tensor(lengths, device=ids.device)
        for time in range(1, ids.shape[1]):
            following = Step(*self.step(ids[:, time], result.state))
            result = following if ends is None else self._where(ends > time, following, result)
        return result

    def map_rows(self, function: Callable[..., Tensor], *states: State) -> State:
        """Apply ``function(axis of the batch, *tensors)`` to the matching tensors of states."""
        return map_state(lambda *leaves: function(self.state_batch_axis, *leaves), *states)

    def reorder(self, state: State, index: Tensor, *, same_source: bool = False) -> State:
        """Select rows of a state: row ``index[i]`` becomes row i.

        Args:
            state: any state of this model.
            index: integers [B'].
            same_source: whether rows are exchanged only with rows that read the same source. What belongs to the
                source and does not change may then stay as it is.
        """
        return self.map_rows(lambda axis, leaf: leaf.index_select(axis, index), state)

    def session(self, batch: int, state: State | None = None) -> Session:
        """Return an object that steps ``batch`` rows on from a state; models that have a faster one override this."""
        return Session(self, self.initial_state(batch) if state is None else state)

    def _where(self, mask: Tensor, chosen: Step, other: Step) -> Step:
        def pick(axis: int, one: Tensor, two: Tensor) -> Tensor:
            shape = [1] * one.dim()
            shape[axis] = -1
            return torch.where(mask.view(shape), one, two)

        attention = None
        if chosen.attention is not None and other.attention is not None:
            attention = pick(0, chosen.attention, other.attention)
        state = self.map_rows(pick, chosen.state, other.state)
        return Step(pick(0, chosen.logits, other.logits), state, attention)


class StepFunction(TokenModel):
    """A :class:`TokenModel` of two functions.

    Args:
        step: ``(ids [B], state) -> (logits [B, V], state)``, or (logits, state, attention [B, S]).
        initial_state: ``batch -> state``.
        state_batch_axis: the axis of the batch in each tensor of the state.
        device: where ids have to be.

    Raises:
        ConfigError: one of the two is no function.

    Example:
        >>> from rnnkit.generation import generate
        >>> table = torch.tensor([[0.0, 9.0, 0.0], [0.0, 0.0, 9.0], [9.0, 0.0, 0.0]])
        >>> model = StepFunction(lambda ids, state: (table[ids], state), lambda batch: ())
        >>> generate(model, [0], max_tokens=4, temperature=0).ids
        [[1, 2, 0, 1]]
    """

    def __init__(
        self,
        step: Callable[[Tensor, State], tuple[Any, ...]],
        initial_state: Callable[[int], State],
        state_batch_axis: int = 1,
        device: torch.device | str = "cpu",
    ) -> None:
        for name, function in (("step", step), ("initial_state", initial_state)):
            if not callable(function):
                raise ConfigError(
                    f"{name} is a {type(function).__name__}; expected a function: "
                    "StepFunction(lambda ids, state: (logits, state), lambda batch: state)"
                )
        self._step, self._initial_state = step, initial_state
        self.state_batch_axis, self.device = state_batch_axis, device

    def step(self, ids: Tensor, state: State) -> tuple[Any, ...]:
        return self._step(ids, state)

    def initial_state(self, batch: int) -> State:
        return self._initial_state(batch)


class Session:
    """Rows that step together, and their state. `attention` is that of the last step, or None."""

    attention: Tensor | None = None

    def __init__(self, model: TokenModel, state: State) -> None:
        self.model, self._state = model, state
        self._checked = False

    @property
    def state(self) -> State:
        """The state after the last step."""
        return self._state

    def read(self, ids: Tensor, lengths: list[int] | None) -> Tensor:
        """Read a prompt [B, T] and return the logits [B, V] after it."""
        return self._taken(self.model.read(ids, lengths, self._state), ids.shape[0])

    def step(self, ids: Tensor) -> Tensor:
        """Read one token a row [B] and return the logits [B, V] after it."""
        return self._taken(self.model.step(ids, self._state), ids.shape[0])

    def reorder(self, index: Tensor) -> None:
        """Exchange rows with those that read the same source; index [B]."""
        self._state = self.model.reorder(self._state, index, same_source=True)

    def close(self) -> None:
        """Give back what the session holds; its state may not be used any more."""

    def _taken(self, result: Any, batch: int) -> Tensor:
        if not self._checked:
            check_step(result, batch, self.model)
            self._checked = True
        step = Step(*result)
        self._state, self.attention = step.state, step.attention
        return step.logits


def check_step(result: Any, batch: int, model: object) -> None:
    """Raise ConfigError or ShapeError where a step returned something else than logits [B, V] and a state."""
    name = type(model).__name__
    if not isinstance(result, tuple) or len(result) not in (2, 3):
        what = f"{len(result)} things" if isinstance(result, tuple) else f"a {type(result).__name__}"
        raise ConfigError(f"the step of {name} returned {what}; expected two: return logits, state")
    logits = result[0]
    if not isinstance(logits, Tensor):
        raise ConfigError(f"the step of {name} returned logits that are a {type(logits).__name__}; expected a tensor")
    if logits.dim() != 2 or len(logits) != batch or not logits.is_floating_point():
        raise ShapeError(
            f"the step of {name} returned logits of shape {list(logits.shape)} and type {logits.dtype}; expected "
            f"floating-point numbers [{batch}, vocabulary]: of a whole sequence return logits[:, -1]"
        )
    if any(not isinstance(leaf, Tensor) for leaf in tensors(result[1])):
        raise ConfigError(f"the step of {name} returned a state that holds no tensors alone; expected a tuple of them")


def rows_of(model: TokenModel, rows: int) -> None:
    """Raise ShapeError where a model has a fixed number of rows, which is another one."""
    if model.rows is not None and model.rows != rows:
        raise ShapeError(
            f"{rows} prompts arrived for {model.rows} sources; expected one a source, or a single one for all"
        )
