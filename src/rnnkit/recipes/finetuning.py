"""Fine-tuning a run: what ``rnnkit finetune`` may be told, and what is kept of it in a run folder of its own."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from ..errors import ConfigError, DataError, check_seed
from ..tasks.settings import at_least_one, more_than_zero, zero_or_more
from . import Metrics, runs

if TYPE_CHECKING:
    import torch

    from ..data.preprocessing import Preprocessing
    from ..data.series import SeriesSet
    from ..training.fine_tuning.report import FineTuningReport, Quality
    from ..training.history import History
    from ..training.learner import Learner
    from .series import SeriesRecipe

Pair = tuple[Any, Any]
REPORT, ADAPTERS, PICTURE = "report.json", "adapters.safetensors", "before_after.png"


@dataclass(frozen=True)
class FineTune:
    """The settings; ``rnnkit finetune RUN --set FIELD=VALUE`` changes one. See ``Learner.fine_tune`` for what they do.

    Attributes:
        epochs, batch_size: the training.
        lr: learning rate; none is a tenth of the one the run was trained with, with adapters the whole of it.
        schedule: factor on the rate over the steps.
        freeze: names of groups or parameters that do not train.
        gradual_unfreezing: the head alone in the first epoch, a layer more in each that follows.
        discriminative: by how much the rate falls from a layer to the one below; 2.6 in ULMFiT.
        rank: train low-rank adapters of that rank, and the head, alone; they are merged into the saved model.
        classes: unknown classes in the new data join the old ones, or the new data's classes take their place.
        replay: old rows mixed into each epoch: a share of its rows (0.5), or how many (from 1 on); none: no old rows.
        protect: hold the weights near what they were.
        strength: of the protection: L2-SP's alpha, or EWC's lambda; none is its usual one.
        validation: share of the new rows kept from training, to judge by.
    """

    epochs: int = 10
    batch_size: int = 16
    lr: float | None = None
    schedule: Literal["slanted_triangular", "warmup_cosine", "cosine", "constant"] = "slanted_triangular"
    freeze: tuple[str, ...] = ()
    gradual_unfreezing: bool = False
    discriminative: float | None = None
    rank: int | None = None
    classes: Literal["add", "replace"] = "add"
    replay: float | None = 0.5
    protect: Literal["l2-sp", "ewc"] | None = None
    strength: float | None = None
    validation: float = 0.2
    seed: int = 0
    device: str = "auto"

    def __post_init__(self) -> None:
        check_seed(self.seed)
        at_least_one("", self, "epochs", "batch_size", "rank", "discriminative")
        more_than_zero("", self, "lr")
        zero_or_more("", self, "strength")
        if not 0 <= self.validation < 1:
            raise ConfigError(f"validation={self.validation} arrived; expected a share of 0 or more, below 1")
        if self.replay is not None and (self.replay <= 0 or (self.replay >= 1 and self.replay != int(self.replay))):
            raise ConfigError(
                f"replay={self.replay} arrived; expected a share of an epoch's rows (0.5) or a number of rows (100)"
            )
        if self.classes == "replace" and self.replay is not None:
            raise ConfigError("classes=replace leaves no old classes to replay; add --set replay=none")
        if self.strength is not None and self.protect is None:
            raise ConfigError(f"strength={self.strength} is of a protection; add --set protect=l2-sp or protect=ewc")
        if self.protect is not None and self.rank is not None:
            raise ConfigError(
                f"protect={self.protect} and rank={self.rank} arrived; adapters leave the old weights as they are, so "
                "choose one of them"
            )

    def arguments(self) -> dict[str, Any]:
        """What of it ``Learner.fine_tune`` takes."""
        from ..finetuning.adapters import LoRA
        from ..finetuning.forgetting import EWC, L2SP

        strength = () if self.strength is None else (self.strength,)
        kinds: dict[str, type[L2SP] | type[EWC]] = {"l2-sp": L2SP, "ewc": EWC}
        protect = None if self.protect is None else kinds[self.protect](*strength)
        replay = self.replay if self.replay is None or self.replay < 1 else int(self.replay)
        same = ("epochs", "batch_size", "lr", "schedule", "freeze", "gradual_unfreezing", "discriminative", "seed")
        return {name: getattr(self, name) for name in same} | {
            "adapters": None if self.rank is None else LoRA(self.rank),
            "replay": replay,
            "protect": protect,
        }


@dataclass(frozen=True)
class Lesson:
    """A trained network with what it shall learn and what it shall keep, read and checked.

    Attributes:
        learner: of the network.
        new: `(X, y)` to learn, in the new head's labels.
        validation: more of it, to judge by; None: `new`.
        old: gives `(X, y)` of the run's own training rows; called where they are needed.
        old_test: its rows held out; None where it has none.
        old_from: where the old rows come from, for the report.
        save: writes the model and all that predicting takes into a folder.
        classes, old_classes: names of the new head's classes and of the old one's; None for no new head.
        evaluate: gives figures as ``rnnkit evaluate`` prints them, of the "new" rows to judge by or the "old" ones, as
            the network is then; the second argument tells whether it still has its old head. None: the learner's.
    """

    learner: Learner
    new: Pair
    validation: Pair | None
    old: Callable[[], Pair]
    old_test: Pair | None
    old_from: str
    save: Callable[[Path], None]
    classes: tuple[str, ...] | None = None
    old_classes: tuple[str, ...] | None = None
    evaluate: Callable[[Literal["new", "old"], bool], dict[str, float]] | None = None


def divide(x: torch.Tensor, y: torch.Tensor, settings: FineTune) -> tuple[Pair, Pair | None]:
    """New rows to learn and to judge by, some of each class."""
    import torch

    generator = torch.Generator().manual_seed(settings.seed)
    held_out = []
    for label in y.unique():
        rows = (y == label).nonzero()[:, 0]
        held_out.append(rows[torch.randperm(len(rows), generator=generator)[: round(len(rows) * settings.validation)]])
    judged = torch.zeros(len(y), dtype=torch.bool)
    judged[torch.cat(held_out)] = True
    return (x[~judged], y[~judged]), (x[judged], y[judged]) if bool(judged.any()) else None


def series_lesson(
    recipe: SeriesRecipe, folder: Path, data: Path, settings: FineTune, encoding: str | None = None
) -> Lesson:
    """What the recipes for series have to learn: rows of a file like their own.

    Args:
        recipe: as the run was trained.
        folder, data, settings: see :class:`rnnkit.recipes.FineTuning`.
        encoding: of `data`, where it is another than the run's file had.

    Raises:
        DataError: rows that the network cannot read, or old rows that are wanted and cannot be found.
    """
    from ..data.labels import sorted_classes
    from ..data.splits import split
    from ..tasks import series
    from . import same_data
    from .series import divide as divide_series
    from .series import read_new

    kind, task = recipe.kind, series.load(folder, device=settings.device)
    before = task.preprocessing
    rows = read_new(before, kind, data, encoding)
    series.check_targets(rows, kind)
    after = before
    if before.classes is not None and rows.targets is not None:
        found = sorted_classes(rows.targets)
        added = tuple(name for name in found if name not in before.classes)
        after = replace(before, classes=found if settings.classes == "replace" else before.classes + added)
        if settings.classes == "replace" and len(found) < 2:
            raise DataError(
                f"{data}: all rows are {found[0]!r}; with classes=replace at least two classes are expected"
            )

    def pair(rows: SeriesSet, preprocessing: Preprocessing) -> Pair:
        return preprocessing.transform(rows), preprocessing.transform_targets(rows)

    new, held_out = rows, None
    if settings.validation:
        by: Any = "random" if rows.groups is None else "group"
        new, held_out = split(rows, shares=(1 - settings.validation, settings.validation), by=by, seed=settings.seed)
    train = test = None
    try:
        parts = divide_series(recipe)
        same_data.check(folder, parts.digests, "its old version is expected")
        same_data.check_classes(folder, parts.train, before.classes)
        train, test = parts.train, parts.test
    except DataError as error:
        if settings.replay is not None or settings.protect == "ewc":
            raise DataError(
                f"the rows that {folder} was trained on cannot be used ({error}); without them add --set replay=none"
            ) from None
        warnings.warn(f"what it still knows of the old rows is not measured: {error}", stacklevel=2)
    learner = series.make_learner(
        kind, task.model, recipe.fit, device=settings.device, metrics="accuracy" if kind == "classify" else "mae"
    )
    kept = series.SeriesTask(task.model, after, task.target_names, settings.device)

    def save(to: Path) -> None:
        kept.save(to)
        if digests := same_data.read(folder):
            same_data.record(to, digests)

    def evaluate(which: Literal["new", "old"], old_head: bool) -> dict[str, float]:
        rows = (new if held_out is None else held_out) if which == "new" else (train if test is None else test)
        assert rows is not None  # only what the learner could measure is asked for
        return (task if old_head else kept).evaluate(rows)

    return Lesson(
        learner,
        pair(new, after),
        None if held_out is None else pair(held_out, after),
        (lambda: pair(train, before)) if train is not None else _no_rows,
        None if test is None else pair(test, before),
        name_old(folder, f"rows of {recipe.data.test or recipe.data.path}"),
        save,
        after.classes,
        before.classes,
        evaluate,
    )


def name_old(folder: Path, rows: str) -> str:
    """In words which rows count as the old ones of the run in a folder: those of its first training."""
    later = runs.read_facts(folder / runs.FINETUNE).get("data")
    return rows if later is None else f"{rows}, of the first training; none of {later}, which {folder} learned later"


def _no_rows() -> Pair:
    raise DataError("there are no old rows")


def learn(lesson: Lesson, settings: FineTune, folder: Path) -> History:
    """Fine-tunes, and writes model, adapters, report, metrics, history and pictures into the folder.

    Args:
        lesson: what to learn.
        settings: how.
        folder: the new run's; ``metrics.json`` in it has quality on the old held-out rows under "test", as ``rnnkit
            evaluate`` prints it, and on the new ones under "validation".

    Returns:
        The history, its `report` as it was written; `stopped` is "interrupted" after Ctrl-C.
    """
    from ..diagnostics import pictures
    from ..finetuning.adapters import merge_adapters, save_adapters
    from ..training.watching.callbacks import Callback

    learner = lesson.learner
    needed = settings.replay is not None or settings.protect == "ewc"
    old = lesson.old() if needed else lesson.old_test
    new_head = None if lesson.classes == lesson.old_classes else lesson.classes
    before = {} if old is None or lesson.evaluate is None else {"old": lesson.evaluate("old", True)}

    class Before(Callback):
        """Measures the new rows once a new head is there, and nothing has trained yet."""

        def on_fit_begin(self, learner: Learner, run: Any) -> None:
            if lesson.evaluate is not None:
                before["new"] = lesson.evaluate("new", False)

    history = learner.fine_tune(
        lesson.new,
        validation=lesson.validation,
        old_data=old,
        old_validation=lesson.old_test,
        classes=new_head,
        old_classes=None if new_head is None else lesson.old_classes,
        callbacks=[Before()],
        **settings.arguments(),
    )
    assert history.report is not None
    report = history.report if lesson.evaluate is None else _in_own_unit(history.report, before, lesson.evaluate)
    if report.old is not None:
        report = replace(report, method={"old data": lesson.old_from, **report.method})
    if settings.rank is not None:
        save_adapters(learner.model, folder / ADAPTERS)
        merge_adapters(learner.model)
    lesson.save(folder)
    report.to_json(folder / REPORT)
    metrics: Metrics = {"validation": dict((report.new.after if report.new else None) or {})}
    if lesson.old_test is not None and report.old is not None and report.old.after is not None:
        metrics["test"] = dict(report.old.after)
    runs.record(folder, history, metrics)
    sides = {"new data": report.new, "old data": report.old}
    told = {name: (one.before or {}, one.after or {}) for name, one in sides.items() if one is not None}
    pictures.before_after(told, folder / PICTURE)
    history.report = report
    return history


def _in_own_unit(
    report: FineTuningReport,
    before: Mapping[str, Mapping[str, float]],
    evaluate: Callable[[Literal["new", "old"], bool], dict[str, float]],
) -> FineTuningReport:
    """The same report with figures as ``rnnkit evaluate`` prints them, where the learner knows scaled numbers alone."""

    def side(which: Literal["new", "old"], one: Quality | None) -> Quality | None:
        if one is None:
            return None
        return replace(one, before=before.get(which), after=None if one.after is None else evaluate(which, False))

    return replace(report, new=side("new", report.new), old=side("old", report.old))
