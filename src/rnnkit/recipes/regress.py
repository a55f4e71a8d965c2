"""Numbers for series from your own file: a recurrent network reads each series and gives one or several numbers.

    rnnkit train regress --set data.path=my.csv --set data.target=yield
    rnnkit predict runs/regress new.csv --out predictions.csv

Network and training are :mod:`rnnkit.tasks.series`'s, the same as for classes, but for the loss: the squared error of
the numbers in units of their spread on the training rows. Results are in the numbers' own unit.
"""

# This file uses rnnkit as anybody may: `rnnkit recipes copy regress` hands it out to be edited.
from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rnnkit.errors import check_seed
from rnnkit.recipes import Metrics, series
from rnnkit.recipes.finetuning import FineTune, Lesson, series_lesson
from rnnkit.recipes.tables import Columns
from rnnkit.tasks.settings import Fit, Model

if TYPE_CHECKING:
    from rnnkit.data.series import SeriesSet
    from rnnkit.tasks.series import SeriesTask


@dataclass(frozen=True)
class Data(series.Source):
    """The files; as all recipes for series have it, and

    Attributes:
        target: the column that holds the number, or several.
    """

    target: tuple[str, ...] = ()

    def columns(self) -> dict[str, Any]:
        """The arguments of ``read_series`` that were set."""
        one_or_several = self.target[0] if len(self.target) == 1 else self.target
        return super().columns() | ({"target_column": one_or_several} if self.target else {})


@dataclass(frozen=True)
class Regress:
    """The whole run; ``rnnkit train regress --set GROUP.FIELD=VALUE`` changes a field."""

    model: Model = field(default_factory=Model)
    fit: Fit = field(default_factory=Fit)
    data: Data = field(default_factory=Data)
    seed: int = 0
    device: str = "auto"

    def __post_init__(self) -> None:
        check_seed(self.seed)

    def prepare(self) -> series.Prepared:
        """Reads, divides and checks the data, and writes nothing."""
        names = tuple(f"prediction_{name}" for name in self.data.target) if len(self.data.target) > 1 else ()
        return series.prepare("regress", self, self.data.columns(), names, draw)

    def run(self, folder: Path) -> Metrics:
        """Trains, judges on the held-out rows, and writes model, metrics, predictions and pictures into the folder."""
        return self.prepare().run(folder)

    def evaluate(self, folder: Path, data: Path | None = None, encoding: str | None = None) -> dict[str, float]:
        """Returns the errors of the folder's model on its held-out rows, or on those of another file."""
        return series.evaluate(self, "regress", self.data.columns(), folder, data, encoding)

    def batch(self, folder: Path, data: Path | None = None, encoding: str | None = None) -> tuple[Any, Any, Any, Any]:
        """Returns the folder's model, and rows to look into it with (held out, or another file's), and the loss."""
        return series.batch(self, "regress", self.data.columns(), folder, data, encoding)

    def predict(self, folder: Path, file: Path, encoding: str | None = None) -> Columns:
        """Returns id and numbers for the rows of a file, a list a column."""
        return series.predict(self.device, folder, file, encoding)

    def lesson(self, folder: Path, data: Path, settings: FineTune, encoding: str | None = None) -> Lesson:
        """Returns the folder's model with the rows of a file to learn, read as its own were."""
        return series_lesson("regress", self, self.data.columns(), folder, data, settings, encoding)


def regress() -> Regress:
    """Learns to give a number for each series in a file of yours (data.path, data.target)."""
    return Regress()


def draw(task: SeriesTask, rows: SeriesSet, folder: Path) -> None:
    """Draws the numbers that the network gave over those that were true."""
    from rnnkit.diagnostics import pictures

    wanted = rows.targets
    assert wanted is not None
    names = [name.removeprefix("prediction").strip("_") for name in task.target_names]
    pictures.against(
        wanted.reshape(len(rows), -1), task.predict(rows).reshape(len(rows), -1), names, folder / "errors.png"
    )
