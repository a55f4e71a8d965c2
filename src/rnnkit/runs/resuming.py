"""Resume a run that was stopped: what may change, what is done already, and which folder has it."""

from __future__ import annotations

from dataclasses import asdict, is_dataclass
from pathlib import Path
from typing import Any, NamedTuple

from ..errors import ConfigError, DataError, RunFolderError
from . import files, folders, versions
from .settings import settings, show

# Resumed, a run of these ends in other bits than an unbroken one.
_MATTERS = ("processes", "device", "gpu", "threads", "torch", "rnnkit", "native core")
EPOCHS, STEPS = "fit.epochs", "fit.steps"


class State(NamedTuple):
    """How far a run has come.

    Attributes:
        finished: whether nothing is left to do by the settings it has.
        described: that in words.
        test: its results on the test rows, {} before there are any.
    """

    finished: bool
    described: str
    test: dict[str, float]


def check_settings(folder: Path, stored: Any, wanted: Any) -> None:
    """Refuse settings that differ from those of the run, except a longer training.

    Raises:
        ConfigError: they differ, or the training would be shorter; where the recipe chose its length itself, shorter
            than the checkpoint says, and any will do while there is none.
        RunFolderError: the run began as a fine-tuning, which has settings of its own.
    """
    if (folder / files.FINETUNE).exists():
        again = folders.finetune_again(folder)
        how = "which goes on by" if "--resume" in again else "which kept no state to go on from; run"
        raise RunFolderError(f"{folder} began as a fine-tuning, {how} `{again}`")
    if not is_dataclass(stored):
        return
    before, now = settings(stored), settings(wanted)
    changed = [name for name in now if now[name].value != before[name].value]
    length = length_of(stored)
    other = [f"{name}={show(before[name].value)}, not {show(now[name].value)}" for name in changed if name != length]
    if other:
        raise ConfigError(
            f"{folder} was begun with {'; '.join(other)}. A run goes on with the settings it has, but for a higher "
            f"{length}; for other settings train into a new folder"
        )
    if length in changed:
        old, new = before[length].value, now[length].value
        if old is None:  # the recipe chose how many
            state = _state(folder)
            old = 0 if state is None else state["epochs"]
        if new is None or new < old:
            raise ConfigError(f"{length}={show(new)} arrived, but {folder} was begun with {show(old)}; expected more")


def length_of(recipe: Any) -> str:
    """Return the name of the setting that says how long a recipe trains."""
    known = settings(recipe) if is_dataclass(recipe) else {}
    return STEPS if STEPS in known and known[STEPS].value is not None else EPOCHS


def progress(folder: Path, recipe: Any = None) -> State:
    """Read how far the run in a folder has come.

    Args:
        folder: the run's.
        recipe: the settings that it has, which may ask for more epochs than the state knows of: the run was to be
            longer, and was cut off before it wrote a state. None: only the state says how many.

    Raises:
        RunFolderError: it is no run folder, or holds no state to continue from.
    """
    from ..training.resuming.states import is_over

    metrics = files.read_facts(folder / files.METRICS)
    state = _state(folder)
    if state is None:
        if metrics:
            raise RunFolderError(f"{folder} holds no state of its training to go on from; train into a new folder")
        done, epochs, over = 0, None, False
    else:
        done, epochs = len(state["history"]["rows"]), state["epochs"]
        length = settings(recipe).get(EPOCHS) if is_dataclass(recipe) else None
        asked = length.value if length is not None and isinstance(length.value, int) else 0
        over = is_over(state, max(epochs, asked))
    of = "" if epochs is None else f" of {epochs}"
    described = f"{done}{of} epochs are done" if done else "no epoch is done yet"
    stopped = metrics.get("stopped")
    finished = over and stopped in ("finished", "early stopping", "callback")
    if over and stopped == "early stopping":
        described += ", ended by early stopping"
    return State(finished, described, metrics.get("test", {}))


def changes(folder: Path, recipe: Any) -> list[str]:
    """Return what of the software and the machine has changed since the run began, a phrase each.

    Args:
        folder: the run's.
        recipe: with the settings that it resumes with.

    Raises:
        ConfigError: its device does not exist here, or is of another kind than the state in the folder is of.
    """
    from ..training.execution import find_device

    now, asked, state = versions.environment(), getattr(recipe, "device", None), _state(folder)
    if asked is not None:  # a recipe without such a field knows itself where it computes
        device = find_device(asked)
        now |= {"gpu": None, **versions.describe_device(device)}
        kind = device.type if state is None else state["identity"].get("device", device.type)
        if kind != device.type:
            raise ConfigError(
                f"{folder} was trained on {kind}, and here it would go on on {device.type}, where its random numbers "
                f"would be others; go on with it where there is {kind}, or train into a new folder"
            )
    before = files.read_facts(folder / files.VERSIONS)
    differ = [name for name in _MATTERS if name in before and name in now and before[name] != now[name]]
    return [f"{name} was {before[name]}, now {now[name]}" for name in differ]


def _state(folder: Path) -> dict[str, Any] | None:
    """Return the figures of the state that a run resumes from, without its tensors; None where there is none yet."""
    from ..serialization import read_values
    from ..training.resuming.states import VERSION, state_file

    file = state_file(folder)
    if not file.exists():
        return None
    again = "train again into a new folder"
    try:
        state = read_values(file, tensors=False)
    except DataError as error:
        raise RunFolderError(f"{error}; {again}") from error
    if not isinstance(state, dict) or state.get("version") != VERSION:
        raise RunFolderError(f"{file} was written by another version of rnnkit; {again}")
    return state


def reopen(folder: Path, recipe: Any) -> None:
    """Write the settings of a resumed run into its folder, and the device and versions if they were never written."""
    name = folders.read_recipe(folder).name
    if not (folder / files.VERSIONS).exists():
        versions.write_versions(folder, recipe)
    if is_dataclass(recipe) and not isinstance(recipe, type):
        files.write_json(folder / files.RECIPE, {"recipe": name, "settings": asdict(recipe)})
