"""Checkpoints: the model for use, and the state from which a run that was cut off goes on to the same bits.

``training.safetensors`` is the checkpoint: one file, written whole or not at all, that holds all a run depends on, its
weights too, so there is nothing that it could disagree with. ``model.safetensors`` is made from it, for use, and
written next; where a run is killed between the two, the one that resumes it writes the model again.
"""

from __future__ import annotations

import time
import warnings
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from datetime import timedelta
from itertools import islice
from os import PathLike
from pathlib import Path
from typing import Any, Protocol

from ...errors import CheckpointError, ConfigError, DataError, RunFolderError
from ...serialization import FILE, STATE, model_file, read_config, read_values, remove_leftovers, write_values
from ..batching.batches import Batch, Batches
from ..execution import from_all_processes
from ..loop import Place
from ..watching.history import Row
from .random_states import RandomStates
from .run_fingerprint import differences

VERSION = 1
WITHIN_EPOCHS = timedelta(minutes=5)
State = dict[str, Any]


class Stateful(Protocol):
    def state_dict(self) -> dict[str, Any]: ...

    def load_state_dict(self, state: dict[str, Any], /) -> Any: ...


class Checkpoint:
    """Writes the state of a run, and puts it back.

    Args:
        path: where the model goes; the state lies beside it.
        every: steps, or time, between checkpoints within an epoch; None: 5 minutes.
        facts: what the state holds beside its parts: `identity`, what a run that goes on must share (see
            :mod:`rnnkit.training.resuming.run_fingerprint`); `epochs` and `seed` of the run.
        parts: what the state consists of, by name; `place` is among them.
        random: the generators that the run draws from.
        write_model: writes the model as it is, for the epoch of that row.
        averaged: has the model show its averaged weights for a while, where there are any.
        can_pause: whether the state within an epoch can be stored at all.
        rank, processes: under torchrun; the first process alone writes, between epochs alone.
    """

    def __init__(
        self,
        path: str | PathLike[str],
        every: int | timedelta | None,
        *,
        facts: State,
        parts: Mapping[str, Stateful],
        random: RandomStates,
        write_model: Callable[[Row], None],
        averaged: Callable[[], AbstractContextManager[None]],
        can_pause: bool,
        rank: int,
        processes: int,
    ) -> None:
        self.path, self.file, self.facts = Path(path), state_file(path), facts
        self.parts, self.random, self.write_model = dict(parts), random, write_model
        self.averaged = averaged
        self.within = can_pause and processes == 1
        self.rank = rank
        self.steps = every if isinstance(every, int) else None
        self.seconds = (every if isinstance(every, timedelta) else WITHIN_EPOCHS).total_seconds()
        self.next = time.monotonic() + self.seconds
        self.error: OSError | None = None  # why the last one is not on the disk
        self.written = "no checkpoint is on the disk"  # which one is
        self.stale = False  # whether the model there is older than the state
        self._epoch: list[State] = []  # the generators as the epoch began
        self._here: State | None = None  # and as they shall be when a resumed epoch goes on

    @property
    def place(self) -> Place:
        place = self.parts["place"]
        assert isinstance(place, Place)
        return place

    def start(self, batches: Batches) -> Iterator[Batch]:
        """Begins an epoch, or the rest of one: the batches that are still to come, in the order there was."""
        self._epoch = from_all_processes(self.random.state_dict())
        iterator = iter(batches)
        done = self.place.batch
        next(islice(iterator, done, done), None)
        if self._here is not None:
            self.random.load_state_dict(self._here)
            self._here = None
        return iterator

    def due(self, step: int) -> bool:
        """Whether a state is to be written within an epoch, `step` updates into the run."""
        if not self.within:
            return False
        return step % self.steps == 0 if self.steps is not None else time.monotonic() >= self.next

    def save(self, row: Row | None = None) -> None:
        """Writes the state, and with the row of an epoch the model too. If it cannot, it warns, and keeps why."""
        random = from_all_processes(self.random.state_dict())
        if self.rank != 0 or (self.place.batch and not self.within):
            return
        with self._failing():
            self._write(random)
            if row is not None:
                self.stale = True
                with self.averaged():
                    self.write_model(row)
                self.stale = False
            self.error = None
        self.next = time.monotonic() + self.seconds

    def begin(self) -> None:
        """Writes the state of a run that has not begun, so that what cannot be written is known at once.

        Raises:
            OSError: it cannot.
            ConfigError: a callback, or another part, has a state that cannot be stored.
        """
        random = from_all_processes(self.random.state_dict())
        if self.rank != 0:
            return
        self.file.parent.mkdir(parents=True, exist_ok=True)
        self._tidy()
        try:
            self._write(random)
        except TypeError as error:
            raise ConfigError(f"the state of the run cannot be stored: {error}") from None

    def finish(self) -> None:
        """Raises `CheckpointError` if the last checkpoint is not on the disk."""
        if self.error is not None:
            raise CheckpointError(
                f"the run is over, but its last checkpoint could not be written to {self.file.parent}: {self.error}.",
                remedy="The model in memory is complete: make room and call learner.save(path)",
                note=self.written,
            ) from self.error

    def restore(self, state: State) -> None:
        """Puts a state back.

        Raises:
            ConfigError: it is that of another run; the message names what differs.
        """
        self.check(state)
        self._tidy()
        for name, part in self.parts.items():
            if name in state:
                part.load_state_dict(state[name])
        here = state["random"][self.rank]
        if self.place.batch:
            self.random.load_state_dict(state["epoch_random"][self.rank])
            self._here = here
        else:
            self.random.load_state_dict(here)
        self._note()

    def check(self, state: State) -> None:
        other = differences(state["identity"], self.facts["identity"])
        if other:
            shown = "\n  ".join(other[:8] + [f"… and {len(other) - 8} more"] * (len(other) > 8))
            raise ConfigError(
                f"{self.file} is the state of another run:\n  {shown}\n"
                "go on with the model, data and settings it began with, or start anew in another folder"
            )

    def repair(self, row: Row) -> None:
        """Writes the model again if it is missing, or that of another epoch than `row`.

        One whose epoch is not noted was saved by somebody else, who knows what for.
        """
        if self.rank != 0:
            return
        try:
            extra = read_config(self.path)["extra"]
        except DataError:
            extra = {"epoch": None}
        with self._failing():
            if "epoch" in extra and (extra["epoch"] != row["epoch"] or extra.get("metrics") != row):
                self.stale = True
                self.write_model(row)
            self.stale = False

    def _tidy(self) -> None:
        """Takes away what a run that was killed while writing left behind; only for who writes here from now on."""
        if self.rank == 0:
            remove_leftovers(model_file(self.path))
            remove_leftovers(self.file)

    @contextmanager
    def _failing(self) -> Iterator[None]:
        """Warns of a disk that is full, say, and keeps the error."""
        try:
            yield
        except OSError as error:
            self.error = error
            warnings.warn(
                f"the checkpoint {self._when()} could not be written to {self.file.parent}: {error}. The run goes on; "
                f"{self.written}",
                stacklevel=3,
            )

    def _write(self, random: list[State]) -> None:
        within = {"metrics", "losses"} if not self.place.batch else set()
        parts = {name: part.state_dict() for name, part in self.parts.items() if name not in within}
        state = {"version": VERSION, **self.facts, "random": random, "epoch_random": self._epoch, **parts}
        write_values(state, self.file)
        self._note()

    def _note(self) -> None:
        self.written = f"the checkpoint {self._when()} is still on the disk"

    def _when(self) -> str:
        """Which checkpoint one of now is, in words."""
        place = self.place
        if place.batch:
            return f"of step {place.step} (in epoch {place.epoch})"
        return f"of step {place.step} (epoch {place.epoch - 1})" if place.step else "from before the training"


