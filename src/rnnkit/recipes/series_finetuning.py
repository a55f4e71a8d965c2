"""What a run on series has to learn when it is fine-tuned: rows of a file like its own."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from ..data.splits import split
from ..runs import data_digests
from ..tasks import series
from ..tasks.network import make_learner
from .finetuning import FineTune, FineTuneJob, Pair, name_old, read_old
from .interface import DataRequest
from .series import SeriesRecipe, divide, read_new

if TYPE_CHECKING:
    from ..data.preprocessing import Preprocessing
    from ..data.series import SeriesSet
    from ..tasks.task import Task


def make_job(recipe: SeriesRecipe, folder: Path, data: DataRequest, settings: FineTune) -> FineTuneJob:
    """Return the folder's model with the rows of a file to learn.

    Args:
        recipe: as the run was trained.
        folder, data, settings: see :meth:`rnnkit.recipes.Recipe.fine_tune_job`.

    Raises:
        DataError: rows that the network cannot read, or old rows that are wanted and cannot be found.
    """
    task = recipe.task()
    old_model = series.load(folder, device=settings.device, task=task)
    before = old_model.preprocessing
    rows = read_new(before, task, data)
    task.check_targets(rows)
    after = task.with_new_targets(before, rows, settings.classes)
    new, held_out = rows, None
    if settings.validation:
        by: Any = "random" if rows.groups is None else "group"
        new, held_out = split(rows, shares=(1 - settings.validation, settings.validation), by=by, seed=settings.seed)
    train, test = _old_rows(recipe, task, folder, before, settings)
    tuned = series.SeriesPredictor(old_model.model, after, task, old_model.target_names, settings.device)

    def pair(rows: SeriesSet, preprocessing: Preprocessing) -> Pair:
        return preprocessing.transform(rows), task.encode_targets(rows, preprocessing)

    def save(to: Path) -> None:
        tuned.save(to)
        data_digests.carry(folder, to)

    def evaluate(which: Literal["new", "old"], old_head: bool) -> dict[str, float]:
        rows = (new if held_out is None else held_out) if which == "new" else (train if test is None else test)
        assert rows is not None  # only what the learner could measure is asked for
        return (old_model if old_head else tuned).evaluate(rows)

    learner = make_learner(task, old_model.model, recipe.fit, device=settings.device, metrics=task.metric)
    learner.extra = tuned.extra()
    return FineTuneJob(
        learner=learner,
        new=pair(new, after),
        validation=None if held_out is None else pair(held_out, after),
        old=None if train is None else (lambda: pair(train, before)),
        old_test=None if test is None else pair(test, before),
        old_from=name_old(folder, f"rows of {recipe.data.test or recipe.data.path}"),
        save=save,
        classes=after.classes,
        old_classes=before.classes,
        evaluate=evaluate,
    )


def _old_rows(
    recipe: SeriesRecipe, task: Task, folder: Path, before: Preprocessing, settings: FineTune
) -> tuple[SeriesSet | None, SeriesSet | None]:
    """Return the rows of the first training and those it held back; (None, None) where neither is needed nor there."""

    def read() -> tuple[SeriesSet, SeriesSet | None]:
        parts = divide(recipe, task)
        data_digests.check(folder, parts.digests, "its old version is expected")
        data_digests.check_classes(folder, parts.train, before.classes)
        return parts.train, parts.test

    return read_old(folder, settings, read) or (None, None)
