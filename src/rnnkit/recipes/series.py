"""What the recipes for series share: how a run trains and what it keeps, and how new files are answered.

Importing this loads no torch and no numpy: that is left to the run.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar, NamedTuple

from ..errors import ConfigError, DataError
from ..runs import Metrics, chosen_on_validation, data_digests, record
from ..runs.tables import Columns, write_table
from ..tasks.ranges import Seed
from ..tasks.settings import Fit, Model
from .base import PreparedRun, Recipe, no_validation
from .interface import DataRequest, InspectionData, Predictor
from .source import Source
from .wording import in_settings

if TYPE_CHECKING:
    from ..data.preprocessing import Preprocessing
    from ..data.series import SeriesSet
    from ..tasks.series import SeriesPredictor
    from ..tasks.task import Task
    from .finetuning import FineTune, FineTuneJob, FineTuneWork

PREDICTIONS = "predictions.csv"


@dataclass(frozen=True)
class SeriesRecipe(Recipe):
    """Base of the recipes for series; a recipe says which task it trains, and which column holds the targets.

    Attributes:
        seed: of weights, order of the rows, dropout and changes of the series.
        device: where to compute: auto, cpu, cuda, cuda:1, mps.
    """

    data_setting: ClassVar[str | None] = "data.path"

    model: Model = field(default_factory=Model)
    fit: Fit = field(default_factory=Fit)
    data: Source = field(default_factory=Source)
    seed: Seed = 0
    device: str = "auto"

    def task(self) -> Task:
        """Return the task that the recipe trains; every recipe for series overrides this."""
        raise NotImplementedError(f"{type(self).__name__} has no task()")

    def answer_names(self) -> tuple[str, ...]:
        """Return what the answers are called; () leaves it to the task."""
        return ()

    def count_rows(self, count: int) -> str:
        """Return a number of rows in the task's words."""
        return f"{count} {self.task().row_words[count != 1]}"

    def prepare(self) -> PreparedRun:
        """Read, divide and check the data, and write nothing.

        Raises:
            ConfigError, DataError: settings or data that cannot be used.
        """
        from ..data.preprocessing import Preprocessing

        task = self.task()
        with in_settings(task):
            parts = divide(self, task)
            task.check_targets(parts.train)
            preprocessing = Preprocessing.fit(
                parts.train, scale=self.data.scale, missing=self.data.missing, target_scale=task.target_scale
            )
            for rows in (parts.validation, parts.test):
                if rows is not None:
                    task.check_targets(rows)
                    preprocessing.transform(rows[:1])
                    task.encode_targets(rows, preprocessing)
        self.fit.check_validation(parts.validation is not None)
        task.check_settings(self.fit)
        return PreparedSeries(self, task, parts, preprocessing)

    def run(self, folder: Path) -> Metrics | None:
        """Train, judge on the held-out rows, and write model, metrics, predictions and pictures into the folder."""
        return self.prepare().run(folder)

    def evaluate(self, folder: Path, data: DataRequest | None = None) -> dict[str, float]:
        """Return figures of the folder's model on its held-out rows, or on a file of the same columns."""
        predictor, rows = self._to_judge(folder, data)
        return predictor.evaluate(rows)

    def validate(self, folder: Path) -> dict[str, float]:
        """Return figures of the folder's model on its validation rows."""
        from ..tasks import series

        predictor = series.load(folder, device=self.device, task=self.task())
        parts = divide(self, predictor.task)
        if parts.validation is None:
            raise no_validation(folder, "rows")
        digests = {file: found for file, found in parts.digests.items() if file == str(self.data.path)}
        data_digests.check(folder, digests, "judge on a file of other rows: --data FILE")
        return predictor.evaluate(parts.validation)

    def inspection_data(self, folder: Path, data: DataRequest | None = None) -> InspectionData:
        """Return the folder's model, its held-out rows or those of a file, and the loss."""
        predictor, rows = self._to_judge(folder, data)
        targets = predictor.task.inspection_targets(rows, predictor.preprocessing)
        loss = predictor.task.loss(self.fit)
        return InspectionData(predictor.model, predictor.inputs(rows), targets, loss, "the test rows")

    def predict(self, folder: Path, data: DataRequest) -> Columns:
        """Return the answers for the rows of a file, a list a column: id, and the task's columns."""
        return self.predictor(folder)(data)

    def predictor(self, folder: Path) -> Predictor:
        """Return a function that answers for the rows of a file."""
        return predictor_of(folder, self.device, self.task())

    def fine_tune_job(self, folder: Path, data: DataRequest, settings: FineTune) -> FineTuneJob:
        """Return the folder's model with the rows of a file to learn, read as its own were."""
        from .series_finetuning import make_job

        return make_job(self, folder, data, settings)

    def transfer_defaults(self) -> FineTune:
        """Return the settings of a fine-tuning from a network that was pretrained without labels."""
        from .series_transfer import DEFAULTS

        return DEFAULTS

    def transfer_job(self, folder: Path, settings: FineTune) -> FineTuneWork:
        """Return the pretrained network of a folder with the rows of this recipe to learn."""
        from .series_transfer import make_job

        return make_job(self, folder, settings)

    def _to_judge(self, folder: Path, data: DataRequest | None) -> tuple[SeriesPredictor, SeriesSet]:
        """Return the folder's model, and the rows it held out or those of a file."""
        from ..tasks import series

        predictor = series.load(folder, device=self.device, task=self.task())
        if data is not None:
            return predictor, read_new(predictor.preprocessing, predictor.task, data)
        parts = divide(self, predictor.task)
        if parts.test is None:
            raise DataError(
                f"{folder} held no rows back (data.test_share=0); name a file of rows with their answers: --data FILE"
            )
        # A test file of its own was never divided: that the other has changed says nothing of its rows.
        judged = {self.data.test or str(self.data.path)}
        digests = {file: found for file, found in parts.digests.items() if file in judged}
        data_digests.check(folder, digests, "judge on a file of other rows: --data FILE")
        data_digests.check_classes(folder, parts.test, predictor.classes)
        return predictor, parts.test


