"""Classes of series from your own file: a recurrent network reads each series and names its class.

    rnnkit train classify --set data.path=my.csv
    rnnkit predict runs/classify new.csv --out predictions.csv

Network and training are :mod:`rnnkit.tasks.series`'s, the same for every data set; nothing needs to be set but the
file. ``docs/decisions/0011-the-series-recipe.md`` has the figures that chose them.
"""

# This file uses rnnkit as anybody may: `rnnkit recipes copy classify` hands it out to be edited.
from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from rnnkit.recipes import series
from rnnkit.tasks.settings import Fit, Model

if TYPE_CHECKING:
    from rnnkit.data.series import SeriesSet
    from rnnkit.tasks.series import SeriesTask


@dataclass(frozen=True)
class Data(series.Source):
    """The files; as all recipes for series have it, and

    Attributes:
        label: the column that holds the class; in a file without a header first, last or its number.
    """

    label: str | None = None

    def columns(self) -> dict[str, Any]:
        """The arguments of ``read_series`` that were set."""
        return super().columns() | ({} if self.label is None else {"target_column": self.label})


@dataclass(frozen=True)
class Classify(series.SeriesRecipe):
    """The whole run; ``rnnkit train classify --set GROUP.FIELD=VALUE`` changes a field."""

    kind: ClassVar = "classify"
    model: Model = field(default_factory=Model)
    fit: Fit = field(default_factory=Fit)
    data: Data = field(default_factory=Data)
    seed: int = 0
    device: str = "auto"

    def prepare(self) -> series.Prepared:
        """Reads, divides and checks the data, and writes nothing."""
        return series.prepare(self, (), draw)


def classify() -> Classify:
    """Learns to name the class of series in a file of yours (data.path), and keeps rows back to judge by."""
    return Classify()


def draw(task: SeriesTask, rows: SeriesSet, folder: Path) -> None:
    """Draws the confusion matrix."""
    import numpy as np

    from rnnkit.diagnostics import pictures

    classes = task.classes or ()
    matrix = np.zeros((len(classes), len(classes)), dtype=np.int64)
    predicted = task.predict_proba(rows).argmax(1)
    np.add.at(matrix, (task.preprocessing.transform_targets(rows).numpy(), predicted), 1)
    pictures.confusion(matrix, classes, folder / "confusion.png")
