"""Losses by name, as they are for training, for measuring and for what a model calls its `default_loss`."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

import torch
from torch import Tensor
from torch.nn import functional as F

from ..errors import ConfigError, suggest

LossFunction = Callable[[Tensor, Tensor], Tensor]


@dataclass(frozen=True)
class Loss:
    """A loss, and what its targets are: class labels, numbers shaped like the output, or its own affair."""

    name: str
    function: LossFunction
    targets: Literal["labels", "numbers", "own"] = "own"


LOSSES: dict[str, Loss] = {
    loss.name: loss
    for loss in (
        Loss("cross_entropy", F.cross_entropy, "labels"),
        Loss("mse", F.mse_loss, "numbers"),
        Loss("l1", F.l1_loss, "numbers"),
        Loss("huber", F.huber_loss, "numbers"),
        Loss("bce", F.binary_cross_entropy, "numbers"),
        Loss("bce_logits", F.binary_cross_entropy_with_logits, "numbers"),
    )
}


def resolve_loss(loss: str | LossFunction | None, model: torch.nn.Module) -> Loss:
    """Returns the loss of that name, the callable as a loss, or the model's `default_loss`."""
    chosen: Any = getattr(model, "default_loss", None) if loss is None else loss
    if chosen is None:
        raise ConfigError(
            f"{type(model).__name__} has no default_loss; pass loss= with one of "
            f"{', '.join(map(repr, LOSSES))}, or a callable (output, target) -> loss"
        )
    if callable(chosen):
        return Loss(getattr(chosen, "__name__", type(chosen).__name__), chosen)
    if chosen not in LOSSES:
        raise ConfigError(f"unknown loss {chosen!r}{suggest(str(chosen), tuple(LOSSES))}")
    return LOSSES[chosen]
