"""The memory that an optimizer's state will take, before its first step."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from .optimizers import OptimizerLike, make_optimizer

StateBytes = Callable[[nn.Parameter], int | None]


def state_bytes(optimizer: OptimizerLike) -> tuple[str, StateBytes]:
    """Return the optimizer's name, and a function from a parameter to the bytes of its state (None: unknown).

    Measured by a step on a small parameter: state tensors of its shape grow with the parameter, single numbers do not,
    other shapes are unknown.
    """
    given = getattr(optimizer, "optimizer", optimizer)  # Fabric wraps its optimizers
    held = given.state if isinstance(given, Optimizer) else {}
    probe = nn.Parameter(torch.zeros(2, 3))
    try:
        if isinstance(given, Optimizer):
            trial = type(given)([probe], **given.defaults)
        else:
            trial = make_optimizer(given, nn.ParameterList([probe]), lr=1e-3, weight_decay=0.0, fused=False)
        probe.grad = torch.zeros_like(probe)
        trial.step()
    except Exception:  # whatever an optimizer of the user's raises on a parameter that is not its own
        name = given if isinstance(given, str) else type(given).__name__
        return name, lambda parameter: _held(held, parameter)
    state = [one for one in trial.state.get(probe, {}).values() if isinstance(one, Tensor)]
    alike = sum(1 for one in state if one.shape == probe.shape)
    single = sum(one.nbytes for one in state if one.numel() == 1)
    known = all(one.shape == probe.shape or one.numel() == 1 for one in state)

    def of(parameter: nn.Parameter) -> int | None:
        if held.get(parameter):
            return _held(held, parameter)
        return alike * parameter.nbytes + single if known else None

    return type(trial).__name__, of


def _held(state: Any, parameter: nn.Parameter) -> int | None:
    """The bytes of the state that exists already."""
    there = state.get(parameter)
    return sum(one.nbytes for one in there.values() if isinstance(one, Tensor)) if there else None
