"""Run folders: one for each training run, holding what is needed to repeat, judge and use it.

``recipe.json`` (every setting) and ``versions.json`` (when, software, seed, device, threads) are there from the
start; the recipe writes the rest. Files appear whole or not at all, and no run writes into another's folder.
"""

from __future__ import annotations

import json
import platform
import shlex
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, is_dataclass
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from statistics import harmonic_mean
from typing import TYPE_CHECKING, Any, NamedTuple

from ..errors import RnnkitError, RunFolderError
from ..serialization import FILE, STATE, json_text, read_json, replacing

if TYPE_CHECKING:
    import torch

    from ..training.history import History
    from . import Metrics

RECIPE, VERSIONS, METRICS = "recipe.json", "versions.json", "metrics.json"
HISTORY, CURVES = "history.csv", "curves.png"
DATA = "data.json"  # digests of the files that were trained on
FINETUNE = "finetune.json"  # of a run that was made of another by fine-tuning
PACKAGES = ("rnnkit", "torch", "lightning-fabric", "torchmetrics", "safetensors", "numpy")


class StoredRecipe(NamedTuple):
    """What ``recipe.json`` holds: the recipe's name (or file) and all its settings, groups nested."""

    name: str
    settings: dict[str, Any]


@contextmanager
def start(
    name: str, recipe: Any, out: Path | None = None, *, finetune: Mapping[str, Any] | None = None
) -> Iterator[Path]:
    """Makes the folder of a new run, with ``recipe.json`` and ``versions.json`` in it, for the length of a block.

    Args:
        name: the recipe's name, or the file it stands in.
        recipe: a frozen dataclass; its fields ``seed`` and ``device`` are recorded where it has them.
        out: the folder, new or empty; None takes ``runs/NAME``, or the first of ``runs/NAME-2`` … that is free.
        finetune: of a fine-tuning, what ``finetune.json`` shall hold: where it comes from, and its settings.

    Yields:
        The folder. If the block fails before it wrote anything, the folder is taken away again.

    Raises:
        RunFolderError: `out` is in use, or no folder.
        ConfigError: the device does not exist.
    """
    from ..training.execution import find_device

    find_device(getattr(recipe, "device", "auto"))  # before there is a folder
    try:
        folder = _claim(out) if out is not None else _claim_next(Path("runs"), Path(name).stem)
    except RunFolderError:
        raise
    except OSError as error:
        raise RunFolderError(f"no run folder can be made here ({error}); name another place with --out") from error
    settings = asdict(recipe) if is_dataclass(recipe) and not isinstance(recipe, type) else {}
    try:
        try:
            if finetune is not None:  # first: a folder left half done must not pass for a training of the recipe's own
                write_json(folder / FINETUNE, finetune)
            write_json(folder / RECIPE, {"recipe": name, "settings": settings})
            write_versions(folder, recipe)
        except OSError as error:
            raise RunFolderError(f"{folder}: {error}; make room, or name another place with --out") from error
        yield folder
    except BaseException as error:
        # What diverged in its first epoch would only do so again; a full disk (an OSError) is another matter.
        again = isinstance(error, RnnkitError) and not isinstance(error, OSError)
        _discard_unused(folder, {STATE} if again else set())
        raise


def record(
    folder: Path,
    history: History,
    metrics: Metrics,
    *,
    chosen_on: str | None = None,
    final: Mapping[str, float] | None = None,
) -> Metrics:
    """Writes ``metrics.json``, ``history.csv`` and ``curves.png``, as every run ends.

    Args:
        folder: the run's.
        history: of its training.
        metrics: what was measured.
        chosen_on: what the weights were chosen on; None: on nothing, they are the last.
        final: results on the test set, to be drawn beside the curves.

    Returns:
        `metrics` with what the history tells besides.
    """
    from ..diagnostics import pictures

    last = "last step before Ctrl-C" if history.stopped == "interrupted" else "last epoch"
    speeds = [row["samples_per_second"] for row in history.rows]
    told: Metrics = {
        **metrics,
        "chosen_on": chosen_on or f"{last}; nothing was chosen on test data",
        "epochs": len(history.rows),
        "seconds": history.seconds,
        "samples_per_second": harmonic_mean(speeds) if speeds else None,
        "stopped": history.stopped,
    }
    write_json(folder / METRICS, told)
    with replacing(folder / HISTORY) as temporary:
        history.to_csv(temporary)
    pictures.curves(history.rows, folder / CURVES, final=final)
    return told


