"""The plain loop over time that every reference uses."""

from __future__ import annotations

from collections.abc import Callable

import torch

from ..types import State
from .padding import valid_steps
from .state import map_state

Tensor = torch.Tensor
Step = Callable[[State, State], tuple[Tensor, State]]


def unroll(
    step: Step,
    x: State,
    state: State,
    *,
    initial: State | None = None,
    lengths: Tensor | None = None,
    resets: Tensor | None = None,
    reverse: bool = False,
) -> tuple[Tensor, State]:
    """Apply ``step(x_t, state) -> (y_t, state)`` over time.

    Args:
        step: takes what ``x`` holds at step t, and the state before it.
        x: [T, B, ...], or a nested tuple of such tensors, of which ``step`` gets the same tuple of [B, ...]. The first
            is a tensor; None, for an input that is absent, stays None.
        state: the state before the first step; its tensors have the batch on axis 0.
        initial: the state that ``resets`` put a row back to; None for ``state``.
        lengths: [B], valid steps of each row, 0 to T. Past them ``step`` gets zeros for x, outputs are 0 and the state
            stays the same. With ``reverse`` each row starts at its own last valid step.
        resets: bool [B, T], true where the row's state is put back before the step.
        reverse: from the last step to the first.

    Returns:
        outputs [T, B, ...] and the last state.
    """
    first = x
    while not isinstance(first, Tensor):
        first = first[0]
    time, device = first.shape[0], first.device
    initial = state if initial is None else initial
    padding = None if lengths is None else ~valid_steps(lengths, time, device).T
    resets = None if resets is None else resets.to(device)
    inputs = _steps(x, time, padding)
    outputs = []
    for t in reversed(range(time)) if reverse else range(time):
        before = state if resets is None else _choose(resets[:, t], initial, state)
        output, following = step(inputs[t], before)
        state = following if padding is None else _choose(padding[t], state, following)
        outputs.append(output)
    if reverse:
        outputs.reverse()
    out = torch.stack(outputs)
    return (out if padding is None else _zeroed(out, padding)), state


def _steps(x: State, time: int, padding: Tensor | None) -> tuple[State, ...]:
    """The inputs of ``step`` at each of the T steps, with zeros for padding."""
    if x is None:
        return (None,) * time
    if isinstance(x, Tensor):
        # One unbind for all steps: the gradient of each x[t] would be a tensor of x's size.
        return (x if padding is None else _zeroed(x, padding)).unbind(0)
    return tuple(zip(*(_steps(part, time, padding) for part in x), strict=True))


def _zeroed(x: Tensor, padding: Tensor) -> Tensor:
    """x [T, B, ...] with zeros where ``padding`` [T, B] is true, so that NaN there reaches no value and no gradient."""
    return x.masked_fill(padding.view(*padding.shape, *[1] * (x.dim() - 2)), 0)


def _choose(mask: Tensor, one: State, other: State) -> State:
    """The rows of ``one`` where ``mask`` [B] is true, the rows of ``other`` elsewhere."""
    return map_state(lambda a, b: torch.where(mask.view(-1, *[1] * (a.dim() - 1)), a, b), one, other)
