"""Run folders found below a folder or by their names, and sorted; one that is damaged says so, and stops no other."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from pathlib import Path

from ..errors import ConfigError, RunFolderError, suggest
from .stored import StoredRun, is_run, read

_DEPTH = 4
# Of these figures, and of those that contain one of the words, less is better.
_LESS_IS_BETTER = ("loss", "entropy", "error", "mse", "mae", "wer", "cer", "perplexity", "bits", "nats", "seconds")
_TEXTS, _COUNTS = ("name", "recipe", "stopped", "chosen_on"), ("started", "epochs", "size")


def find(folder: Path) -> list[StoredRun]:
    """Return the runs in a folder and in those below it, the oldest first; the folder may be a run itself.

    Raises:
        RunFolderError: there is no such folder.
    """
    if not folder.is_dir():
        what = "is a file" if folder.exists() else "does not exist"
        raise RunFolderError(f"{folder} {what}; expected a folder that holds runs, such as runs")
    found = [read(one, _below(one, folder)) for one in _walk(folder, _DEPTH)]
    return sorted(found, key=lambda run: (run.started or datetime.max.replace(tzinfo=UTC), run.name))


def locate(names: Sequence[Path], among: Path = Path("runs")) -> list[StoredRun]:
    """Return the runs of these names: folders, or names of runs below `among`.

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
    """Sort runs, the best first: by a figure ("accuracy" is the test's, where any run has one, else the
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
    """Return whether less of a figure is better, as far as its name says."""
    return any(word in figure.rpartition(".")[2] for word in _LESS_IS_BETTER)


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
