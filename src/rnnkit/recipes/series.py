"""What the recipes for series share: where the rows come from, how they are divided, and what is kept of a run.

Importing this loads no torch and no numpy: that is left to the run.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Literal, NamedTuple

from ..errors import ConfigError, DataError, check_seed
from ..tasks.settings import Fit, Model
from . import Metrics, runs, same_data
from .tables import Columns, write_table
from .wording import SETTINGS, in_settings

if TYPE_CHECKING:
    from ..data.preprocessing import Preprocessing
    from ..data.series import SeriesSet
    from ..tasks.series import Kind, SeriesTask
    from .finetuning import FineTune, Lesson

PREDICTIONS = "predictions.csv"
_DELIMITERS = {"\\t": "\t", "tab": "\t", "blank": " "}  # what a shell does not pass on easily


@dataclass(frozen=True)
class Source:
    """The files, and how their rows are divided and prepared. Columns are guessed where they are not named.

    Attributes:
        path: a CSV, TSV, .npz, .parquet, .ts or .arff file, or a folder with a folder of CSVs or images for each class.
        test: a second file to judge by; none holds `test_share` of the rows of `path` back.
        test_share: share of the rows held back, where no `test` is given; 0 trains on all.
        validation: share of the rows watched while training, for `fit.early_stopping`.
        split: rows at random (each class alike), whole groups, or the earliest for training and the latest for test.
        split_seed: of the division; it does not follow `seed`, so that seeds are judged on the same rows.
        format: of the files, where their suffix does not say it.
        layout: long (a row a time step) or wide (a row a series).
        id, time, group: names of columns.
        values: names of the columns that hold the measurements; none takes all that are nothing else.
        ignore: names of columns to leave out.
        encoding, delimiter, decimal, header, time_format, duplicates: see ``rnnkit.data.read_series``; a delimiter may
            be named "tab" or "blank".
        size: height and width to which images are resized; none expects images of one size.
        scale: of each channel, measured on the training rows.
        missing: gaps are filled; indicator tells the network where, indicator+elapsed also since when.
    """

    path: str | None = None
    test: str | None = None
    test_share: float = 0.2
    validation: float = 0.0
    split: Literal["random", "group", "time"] = "random"
    split_seed: int = 0
    format: str | None = None
    layout: Literal["long", "wide"] | None = None
    id: str | None = None
    time: str | None = None
    group: str | None = None
    values: tuple[str, ...] = ()
    ignore: tuple[str, ...] = ()
    encoding: str | None = None
    delimiter: str | None = None
    decimal: str | None = None
    header: bool | None = None
    time_format: str | None = None
    duplicates: Literal["keep", "first", "last", "mean", "error"] = "keep"
    size: tuple[int, int] | None = None
    scale: Literal["standard", "minmax", "none"] = "standard"
    missing: Literal["fill", "indicator", "indicator+elapsed"] = "fill"

    def __post_init__(self) -> None:
        check_seed(self.split_seed, "data.split_seed")
        for name in ("test_share", "validation"):
            if not 0 <= getattr(self, name) < 1:
                raise ConfigError(f"data.{name}={getattr(self, name)} arrived; expected a share of 0 or more, below 1")
        if self.validation + (self.test_share if self.test is None else 0) >= 1:
            raise ConfigError(
                f"data.validation={self.validation} and data.test_share={self.test_share} arrived; expected shares "
                "that leave rows to train on"
            )

    def columns(self) -> dict[str, Any]:
        """The arguments of ``read_series`` that were set."""
        found = {argument: getattr(self, field) for argument, field in SETTINGS.items()}
        found["delimiter"] = _DELIMITERS.get(self.delimiter or "", self.delimiter)
        return {name: value for name, value in found.items() if value not in (None, ()) and value != "keep"}


class SeriesRecipe:
    """What both recipes for series do with a run; each has these fields, and prepares it in its own way."""

    kind: ClassVar[Literal["classify", "regress"]]
    model: Model
    fit: Fit
    data: Source
    seed: int
    device: str

    def __post_init__(self) -> None:
        check_seed(self.seed)

    def prepare(self) -> Prepared:
        """Reads, divides and checks the data, and writes nothing."""
        raise NotImplementedError

    def run(self, folder: Path) -> Metrics:
        """Trains, judges on the held-out rows, and writes model, metrics, predictions and pictures into the folder."""
        return self.prepare().run(folder)

    def evaluate(self, folder: Path, data: Path | None = None, encoding: str | None = None) -> dict[str, float]:
        """Figures of the folder's model on its held-out rows, or on a file of the same columns (in that encoding)."""
        task, rows = _to_judge(self, folder, data, encoding)
        return task.evaluate(rows)

    def batch(self, folder: Path, data: Path | None = None, encoding: str | None = None) -> tuple[Any, Any, Any, Any]:
        """The folder's model, inputs and targets to look into it with (held-out rows, or a file's), and the loss."""
        task, rows = _to_judge(self, folder, data, encoding)
        targets = task.preprocessing.transform_targets(rows)
        if self.kind == "regress":
            targets = targets.reshape(len(rows), -1)
        return task.model, task.inputs(rows), targets, "cross_entropy" if self.kind == "classify" else self.fit.loss

    def predict(self, folder: Path, file: Path, encoding: str | None = None) -> Columns:
        """The answers for the rows of a file, a list a column: id, prediction, a probability for each class."""
        return predict(self.device, folder, file, encoding)

    def lesson(self, folder: Path, data: Path, settings: FineTune, encoding: str | None = None) -> Lesson:
        """The folder's model with the rows of a file to learn, read as its own were."""
        from .finetuning import series_lesson

        return series_lesson(self, folder, data, settings, encoding)


