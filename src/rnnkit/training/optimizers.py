"""Optimizers, by name or as the user's own."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import torch
from torch.nn import Parameter
from torch.optim import Optimizer

from ..errors import ConfigError, suggest

OptimizerLike = str | Optimizer | Callable[[Iterable[Parameter]], Optimizer]

OPTIMIZERS: dict[str, Callable[..., Optimizer]] = {
    "adam": torch.optim.Adam,
    "adamw": torch.optim.AdamW,
    "sgd": torch.optim.SGD,
    "rmsprop": torch.optim.RMSprop,
}

# One step of Adam over 6 tensors of 21,514 numbers on a CPU: fused 46 µs, foreach 118 µs, neither 152 µs.
_HAVE_FUSED = ("adam", "adamw", "sgd")


def check_optimizer(optimizer: OptimizerLike) -> None:
    """Raises `ConfigError` for a name that is unknown."""
    if isinstance(optimizer, str) and optimizer not in OPTIMIZERS:
        raise ConfigError(f"unknown optimizer {optimizer!r}{suggest(optimizer, tuple(OPTIMIZERS))}")
    if not (isinstance(optimizer, str | Optimizer) or callable(optimizer)):
        raise ConfigError(
            f"{optimizer!r} arrived as optimizer; expected a name, an Optimizer or a callable that makes one "
            "from the parameters"
        )


def make_optimizer(
    optimizer: OptimizerLike, parameters: Iterable[Parameter], *, lr: float, weight_decay: float, fused: bool
) -> Optimizer:
    """Returns the optimizer of that name, what the callable makes of the parameters, or the given one.

    `lr` and `weight_decay` are for names: the others come with settings of their own. `fused` asks for one
    kernel per step where there is one.
    """
    if isinstance(optimizer, Optimizer):
        return optimizer
    if callable(optimizer):
        return optimizer(parameters)
    settings: dict[str, Any] = {"fused": True} if fused and optimizer in _HAVE_FUSED else {}
    return OPTIMIZERS[optimizer](parameters, lr=lr, weight_decay=weight_decay, **settings)
