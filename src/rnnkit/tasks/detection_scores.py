"""How good a detector is: average precision, how well it counts, and whether its scores mean what they say.

Legend: N pictures, C classes.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor

from .found_scores import NOT_JUDGED, FoundScores, Matches, match_things, score_found
from .found_things import FoundThings, TrueThings
from .score_calibration import Calibration, calibration_bins, calibration_error, count_thresholds, fit_calibration

_FAINT = 0.1  # scores below it say "most likely not", of which there are thousands: they are not judged as scores


class CountScores(NamedTuple):
    """How well the things of one class are counted.

    Attributes:
        name: of the class.
        true, told: true and predicted things in all pictures.
        mean_error: mean over the pictures of the absolute difference.
        exact: share of the pictures in which both are the same.
        precision: share of the predicted ones that are right.
        recall: share of the true ones that are predicted.
    """

    name: str
    true: int
    told: int
    mean_error: float
    exact: float
    precision: float
    recall: float


@dataclass(frozen=True)
class DetectionScores:
    """How good a detector is.

    Attributes:
        found: average precision and its curves.
        counts: of each class, of the things that are shown.
        bins: (mean score, share of right ones, number) of things in bins of score.
        ece: the expected calibration error of things with a score of at least 0.1.
        matches: of each picture, of the things that are shown.
        errors: of each picture: things that are missed, and wrong ones.
    """

    found: FoundScores
    counts: tuple[CountScores, ...]
    bins: tuple[tuple[float, float, int], ...]
    ece: float
    matches: tuple[Matches, ...]
    errors: tuple[int, ...]

    @property
    def figures(self) -> dict[str, float]:
        """All figures by their names; those of a class have its name behind. What nothing is there for is left out."""
        figures = {name: value for name, value in self.found.figures.items() if not math.isnan(value)}
        for one in self.found.classes:
            if one.count:
                figures[f"ap50_{one.name}"] = one.ap50
        for two in self.counts:
            figures[f"count_error_{two.name}"] = two.mean_error
        return {**figures, "ece": self.ece, "things": float(sum(one.true for one in self.counts))}


def score_detections(
    true: Sequence[TrueThings], found: Sequence[FoundThings], classes: Sequence[str], least: Sequence[float]
) -> DetectionScores:
    """Return how good a detector is.

    Args:
        true: what is there in each picture.
        found: what was found, also what is unsure.
        classes: names.
        least: the score of each class from which on things are shown and counted.

    Example:
        >>> from rnnkit.data.images import Boxes
        >>> true = [TrueThings((60, 80), Boxes.of([[0, 0, 20, 20], [40, 40, 50, 50]]))]
        >>> found = [FoundThings.of((60, 80), [[0, 0, 19, 20], [10, 40, 20, 50]], scores=[0.9, 0.3])]
        >>> scores = score_detections(true, found, ("cat",), [0.5])
        >>> scores.counts[0].mean_error, scores.errors, round(scores.ece, 3)
        (1.0, (1,), 0.2)
    """
    shown = [one.above(least) for one in found]
    matches = tuple(match_things(one, other) for one, other in zip(true, shown, strict=True))
    errors = tuple(int((one.of_found == -1).sum()) + int(one.missed.sum()) for one in matches)
    every, _, right = judged_scores(true, found)
    sure = every >= _FAINT
    counted = tuple(_counts(number, name, true, shown, matches) for number, name in enumerate(classes))
    bins = tuple(calibration_bins(every[sure], right[sure]))
    return DetectionScores(
        score_found(true, found, classes), counted, bins, calibration_error(every[sure], right[sure]), matches, errors
    )


def judged_scores(true: Sequence[TrueThings], found: Sequence[FoundThings]) -> tuple[Tensor, Tensor, Tensor]:
    """Return score, class and whether it is right, of each thing that was found and is judged, of all pictures."""
    rows = []
    for own, other in zip(true, found, strict=True):
        place = match_things(own, other).of_found
        judged = place != NOT_JUDGED
        rows.append((other.scores[judged], other.labels[judged], place[judged] >= 0))
    if not rows:
        return torch.zeros(0), torch.zeros(0, dtype=torch.int64), torch.zeros(0, dtype=torch.bool)
    scores, labels, right = (torch.cat([row[at] for row in rows]) for at in range(3))
    return scores, labels, right


def true_counts(true: Sequence[TrueThings], classes: int) -> list[list[int]]:
    """Return how many things of each class are judged in each picture."""
    return [torch.bincount(one.boxes.labels[~one.boxes.crowd], minlength=classes).tolist() for one in true]


def calibrate(
    true: Sequence[TrueThings], found: Sequence[FoundThings], classes: int
) -> tuple[Calibration, list[float]]:
    """Return the calibration of raw scores, and the calibrated score of each class from which on things count best.

    Args:
        true: what is there in each picture of a validation part.
        found: what was found there, with raw scores.
        classes: C.

    Example:
        >>> from rnnkit.data.images import Boxes
        >>> true = [TrueThings((60, 80), Boxes.of([[0, 0, 20, 20]]))] * 50
        >>> found = [FoundThings.of((60, 80), [[0, 0, 19, 20], [10, 40, 20, 50]], scores=[0.6, 0.4])] * 50
        >>> calibration, least = calibrate(true, found, 1)
        >>> calibration.apply(torch.tensor([0.6, 0.4]), torch.tensor([0, 0])).round(decimals=1), least
        (tensor([0.8000, 0.2000]), [0.5])
    """
    calibration = fit_calibration(*judged_scores(true, found), classes)
    scores = [calibration.apply(one.scores, one.labels) for one in found]
    return calibration, count_thresholds(scores, [one.labels for one in found], true_counts(true, classes), classes)


def _counts(
    number: int, name: str, true: Sequence[TrueThings], shown: Sequence[FoundThings], matches: Sequence[Matches]
) -> CountScores:
    differences, right = [], 0
    here = told = 0
    for own, other, match in zip(true, shown, matches, strict=True):
        mine = own.boxes.labels[~own.boxes.crowd] == number
        judged = (other.labels == number) & (match.of_found != NOT_JUDGED)
        differences.append(abs(int(judged.sum()) - int(mine.sum())))
        right += int((judged & (match.of_found >= 0)).sum())
        here, told = here + int(mine.sum()), told + int(judged.sum())
    count = max(len(differences), 1)
    exact = sum(one == 0 for one in differences) / count
    return CountScores(
        name, here, told, sum(differences) / count, exact, right / told if told else 1.0, right / here if here else 1.0
    )
