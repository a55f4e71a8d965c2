"""Classes of series from your own file: a recurrent network reads each series and names its class.

    rnnkit train classify my.csv
    rnnkit predict runs/classify new.csv --out predictions.csv

Network and training are those of :mod:`rnnkit.tasks.series`, the same for every data set; nothing needs to be set but
the file. ``docs/decisions/0011-the-series-recipe.md`` has the figures that chose them.
"""

# This file uses rnnkit as anybody may: `rnnkit recipes copy classify` hands it out to be edited.
from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from rnnkit.recipes import series, source

if TYPE_CHECKING:
    from rnnkit.tasks.task import Task


@dataclass(frozen=True)
class Data(source.Source):
    """The files, and the column of the classes in them.

    Attributes:
        label: the column that holds the class; in a file without a header first, last or its number; none finds it.
    """

    label: str | None = None

    def columns(self) -> dict[str, Any]:
        """Return the arguments of ``read_series`` that were set."""
        return super().columns() | ({} if self.label is None else {"target_column": self.label})


@dataclass(frozen=True)
class Classify(series.SeriesRecipe):
    """The whole run; ``rnnkit train classify --set GROUP.FIELD=VALUE`` changes a field."""

    data: Data = field(default_factory=Data)

    def task(self) -> Task:
        """Return the task: classes, the cross-entropy, accuracies."""
        from rnnkit.tasks.classification import Classification

        return Classification()


def classify() -> Classify:
    """Learn to name the class of series in a file of yours (data.path), and keep rows back for the test."""
    return Classify()