class Parts(NamedTuple):
    """The rows of a run, in words how they were divided, and a digest of each file as it was read."""

    train: SeriesSet
    validation: SeriesSet | None
    test: SeriesSet | None
    said: str
    digests: dict[str, str]


Draw = Callable[["SeriesTask", "SeriesSet", Path], None]


@dataclass(frozen=True)
class Prepared:
    """A run whose data was read, divided and measured, so that what can go wrong with it has gone wrong."""

    recipe: SeriesRecipe
    parts: Parts
    preprocessing: Preprocessing
    target_names: tuple[str, ...]
    draw: Draw

    def check(self, folder: Path) -> None:
        """Raises DataError where the run in a folder was begun on other rows than these."""
        same_data.check(folder, self.parts.digests, "train into a new folder")

    def run(self, folder: Path) -> Metrics:
        """Trains, judges on the held-out rows, and writes model, metrics, history, predictions and pictures."""
        from ..diagnostics import Diagnostics
        from ..diagnostics.updates import FILE as DIAGNOSTICS
        from ..tasks.series import train_series

        recipe, (train, validation, test, said, digests) = self.recipe, self.parts
        same_data.record(folder, digests)
        task = train_series(
            recipe.kind,
            train,
            validation=validation,
            model=recipe.model,
            fit=recipe.fit,
            preprocessing=self.preprocessing,
            target_names=self.target_names,
            seed=recipe.seed,
            device=recipe.device,
            checkpoint=folder,
            resume=True,  # of a new folder there is nothing to resume
            callbacks=[Diagnostics(file=folder / DIAGNOSTICS)],
            progress=None,
        )
        task.save(folder)
        history = task.history
        assert history is not None
        metrics: Metrics = {}
        if test is not None:
            metrics["test"] = task.evaluate(test)
        if validation is not None:
            metrics["validation"] = task.evaluate(validation)
        counts = {"train": train, "validation": validation, "test": test}
        metrics["split"] = said
        metrics["rows"] = {name: len(rows) for name, rows in counts.items() if rows is not None}
        judged = None
        if recipe.fit.early_stopping is not None and validation is not None:
            judged = f"validation ({len(validation)} rows held out from training)"
        # The loss that was trained on may be smoothed or scaled: no point of the test's belongs on its curve.
        final = {name: value for name, value in metrics.get("test", {}).items() if name != "loss"}
        metrics = runs.record(folder, history, metrics, chosen_on=judged, final=final)
        held_out = validation if test is None else test
        if held_out is not None:
            write_table(answers(task, held_out, true=True), folder / PREDICTIONS)
            self.draw(task, held_out, folder)
        return metrics


def prepare(recipe: SeriesRecipe, names: tuple[str, ...], draw: Draw) -> Prepared:
    """Reads and divides the data, and measures the training rows.

    Args:
        recipe: the settings.
        names: what a regression's numbers are called.
        draw: draws the pictures of the task on the held-out rows into the folder.

    Raises:
        ConfigError, DataError: settings or data that cannot be used; nothing has been written.
    """
    from ..data.preprocessing import Preprocessing
    from ..tasks.series import check_targets

    kind = recipe.kind
    with in_settings(kind):
        parts = divide(recipe)
        check_targets(parts.train, kind)
        preprocessing = Preprocessing.fit(parts.train, scale=recipe.data.scale, missing=recipe.data.missing)
        for rows in (parts.validation, parts.test):
            if rows is not None:
                check_targets(rows, kind)
                preprocessing.transform(rows[:1])
                preprocessing.transform_targets(rows)
    recipe.fit.check(kind, validated=parts.validation is not None)
    return Prepared(recipe, parts, preprocessing, names, draw)