def state_file(path: str | PathLike[str]) -> Path:
    """Where the state of a run lies whose model goes to `path`.

    Example:
        >>> state_file("runs/a").name, state_file("runs/a/best.safetensors").name
        ('training.safetensors', 'best.training.safetensors')
    """
    file = model_file(path)
    return file.with_name(STATE if file.name == FILE else f"{file.stem}.{STATE}")


def check_every(every: int | timedelta | None, processes: int) -> None:
    """Raises `ConfigError` for a `checkpoint_every` that means nothing."""
    if every is None:
        return
    whole = isinstance(every, int) and not isinstance(every, bool) and every >= 1
    if not whole and not (isinstance(every, timedelta) and every > timedelta()):
        raise ConfigError(
            f"checkpoint_every={every!r} arrived; expected a number of steps, at least 1, or a length of time such as "
            "datetime.timedelta(minutes=10)"
        )
    if processes > 1:
        raise ConfigError(
            "checkpoint_every is for one process; several are together only between epochs, where a checkpoint is "
            "written in any case"
        )


def find_state(path: str | PathLike[str], *, resume: bool) -> State | None:
    """Returns the state to resume from; None where there is none, or a run that is over is to begin anew.

    It reads only: the run may be under way.

    Raises:
        RunFolderError: a run that is not over would be overwritten.
        DataError: the state is damaged.
    """
    file = state_file(path)
    if not from_all_processes(file.exists())[0]:
        return None
    state: State = read_values(file)
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
