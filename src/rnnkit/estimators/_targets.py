"""Targets with the weight of each row beside them, and the losses that read both."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from sklearn.utils.validation import _check_sample_weight
from torch import Tensor
from torch.nn import functional as F

from ..errors import DataError
from ..ops.losses import LOSSES, LossFunction
from ..training.objectives.cross_entropy import CrossEntropy

Array = np.ndarray


def check_weights(sample_weight: Any, rows: int) -> Array:
    """One weight of at least 0 a row, float64 [N], at least one of them above 0; 1 where there are none."""
    X = np.empty((rows, 1))
    weights: Array = _check_sample_weight(sample_weight, X, dtype=np.float64, ensure_non_negative=True)
    if not weights.any():
        raise DataError(f"all {rows} sample weights are zero; expected at least one above zero")
    return weights


def packed(targets: Array, weights: Array) -> Tensor:
    """Targets for the losses below: int64 [N] or float32 [N, K]; float32 [N, K + 1] with the weights if they differ."""
    if (weights == weights[0]).all():
        return torch.from_numpy(targets.astype(np.int64 if targets.ndim == 1 else np.float32))
    return torch.from_numpy(np.column_stack([targets, weights / weights.mean()]).astype(np.float32))


def cross_entropy(smoothing: float) -> LossFunction:
    """mean over rows of w_i · cross_entropy(output_i, label_i), the weights w of mean 1."""

    plain = CrossEntropy(smoothing) if smoothing else F.cross_entropy  # the recipe's own, to the last bit

    def loss(output: Tensor, target: Tensor) -> Tensor:
        if target.dim() == 1:
            return plain(output, target)
        each = F.cross_entropy(output, target[:, 0].long(), reduction="none", label_smoothing=smoothing)
        return (each * target[:, 1]).mean()

    return loss


def error(name: str) -> LossFunction:
    """mean over rows of w_i · mean over their K numbers of the named loss, the weights w of mean 1."""

    function: Callable[..., Tensor] = LOSSES[name].function

    def loss(output: Tensor, target: Tensor) -> Tensor:
        if target.shape == output.shape:
            return function(output, target)
        each = function(output, target[:, :-1], reduction="none").mean(1)
        return (each * target[:, -1]).mean()

    return loss


def accuracy(output: Tensor, target: Tensor) -> Tensor:
    """The share of rows whose largest output is that of their label; all rows count the same."""
    labels = target if target.dim() == 1 else target[:, 0]
    return (output.argmax(1) == labels).float().mean()


accuracy.higher_is_better = True  # type: ignore[attr-defined]
