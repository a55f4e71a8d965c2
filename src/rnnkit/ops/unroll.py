"""The plain loop over time that every reference stands on."""

from __future__ import annotations

from collections.abc import Callable

import torch

from ..types import State
from .padding import valid_steps
from .state import map_state

Step = Callable[[torch.Tensor, State], tuple[torch.Tensor, State]]


def unroll(
    step: Step,
    x: torch.Tensor,
    state: State,
    *,
    lengths: torch.Tensor | None = None,
    resets: torch.Tensor | None = None,
    reverse: bool = False,
) -> tuple[torch.Tensor, State]:
    """Applies ``step(x_t, state) -> (y_t, state)`` over time.

    Args:
        x: [T, B, I].
        state: a state whose tensors have the batch on axis 0; also what ``resets`` goes back to.
        lengths: [B], valid steps of each row. Behind them outputs are 0 and the state stands still; with ``reverse``
            each row starts at its own last valid step.
        resets: [B, T], true where the row's state is put back before the step.
        reverse: from the last step to the first.

    Returns:
        outputs [T, B, ...] and the last state.
    """
    initial = state
    outputs = []
    valid = None
    if lengths is not None:
        valid = valid_steps(lengths, len(x), x.device).T
        # Padding may hold anything, NaN too, and must reach neither a value nor a gradient.
        x = torch.where(valid.view(*valid.shape, *[1] * (x.dim() - 2)), x, torch.zeros((), dtype=x.dtype))

    def choose(rows: torch.Tensor, there: State, elsewhere: State) -> State:
        return map_state(lambda a, b: torch.where(rows.view(-1, *[1] * (a.dim() - 1)), a, b), there, elsewhere)

    for t in reversed(range(x.shape[0])) if reverse else range(x.shape[0]):
        before = state if resets is None else choose(resets[:, t].to(x.device), initial, state)
        output, following = step(x[t], before)
        if valid is not None:
            output = choose(valid[t], output, torch.zeros_like(output))
            following = choose(valid[t], following, state)
        state = following
        outputs.append(output)
    if reverse:
        outputs.reverse()
    return torch.stack(outputs), state
