"""What run folders hold, read without trusting them: for listing them and for comparing some side by side.

A folder may be unfinished, damaged or not ours at all; each says so, and none stops the others.
"""

from __future__ import annotations

import csv
import math
import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from ..errors import ConfigError, DataError, RnnkitError, RunFolderError, suggest
from ..serialization import read_json, strict
from .runs import METRICS, RECIPE, VERSIONS

HISTORY = "history.csv"
_DEPTH = 4
# Of these figures, and of those that contain one of the words, less is better.
_LESS_IS_BETTER = ("loss", "error", "mse", "mae", "wer", "cer", "perplexity", "seconds")
_TEXTS, _COUNTS = ("name", "recipe", "stopped", "chosen_on"), ("started", "epochs", "size")


@dataclass(frozen=True)
class StoredRun:
    """A run folder as far as it can be read.

    Attributes:
        folder: where it is; name: what it is called below the folder that was searched.
        recipe: the recipe's name or file; None where that cannot be read.
        started: when, in UTC; of folders that do not tell, when their recipe was written.
        stopped: "finished", "early stopping", "interrupted" … as the run reported; "unfinished" without a report (it
            runs still, or was killed); "damaged".
        problems: what could not be read, a sentence each.
        epochs: how many were completed; seconds: of training. None where unknown.
        figures: numbers reported, by "test.accuracy", "validation.loss" …; of an unfinished run those of its last
            checkpoint.
        chosen_on: what the weights were chosen on.
        settings: by "fit.lr" …; versions: software, seed, device, threads.
        size: bytes of all its files.
    """

    folder: Path
    name: str
    recipe: str | None
    started: datetime | None
    stopped: str
    problems: tuple[str, ...]
    epochs: int | None
    seconds: float | None
    figures: dict[str, float]
    chosen_on: str | None
    settings: dict[str, Any] = field(repr=False)
    versions: dict[str, Any] = field(repr=False)
    size: int

    def history(self) -> list[dict[str, float]]:
        """The epochs' figures, as far as they can be read; of an unfinished run from its checkpoint."""
        return read_history(self.folder) or _checkpointed_history(self.folder)

    def as_json(self) -> dict[str, Any]:
        """Strict JSON: no NaN, no dates."""
        facts = {name: getattr(self, name) for name in self.__dataclass_fields__}
        facts |= {"folder": str(self.folder), "problems": list(self.problems)}
        facts["started"] = None if self.started is None else self.started.isoformat()
        return strict(facts)  # type: ignore[no-any-return]


def is_run(folder: Path) -> bool:
    """Whether there is anything of a run in the folder."""
    return any((folder / name).is_file() for name in (RECIPE, VERSIONS, METRICS))


def find(folder: Path) -> list[StoredRun]:
    """Returns the runs in a folder and in those below it, the oldest first; the folder may be a run itself.

    Raises:
        RunFolderError: there is no such folder.
    """
    if not folder.is_dir():
        what = "is a file" if folder.exists() else "does not exist"
        raise RunFolderError(f"{folder} {what}; expected a folder that holds runs, such as runs")
    found = [read(one, _below(one, folder)) for one in _walk(folder, _DEPTH)]
    return sorted(found, key=lambda run: (run.started or datetime.max.replace(tzinfo=UTC), run.name))


def read(folder: Path, name: str | None = None) -> StoredRun:
    """Reads a run folder, whatever state it is in."""
    problems: list[str] = []
    stored = _json(folder / RECIPE, problems, required=True)
    versions = _json(folder / VERSIONS, problems, required=False)
    metrics = _json(folder / METRICS, problems, required=False)
    settings, recipe = stored.get("settings"), stored.get("recipe")
    if stored and not (isinstance(settings, dict) and isinstance(recipe, str)):
        problems.append(f"{RECIPE} names no recipe with settings")
    figures, epochs = _figures(metrics), _number(metrics.get("epochs"))
    if not metrics and not problems:
        checkpoint = _checkpoint(folder)
        epochs = _number(checkpoint.get("epoch"))
        figures = _of_row(checkpoint.get("metrics"))
    seconds = _number(metrics.get("seconds"))
    stopped = metrics.get("stopped", "finished" if metrics else "unfinished")
    return StoredRun(
        folder=folder,
        name=name or str(folder),
        recipe=recipe if isinstance(recipe, str) else None,
        started=_started(folder, versions),
        stopped="damaged" if problems else str(stopped),
        problems=tuple(problems),
        epochs=None if epochs is None else int(epochs),
        seconds=seconds,
        figures=figures,
        chosen_on=metrics["chosen_on"] if isinstance(metrics.get("chosen_on"), str) else None,
        settings=flat(settings) if isinstance(settings, dict) else {},
        versions=versions,
        size=_size(folder),
    )


