"""How well classes are distinguished: accuracy, F1 of each class and its mean.

With n_cd the rows of class c that were taken for class d,

    precision_c = n_cc / Σ_d n_dc,   recall_c = n_cc / Σ_d n_cd,   F1_c = 2 n_cc / (Σ_d n_dc + Σ_d n_cd)

The mean F1 (macro) counts each class that occurs, truly or as an answer, as often as the others. A class that is never
answered has the precision 0.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from ..errors import DataError


@dataclass(frozen=True, eq=False)
class ClassScores:
    """The scores of answers; see the module.

    Attributes:
        counts: n_cd, int64 [C, C].
        classes: the names.

    Example:
        >>> scores = ClassScores.of([0, 0, 1, 1], [0, 1, 1, 1], ("cat", "dog"))
        >>> {name: round(value, 3) for name, value in scores.figures.items()}
        {'accuracy': 0.75, 'macro_f1': 0.733, 'balanced_accuracy': 0.75}
        >>> scores.table()["f1"]
        [0.6666666666666666, 0.8]
    """

    counts: npt.NDArray[np.int64]
    classes: tuple[str, ...]

    @staticmethod
    def of(true: Sequence[int], found: Sequence[int], classes: Sequence[str]) -> ClassScores:
        """Return the scores of answers.

        Args:
            true: the number of each row's class.
            found: the number that was answered.
            classes: the names.

        Raises:
            DataError: not as many answers as rows, or none.
        """
        if len(true) != len(found) or not len(true):
            raise DataError(f"{len(found)} answers arrived for {len(true)} rows; expected as many, at least one")
        counts = np.zeros((len(classes), len(classes)), np.int64)
        np.add.at(counts, (np.asarray(true), np.asarray(found)), 1)
        return ClassScores(counts, tuple(classes))

    @property
    def figures(self) -> dict[str, float]:
        """accuracy, macro_f1 and balanced_accuracy, the mean recall of the classes that occur."""
        table = self.table()
        truly = self.counts.sum(1) > 0
        seen = truly | (self.counts.sum(0) > 0)
        return {
            "accuracy": float(np.trace(self.counts) / self.counts.sum()),
            "macro_f1": float(np.mean(np.array(table["f1"])[seen])),
            "balanced_accuracy": float(np.mean(np.array(table["recall"])[truly])),
        }

    def table(self) -> dict[str, list[Any]]:
        """Return a table with a row a class: its name, rows, recall, precision, F1, and what it is mostly taken for."""
        right, rows, answers = np.diag(self.counts), self.counts.sum(1), self.counts.sum(0)
        wrong = self.counts - np.diag(right)
        taken = [self.classes[int(line.argmax())] if line.any() else "" for line in wrong]
        return {
            "class": list(self.classes),
            "rows": rows.tolist(),
            "recall": (right / np.maximum(rows, 1)).tolist(),
            "precision": (right / np.maximum(answers, 1)).tolist(),
            "f1": (2 * right / np.maximum(rows + answers, 1)).tolist(),
            "mostly_taken_for": taken,
        }
