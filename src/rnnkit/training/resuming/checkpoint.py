"""Checkpoints: the model for use, and the state from which a run that was cut off goes on to the same bits.

``training.safetensors`` is the checkpoint: one file, written whole or not at all, that holds all a run depends on, its
weights too, so there is nothing that it could disagree with. ``model.safetensors`` is made from it, for use, and
written next; where a run is killed between the two, the one that resumes it writes the model again.
"""

from __future__ import annotations

import time
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from os import PathLike
from pathlib import Path
from typing import Any, ClassVar

from ...errors import CheckpointError, ConfigError, DataError
from ...serialization import (
    model_file,
    pack_module,
    pack_values,
    read_config,
    remove_leftovers,
)
from ...types import Batch
from ..distribution.exchange import EXCHANGE, Exchange
from ..distribution.group import from_all_processes
from ..history import History, Row
from ..watching.callbacks import Callback
from ..watching.weights import BestWeights
from .background import Writer
from .random_states import RandomStates
from .run_fingerprint import differences
from .states import VERSION, OtherRunError, State, of_any_number, parts_of, state_file

_ASKED = 16  # steps after which several processes ask whether a state is due by the clock
_OWN = ("batches", "losses", "metrics", "carried", "held_out", "exchange")  # parts that each process has its own of
WITHIN_EPOCHS = timedelta(minutes=5)


