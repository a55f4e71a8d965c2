"""The plain loop over time that every reference stands on."""

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
    """Applies ``step(x_t, state) -> (y_t, state)`` over time.

    Args:
        x: [T, B, ...], or a nested tuple of such tensors, of which ``step`` gets the same tuple of [B, ...]. The first
            is a tensor; None, for an input that is absent, stays None.
        state: a state whose tensors have the batch on axis 0.
        initial: what ``resets`` go back to; None for ``state``.
        lengths: [B], valid steps of each row, 0 to T. Behind them ``step`` sees zeros for x, outputs are 0 and the
            state stands still, from the start in a row of length 0; with ``reverse`` each row starts at its own last
            valid step.
        resets: [B, T], true where the row's state is put back before the step.
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
    fresh = None if resets is None else resets.to(device)
    inputs = _steps(x, time, padding)
    outputs = []
    for t in reversed(range(time)) if reverse else range(time):
        before = state if fresh is None else _choose(fresh[:, t], initial, state)
        output, following = step(inputs[t], before)
        state = following if padding is None else _choose(padding[t], state, following)
        outputs.append(output)
    if reverse:
        outputs.reverse()
    out = torch.stack(outputs)
    return (out if padding is None else _zeroed(out, padding)), state


def over_time(zone: Tensor | None, x: Tensor) -> Tensor | None:
    """Zones as :func:`unroll` takes them, beside x [T, B, ...].

    Args:
        zone: [B, T, H], a constant that broadcasts to [B, H] (the same at every step), or None.

    Returns:
        [T, B, H], or None.
    """
    if zone is None:
        return None
    return zone.transpose(0, 1) if zone.dim() == 3 else torch.atleast_1d(zone).expand(*x.shape[:2], -1)


def _steps(x: State, time: int, padding: Tensor | None) -> tuple[State, ...]:
    """What ``step`` gets at each of the T steps, with zeros for padding."""
    if x is None:
        return (None,) * time
    if isinstance(x, Tensor):
        # Cut at once: the gradient of x[t] would be a tensor of x's size at every step.
        return (x if padding is None else _zeroed(x, padding)).unbind(0)
    return tuple(zip(*(_steps(part, time, padding) for part in x), strict=True))


def _zeroed(x: Tensor, padding: Tensor) -> Tensor:
    """x [T, B, ...] with zeros where ``padding`` [T, B] is true: NaN there reaches neither a value nor a gradient."""
    return x.masked_fill(padding.view(*padding.shape, *[1] * (x.dim() - 2)), 0)


def _choose(rows: Tensor, there: State, elsewhere: State) -> State:
    """The rows of ``there`` where ``rows`` [B] is true, else those of ``elsewhere``."""
    return map_state(lambda a, b: torch.where(rows.view(-1, *[1] * (a.dim() - 1)), a, b), there, elsewhere)
