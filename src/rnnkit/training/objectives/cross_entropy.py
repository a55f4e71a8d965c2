"""Cross-entropy with class weights and smoothed labels."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from numbers import Integral
from typing import Any, Literal

import torch
from torch import Tensor
from torch.nn import functional as F

from ...errors import ConfigError, suggest
from ...ops.losses import Loss
from ...spelling import composed

ClassWeights = str | Tensor | Sequence[float] | Mapping[int, float] | Mapping[str, float]


class CrossEntropy(torch.nn.Module):
    """The cross-entropy of logits z [N, C] and labels y [N], with weights a class and smoothed labels.

    L = −(1/N) Σ_n Σ_c w_c q_nc log softmax(z_n)_c  with  q_nc = (1 − ε) [c = y_n] + ε / C

    Smoothing (ε) is Szegedy et al. 2016's. PyTorch's `nn.CrossEntropyLoss(weight=w)` divides by the sum of the batch's
    weights instead of by N; here a row counts the same in whichever batch it lands, so that batch size, accumulation
    and several processes change nothing. "balanced" weights (King & Zeng 2001; scikit-learn's) are N / (K N_c) for the
    N_c training rows (or valid steps) of class c and the K classes that occur: each class has the same share of the
    loss, and the mean weight is 1. A class that does not occur keeps 1.

    Args:
        smoothing: ε, in [0, 1).
        weights: C numbers of at least 0, one a class; a mapping from a class, its number or its name, to its weight
            (others: 1); "balanced"; or None.

    Raises:
        ConfigError: a setting out of range, or weights that are not as many as the model's classes.

    Example:
        >>> rare = CrossEntropy(weights=[1.0, 3.0])
        >>> rare(torch.zeros(2, 2), torch.tensor([0, 1])) / torch.log(torch.tensor(2.0))
        tensor(2.)
    """

    weights: Tensor | None

    def __init__(self, smoothing: float = 0.0, weights: ClassWeights | None = None) -> None:
        super().__init__()
        if not 0 <= smoothing < 1:
            raise ConfigError(f"label_smoothing={smoothing!r} arrived; expected at least 0 and less than 1")
        self.smoothing, self.balanced = smoothing, isinstance(weights, str)
        if self.balanced and weights != "balanced":
            raise ConfigError(f"class_weights={weights!r} arrived; expected 'balanced', numbers or a mapping")
        self.by_class = dict(weights) if isinstance(weights, Mapping) else {}
        self.names: tuple[str, ...] | None = None  # of the classes
        for label in self.by_class:
            whole = isinstance(label, Integral) and not isinstance(label, bool) and label >= 0
            if not whole and not isinstance(label, str):
                raise ConfigError(
                    f"class_weights has the key {label!r}; expected the number of a class, from 0, or its name"
                )
        if weights is None or self.balanced:
            numbers = None
        else:
            numbers = _numbers(list(self.by_class.values()) if self.by_class else weights)
        self.register_buffer("weights", None if self.by_class else numbers, persistent=False)

    def forward(self, output: Tensor, labels: Tensor, *, reduction: Literal["mean", "none"] = "mean") -> Tensor:
        weights = None if self.weights is None else self.weights.to(output.device, output.dtype)
        kind = "none" if reduction == "none" else "sum"
        total = F.cross_entropy(output, labels, weights, reduction=kind, label_smoothing=self.smoothing)
        return total if reduction == "none" else total / labels.numel()

    def fit_classes(self, classes: int) -> None:
        """Store how many classes the model has; raise `ConfigError` where the weights are for others."""
        self.classes = classes
        if self.by_class:
            given = {self._number(label, classes): weight for label, weight in self.by_class.items()}
            self.weights = _numbers([given.get(label, 1.0) for label in range(classes)])
        if self.weights is not None and len(self.weights) != classes:
            if self.balanced:  # of earlier data, for a head of other classes
                self.weights = None
                return
            raise ConfigError(
                f"class_weights has {len(self.weights)} numbers but the model has {classes} classes; "
                "expected one for each"
            )

    def _number(self, label: int | str, classes: int) -> int:
        """The number of a class that `class_weights` names."""
        if not isinstance(label, str):
            if label >= classes:
                raise ConfigError(
                    f"class_weights has the key {label} but the model has {classes} classes; "
                    f"expected 0 to {classes - 1}"
                )
            return int(label)
        if self.names is None:
            raise ConfigError(
                f"class_weights has the key {label!r}, but neither the model nor the labels name the classes; type "
                "their numbers, class_weights={0: 1.0, 1: 3.0}, or pass labels that are names"
            )
        if composed(label) not in self.names:
            raise ConfigError(
                f"class_weights has the key {label!r}, which is none of the classes{suggest(label, self.names)}"
            )
        return self.names.index(composed(label))


def note_class_names(loss: Loss, names: Sequence[str] | None) -> None:
    """Tell a loss the names of the classes, by which its weights may be given."""
    if isinstance(loss.function, CrossEntropy):
        loss.function.names = None if names is None else tuple(map(composed, names))


def make_cross_entropy(loss: Loss, label_smoothing: float, class_weights: ClassWeights | None) -> Loss:
    """Return the loss with smoothing and weights where there are any; they are for "cross_entropy" alone."""
    if not label_smoothing and class_weights is None:
        return loss
    if loss.targets != "labels":
        setting = "label_smoothing" if label_smoothing else "class_weights"
        raise ConfigError(
            f"{setting} is for loss='cross_entropy', but the loss is {loss.name!r}, which has its own weights"
        )
    return replace(loss, function=CrossEntropy(label_smoothing, class_weights))


def set_balanced_weights(loss: Loss, counts: Tensor) -> None:
    """Set "balanced" weights from the number of targets of each class, [C] float64."""
    function = loss.function
    assert isinstance(function, CrossEntropy)
    present = counts > 0
    weights = counts.sum() / (present.sum() * counts)
    function.weights = torch.where(present, weights, 1.0).float()


def is_balanced(loss: Loss) -> bool:
    """Return whether the loss takes its class weights from the data that it is trained on."""
    return isinstance(loss.function, CrossEntropy) and loss.function.balanced


def _numbers(weights: Any) -> Tensor:
    try:
        numbers = torch.as_tensor(weights, dtype=torch.float32)
    except (TypeError, ValueError, RuntimeError):
        raise ConfigError(f"class_weights={weights!r} arrived; expected one number a class") from None
    if numbers.dim() != 1 or not bool((numbers >= 0).all()) or not bool(numbers.isfinite().all()):
        raise ConfigError(f"class_weights={weights!r} arrived; expected finite numbers of at least 0, one a class")
    if not bool(numbers.any()):
        raise ConfigError("class_weights are all 0, which leaves nothing to learn; expected one above 0")
    return numbers