class Checkpoints(Callback):
    """Writes the model after each epoch (with `BestWeights`: each best one), and the state of the run.

    `fit(checkpoint=path)` adds it. A write that fails (a full disk) leaves the earlier checkpoint as it is: it warns,
    the run goes on, and `CheckpointError` is raised at its end if the last one could still not be written.

    Args:
        path: where the model goes; the state lies beside it.
        every: steps, or time, between checkpoints within an epoch; None: 5 minutes.
        background: whether files are written in a thread, so that a step waits for a copy alone. What a step copies is
            written before the next checkpoint is, and before the run ends.

    Raises:
        ConfigError: an `every` that is neither.

    Example:
        >>> import rnnkit, tempfile, torch
        >>> path = tempfile.mkdtemp() + "/run"
        >>> x, learner = torch.randn(8, 2), rnnkit.Learner(torch.nn.Linear(2, 1), loss="mse")
        >>> learner.fit((x, x.sum(1)), epochs=2, callbacks=[Checkpoints(path)], progress=False).stopped
        'finished'
    """

    order: ClassVar[int] = 90

    def __init__(
        self, path: str | PathLike[str], every: int | timedelta | None = None, *, background: bool = False
    ) -> None:
        check_every(every)
        self.path, self.file, self.every = Path(path), state_file(path), every
        self.steps = every if isinstance(every, int) else None
        self.seconds = (every if isinstance(every, timedelta) else WITHIN_EPOCHS).total_seconds()
        self.background = background

    def __repr__(self) -> str:
        more = ", background=True" if self.background else ""
        return f"Checkpoints({str(self.path)!r}, every={self.every!r}{more})"

    # --- the events of the run

    def on_prepare(self, learner: Any, run: Any) -> None:
        self.run = run
        self.error: OSError | None = None  # why the last one is not on the disk
        self.written = "no checkpoint is on the disk"  # which one is
        self.stale = False  # whether the model there is older than the state, or missing
        self._on_disk = False  # whether this run has written a state
        self._epoch: list[State] = []  # the generators as the epoch began
        self._here: State | None = None  # and as they shall be when a resumed epoch goes on
        self._failed = False
        self._write = Writer(background=self.background)
        self._tried = ""  # which checkpoint is being written
        execution = run.execution
        self.rank, self.world = execution.rank, execution.world
        self.within = run.metrics.can_pause
        self._pending = False  # whether a state is due that waits for the weights of all processes to be averaged
        self.best_only = any(isinstance(one, BestWeights) for one in run.callbacks.all)
        self.random = RandomStates(execution.device, run.generators)
        self.parts = parts_of(run)
        self.next = time.monotonic() + self.seconds
        run.begin_epoch = self.start

    def on_fit_begin(self, learner: Any, run: Any) -> None:
        if run.position.step == 0 and not run.history.rows:
            self.begin()

    def on_step_end(self, learner: Any, step: int) -> None:
        if not self.within or self.run.stopping:
            return
        self._pending = self._pending or self._due(step + 1)
        if self._pending and not self.run.apart:
            self._pending = False
            self.save()

    def on_epoch_closed(self, learner: Any, row: Row) -> None:
        history = self.run.history
        better = history.best_epoch in (
            len(history.rows),
            None,
        )  # None: every figure is NaN, and the last weights count
        self.save(row if better or not self.best_only else None)

    def on_train_end(self, learner: Any, history: History) -> None:
        if self.run.position.batch:  # stopped within an epoch
            self.save()
        self.wait()
        if not self.run.execution.shared(self.error is not None or self.stale):
            return
        with warnings.catch_warnings():  # there may be room again
            warnings.simplefilter("ignore")
            self.save()
            self.wait()
            if self.error is None:
                self.repair()

    def on_exception(self, learner: Any, error: BaseException) -> None:
        self._failed = True
        self.wait()

    def on_fit_end(self, learner: Any, history: History) -> None:
        """Raise `CheckpointError` if the last checkpoint is not on the disk."""
        if self.error is not None and not self._failed:
            raise CheckpointError(
                f"the run is over, but its last checkpoint could not be written to {self.file.parent}: {self.error}.",
                remedy="The model in memory is complete: make room and call learner.save(path)",
                note=self.written,
            ) from self.error

    # --- reading and writing

    def start(self, batches: Any) -> Iterator[Batch]:
        """Begin an epoch, or the rest of one: return the batches that are still to come, in the order there was."""
        self._epoch = from_all_processes(self.random.state_dict())
        iterator: Iterator[Batch] = iter(batches)
        if self._here is not None:
            self.random.load_state_dict(self._here)
            self._here = None
        return iterator

    def _due(self, step: int) -> bool:
        """Return whether a state is to be written within an epoch, `step` updates into the run."""
        if self.steps is not None:
            return step % self.steps == 0
        if self.world == 1:
            return time.monotonic() >= self.next
        # Each process has a clock of its own, and asking costs a message.
        return step % _ASKED == 0 and bool(self.run.execution.shared(time.monotonic() >= self.next))

    def save(self, row: Row | None = None) -> None:
        """Write the state, and with the row of an epoch the model too. If that fails, warn and keep the reason."""
        if self.run.position.batch and not self.within:
            return
        each = self._of_each_process()
        if self.rank != 0:
            return
        self.wait()
        with self._warn_on_write_error():
            self._write(self._packed(each, row))
        self.next = time.monotonic() + self.seconds

    def wait(self) -> None:
        """Wait until what is being written is on the disk. If that fails, warn and keep the reason."""
        with self._warn_on_write_error():
            self._write.wait()

    def _packed(self, each: list[State], row: Row | None) -> Callable[[], None]:
        """Return a function that writes what there is now."""
        gone = self._on_disk and not self.file.exists()  # somebody deleted it, and the model with it
        write_state, write_model = pack_values(self._state(each)), None
        if row is not None:
            with self.run.averaged():
                write_model = self._packed_model(row)
        rows, self._on_disk, self._tried = bool(self.run.history.rows), True, self._when()
        note = self._tried

        def write() -> None:
            self.stale = self.stale or (gone and rows)
            write_state(self.file)
            self.written = f"the checkpoint {note} is still on the disk"
            if write_model is not None:
                self.stale = True
                write_model(self.path)
                self.stale = False
            self.error = None

        return write

    def _packed_model(self, row: Row) -> Callable[..., Path]:
        """Return a function that writes the model as it is now, for the epoch of that row."""
        run = self.run
        return pack_module(run.execution.model, {**run.extra, "epoch": row["epoch"], "metrics": row})

    def begin(self) -> None:
        """Write the state of a run that has not begun, so that what cannot be written is known at once.

        Raises:
            OSError: it cannot.
            ConfigError: a callback, or another part, has a state that cannot be stored.
        """
        each = self._of_each_process()
        if self.rank != 0:
            return
        self.file.parent.mkdir(parents=True, exist_ok=True)
        self._tidy()
        try:
            self._packed(each, None)()
        except TypeError as error:
            raise ConfigError(f"the state of the run cannot be stored: {error}") from None

    def restore(self, state: State) -> None:
        """Put a state back.

        Raises:
            ConfigError: it is that of another run; the message names what differs.
        """
        self.check(state)
        self._tidy()
        same_number = len(state["random"]) == self.world
        own = state["own"][self.rank] if same_number and "own" in state else {}
        for name, part in self.parts.items():
            if name in _OWN and name != "batches" and not same_number:
                continue  # of processes that are no more
            if name in own or name in state:
                part.load_state_dict(own[name] if name in own else state[name])
        position = self.run.position
        if position.batch == 0 or "batches" not in state:  # the latter was written before batches had a state
            self.run.batches.load_state_dict({**state.get("batches", {}), "position": position.batch})
        if not same_number:  # what a process draws are other numbers in any case
            self._note()
            return
        here = state["random"][self.rank]
        if position.batch:
            self.random.load_state_dict(state["epoch_random"][self.rank])
            self._here = here
        else:
            self.random.load_state_dict(here)
        self._note()

    def check(self, state: State) -> None:
        """Raise `ConfigError` for the state of a run with other settings, data or model."""
        before, now = dict(state["identity"]), dict(self.run.identity)
        was = before.get("processes", 1)
        if was != self.world and state["place"]["batch"] and not getattr(self.run.batches, "any_number", False):
            raise ConfigError(
                f"{self.file} is the state of {was} processes within an epoch, and {self.world} would go on with it; "
                f"their number may change between epochs: go on with {was}, or begin anew in another folder"
            )
        if was != self.world:
            before, now = of_any_number(before), of_any_number(now)
        exchanged = [Exchange(**one.pop("exchange", {})) for one in (before, now)]
        other = differences(before, now)
        if other:
            shown = "\n  ".join(other[:8] + [f"… and {len(other) - 8} more"] * (len(other) > 8))
            error = OtherRunError(
                f"{self.file} is the state of another run:\n  {shown}\n"
                "go on with the model, data and settings it began with, or start anew in another folder"
            )
            error.of_data = any(before.get(part) != now.get(part) for part in ("data", "validation"))
            raise error
        if exchanged[0] != exchanged[1] and 1 not in (was, self.world):  # one process exchanges nothing
            raise other_exchange(self.file, *exchanged)

    def repair(self) -> None:
        """Write the model again if it is missing, or not that of the state, where the state has its weights.

        A model whose epoch is not noted was saved by somebody else and is left.
        """
        history = self.run.history
        best = history.best_epoch if self.best_only else None
        if self.rank != 0 or not history.rows or (best is None and self.run.position.batch):
            return
        row = history.rows[-1 if best is None else best - 1]
        try:
            extra = read_config(self.path)["extra"]
        except DataError:
            extra = {"epoch": None}
        with self._warn_on_write_error():
            if "epoch" in extra and (extra["epoch"] != row["epoch"] or extra.get("metrics") != row):
                self.stale = True
                with self.run.final_weights():
                    self._packed_model(row)(self.path)
            self.stale = False

    def _tidy(self) -> None:
        """Remove what a run that was killed while writing left behind; only who writes here from now on may."""
        if self.rank == 0:
            remove_leftovers(model_file(self.path))
            remove_leftovers(self.file)

    @contextmanager
    def _warn_on_write_error(self) -> Iterator[None]:
        """Warn of a disk that is full, say, and keep the error."""
        try:
            yield
        except OSError as error:
            self.error = error
            which = self._tried or self._when()
            warnings.warn(
                f"the checkpoint {which} could not be written to {self.file.parent}: {error}. The run goes on; "
                f"{self.written}",
                stacklevel=3,
            )

    def _of_each_process(self) -> list[State]:
        """Return what differs from process to process, by their ranks: generators, and what was collected."""
        parts = {name: part.state_dict() for name, part in self.parts.items() if self._kept(name) and name in _OWN}
        return from_all_processes({"random": self.random.state_dict(), "parts": parts if self.world > 1 else {}})

    def _kept(self, name: str) -> bool:
        """Return whether a part belongs to the state as the run stands; between epochs nothing was collected."""
        return bool(self.run.position.batch) or name not in ("metrics", "losses")

    def _state(self, each: list[State]) -> State:
        parts: dict[str, Any] = {name: part.state_dict() for name, part in self.parts.items() if self._kept(name)}
        random = [one["random"] for one in each]
        if self.world > 1:
            parts["own"] = [one["parts"] for one in each]
        facts = {"identity": self.run.identity, "epochs": self.run.epochs, "steps": self.run.batches.steps}
        state = {"version": VERSION, **facts, "seed": self.run.seed, "random": random, "epoch_random": self._epoch}
        return {**state, **parts}

    def _note(self) -> None:
        self.written = f"the checkpoint {self._when()} is still on the disk"

    def _when(self) -> str:
        """Return in words which checkpoint one of now is."""
        position = self.run.position
        if position.batch:
            return f"of step {position.step} (in epoch {position.epoch})"
        return f"of step {position.step} (epoch {position.epoch - 1})" if position.step else "from before the training"


def other_exchange(file: Path, before: Exchange, now: Exchange) -> OtherRunError:
    """Return the error about processes that exchange something else than those that wrote a state."""
    was, wanted = (f"{EXCHANGE}={one}" if str(one) else "gradients as they are" for one in (before, now))
    advice = f"add --exchange {before} (in Python exchange=Exchange.parse({str(before)!r}))"
    if not str(before):
        advice = f"leave --exchange out (in Python exchange=), and unset {EXCHANGE}"
    problem = f"{file} is the state of processes that exchanged {was}, and these would exchange {wanted}"
    return OtherRunError(problem, remedy=f"{advice}, or begin anew in another folder")


def check_every(every: int | timedelta | None) -> None:
    """Raise `ConfigError` for a `checkpoint_every` that means nothing."""
    if every is None:
        return
    whole = isinstance(every, int) and not isinstance(every, bool) and every >= 1
    if not whole and not (isinstance(every, timedelta) and every > timedelta()):
        raise ConfigError(
            f"checkpoint_every={every!r} arrived; expected a number of steps, at least 1, or a length of time such as "
            "datetime.timedelta(minutes=10)"
        )
