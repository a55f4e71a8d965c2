"""What one run folder holds, read without trusting it: it may be unfinished, damaged or not ours at all."""

from __future__ import annotations

import csv
import math
import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from ..errors import DataError, RnnkitError
from ..serialization import read_json, strict
from .files import ENDED, FINETUNE, HISTORY, METRICS, RECIPE, VERSIONS


@dataclass(frozen=True)
class StoredRun:
    """A run folder as far as it can be read.

    Attributes:
        folder: where it is; name: what it is called below the folder that was searched.
        recipe: the recipe's name or file; None where that cannot be read.
        started: when, in UTC; of folders without it, when their recipe was written.
        stopped: "finished", "early stopping", "interrupted" … as the run reported; "unfinished" without a report (it
            runs still, or was killed); "damaged".
        problems: what could not be read, a sentence each.
        epochs: how many were completed; seconds: of training. None where unknown.
        figures: numbers reported, by "test.accuracy", "validation.loss" …; of an unfinished run those of its last
            checkpoint.
        chosen_on: what the weights were chosen on.
        settings: by "fit.lr" …, those of a fine-tuning by "finetune.lr" …, with "finetune.from" and
            "finetune.data"; versions: software, seed, device, threads.
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
        """Return the epochs' figures, as far as they can be read; of an unfinished run from its checkpoint."""
        return read_history(self.folder) or _checkpointed_history(self.folder)

    def as_json(self) -> dict[str, Any]:
        """Return strict JSON: no NaN, no dates."""
        facts = {name: getattr(self, name) for name in self.__dataclass_fields__}
        facts |= {"folder": str(self.folder), "problems": list(self.problems)}
        facts["started"] = None if self.started is None else self.started.isoformat()
        return strict(facts)  # type: ignore[no-any-return]


def is_run(folder: Path) -> bool:
    """Return whether there is anything of a run in the folder."""
    return any((folder / name).is_file() for name in (RECIPE, VERSIONS, METRICS))


def read(folder: Path, name: str | None = None) -> StoredRun:
    """Read a run folder in any state."""
    problems: list[str] = []
    stored = _json(folder / RECIPE, problems, required=True)
    finetune = _json(folder / FINETUNE, problems, required=False)
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
    stopped = metrics.get("stopped", "finished" if metrics or finetune.get(ENDED) else "unfinished")
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
        settings=(flat(settings) if isinstance(settings, dict) else {})
        | flat(_finetuning_settings(finetune), "finetune."),
        versions=versions,
        size=_size(folder),
    )


def read_history(folder: Path) -> list[dict[str, float]]:
    """Return the rows of a run's ``history.csv``; [] where there is none, and no cell that is no number."""
    try:
        with (folder / HISTORY).open(encoding="utf-8", newline="") as file:
            rows = list(csv.DictReader(file))
    except (OSError, UnicodeDecodeError, csv.Error):
        return []
    return _numeric(rows)


def read_training(folder: Path) -> list[dict[str, Any]]:
    """Return what a :class:`rnnkit.Diagnostics` recorded in a run folder, nothing where there was none."""
    from ..diagnostics.updates import FILE as RECORDS
    from ..diagnostics.updates import read_records

    path = folder / RECORDS
    return read_records(path) if path.is_file() else []


def flat(nested: Mapping[str, Any], before: str = "") -> dict[str, Any]:
    """Return {"fit": {"lr": 1}} as {"fit.lr": 1}."""
    found: dict[str, Any] = {}
    for key, value in nested.items():
        if isinstance(value, dict) and value:
            found |= flat(value, f"{before}{key}.")
        else:
            found[f"{before}{key}"] = value
    return found


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


def _finetuning_settings(finetune: Mapping[str, Any]) -> dict[str, Any]:
    """Return the settings of a fine-tuning, and what it began from, in one mapping."""
    described = dict(finetune)
    settings = described.pop("settings", None)
    return described | settings if isinstance(settings, dict) else described


def _figures(metrics: Mapping[str, Any]) -> dict[str, float]:
    """Return every number one level down, such as the accuracy in "test"; epochs and seconds of the run are no part."""
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
    """Return the validation figures of an epoch's row, as a run reports them."""
    items = row.items() if isinstance(row, dict) else ()
    return {
        f"validation.{key.removeprefix('val_')}": number
        for key, value in items
        if key.startswith("val_") and (number := _number(value)) is not None
    }


def _checkpoint(folder: Path) -> dict[str, Any]:
    """Return what the last checkpoint says of the run; {} where there is none."""
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
    from ..training.resuming.states import state_file

    try:
        # Read, and nothing else: the run may be under way.
        file = state_file(folder)
        rows = list(read_values(file, tensors=False)["history"]["rows"]) if file.is_file() else []
    except (RnnkitError, OSError, ValueError, KeyError, TypeError):
        return []
    return _numeric([row for row in rows if isinstance(row, dict)])


def _numeric(rows: Iterable[Mapping[Any, Any]]) -> list[dict[str, float]]:
    """Return rows with an epoch, and of each what is a number."""
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
    """Return a finite number as it is, None for all else."""
    number = _parsed(value) if isinstance(value, int | float) and not isinstance(value, bool) else None
    return value if number is not None and math.isfinite(number) else None


def _parsed(value: Any) -> float | None:
    try:
        return float(value)
    except (TypeError, ValueError, OverflowError):
        return None
