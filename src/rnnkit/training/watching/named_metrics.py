"""The metrics that go by a name."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor
from torchmetrics import MeanAbsoluteError, MeanSquaredError, Metric


class Accuracy(Metric):
    """The share of hits; torchmetrics' own has to be told the number of classes.

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


# Each is told whether the outputs for binary targets are logits rather than probabilities.
NAMED: dict[str, Callable[[bool], Metric]] = {
    "accuracy": lambda logits: Accuracy(0.0 if logits else 0.5),
    "mse": lambda logits: MeanSquaredError(),
    "rmse": lambda logits: MeanSquaredError(squared=False),
    "mae": lambda logits: MeanAbsoluteError(),
}