def write_versions(folder: Path, recipe: Any) -> None:
    """Writes ``versions.json``: when a run began, its seed and device, and what its numbers depend on besides."""
    from ..training.execution import find_device

    device = find_device(getattr(recipe, "device", "auto"))
    facts = {"started": datetime.now(UTC).isoformat(timespec="seconds"), "seed": getattr(recipe, "seed", None)}
    write_json(folder / VERSIONS, {**facts, **describe_device(device), **environment()})


def describe_device(device: torch.device) -> dict[str, str]:
    """The device that a run computes on, and which GPU that is."""
    import torch

    gpu = {"gpu": torch.cuda.get_device_name(device)} if device.type == "cuda" else {}
    return {"device": str(device), **gpu}


def environment() -> dict[str, Any]:
    """Versions and settings that a run's numbers depend on."""
    import torch

    from ..ops.backend import native_core

    facts: dict[str, Any] = {"threads": torch.get_num_threads(), "python": platform.python_version()}
    for package in PACKAGES:
        try:
            facts[package] = version(package)
        except PackageNotFoundError:
            facts[package] = None
    core = native_core()
    facts["native core"] = None if core is None else core.cpu_info()["chosen"]
    facts["platform"] = platform.platform()
    return facts


def read_recipe(folder: Path) -> StoredRecipe:
    """Returns the recipe that a run folder was made with.

    Raises:
        RunFolderError: it is no run folder.
    """
    try:
        stored = json.loads((folder / RECIPE).read_text(encoding="utf-8"))
        return StoredRecipe(str(stored["recipe"]), dict(stored["settings"]))
    except FileNotFoundError:
        what = f"has no {RECIPE}" if folder.is_dir() else "does not exist"
        raise RunFolderError(f"{folder} {what}; expected the folder of a run, such as runs/mnist") from None
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise RunFolderError(f"{folder / RECIPE} is damaged ({error!r}); train again into a new folder") from None


def check_model(path: Path) -> None:
    """Raises RunFolderError where there is neither a run folder with a model nor a saved model, and says what helps."""
    if not path.exists():
        raise RunFolderError(f"{path} does not exist; expected a run folder such as runs/mnist, or a saved model")
    if not path.is_dir() or (path / FILE).is_file():
        return
    if (path / FINETUNE).exists():
        why = f"its fine-tuning did not come to an end; `{finetune_again(path)}` begins anew"
    elif (path / STATE).is_file():
        why = f"no epoch has ended there; `{resume_again(path)}` goes on with it"
    else:
        why = "no epoch has ended there, or it is no run folder"
    raise RunFolderError(f"{path} holds no {FILE}: {why}")


def resume_again(folder: Path) -> str:
    """What to type to go on with the training in a run folder."""
    return shlex.join(["rnnkit", "train", "--resume", str(folder)])


def finetune_again(folder: Path) -> str:
    """What to type to begin the fine-tuning anew that a run folder was made by."""
    told = {"from": "RUN", "data": "FILE"} | read_facts(folder / FINETUNE)
    return shlex.join(["rnnkit", "finetune", str(told["from"]), "--data", str(told["data"]), "--out", "NEW"])


def read_facts(path: Path) -> dict[str, Any]:
    """The object in a run's JSON file, {} where there is no such file.

    Raises:
        RunFolderError: it is damaged.
    """
    try:
        return read_json(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return {}
    except (OSError, ValueError) as error:
        raise RunFolderError(f"{path} is damaged ({error}); train again into a new folder") from None


def write_json(path: Path, value: Any) -> None:
    """Writes a JSON file, whole or not at all; null where a number is NaN or infinite."""
    with replacing(path) as temporary:
        temporary.write_text(json_text(value), encoding="utf-8")


def _claim(folder: Path) -> Path:
    if folder.exists() and not folder.is_dir():
        raise RunFolderError(f"--out {folder} is a file; name a new folder")
    if folder.is_dir() and (files := sum(1 for _ in folder.iterdir())):
        raise RunFolderError(
            f"{folder} is in use ({files} files); name a new folder with --out, or leave --out away for the next "
            "free one under runs/"
        )
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def _claim_next(parent: Path, name: str) -> Path:
    """Makes the first free of ``name``, ``name-2``, ``name-3`` …; two processes never get the same one."""
    parent.mkdir(parents=True, exist_ok=True)
    number = 1
    while True:
        folder = parent / (name if number == 1 else f"{name}-{number}")
        try:
            folder.mkdir()
        except FileExistsError:
            number += 1
        else:
            return folder


def _discard_unused(folder: Path, also: set[str]) -> None:
    if {path.name for path in folder.iterdir()} <= {RECIPE, VERSIONS, FINETUNE, DATA} | also:
        for path in folder.iterdir():
            path.unlink()
        folder.rmdir()
