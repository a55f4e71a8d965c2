"""Numbers for series from your own file: a recurrent network reads each series and gives one or several numbers.

    rnnkit train regress my.csv --set data.target=yield
    rnnkit predict runs/regress new.csv --out predictions.csv

Network and training are those of :mod:`rnnkit.tasks.series`, the same as for classes, except the loss: the squared
error of the numbers in units of their spread on the training rows. Results are in the numbers' own unit.
"""

# This file uses rnnkit as anybody may: `rnnkit recipes copy regress` hands it out to be edited.
from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from rnnkit.recipes import series, source

if TYPE_CHECKING:
    from rnnkit.tasks.task import Task


@dataclass(frozen=True)
class Data(source.Source):
    """The files, and the column of the numbers in them.

    Attributes:
        target: the column that holds the number, or several; none finds it.
    """

    target: tuple[str, ...] = ()

    def columns(self) -> dict[str, Any]:
        """Return the arguments of ``read_series`` that were set."""
        one_or_several = self.target[0] if len(self.target) == 1 else self.target
        return super().columns() | ({"target_column": one_or_several} if self.target else {})


@dataclass(frozen=True)
class Regress(series.SeriesRecipe):
    """The whole run; ``rnnkit train regress --set GROUP.FIELD=VALUE`` changes a field."""

    data: Data = field(default_factory=Data)

    def task(self) -> Task:
        """Return the task: numbers, the squared error, errors in their unit."""
        from rnnkit.tasks.regression import Regression

        return Regression()

    def answer_names(self) -> tuple[str, ...]:
        """Return a name for each number where there are several."""
        return tuple(f"prediction_{name}" for name in self.data.target) if len(self.data.target) > 1 else ()


def regress() -> Regress:
    """Learn to give a number for each series in a file of yours (data.path, data.target)."""
    return Regress()
