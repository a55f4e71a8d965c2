"""Fine-tuning a run: the settings of ``rnnkit finetune``, and what is kept of it in a run folder of its own."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, TypeVar

from ..errors import ConfigError, DataError
from ..runs import FINETUNE, REPORT, Metrics, read_facts, record
from ..tasks.ranges import Count, Factor, NotNegative, Positive, Seed, Settings, Share
from .finetuning_page import Shown, write_page

if TYPE_CHECKING:
    import torch

    from ..training.fine_tuning.report import FineTuningReport, Quality
    from ..training.history import History
    from ..training.learner import Learner

Pair = tuple[Any, Any]
T = TypeVar("T")
ADAPTERS, PICTURE = "adapters.safetensors", "before_after.png"


@dataclass(frozen=True)
class FineTune(Settings):
    """The settings; ``rnnkit finetune RUN --set FIELD=VALUE`` changes one. See ``Learner.fine_tune`` for what they do.

    Attributes:
        epochs: passes over the new rows.
        batch_size: rows of an optimizer step.
        lr: learning rate; none is a tenth of the one the run was trained with, with adapters the whole of it.
        schedule: how the rate changes over the steps.
        freeze: names of groups or parameters that do not train.
        gradual_unfreezing: the head alone in the first epoch, a layer more in each that follows.
        discriminative: by how much the rate falls from a layer to the one below; 2.6 in ULMFiT.
        rank: train low-rank adapters of that rank, and the head, alone; they are merged into the saved model.
        classes: unknown classes in the new data join the old ones, or the new data's classes take their place.
        replay: old rows mixed into each epoch: a share of its rows (0.5), or how many (from 1 on); none: no old rows.
        protect: hold the weights near what they were.
        strength: of the protection: L2-SP's alpha, or EWC's lambda; none is its usual one.
        validation: share of the new rows kept from training, to evaluate on.
        seed: of the order of the rows, dropout and the division of the new rows.
        device: where to compute: auto, cpu, cuda, cuda:1, mps.
    """

    epochs: Count = 10
    batch_size: Count = 16
    lr: Positive | None = None
    schedule: Literal["slanted_triangular", "warmup_cosine", "cosine", "constant"] = "slanted_triangular"
    freeze: tuple[str, ...] = ()
    gradual_unfreezing: bool = False
    discriminative: Factor | None = None
    rank: Count | None = None
    classes: Literal["add", "replace"] = "add"
    replay: Positive | None = 0.5
    protect: Literal["l2-sp", "ewc"] | None = None
    strength: NotNegative | None = None
    validation: Share = 0.2
    seed: Seed = 0
    device: str = "auto"

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.replay is not None and self.replay >= 1 and self.replay != int(self.replay):
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

    def arguments(self, folder: Path | None = None) -> dict[str, Any]:
        """Return the settings that ``Learner.fine_tune`` takes.

        Args:
            folder: of the new run, which gets checkpoints; a fine-tuning that was stopped there resumes. None: no
                checkpoints are kept.
        """
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
            # Of a new folder there is nothing to resume.
            **({} if folder is None else {"checkpoint": folder, "resume": True}),
        }


class FineTuneWork:
    """What ``rnnkit finetune`` runs."""

    def check(self, settings: FineTune) -> None:
        """Raise ConfigError for settings that cannot be used, before there is a run folder."""

    def findings(self) -> list[str]:
        """Return what was found in the new data, a sentence each, for the user to see before training begins."""
        return []

    def run(self, settings: FineTune, folder: Path) -> History:
        """Fine-tune, and write the results into the folder of the new run.

        Args:
            settings: of the fine-tuning; with `settings.arguments(folder)` the learner keeps checkpoints in the folder,
                and resumes from the one that is there.
            folder: of the new run, or of one that was stopped.
        """
        raise NotImplementedError(f"{type(self).__name__} has no run(settings, folder)")


@dataclass(frozen=True)
class FineTuneJob(FineTuneWork):
    """A trained network with what it must learn and what it must keep, read and checked.

    Attributes:
        learner: of the network.
        new: `(X, y)` to learn, in the new head's labels.
        save: writes the model and all that predicting takes into a folder.
        validation: more new rows, to evaluate on; None: `new`.
        old: gives `(X, y)` of the run's own training rows; called where they are needed. None: there are none.
        old_test: old rows that were held out; None where there are none.
        old_from: where the old rows come from, for the report.
        classes, old_classes: names of the new head's classes and of the old one's; None for no new head.
        evaluate: gives figures as ``rnnkit evaluate`` prints them, of the "new" rows for the test or the "old" ones, as
            the network is then; the second argument says whether it still has its old head. None: the learner's.
        told: what was found in the new data, a sentence each.
        show: gives what the page shows of the answers, as the network is after it; None: nothing.
    """

    learner: Learner
    new: Pair
    save: Callable[[Path], Any]
    validation: Pair | None = None
    old: Callable[[], Pair] | None = None
    old_test: Pair | None = None
    old_from: str = "rows of the first training"
    classes: tuple[str, ...] | None = None
    old_classes: tuple[str, ...] | None = None
    evaluate: Callable[[Literal["new", "old"], bool], dict[str, float]] | None = None
    told: Sequence[str] = ()
    show: Callable[[], Shown] | None = None

    def findings(self) -> list[str]:
        """Return what was found in the new data."""
        return list(self.told)

    def run(self, settings: FineTune, folder: Path) -> History:
        """Fine-tune, and write the results into the folder; see `run_job`."""
        return run_job(self, settings, folder)

    def check(self, settings: FineTune) -> None:
        """Raise ConfigError for settings that the job cannot use, before there is a run folder."""
        from ..finetuning.freeze import matching

        matching(self.learner.model, settings.freeze)
        if self.old is None and (settings.replay is not None or settings.protect == "ewc"):
            asked = "protect=ewc" if settings.replay is None else f"replay={settings.replay:g}"
            add = "leave --set protect=ewc out" if settings.replay is None else "add --set replay=none"
            raise ConfigError(f"{asked} needs rows of the first training, which the recipe does not give; {add}")


def held_out_rows(y: torch.Tensor, settings: FineTune) -> torch.Tensor:
    """Return whether each new row is kept from training, some of each class.

    Raises:
        DataError: the labels are not one a row.
    """
    import torch

    if y.dim() != 1:
        raise DataError(f"labels of shape {list(y.shape)} arrived; expected one a row: hold other rows out by yourself")

    generator = torch.Generator().manual_seed(settings.seed)
    held_out = []
    for label in y.unique():
        rows = (y == label).nonzero()[:, 0]
        held_out.append(rows[torch.randperm(len(rows), generator=generator)[: round(len(rows) * settings.validation)]])
    judged = torch.zeros(len(y), dtype=torch.bool)
    judged[torch.cat(held_out)] = True
    return judged


def divide(x: torch.Tensor, y: torch.Tensor, settings: FineTune) -> tuple[Pair, Pair | None]:
    """Return new rows for training and test; see `held_out_rows`."""
    return separate(x, y, held_out_rows(y, settings))


def separate(x: torch.Tensor, y: torch.Tensor, judged: torch.Tensor) -> tuple[Pair, Pair | None]:
    """Return the rows that are not judged, and those that are; None where there are none."""
    return (x[~judged], y[~judged]), (x[judged], y[judged]) if bool(judged.any()) else None


def name_old(folder: Path, rows: str) -> str:
    """Return in words which rows count as the old ones of the run in a folder: those of its first training."""
    later = read_facts(folder / FINETUNE).get("data")
    return rows if later is None else f"{rows}, of the first training; none of {later}, which {folder} learned later"


def read_old(folder: Path, settings: FineTune, read: Callable[[], T]) -> T | None:
    """Return what a function reads of the data of a run's first training; None, with a warning, where it is gone.

    Args:
        folder: the run's.
        settings: whether the old data is needed.
        read: reads it; DataError where it is not there any more, or not as it was.

    Raises:
        DataError: the old data is needed and cannot be used.
    """
    try:
        return read()
    except DataError as error:
        if settings.replay is not None or settings.protect == "ewc":
            without = " ".join(
                f"--set {name}=none"
                for name, asked in (("replay", settings.replay is not None), ("protect", settings.protect == "ewc"))
                if asked
            )
            raise DataError(
                f"what {folder} was trained on cannot be used ({error}); without it add {without}"
            ) from None
        warnings.warn(f"what it still knows of the old data is not measured: {error}", stacklevel=4)
        return None


def say_old(report: FineTuningReport, old_from: str, old: Any) -> FineTuningReport:
    """Return a report that says where the old data comes from, or why what is forgotten is not measured.

    Args:
        report: with quality on old data that was held back; None where nothing was.
        old_from: see `name_old`.
        old: what the run learned first; None where that is gone, which a warning has told.
    """
    if report.old is None:
        if old is None:
            return report
        old_from += ", of which nothing was held back: what is forgotten is not measured"
    return replace(report, method={"old data": old_from, **report.method})


def refuse_old_rows(settings: FineTune, why: str) -> None:
    """Raise ConfigError where settings want rows of the old data among the new ones.

    Args:
        settings: of the fine-tuning.
        why: there can be none.
    """
    if settings.replay is not None or settings.protect == "ewc":
        asked = "protect=ewc" if settings.replay is None else f"replay={settings.replay:g}"
        raise ConfigError(
            f"{asked} arrived, but {why}; type --set replay=none, or --set protect=l2-sp to hold the weights"
        )


def run_job(job: FineTuneJob, settings: FineTune, folder: Path) -> History:
    """Fine-tune, and write model, adapters, report, metrics, history and pictures into the folder.

    Args:
        job: what to learn.
        settings: how.
        folder: the new run's; ``metrics.json`` in it has quality on the old held-out rows under "test", as ``rnnkit
            evaluate`` prints it, and on the new ones under "validation".

    Returns:
        The history, its `report` as it was written; `stopped` is "interrupted" after Ctrl-C.
    """
    from ..training.watching.callbacks import Callback

    learner = job.learner
    job.check(settings)
    needed = settings.replay is not None or settings.protect == "ewc"
    old = job.old() if needed and job.old is not None else job.old_test
    new_head = None if job.classes == job.old_classes else job.classes
    before = {} if old is None or job.evaluate is None else {"old": job.evaluate("old", True)}

    class Before(Callback):
        """Measures the new rows once a new head is there, and nothing has trained or was resumed yet."""

        def on_prepare(self, learner: Learner, run: Any) -> None:
            if job.evaluate is not None:
                before["new"] = job.evaluate("new", False)

    history = learner.fine_tune(
        job.new,
        validation=job.validation,
        old_data=old,
        old_validation=job.old_test,
        classes=new_head,
        old_classes=None if new_head is None else job.old_classes,
        callbacks=[Before()],
        **settings.arguments(folder),
    )
    assert history.report is not None
    report = history.report if job.evaluate is None else _in_own_unit(history.report, before, job.evaluate)
    if report.old is not None:
        report = replace(report, method={"old data": job.old_from, **report.method})
    shown = Shown() if job.show is None else job.show()
    return write_results(
        learner,
        report,
        history,
        settings,
        folder,
        job.save,
        old_test=job.old_test is not None,
        shown=shown._replace(troubles=list(dict.fromkeys([*job.told, *shown.troubles]))),
    )


def write_results(
    learner: Learner,
    report: FineTuningReport,
    history: History,
    settings: FineTune,
    folder: Path,
    save: Callable[[Path], Any],
    *,
    old_test: bool,
    chosen_on: str | None = None,
    shown: Shown,
) -> History:
    """Write model, adapters, report, metrics, history, pictures and the page into the folder of a fine-tuned run.

    Args:
        learner: of the network.
        report: what the fine-tuning changed.
        history: of its training.
        settings: of the fine-tuning.
        folder: the new run's.
        save: writes the model and all that predicting takes.
        old_test: whether the report's old rows were held out, and so count as the test.
        chosen_on: what the epoch was chosen on; None: nothing was chosen.
        shown: what the recipe adds to the page; its troubles are also in ``metrics.json``.

    Returns:
        The history, its `report` as it was written.
    """
    from ..diagnostics import pictures
    from ..finetuning.adapters import merge_adapters, save_adapters

    if settings.rank is not None:
        save_adapters(learner.model, folder / ADAPTERS)
        merge_adapters(learner.model)
    save(folder)
    report.to_json(folder / REPORT)
    metrics: Metrics = {"validation": dict((report.new.after if report.new else None) or {})}
    if old_test and report.old is not None and report.old.after is not None:
        metrics["test"] = dict(report.old.after)
    sides = {"new data": report.new, "old data": report.old}
    figures = {name: (one.before or {}, one.after or {}) for name, one in sides.items() if one is not None}
    metrics["troubles"] = list(shown.troubles)
    pictures.before_after(figures, folder / PICTURE)
    record(folder, history, metrics, chosen_on=chosen_on)
    write_page(folder, report, history, figures, shown)
    history.report = report
    return history


def _in_own_unit(
    report: FineTuningReport,
    before: Mapping[str, Mapping[str, float]],
    evaluate: Callable[[Literal["new", "old"], bool], dict[str, float]],
) -> FineTuningReport:
    """Return the same report with figures as ``rnnkit evaluate`` prints them; the learner's are of scaled numbers."""

    def side(which: Literal["new", "old"], one: Quality | None) -> Quality | None:
        if one is None:
            return None
        return replace(one, before=before.get(which), after=None if one.after is None else evaluate(which, False))

    return replace(report, new=side("new", report.new), old=side("old", report.old))