class Parts(NamedTuple):
    """The rows of a run, how they were divided, a digest of each file as it was read, and what was read in it."""

    train: SeriesSet
    validation: SeriesSet | None
    test: SeriesSet | None
    division: str
    digests: dict[str, str]
    read: str


@dataclass(frozen=True)
class PreparedSeries(PreparedRun):
    """A run whose data was read, divided and measured."""

    recipe: SeriesRecipe
    task: Task
    parts: Parts
    preprocessing: Preprocessing

    def check_data(self, folder: Path) -> None:
        """Raise DataError where the run in a folder was begun on other rows than these."""
        data_digests.check(folder, self.parts.digests, "train into a new folder")

    def findings(self) -> list[str]:
        """Return what was read: series, channels, and the columns of labels, ids, times and groups."""
        return [self.parts.read]

    def run(self, folder: Path) -> Metrics:
        """Train, judge on the held-out rows, and write model, metrics, history, predictions and pictures."""
        from ..diagnostics import Diagnostics
        from ..diagnostics.updates import FILE as DIAGNOSTICS
        from ..tasks.series import train_series

        recipe, (train, validation, _, _, digests, _) = self.recipe, self.parts
        data_digests.record(folder, digests)
        predictor = train_series(
            self.task,
            train,
            validation=validation,
            model=recipe.model,
            fit=recipe.fit,
            preprocessing=self.preprocessing,
            target_names=recipe.answer_names(),
            seed=recipe.seed,
            device=recipe.device,
            checkpoint=folder,
            resume=True,  # of a new folder there is nothing to resume
            callbacks=[Diagnostics(file=folder / DIAGNOSTICS)],
            progress=None,
        )
        return self.conclude(predictor, folder)

    def conclude(self, predictor: SeriesPredictor, folder: Path) -> Metrics:
        """Judge a trained network on the held-out rows, and write model, metrics, predictions and pictures."""
        recipe, (train, validation, test, division, _, _) = self.recipe, self.parts
        predictor.save(folder)
        history = predictor.history
        assert history is not None
        metrics: Metrics = {}
        if test is not None:
            metrics["test"] = predictor.evaluate(test)
        if validation is not None:
            metrics["validation"] = predictor.evaluate(validation)
        counts = {"train": train, "validation": validation, "test": test}
        metrics["split"] = division
        metrics["rows"] = {name: len(rows) for name, rows in counts.items() if rows is not None}
        judged = None
        if recipe.fit.early_stopping is not None and validation is not None:
            judged = chosen_on_validation(len(validation))
        # The loss that was trained on may be smoothed or scaled, so no figure of the test has its name.
        metrics = record(folder, history, metrics, chosen_on=judged, final=metrics.get("test", {}))
        held_out = validation if test is None else test
        if held_out is not None:
            write_table(predictor.table(held_out, true=True), folder / PREDICTIONS)
            predictor.draw(held_out, folder)
        return metrics


def divide(recipe: SeriesRecipe, task: Task) -> Parts:
    """Read the files and divide their rows."""
    return divide_rows(recipe.data, task, task.name)


