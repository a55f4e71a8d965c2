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
        target: the column that holds the number, or several.
    """

    target: tuple[str, ...] = ()

    def columns(self) -> dict[str, Any]:
        """The arguments of ``read_series`` that were set."""
        one_or_several = self.target[0] if len(self.target) == 1 else self.target
        return super().columns() | ({"target_column": one_or_several} if self.target else {})


@dataclass(frozen=True)
class Regress(series.SeriesRecipe):
    """The whole run; ``rnnkit train regress --set GROUP.FIELD=VALUE`` changes a field."""

    kind: ClassVar = "regress"
    model: Model = field(default_factory=Model)
    fit: Fit = field(default_factory=Fit)
    data: Data = field(default_factory=Data)
    seed: int = 0
    device: str = "auto"

    def prepare(self) -> series.Prepared:
        """Reads, divides and checks the data, and writes nothing."""
        names = tuple(f"prediction_{name}" for name in self.data.target) if len(self.data.target) > 1 else ()
        return series.prepare(self, names, draw)


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