def read_history(folder: Path) -> list[dict[str, float]]:
    """The rows of a run's ``history.csv``; [] where there is none, and no cell that is no number."""
    try:
        with (folder / HISTORY).open(encoding="utf-8", newline="") as file:
            rows = list(csv.DictReader(file))
    except (OSError, UnicodeDecodeError, csv.Error):
        return []
    return _numeric(rows)


def locate(names: Sequence[Path], among: Path = Path("runs")) -> list[StoredRun]:
    """Returns the runs of these names: folders, or names of runs below `among`.

    Where the first is a folder that holds runs and is none, the others are looked for in it.

    Raises:
        RunFolderError: less than two, or one that is no run.
    """
    if len(names) > 1 and names[0].is_dir() and not is_run(names[0]) and not is_run(among / names[0]):
        among, names = names[0], names[1:]
    if len(names) < 2:
        raise RunFolderError("two runs or more can be compared: rnnkit runs --compare mnist mnist-2")
    found = []
    for name in names:
        place = next((place for place in (name, among / name) if is_run(place)), None)
        if place is None:
            known = tuple(run.name for run in find(among)) if among.is_dir() else ()
            raise RunFolderError(f"{name} is no run, and neither is {among / name}{suggest(str(name), known)}")
        found.append(read(place, str(name)))
    return found


def order(runs: Sequence[StoredRun], by: str) -> list[StoredRun]:
    """Sorts runs, the best first: by a figure ("accuracy" is the test's, where any run has one, else the
    validation's), or by name, recipe, stopped, started, epochs, seconds or size. What is not known comes last.

    Raises:
        ConfigError: no run has that.
    """
    key = by.replace("_", ".", 1) if by.startswith(("test_", "validation_")) else by
    if key in _TEXTS:
        return sorted(runs, key=lambda run: (getattr(run, key) is None, str(getattr(run, key))))
    figures = dict.fromkeys(name for run in runs for name in run.figures)
    key = next((name for name in (key, f"test.{key}", f"validation.{key}") if name in figures), key)
    if key not in (*figures, *_COUNTS, "seconds"):
        known = (*figures, *_TEXTS, *_COUNTS, "seconds")
        raise ConfigError(f"no run can be sorted by {by!r}{suggest(by, known)}")
    sign = 1 if less_is_better(key) else -1

    def rank(run: StoredRun) -> tuple[bool, float]:
        value = run.figures.get(key) if key in figures else getattr(run, key)
        number = value.timestamp() if isinstance(value, datetime) else value
        missing = number is None or math.isnan(number)
        return missing, 0.0 if number is None or missing else sign * number

    return sorted(runs, key=rank)


def less_is_better(figure: str) -> bool:
    """Whether less of a figure is better, as far as its name tells."""
    return any(word in figure.rpartition(".")[2] for word in _LESS_IS_BETTER)


# --- comparing -------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Comparison:
    """Runs side by side: what differs, each row a mapping from the name to one value a run (None: it has none).

    Attributes:
        runs: in the order in which they were named.
        settings, versions: those in which they differ.
        figures: all that any of them reported, with epochs, seconds and size.
        same: how many settings are alike.
    """

    runs: tuple[StoredRun, ...]
    settings: dict[str, tuple[Any, ...]]
    figures: dict[str, tuple[float | None, ...]]
    versions: dict[str, tuple[Any, ...]]
    same: int

    def difference(self, figure: str) -> tuple[float | None, ...]:
        """What each run has more than the first; None for the first, and where either has none."""
        first, *others = self.figures[figure]
        return (None, *(None if one is None or first is None else one - first for one in others))

    def as_json(self) -> dict[str, Any]:
        """Strict JSON, values by the run's name."""
        names = [run.name for run in self.runs]

        def by_run(rows: Mapping[str, Sequence[Any]]) -> dict[str, dict[str, Any]]:
            return {key: dict(zip(names, values, strict=True)) for key, values in rows.items()}

        facts = {
            "runs": {run.name: {"folder": str(run.folder), "stopped": run.stopped, "problems": list(run.problems)}
                     for run in self.runs},
            "settings": by_run(self.settings),
            "figures": by_run(self.figures),
            "differences": by_run({name: self.difference(name) for name in self.figures}),
            "versions": by_run(self.versions),
            "same_settings": self.same,
        }  # fmt: skip
        return strict(facts)  # type: ignore[no-any-return]


def compare(runs: Sequence[StoredRun]) -> Comparison:
    """Puts runs side by side."""
    settings = _side_by_side([{"recipe": run.recipe, **run.settings} for run in runs])
    figures: dict[str, tuple[float | None, ...]] = _side_by_side([run.figures for run in runs])
    for name in ("epochs", "seconds", "size"):
        figures[name] = tuple(getattr(run, name) for run in runs)
    versions = _side_by_side([{key: one for key, one in run.versions.items() if key != "started"} for run in runs])
    different = {name: values for name, values in settings.items() if _differ(values)}
    return Comparison(
        runs=tuple(runs),
        settings=different,
        figures=figures,
        versions={name: values for name, values in versions.items() if _differ(values)},
        same=len(settings) - len(different),
    )