def divide_rows(
    data: Source, task: Task | None, command: str, change: Callable[[SeriesSet], SeriesSet] | None = None
) -> Parts:
    """Read files and divide their rows.

    Args:
        data: the settings.
        task: says which targets are read; None: none are.
        command: the recipe's name, for the message where there is no path.
        change: what becomes of the series that were read before they are divided; None: nothing.

    Raises:
        ConfigError: no path. DataError: a file cannot be read, or too few rows.
    """
    from ..data.reading import read_series
    from ..data.splits import split

    if data.path is None:
        raise ConfigError(f"data.path is missing; name the file to learn from, as in `rnnkit train {command} my.csv`")
    with in_settings(task):
        columns = {"targets": None if task is None else task.target_type, **data.columns()}
        whole = read_series(data.path, **columns)
        test = None if data.test is None else read_series(data.test, **columns)
    if change is not None:
        whole, test = change(whole), None if test is None else change(test)
    _check_labels(whole)
    shares = {"validation": data.validation, "test": data.test_share if test is None else 0.0}
    shares = {name: share for name, share in shares.items() if share}
    how = {"random": f"at random (split_seed {data.split_seed})", "time": "by time, the latest"}
    how["group"] = f"by group (split_seed {data.split_seed})"
    by = "group" if data.split == "random" and whole.groups is not None else data.split
    division = [f"{name}: {share:.0%} of {data.path} {how[by]}" for name, share in shares.items()]
    division += [f"test: {data.test}"] if test is not None else []
    found = {"train": whole}
    if shares and len(whole) - len(shares) < 2:
        advice = " ".join(f"--set data.{'test_share' if name == 'test' else name}=0" for name in shares)
        add = f"{advice}, or more rows" if len(whole) >= 2 else "more rows"
        raise DataError(
            f"{data.path}: {len(whole)} series, of which {len(shares)} would be held back; expected 2 or more to train "
            f"on: add {add}"
        )
    if shares:
        portions = (1 - sum(shares.values()), *shares.values())
        with in_settings(task):
            parts = split(whole, shares=portions, by=data.split, seed=data.split_seed)
        found = dict(zip(("train", *shares), parts, strict=True))
    if len(found["train"]) < 2:
        raise DataError(f"{data.path}: {len(found['train'])} series to train on; expected at least 2")
    digests = {data.path: data_digests.digest(whole)} | (
        {} if test is None else {str(data.test): data_digests.digest(test)}
    )
    described = "; ".join(division) or "all rows were trained on"
    train, judged = found["train"], found.get("test", test)
    return Parts(train, found.get("validation"), judged, described, digests, describe_reading(whole))


def describe_reading(series: SeriesSet) -> str:
    """Return a sentence about what was read in a file: how many series, and what each column was taken for.

    Example:
        >>> from rnnkit.data import SeriesSet
        >>> describe_reading(SeriesSet.from_arrays([[1.0, 2.0], [3.0, 4.0]], ["u", "v"]))
        "Read 2 series of 2 steps; channels 'value'; labels 'u', 'v'."
    """
    options = series.read_options
    roles = {"target": "target_column", "id": "id_column", "time": "time_column", "group": "group_column"}
    named = {what: options[name] for what, name in roles.items() if options.get(name)}
    shown = {what: name if isinstance(name, str) else ", ".join(name) for what, name in named.items()}
    columns = ", ".join(f"{what} {name!r}" for what, name in shown.items())
    return f"Read {series.summary()}{f'; columns: {columns}' if columns else ''}."


def _check_labels(rows: SeriesSet) -> None:
    """Refuse classes that are measurements: all numbers, and hardly two rows alike."""
    from ..data.labels import sorted_classes

    if rows.targets is None or rows.targets.dtype.kind == "f":
        return
    names = sorted_classes(rows.targets)
    try:
        [float(name) for name in names]
    except ValueError:
        return
    if len(names) > max(8, 0.8 * len(rows)):
        raise DataError(
            f"{rows.source}: {len(names)} labels for {len(rows)} rows, all numbers; to learn numbers use `rnnkit train "
            "regress`, or name the column of the classes: --set data.label="
        )


def read_new(preprocessing: Preprocessing, task: Task | None, data: DataRequest, *, targets: bool = True) -> SeriesSet:
    """Return the rows of a file like the training file, with the targets of the task or without."""
    named = {} if data.encoding is None else {"encoding": data.encoding}
    with in_settings(task, new=True):
        wanted = task.target_type if targets and task is not None else None
        return preprocessing.read(data.path, targets=wanted, **named)


def predictor_of(model: Path, device: str, task: Task | None = None) -> Predictor:
    """Return a function from a file to the answers of a saved model, its columns id and those of the task.

    Args:
        model: a run folder, or the file or folder of a saved estimator.
        device: where to compute.
        task: of the model; None: as the file says.
    """
    from ..tasks import series

    predictor = series.load(model, device=device, task=task)

    def answer(data: DataRequest) -> Columns:
        return predictor.table(read_new(predictor.preprocessing, predictor.task, data, targets=False))

    return answer
