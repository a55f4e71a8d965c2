"""Metrics by name that need no number of classes, and the errors about outputs and targets that a metric is not for."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor
from torchmetrics import MeanAbsoluteError, MeanSquaredError, Metric

from ...errors import ConfigError


class Accuracy(Metric):
    """The share of correct predictions; torchmetrics' own needs the number of classes.

    Integer targets are compared with the largest of the outputs; others with each output's side of `threshold`.
    """

    higher_is_better = True
    hits: Tensor
    count: Tensor

    def __init__(self, threshold: float = 0.5) -> None:
        super().__init__()
        self.threshold = threshold
        self.add_state("hits", torch.tensor(0), dist_reduce_fx="sum")
        self.add_state("count", torch.tensor(0), dist_reduce_fx="sum")

    def update(self, output: Tensor, targets: Tensor) -> None:
        if targets.is_floating_point():
            hits = (output > self.threshold) == (targets > 0.5)
        else:
            hits = output.argmax(-1) == targets
        self.hits += hits.sum()
        self.count += hits.numel()

    def compute(self) -> Tensor:
        return self.hits / self.count


# These need no number of classes. The argument: whether the outputs for binary targets are logits.
AT_ONCE: dict[str, Callable[[bool], Metric]] = {
    "accuracy": lambda logits: Accuracy(0.0 if logits else 0.5),
    "mse": lambda logits: MeanSquaredError(),
    "rmse": lambda logits: MeanSquaredError(squared=False),
    "mae": lambda logits: MeanAbsoluteError(),
}


def fitted_pairs(name: str, output: Tensor, targets: Tensor) -> tuple[Tensor, Tensor]:
    """Return outputs and targets as a metric of `AT_ONCE` compares them.

    Raises:
        ConfigError: the metric is not one of such targets.

    Example:
        >>> fitted_pairs("accuracy", torch.zeros(2, 1), torch.tensor([[0.5], [3.0]]))
        Traceback (most recent call last):
        ...
        rnnkit.errors.ConfigError: metric 'accuracy' is one of classes, but outputs [2, 1] and targets [2, 1] of type \
float32 arrived, from 0.5 to 3; expected integer labels with outputs [n, classes], or targets from 0 to 1 like the \
outputs; for numbers type metrics=["mae"]
    """
    if name != "accuracy":
        if output.numel() != targets.numel():
            raise not_of_numbers(name, output, targets)
        return output, targets.reshape(output.shape)
    if targets.is_floating_point():
        if output.numel() != targets.numel() or (targets.numel() and not 0 <= targets.min() <= targets.max() <= 1):
            raise not_of_classes(name, output, targets)
        return output, targets.reshape(output.shape)
    if output.shape[:-1] != targets.shape and output.numel() == targets.numel():  # one output distinguishes two classes
        return fitted_pairs(name, output, targets.to(output.dtype))
    return output, targets


def not_of_numbers(name: str, output: Tensor, targets: Tensor) -> ConfigError:
    """The error about a metric of numbers that got labels."""
    return ConfigError(
        f"metric {name!r} compares numbers, but {_arrived(output, targets)}; expected as many targets as outputs",
        remedy='for classes type metrics=["accuracy"]',
    )


def not_of_classes(name: str, output: Tensor, targets: Tensor) -> ConfigError:
    """The error about a metric of classes that got numbers."""
    low, high = (float(end) for end in torch.aminmax(targets))
    return ConfigError(
        f"metric {name!r} is one of classes, but {_arrived(output, targets)}, from {low:g} to {high:g}; expected "
        "integer labels with outputs [n, classes], or targets from 0 to 1 like the outputs",
        remedy='for numbers type metrics=["mae"]',
    )


def _arrived(output: Tensor, targets: Tensor) -> str:
    kind = str(targets.dtype).removeprefix("torch.")
    return f"outputs {list(output.shape)} and targets {list(targets.shape)} of type {kind} arrived"