def divide(recipe: SeriesRecipe) -> Parts:
    """Reads the files and divides their rows."""
    from ..data.reading import read_series
    from ..data.splits import split

    kind, data = recipe.kind, recipe.data
    if data.path is None:
        raise ConfigError("data.path is missing; name the file to learn from, as in --set data.path=my.csv")
    with in_settings(kind):
        columns = {"targets": _targets(kind), **data.columns()}
        whole = read_series(data.path, **columns)
        test = None if data.test is None else read_series(data.test, **columns)
    _check_labels(whole)
    shares = {"validation": data.validation, "test": data.test_share if test is None else 0.0}
    shares = {name: share for name, share in shares.items() if share}
    how = {"random": f"at random (split_seed {data.split_seed})", "time": "by time, the latest"}
    how["group"] = f"by group (split_seed {data.split_seed})"
    by = "group" if data.split == "random" and whole.groups is not None else data.split
    said = [f"{name}: {share:.0%} of {data.path} {how[by]}" for name, share in shares.items()]
    said += [f"test: {data.test}"] if test is not None else []
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
        with in_settings(kind):
            parts = split(whole, shares=portions, by=data.split, seed=data.split_seed)
        found = dict(zip(("train", *shares), parts, strict=True))
    if len(found["train"]) < 2:
        raise DataError(f"{data.path}: {len(found['train'])} series to train on; expected at least 2")
    digests = {data.path: same_data.digest(whole)} | ({} if test is None else {str(data.test): same_data.digest(test)})
    said_all = "; ".join(said) or "all rows were trained on"
    return Parts(found["train"], found.get("validation"), found.get("test", test), said_all, digests)


def _check_labels(rows: SeriesSet) -> None:
    """Refuses classes that are measurements: all numbers, and hardly two rows alike."""
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


def _to_judge(
    recipe: SeriesRecipe, folder: Path, data: Path | None, encoding: str | None
) -> tuple[SeriesTask, SeriesSet]:
    """The folder's model, and the rows it held out or those of a file."""
    from ..tasks import series

    task = series.load(folder, device=recipe.device)
    if data is not None:
        return task, read_new(task.preprocessing, recipe.kind, data, encoding)
    if encoding is not None:
        raise ConfigError(f"--encoding {encoding} is of a file; name it with --data FILE")
    parts = divide(recipe)
    if parts.test is None:
        raise DataError(
            f"{folder} held no rows back (data.test_share=0); name a file of rows with their answers: --data FILE"
        )
    # A test file of its own was never divided: that the other has changed says nothing of its rows.
    judged = {recipe.data.test or str(recipe.data.path)}
    digests = {file: found for file, found in parts.digests.items() if file in judged}
    same_data.check(folder, digests, "judge on a file of other rows: --data FILE")
    same_data.check_classes(folder, parts.test, task.classes)
    return task, parts.test


def read_new(
    preprocessing: Preprocessing, kind: Kind, file: Path, encoding: str | None = None, *, targets: bool = True
) -> SeriesSet:
    """Rows of a file like the training file, with their answers or without."""
    named = {} if encoding is None else {"encoding": encoding}
    with in_settings(kind, new=True):
        return preprocessing.read(file, targets=_targets(kind) if targets else None, **named)


def _targets(kind: Kind) -> Literal["labels", "numbers"]:
    """What the answers in a file are read as."""
    return "labels" if kind == "classify" else "numbers"


def predict(device: str, folder: Path, file: Path, encoding: str | None = None) -> Columns:
    """The answers of the folder's model for the rows of a file: id, prediction, a probability for each class."""
    from ..tasks import series

    task = series.load(folder, device=device)
    kind: Kind = "regress" if task.classes is None else "classify"
    return answers(task, read_new(task.preprocessing, kind, file, encoding, targets=False))


def answers(task: SeriesTask, series: SeriesSet, *, true: bool = False) -> Columns:
    """A column a list: id, the true targets if asked for, prediction, and for classes their probabilities."""
    columns: Columns = {"id": list(series.ids)}
    if task.classes is not None:
        if true and series.targets is not None:
            columns["true"] = series.targets.tolist()
        shares = task.predict_proba(series)
        columns["prediction"] = [task.classes[best] for best in shares.argmax(1).tolist()]
        return columns | {f"probability_{name}": shares[:, at].tolist() for at, name in enumerate(task.classes)}
    numbers = task.predict(series).reshape(len(series), -1)
    if true and series.targets is not None:
        wanted = series.targets.reshape(len(series), -1)
        for at, name in enumerate(task.target_names):
            columns[f"true{name.removeprefix('prediction')}"] = wanted[:, at].tolist()
    return columns | {name: numbers[:, at].tolist() for at, name in enumerate(task.target_names)}
