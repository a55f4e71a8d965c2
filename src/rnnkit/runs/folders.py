"""Run folders: one for each training run, holding what is needed to repeat, judge and use it.

``recipe.json`` (every setting) and ``versions.json`` (when, software, seed, device, threads) are there from the
start; the recipe writes the rest. Files appear whole or not at all, and no run writes into another's folder.
"""

from __future__ import annotations

import json
import os
import shlex
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, is_dataclass
from pathlib import Path
from types import SimpleNamespace
from typing import Any, NamedTuple

from ..errors import RnnkitError, RunFolderError
from ..serialization import FILE, STATE
from .files import DATA, ENDED, FILES, FINETUNE, METRICS, RECIPE, REPORT, VERSIONS, read_facts, write_json
from .versions import write_versions


class StoredRecipe(NamedTuple):
    """What ``recipe.json`` holds: the recipe's name (or file) and all its settings, groups nested."""

    name: str
    settings: dict[str, Any]


@contextmanager
def start(
    name: str,
    recipe: Any,
    out: Path | None = None,
    *,
    finetune: Mapping[str, Any] | None = None,
    again: bool = False,
) -> Iterator[Path]:
    """Make the folder of a new run, with ``recipe.json`` and ``versions.json`` in it, for the length of a block.

    Args:
        name: the recipe's name, or the file that contains it.
        recipe: a frozen dataclass; its fields ``seed`` and ``device`` are recorded where it has them, and those of the
            fine-tuning's settings where it is one.
        out: the folder, new or empty; None takes ``runs/NAME``, or the first of ``runs/NAME-2`` … that is free.
        finetune: of a fine-tuning, what ``finetune.json`` holds: where it comes from, and its settings.
        again: whether `out` holds an attempt of the same run, which failed.

    Yields:
        The folder. If the block fails before it wrote anything, the folder is taken away again.

    Raises:
        RunFolderError: `out` is in use, lies in the folder of another run, or is no folder; or the folder was deleted
            while the run wrote into it.
        ConfigError: the device does not exist.
    """
    from ..training.execution import find_device

    # A fine-tuning has a seed and a device of its own.
    computed = recipe if finetune is None else SimpleNamespace(**finetune["settings"])
    find_device(getattr(computed, "device", "auto"))  # before there is a folder
    try:
        folder = out if again else None
        if folder is None:
            folder = _claim(out) if out is not None else claim_next(Path("runs"), Path(name).stem)
    except RunFolderError:
        raise
    except OSError as error:
        raise _no_place(error) from error
    settings = asdict(recipe) if is_dataclass(recipe) and not isinstance(recipe, type) else {}
    try:
        try:
            if finetune is not None:  # first: a folder left half done must not pass for a training of the recipe's own
                write_json(folder / FINETUNE, finetune)
            write_json(folder / RECIPE, {"recipe": name, "settings": settings})
            write_versions(folder, computed)
        except OSError as error:
            raise RunFolderError(f"{folder}: {error}; make room, or name another place with --out") from error
        try:
            yield folder
        except OSError:
            check_complete(folder)  # whose error says more
            raise
        check_complete(folder)
    except BaseException as error:
        # What diverged in its first epoch would only do so again; a full disk (an OSError) is another matter.
        again = isinstance(error, RnnkitError) and not isinstance(error, OSError)
        _discard_unused(folder, {STATE} if again else set())
        raise


def read_recipe(folder: Path) -> StoredRecipe:
    """Return the recipe that a run folder was made with.

    Raises:
        RunFolderError: it is no run folder.
    """
    try:
        stored = json.loads((folder / RECIPE).read_text(encoding="utf-8"))
        return StoredRecipe(str(stored["recipe"]), dict(stored["settings"]))
    except (FileNotFoundError, NotADirectoryError):
        what = f"has no {RECIPE}" if folder.is_dir() else "is a file" if folder.is_file() else "does not exist"
        raise RunFolderError(f"{folder} {what}; expected the folder of a run, such as runs/mnist") from None
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise RunFolderError(f"{folder / RECIPE} is damaged ({error!r}); train again into a new folder") from None


def check_complete(folder: Path) -> None:
    """Raise RunFolderError where the folder was deleted while its run wrote into it."""
    if not (folder / RECIPE).is_file():
        left = "; what the run wrote later lies there, incomplete" if folder.is_dir() else ""
        raise RunFolderError(f"{folder} was deleted while the run wrote into it{left}. Train again into a new folder")


