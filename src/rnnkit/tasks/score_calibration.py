"""Scores that mean what they say: of the things with score 0.8, eight of ten should be right.

A detector's raw score q in (0, 1) becomes

    p = σ(a ln(q / (1 − q)) + b),    a ≥ 0

with a and b of each class fitted on things of a validation part that are known to be right or wrong, by the largest
likelihood (Platt 1999, "Probabilistic outputs for support vector machines"), with a prior of a few things that holds a
at 1 and b at 0 where there are few. The order of the scores within a class stays, and with it average precision.

The expected calibration error (ECE) sorts things by score into bins of equal width,

    ECE = Σ_m n_m / n · |mean score of bin m − share of right ones in bin m|

Legend: n things, C classes.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor

_CLOSE = 1e-6
_SAMPLES = 100  # of pictures, to choose from which score on things are counted
_PRIOR = 2.0  # what (a − 1)² and b² weigh relative to the likelihood of the things


class Calibration(NamedTuple):
    """a and b of each class; see the module.

    Attributes:
        slopes: a.
        offsets: b.

    Example:
        >>> Calibration((1.0, 2.0), (0.0, 0.0)).apply(torch.tensor([0.25, 0.25]), torch.tensor([0, 1]))
        tensor([0.2500, 0.1000])
    """

    slopes: tuple[float, ...]
    offsets: tuple[float, ...]

    @classmethod
    def none(cls, classes: int) -> Calibration:
        """Return a calibration that leaves scores as they are."""
        return cls((1.0,) * classes, (0.0,) * classes)

    def apply(self, scores: Tensor, labels: Tensor) -> Tensor:
        """Return calibrated scores.

        Args:
            scores: q [n].
            labels: the class of each thing [n].
        """
        slopes, offsets = (torch.tensor(one, dtype=torch.float32)[labels] for one in self)
        found: Tensor = (slopes * scores.clamp(_CLOSE, 1 - _CLOSE).logit() + offsets).sigmoid()
        return found


def fit_calibration(scores: Tensor, labels: Tensor, right: Tensor, classes: int) -> Calibration:
    """Return the calibration of the largest likelihood; see the module.

    Args:
        scores: q [n].
        labels: the class of each thing [n].
        right: whether each is right, bool [n].
        classes: C.

    Example:
        >>> q = torch.linspace(0.01, 0.99, 400)
        >>> found = fit_calibration(q, torch.zeros(400, dtype=torch.int64), torch.rand(400) < q ** 2, 1)
        >>> bool(found.apply(torch.tensor([0.5]), torch.tensor([0])) < 0.4)
        True
    """
    slopes, offsets = [], []
    for number in range(classes):
        own = labels == number
        slope, offset = _fit(scores[own].double().clamp(_CLOSE, 1 - _CLOSE).logit(), right[own].double())
        slopes.append(slope)
        offsets.append(offset)
    return Calibration(tuple(slopes), tuple(offsets))


def calibration_error(scores: Tensor, right: Tensor, bins: int = 10) -> float:
    """Return the ECE; see the module. 0 where there is nothing.

    Args:
        scores: p [n].
        right: bool [n].
        bins: their number.

    Example:
        >>> calibration_error(torch.tensor([0.95, 0.95, 0.05, 0.05]), torch.tensor([True, True, False, False]))
        0.05...
    """
    rows = calibration_bins(scores, right, bins)
    count = sum(number for *_, number in rows)
    return sum(number * abs(score - share) for score, share, number in rows) / max(count, 1)


def calibration_bins(scores: Tensor, right: Tensor, bins: int = 10) -> list[tuple[float, float, int]]:
    """Return (mean score, share of right ones, number of things) of each bin that is not empty.

    Example:
        >>> calibration_bins(torch.tensor([0.5, 0.75]), torch.tensor([True, False]), 1)
        [(0.625, 0.5, 2)]
    """
    place = (scores * bins).long().clamp(0, bins - 1)
    found = []
    for number in range(bins):
        own = place == number
        if count := int(own.sum()):
            found.append((float(scores[own].double().mean()), float(right[own].double().mean()), count))
    return found


def count_thresholds(
    scores: Sequence[Tensor], labels: Sequence[Tensor], counts: Sequence[Sequence[int]], classes: int
) -> list[float]:
    """Return the score of each class from which on things are counted: that with the least mean error of the counts.

    Of few pictures that score is uncertain: it is the mean over 100 samples of as many pictures, drawn with replacement
    (bagging, Breiman 1996).

    Args:
        scores: of the things found in each picture.
        labels: their classes.
        counts: how many of each class are in each picture.
        classes: C.

    Returns:
        A score a class; of a sample the middle of those that are equally good; 0.5 where a class is in no picture.

    Example:
        >>> scores, labels = [torch.tensor([0.9, 0.4]), torch.tensor([0.8])], [torch.tensor([0, 0]), torch.tensor([0])]
        >>> [round(one, 1) for one in count_thresholds(scores, labels, [[1], [1]], 1)]
        [0.6]
    """
    weights = _samples(len(scores))
    found = []
    for number in range(classes):
        own = [one[label == number] for one, label in zip(scores, labels, strict=True)]
        true = torch.tensor([one[number] for one in counts], dtype=torch.float64)
        if not true.any():
            found.append(0.5)
            continue
        values = torch.cat(own).unique()
        edges = torch.cat([torch.zeros(1), values, torch.ones(1)]).double()
        tried = (edges[1:] + edges[:-1]) / 2
        told = torch.stack([(one.double()[None] >= tried[:, None]).sum(1) for one in own], 1)
        errors = (told - true).abs() @ weights[weights @ true > 0].T
        best = [(each <= each.min() + 1e-9).nonzero()[:, 0] for each in errors.T]
        found.append(round(float(torch.stack([tried[one[len(one) // 2]] for one in best]).mean()), 4))
    return found


def _samples(count: int) -> Tensor:
    """Return how often each of so many pictures is in each sample [1 + samples, count]; the first one has each once."""
    drawn = torch.randint(max(count, 1), (_SAMPLES, count), generator=torch.Generator().manual_seed(0))
    weights = torch.zeros(_SAMPLES, count, dtype=torch.float64).scatter_add(1, drawn, torch.ones_like(drawn).double())
    return torch.cat([torch.ones(1, count, dtype=torch.float64), weights])


def _fit(values: Tensor, right: Tensor) -> tuple[float, float]:
    """Return a and b by Newton's method; the likelihood with its prior is concave."""
    point = torch.tensor([1.0, 0.0], dtype=torch.float64)
    prior = point.clone()
    design = torch.stack([values, torch.ones_like(values)], 1)
    for _ in range(50):
        p = (design @ point).sigmoid()
        gradient = design.T @ (p - right) + _PRIOR * (point - prior)
        curvature = (design * (p * (1 - p))[:, None]).T @ design + _PRIOR * torch.eye(2, dtype=torch.float64)
        step = torch.linalg.solve(curvature, gradient)
        step = step / max(1.0, float(step.norm()))
        point = point - step
        if float(step.abs().max()) < 1e-8:
            break
    slope, offset = point.tolist()
    return max(slope, 0.0), offset
