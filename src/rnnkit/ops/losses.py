"""Losses by name, for training and for measuring."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal, cast

import torch
from torch import Tensor
from torch.nn import functional as F

from ..errors import ConfigError, check_choice
from .wide_softmax import is_wide, wide_cross_entropy

LossFunction = Callable[[Tensor, Tensor], Tensor]


@dataclass(frozen=True)
class Loss:
    """A loss, and what its targets are.

    Attributes:
        name: as users type it.
        function: (output, targets) → the mean loss.
        targets: "labels" (classes), "numbers" (shaped like the output), or "own" (the function decides).
        has_weights: whether the function takes `reduction="none"`, and so can be weighted by target.
        probabilities: what makes probabilities of the outputs, "softmax", "sigmoid" or "outputs" (they are
            probabilities); None where the loss has none.
    """

    name: str
    function: LossFunction
    targets: Literal["labels", "numbers", "own"] = "own"
    has_weights: bool = False
    probabilities: Literal["softmax", "sigmoid", "outputs"] | None = None

    def mean(self, output: Tensor, targets: Tensor, weights: Tensor | None = None) -> Tensor:
        """Return (1/n) Σ w_i l_i over n targets; w = 1 without weights.

        Args:
            output: [n, ...].
            targets: [n] or [n, ...].
            weights: w [n].

        Raises:
            ConfigError: weights for a loss that is a callable of the user's.
        """
        if weights is None:
            labels = self.function is F.cross_entropy and self.targets == "labels"
            function = wide_cross_entropy if labels and is_wide(output) else self.function
            return function(output, targets)
        if not self.has_weights:
            raise ConfigError(
                f"weights arrived, but the loss {self.name!r} returns a mean over all targets; pass a loss by name, "
                f"one of {', '.join(map(repr, LOSSES))}"
            )
        each = cast(Any, self.function)(output, targets, reduction="none")
        found: Tensor = each.flatten(1).mean(1) if each.dim() > 1 else each
        return (found * weights).mean()


LOSSES: dict[str, Loss] = {
    loss.name: loss
    for loss in (
        Loss("cross_entropy", F.cross_entropy, "labels", True, "softmax"),
        Loss("mse", F.mse_loss, "numbers", True),
        Loss("l1", F.l1_loss, "numbers", True),
        Loss("huber", F.huber_loss, "numbers", True),
        Loss("bce", F.binary_cross_entropy, "numbers", True, "outputs"),
        Loss("bce_logits", F.binary_cross_entropy_with_logits, "numbers", True, "sigmoid"),
    )
}

# PyTorch's modules and functions that are a loss of the table with settings of its own. Their labels stay as they
# are: some of them may be set to be ignored.
_OF_TORCH: dict[Any, tuple[Literal["labels", "numbers", "own"], str | None]] = {
    torch.nn.CrossEntropyLoss: ("own", "cross_entropy"),
    torch.nn.BCELoss: ("numbers", "bce"),
    torch.nn.BCEWithLogitsLoss: ("numbers", "bce_logits"),
    F.cross_entropy: ("own", "cross_entropy"),
    F.binary_cross_entropy: ("numbers", "bce"),
    F.binary_cross_entropy_with_logits: ("numbers", "bce_logits"),
}


def resolve_loss(loss: str | LossFunction | None, model: torch.nn.Module) -> Loss:
    """Return the loss of that name, the callable as a loss, or the model's `default_loss`.

    A callable whose attribute `has_weights` is true takes `reduction="none"`, and so can be weighted by target.

    Raises:
        ConfigError: no such name, a class in place of an instance, or no loss at all.
    """
    chosen: Any = getattr(model, "default_loss", None) if loss is None else loss
    if chosen is None:
        raise ConfigError(
            f"{type(model).__name__} has no default_loss; pass loss= with one of "
            f"{', '.join(map(repr, LOSSES))}, or a callable (output, target) -> loss"
        )
    if isinstance(chosen, type):
        raise ConfigError(f"loss={chosen.__name__} is a class; pass an instance: loss={chosen.__name__}()")
    if callable(chosen):
        if (reduction := getattr(chosen, "reduction", "mean")) in ("sum", "none"):
            kind = type(chosen).__name__
            raise ConfigError(
                f"loss={kind}(reduction={reduction!r}) arrived; a loss returns the mean over the "
                "targets: leave reduction out"
            )
        targets, alike = _OF_TORCH.get(chosen if inspect.isfunction(chosen) else type(chosen), ("own", None))
        probabilities = None if alike is None else LOSSES[alike].probabilities
        name = getattr(chosen, "__name__", type(chosen).__name__)
        return Loss(name, chosen, targets, getattr(chosen, "has_weights", False), probabilities)
    check_choice(chosen, "loss", tuple(LOSSES))
    return LOSSES[chosen]