def check_model(path: Path, file: str = FILE) -> None:
    """Raise RunFolderError where there is neither a run folder with a model nor a saved model, and say what helps.

    Args:
        path: a run folder or a saved model.
        file: what holds the model in the folder.
    """
    if not path.exists():
        raise RunFolderError(f"{path} does not exist; expected a run folder such as runs/mnist, or a saved model")
    if not path.is_dir() or (path / file).is_file():
        return
    if (path / FINETUNE).exists():
        again = finetune_again(path)
        then = "goes on with it" if "--resume" in again else "begins anew"
        why = f"its fine-tuning did not come to an end; `{again}` {then}"
    elif (path / STATE).is_file():
        why = f"`{resume_again(path)}` goes on with the training, and writes the model"
    elif (path / RECIPE).is_file():
        why = f"its training has not begun; `{resume_again(path)}` begins it"
    else:
        why = "it is no run folder"
    raise RunFolderError(f"{path} holds no {file}: {why}")


def resume_again(folder: Path) -> str:
    """Return the command that resumes the training in a run folder."""
    return shlex.join(["rnnkit", "train", "--resume", str(folder)])


def mark_tuned(folder: Path) -> None:
    """Write that a fine-tuning is finished, for any recipe."""
    write_json(folder / FINETUNE, read_facts(folder / FINETUNE) | {ENDED: True})


def is_tuned(folder: Path) -> bool:
    """Return whether a fine-tuning has written all its results; before it was marked, by its metrics and its report."""
    if read_facts(folder / FINETUNE).get(ENDED):
        return True
    ended = read_facts(folder / METRICS).get("stopped") not in (None, "interrupted")
    return ended and (folder / REPORT).is_file()


def finetune_again(folder: Path) -> str:
    """Return the command that resumes a fine-tuning, or starts it again where it is finished or kept no state."""
    if not is_tuned(folder) and ((folder / STATE).is_file() or not (folder / METRICS).is_file()):
        return shlex.join(["rnnkit", "finetune", "--resume", str(folder)])
    facts = {"from": "RUN", "data": "FILE"} | read_facts(folder / FINETUNE)
    target = ["--set", f"data.target_path={facts['target_path']}"] if "target_path" in facts else []
    task = ["--task", str(facts["task"])] if "task" in facts else []
    from_run = ["rnnkit", "finetune", str(facts["from"]), "--data", str(facts["data"])]
    return shlex.join([*from_run, *task, *target, "--out", "NEW"])


def _claim(folder: Path) -> Path:
    if folder.exists() and not folder.is_dir():
        raise RunFolderError(f"--out {folder} is a file; name a new folder")
    if folder.is_dir() and (files := sum(1 for _ in folder.iterdir())):
        raise RunFolderError(
            f"{folder} is in use ({files} files); name a new folder with --out, or leave --out away for the next "
            "free one under runs/"
        )
    for parent in Path(os.path.abspath(folder)).parents:
        if (parent / RECIPE).is_file() and (parent / VERSIONS).is_file():
            raise RunFolderError(
                f"--out {folder} lies in the folder of another run, {parent}; name a folder beside it: "
                f"--out {shlex.quote(str(parent.with_name(f'{parent.name}-{folder.name}')))}"
            )
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def claim_next(parent: Path, name: str) -> Path:
    """Make the first free of ``name``, ``name-2``, ``name-3`` …; two processes never get the same one.

    Args:
        parent: where it is made.
        name: see above.

    Raises:
        RunFolderError: none can be made there.
    """
    number = 1
    try:
        parent.mkdir(parents=True, exist_ok=True)
        while True:
            folder = parent / (name if number == 1 else f"{name}-{number}")
            try:
                folder.mkdir()
            except FileExistsError:
                number += 1
            else:
                return folder
    except OSError as error:
        raise _no_place(error) from error


def _no_place(error: OSError) -> RunFolderError:
    return RunFolderError(f"no run folder can be made here ({error}); name another place with --out")


def _discard_unused(folder: Path, also: set[str]) -> None:
    if not folder.is_dir():
        return
    if {path.name for path in folder.iterdir()} <= {RECIPE, VERSIONS, FINETUNE, DATA, FILES} | also:
        for path in folder.iterdir():
            path.unlink()
        folder.rmdir()