def _side_by_side(each: Sequence[Mapping[str, Any]]) -> dict[str, tuple[Any, ...]]:
    names = dict.fromkeys(name for one in each for name in one)
    return {name: tuple(one.get(name) for one in each) for name in names}


def _differ(values: Sequence[Any]) -> bool:
    return any(value != values[0] for value in values[1:])


# --- reading ---------------------------------------------------------------------------------------------------------


def flat(nested: Mapping[str, Any], before: str = "") -> dict[str, Any]:
    """{"fit": {"lr": 1}} as {"fit.lr": 1}."""
    found: dict[str, Any] = {}
    for key, value in nested.items():
        if isinstance(value, dict) and value:
            found |= flat(value, f"{before}{key}.")
        else:
            found[f"{before}{key}"] = value
    return found


def _walk(folder: Path, depth: int) -> Iterable[Path]:
    """Run folders; nothing inside of one is another, and links are not followed."""
    if is_run(folder):
        yield folder
    elif depth:
        try:
            inside = sorted(one for one in folder.iterdir() if not one.name.startswith("."))
        except OSError:
            return
        for one in inside:
            if one.is_dir() and not one.is_symlink():
                yield from _walk(one, depth - 1)


def _below(folder: Path, top: Path) -> str:
    return str(folder) if folder == top else str(folder.relative_to(top))


def _json(path: Path, problems: list[str], *, required: bool) -> dict[str, Any]:
    try:
        return read_json(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        if required:
            problems.append(f"{path.name} is missing")
        return {}
    except (OSError, ValueError) as error:
        problems.append(f"{path.name} cannot be read ({error})")
        return {}


def _figures(metrics: Mapping[str, Any]) -> dict[str, float]:
    """Every number one level down, such as the accuracy in "test"; the run's own epochs and seconds stay apart."""
    groups = {name: group for name, group in metrics.items() if isinstance(group, dict)}
    return {
        f"{name}.{key}": number
        for name, group in sorted(groups.items(), key=lambda pair: _rank(pair[0]))
        for key, value in group.items()
        if (number := _number(value)) is not None
    }


def _rank(group: str) -> int:
    return ("validation", "test").index(group) if group in ("validation", "test") else 2


def _of_row(row: Any) -> dict[str, float]:
    """The validation figures of an epoch's row, as a run reports them."""
    items = row.items() if isinstance(row, dict) else ()
    return {
        f"validation.{key.removeprefix('val_')}": number
        for key, value in items
        if key.startswith("val_") and (number := _number(value)) is not None
    }


def _checkpoint(folder: Path) -> dict[str, Any]:
    """What the last checkpoint tells of the run; {} where there is none."""
    from ..serialization import FILE, read_config

    if not (folder / FILE).is_file():
        return {}
    try:
        extra = read_config(folder).get("extra")
    except (DataError, OSError):
        return {}
    return extra if isinstance(extra, dict) else {}


def _checkpointed_history(folder: Path) -> list[dict[str, float]]:
    from ..serialization import read_values
    from ..training.checkpoint import state_file

    try:
        # Read, and nothing else: the run may be under way.
        file = state_file(folder)
        rows = list(read_values(file, tensors=False)["history"]["rows"]) if file.is_file() else []
    except (RnnkitError, OSError, ValueError, KeyError, TypeError):
        return []
    return _numeric([row for row in rows if isinstance(row, dict)])


def _numeric(rows: Iterable[Mapping[Any, Any]]) -> list[dict[str, float]]:
    """Rows with an epoch, and of each what is a number."""
    found = [{str(key): number for key, one in row.items() if (number := _parsed(one)) is not None} for row in rows]
    return [row for row in found if "epoch" in row]


def _started(folder: Path, versions: Mapping[str, Any]) -> datetime | None:
    try:
        found = datetime.fromisoformat(versions["started"])
        found = found if found.tzinfo is not None else found.replace(tzinfo=UTC)
        found.astimezone()  # the first and last days of all time are none everywhere
        return found
    except (KeyError, TypeError, ValueError, OverflowError):
        pass
    for path in (folder / RECIPE, folder):
        try:
            return datetime.fromtimestamp(path.stat().st_mtime, UTC)
        except OSError:
            continue
    return None


def _size(folder: Path) -> int:
    total = 0
    for where, _, names in os.walk(folder):
        for name in names:
            try:
                total += (Path(where) / name).lstat().st_size
            except OSError:  # taken away meanwhile
                continue
    return total


def _number(value: Any) -> float | None:
    """A finite number as it is, None for all else."""
    number = _parsed(value) if isinstance(value, int | float) and not isinstance(value, bool) else None
    return value if number is not None and math.isfinite(number) else None


def _parsed(value: Any) -> float | None:
    try:
        return float(value)
    except (TypeError, ValueError, OverflowError):
        return None
