"""How targets are brought to the shape and dtype that a loss compares."""

from __future__ import annotations

import torch
from torch import Tensor

from ...errors import ConfigError, DataError, ShapeError
from ...ops.losses import Loss
from .cross_entropy import CrossEntropy


def fit_targets(loss: Loss, targets: Tensor, output: torch.Size, *, valid: Tensor | None, dtype: torch.dtype) -> Tensor:
    """Check targets against the model's output and align them with it, so that nothing is ever broadcast.

    Args:
        loss: what will compare the two.
        targets: [N, ...], or [N, T, ...] where the output has steps too.
        output: the shape of an output for these targets, with their N (and T).
        valid: booleans [N, T], false at padded steps; None where there is no padding.
        dtype: the model's, for targets that are numbers.

    Raises:
        ConfigError: a single output for labels, which are classes.
        DataError: labels that are no integers or out of range, probabilities outside [0, 1].
        ShapeError: targets whose shape does not belong to the output.
    """
    if isinstance(loss.function, CrossEntropy):
        loss.function.fit_classes(output[-1])
    if loss.targets == "labels":
        return _fit_labels(loss, targets, output, valid)
    if loss.targets == "numbers":
        targets = targets.to(dtype)
    elif not targets.is_floating_point():
        if loss.probabilities == "softmax" and len(output) == 2:
            _check_classes(loss, output)
        return targets
    if _without_ones(targets.shape) == _without_ones(output):
        targets = targets.reshape(output)
    elif loss.targets == "numbers":
        raise ShapeError(
            f"the model returns outputs of shape {_shape(output)} but the targets have shape "
            f"{_shape(targets.shape)}; {loss.name!r} compares them number by number, so both must agree"
        )
    if loss.name in ("bce", "bce_logits"):
        _check_probabilities(targets if valid is None else targets[valid])
    return targets


def _fit_labels(loss: Loss, targets: Tensor, output: torch.Size, valid: Tensor | None) -> Tensor:
    classes = output[-1]
    if targets.is_floating_point():
        raise DataError(
            f"labels of type {targets.dtype} arrived; 'cross_entropy' expects integers from 0 to {classes - 1}: "
            "convert them (y.astype(int), for one-hot rows y.argmax(-1)), or pass loss='mse' for a regression"
        )
    _check_classes(loss, output)
    if targets.dim() == len(output) and targets.shape[-1] == 1:
        targets = targets.squeeze(-1)
    if targets.shape != output[:-1]:
        raise ShapeError(
            f"the model returns outputs of shape {_shape(output)}, so labels of shape {_shape(output[:-1])} were "
            f"expected, but {_shape(targets.shape)} arrived"
        )
    low, high = (int(end) for end in torch.aminmax(targets if valid is None else targets[valid]))
    if low < 0 or high >= classes:
        fewer = f"subtract {low}" if low > 0 and high - low < classes else ""
        more = f"give the model {high + 1} classes, classes={high + 1}" if high >= classes else ""
        advice = "negative labels are not classes" if low < 0 else ", or ".join(part for part in (fewer, more) if part)
        raise DataError(f"labels run from {low} to {high}; expected 0 to {classes - 1}: {advice}")
    return targets


def _check_classes(loss: Loss, output: torch.Size) -> None:
    if output[-1] == 1:
        raise ConfigError(
            f"the model returns outputs of shape {_shape(output)}, one number for each target, whose softmax is always "
            f"1; {loss.name!r} could learn nothing from it",
            remedy=("give the model an output for each class, 2 for two classes", "pass loss='bce_logits'"),
        )


def _check_probabilities(targets: Tensor) -> None:
    low, high = (float(end) for end in torch.aminmax(targets))
    if low < 0 or high > 1:
        raise DataError(f"targets run from {low:g} to {high:g}; a binary cross-entropy expects them in [0, 1]")


def _without_ones(shape: torch.Size) -> list[int]:
    """The shape without axes of one after the first, by which [N] and [N, 1] are the same targets."""
    return [shape[0], *(size for size in shape[1:] if size != 1)]


def _shape(shape: torch.Size) -> str:
    return f"[N{''.join(f', {size}' for size in shape[1:])}]"
