"""The interface of a task on series: targets, loss, figures, answers and pictures."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any, ClassVar, Literal, NamedTuple

import numpy.typing as npt
import torch

from ..data.preprocessing import Preprocessing
from ..data.reading import Targets
from ..data.series import SeriesSet
from ..errors import DataError
from ..training.watching.metrics import MetricLike
from .settings import Fit

Array = npt.NDArray[Any]
Columns = dict[str, list[Any]]


class SeriesOutputs(NamedTuple):
    """What a network returned for some series, with all that turns it into answers.

    Attributes:
        values: the network's outputs, float32 [N, outputs].
        rows: the series.
        preprocessing: as fitted on the training rows.
        names: what the answers are called, as :meth:`Task.answer_names` gives them.
    """

    values: torch.Tensor
    rows: SeriesSet
    preprocessing: Preprocessing
    names: tuple[str, ...]


@dataclass(frozen=True)
class Task(ABC):
    """What a network for series is trained to answer. Fields of a task, such as a horizon, are stored with a model.

    Legend: N series, outputs is the number that the network gives for each of them.

    Attributes:
        name: the task's key in ``rnnkit.tasks.TASKS``.
        target_type: how the targets in a file are read, see ``rnnkit.data.read_series``.
        target_setting: what a recipe's setting for the column of the targets is called.
        target_scale: of numeric targets, see ``Preprocessing.fit``.
        metric: what judges a fine-tuning: the name of a metric, or a mapping from a name to a function (output, target)
            → number.
        has_probabilities: whether the task has classes, and `probabilities` gives a probability for each.
        row_words: what one and several rows are called in messages.
    """

    name: ClassVar[str]
    target_type: ClassVar[Targets]
    target_setting: ClassVar[str] = "target"
    target_scale: ClassVar[Literal["standard", "none"]] = "standard"
    metric: ClassVar[str | Mapping[str, MetricLike]]
    has_probabilities: ClassVar[bool] = False
    row_words: ClassVar[tuple[str, str]] = ("row", "rows")

    # --- targets ------------------------------------------------------------------------------------------------------

    @abstractmethod
    def as_targets(self, values: Any) -> Array:
        """Return targets that arrived as an array in the type that a `SeriesSet` of this task holds."""

    @abstractmethod
    def check_targets(self, rows: SeriesSet) -> None:
        """Raise DataError where the rows do not have the targets that the task needs."""

    def encode_targets(self, rows: SeriesSet, preprocessing: Preprocessing) -> torch.Tensor:
        """Return the targets as the loss takes them.

        Raises:
            DataError: targets that the training rows did not have.
        """
        return preprocessing.transform_targets(rows)

    def inspection_targets(self, rows: SeriesSet, preprocessing: Preprocessing) -> torch.Tensor:
        """Return the targets in the shape of the network's outputs, or class indices [N]."""
        return self.encode_targets(rows, preprocessing)

    def with_new_targets(
        self, before: Preprocessing, rows: SeriesSet, classes: Literal["add", "replace"]
    ) -> Preprocessing:
        """Return the preprocessing of a model that is fine-tuned on new rows.

        Args:
            before: of the model as it was trained.
            rows: the new rows.
            classes: whether unknown classes join the old ones or take their place; of classes alone.
        """
        return before

    # --- network and training -----------------------------------------------------------------------------------------

    def output_size(self, preprocessing: Preprocessing) -> int:
        """Return the number of outputs of the network: classes, or numbers a series."""
        return preprocessing.output_size or 0

    @abstractmethod
    def build(self, body: torch.nn.Module, outputs: int, **options: Any) -> torch.nn.Module:
        """Return the model of a recurrent body; options are pooling, dropout, front and augment."""

    def check_settings(self, fit: Fit) -> None:
        """Raise ConfigError for settings of the training that are for other tasks."""
        return

    @abstractmethod
    def loss(self, fit: Fit) -> Any:
        """Return the loss that trains the network, as ``rnnkit.Learner`` takes it."""

    def learner_settings(self, fit: Fit) -> dict[str, Any]:
        """Return the arguments of ``rnnkit.Learner`` that depend on the task."""
        return {"loss": self.loss(fit), "metrics": ()}

    # --- answers ------------------------------------------------------------------------------------------------------

    @abstractmethod
    def answer_names(self, outputs: int) -> tuple[str, ...]:
        """Return what the answers are called where the user did not name them."""

    @abstractmethod
    def answers(self, outputs: torch.Tensor, preprocessing: Preprocessing) -> Array:
        """Return what the network's outputs mean in the user's units, an answer a series."""

    def probabilities(self, outputs: torch.Tensor) -> Array:
        """Return the probability of each class, [N, C] float64; of tasks with `has_probabilities` alone."""
        raise NotImplementedError(f"{type(self).__name__}.probabilities")

    @abstractmethod
    def figures(self, outputs: SeriesOutputs) -> dict[str, float]:
        """Return figures that compare the answers with the targets of the rows."""

    @abstractmethod
    def columns(self, outputs: SeriesOutputs, *, true: bool) -> Columns:
        """Return the columns of a table of answers after its ids; with the true targets where `true`."""

    def draw(self, outputs: SeriesOutputs, folder: Path) -> None:
        """Draw pictures of the answers with the targets into a folder; none unless a task has some."""
        return

    # --- storing ------------------------------------------------------------------------------------------------------

    def to_json(self) -> dict[str, Any]:
        """Return the task's name and fields as JSON values."""
        return {"name": self.name, **{item.name: getattr(self, item.name) for item in fields(self)}}


def from_json(stored: Mapping[str, Any], preprocessing: Preprocessing) -> Task:
    """Return the task that a model's file names.

    Args:
        stored: what :meth:`Task.to_json` wrote, and possibly more; files from before it was written name no task.
        preprocessing: of the same file.

    Raises:
        DataError: the file names a task that this version of rnnkit does not have.
    """
    from . import TASKS, find

    name = stored.get("name", "regress" if preprocessing.classes is None else "classify")
    if name not in TASKS:
        raise DataError(f"the model's task {name!r} is not in rnnkit.tasks.TASKS; load it with load(path, task=...)")
    cls = find(name)
    return cls(**{item.name: stored[item.name] for item in fields(cls) if item.name in stored})


def place(rows: SeriesSet) -> str:
    """Return how messages about rows begin."""
    return f"{rows.source}: " if rows.source else ""
