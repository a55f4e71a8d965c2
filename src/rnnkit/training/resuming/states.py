"""The state of a run: its parts, its file, and whether there is anything left to do."""

from __future__ import annotations

from os import PathLike
from pathlib import Path
from typing import Any, Protocol

from ...errors import ConfigError, DataError, RunFolderError
from ...serialization import FILE, STATE, model_file, read_values
from ..distribution.group import from_first_process, is_first_process
from ..optimization.optimizer_state import OptimizerState

VERSION = 1
State = dict[str, Any]


class OtherRunError(ConfigError):
    """A state is that of another run than the one that would go on with it.

    Attributes:
        of_data: whether the data differs, of training or of validation.
    """

    of_data: bool = False


class Stateful(Protocol):
    def state_dict(self) -> dict[str, Any]: ...

    def load_state_dict(self, state: dict[str, Any], /) -> Any: ...


def parts_of(run: Any) -> dict[str, Stateful]:
    """Return what the state of a run consists of, by name; files of earlier versions have the same names."""
    optimizer, fabric = run.optimizer, run.execution.fabric
    parts: dict[str, Stateful] = {
        "place": run.position,
        "model": run.execution.model,
        "optimizer": OptimizerState(optimizer if fabric is None else optimizer.optimizer),
        "callbacks": run.callbacks,
        "losses": run.losses,
        "metrics": run.metrics,
        "batches": run.batches,
        "history": run.recorder,
        **run.callbacks.parts(),
    }
    if getattr(run.held_out, "own_position", False):
        parts["held_out"] = run.held_out.source
    if hasattr(run.forward, "state_dict"):
        parts["carried"] = run.forward
    if run.rates is not None:
        parts["rates"] = run.rates
    if fabric is not None:
        parts["precision"] = fabric.strategy.precision
    if run.execution.exchange is not None:
        parts["exchange"] = run.execution.exchange
    return parts


def of_any_number(identity: Any) -> Any:
    """Return what distinguishes a run from others, without what follows from the number of its processes."""
    if not isinstance(identity, dict):
        return identity
    left_out = ("processes", "batches", "batch_size", "streams")
    return {name: of_any_number(value) for name, value in identity.items() if name not in left_out}


def state_file(path: str | PathLike[str]) -> Path:
    """Where the state of a run lies whose model goes to `path`.

    Example:
        >>> state_file("runs/a").name, state_file("runs/a/best.safetensors").name
        ('training.safetensors', 'best.training.safetensors')
    """
    file = model_file(path)
    return file.with_name(STATE if file.name == FILE else f"{file.stem}.{STATE}")


def find_state(path: str | PathLike[str], *, resume: bool) -> State | None:
    """Return the state to resume from; None where there is none, or a run that is over is to begin anew.

    It reads only: the run may be under way.

    Raises:
        RunFolderError: a run that is not over would be overwritten.
        DataError: the state is damaged.
    """
    file = state_file(path)
    there, state = False, None
    if is_first_process():  # the others need not see its disk
        there = file.exists()
        state = read_values(file) if there else None
    there, state = from_first_process((there, state))
    if not there:
        return None
    if not isinstance(state, dict) or state.get("version") != VERSION:
        raise DataError(f"{file} was written by another version of rnnkit; begin anew in another folder")
    if resume:
        return state
    if not is_over(state, state["epochs"]):
        done = len(state["history"]["rows"])
        raise RunFolderError(
            f"{file} belongs to a run that is not over, {done} of {state['epochs']} epochs: pass resume=True to go on "
            "with it, or begin anew: name another folder, or delete the file"
        )
    return None


def is_over(state: State, epochs: int) -> bool:
    """Whether a run of so many epochs has nothing left to do."""
    history = state["history"]
    if history["stopped"] in ("early stopping", "callback"):
        return True
    return history["stopped"] == "finished" and len(history["rows"]) >= epochs
