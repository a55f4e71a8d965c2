"""What `Learner.fit` does: it makes a `Run` ready of a learner, data and settings, and follows it to its end."""

from __future__ import annotations

import time
import warnings
from collections.abc import Iterable, Mapping
from contextlib import nullcontext
from dataclasses import dataclass, fields
from datetime import timedelta
from functools import partial
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor

from ..errors import ConfigError, check_seed, check_whole
from ..serialization import save_module
from .assembly import clipping_of, optimizer_of, penalty_of
from .batching.batches import Batches, hold_out
from .batching.feeding import batches_of
from .batching.truncated import Carrying
from .contexts import CatchInterrupt, mode, seeded
from .epochs import Kept, follow, open_history, repair_model
from .execution import exchanged_once
from .loop import LossMeter, Run, evaluate
from .objectives.cross_entropy import balance
from .objectives.forward import Forward
from .optimization.averaging import NTASGD, Average, resolve_average
from .optimization.optimizer_state import OptimizerState
from .optimization.rates import Rates
from .optimization.schedules import Schedule, resolve_schedule
from .resuming.checkpoint import Checkpoint, State, check_every, find_state, is_over
from .resuming.random_states import RandomStates
from .resuming.run_fingerprint import describe_data, describe_model, describe_settings
from .watching.callbacks import CallbackLike, Callbacks
from .watching.history import History, Recorded, Row
from .watching.progress import Progress

if TYPE_CHECKING:
    from .learner import Learner

HeldOut = tuple[Forward, Batches]


def as_python(settings: Mapping[str, Any]) -> dict[str, Any]:
    """Settings with numpy's numbers as Python's, which generators of random numbers and JSON ask for."""
    return {name: one.item() if isinstance(one, np.number) else one for name, one in settings.items()}


@dataclass(frozen=True)
class Settings:
    """The arguments of `Learner.fit`, as it describes them."""

    validation: Any
    epochs: int
    batch_size: int
    shuffle: bool
    schedule: str | Schedule | None
    seed: int | None
    early_stopping: int | None
    restore_best: bool
    monitor: str | None
    checkpoint: str | PathLike[str] | None
    resume: bool
    checkpoint_every: int | timedelta | None
    accumulate: int
    bptt: int | None
    stateful: bool
    average: str | Average | None
    callbacks: Iterable[CallbackLike]
    progress: bool | None

    # What a run that goes on may have otherwise, or is described apart.
    free = ("validation", "epochs", "checkpoint", "resume", "checkpoint_every", "callbacks", "progress")

    def check(self, processes: int) -> None:
        for name in ("epochs", "batch_size", "accumulate"):
            check_whole(getattr(self, name), name)
        for name in ("early_stopping", "bptt"):
            check_whole(getattr(self, name), name, optional=True)
        check_seed(self.seed)
        check_every(self.checkpoint_every, processes)
        if self.checkpoint is None and (self.resume or self.checkpoint_every is not None):
            raise ConfigError("resume and checkpoint_every need a place: pass checkpoint='runs/my-run'")


def fit(learner: Learner, train: Any, settings: Settings) -> History:
    """See `Learner.fit`."""
    began = time.monotonic()  # the checks belong to the run
    settings.check(learner._processes)
    schedule = resolve_schedule(settings.schedule)
    average = resolve_average(settings.average)
    watchers = _watchers(settings, schedule, average)
    validated = settings.validation is not None
    history = open_history(settings.monitor, learner._metrics, validated=validated, watchers=watchers)
    callbacks = Callbacks(learner, settings.callbacks)
    state, seed = state_and_seed(learner, settings.seed, settings.checkpoint, settings.resume)
    generator = torch.Generator().manual_seed(seed)
    learner.history = history
    forward, batches, held_out = _data(learner, train, settings, generator if settings.shuffle else None)
    balance(learner._loss, batches)
    optimizer = learner._optimizer = learner._optimizer or optimizer_of(learner)
    steps = None if batches.steps is None else -(-batches.steps // settings.accumulate)
    rates = None if schedule is None else Rates(optimizer, schedule, steps, settings.epochs, history=history)
    fabric, penalty = learner._fabric, penalty_of(learner)
    run = Run(
        forward=forward,
        batches=batches,
        metrics=learner._metrics,
        optimizer=optimizer,
        epochs=settings.epochs,
        backward=Tensor.backward if fabric is None else fabric.backward,
        clip=clipping_of(learner, optimizer),
        penalty=penalty,
        rates=rates,
        validate=None if held_out is None else partial(evaluate, *held_out, learner._metrics),
        interrupt=CatchInterrupt(),
        progress=Progress(settings.progress is not False and learner._rank == 0, settings.epochs, steps),
        processes=learner._processes,
        exchange=partial(exchanged_once, fabric, learner._module) if fabric and learner._processes > 1 else None,
        callbacks=callbacks,
        losses=LossMeter(forward.device, strict=True),
        average=average,
        accumulate=settings.accumulate,
    )
    run.metrics.reset()
    if average is not None:
        average.begin(learner.model, monitor=history.monitor, higher_is_better=history.higher_is_better)
    kept, recorded = Kept(learner.model, settings.restore_best, average), Recorded(history, began)
    # Ctrl-C reaches each of several processes at another step, but they can only stop together: it ends them.
    catching = run.interrupt if learner._processes == 1 else nullcontext()
    random = seeded(None if settings.seed is None else seed + learner._rank, learner.device)
    training = mode(learner._module, training=True)
    try:
        with random, training, torch.enable_grad(), penalty or nullcontext(), catching, run.progress:
            if settings.checkpoint is not None:
                parts: dict[str, Any] = {"history": recorded, "kept": kept}
                run.checkpoint = _checkpoint(learner, settings, run, parts, held_out, seed, generator)
            if run.checkpoint is not None and state is not None:
                _resume(run, run.checkpoint, state, history, kept)
                if is_over(state, settings.epochs):
                    kept.finish()
                    return history
            learner._run = run
            try:
                callbacks.fit_begin(run)
                if run.checkpoint is not None and state is None:
                    run.checkpoint.begin()
                follow(run, history, kept, patience=settings.early_stopping)
            except BaseException as error:
                recorded.broke_off(error)
                raise
            finally:
                recorded.stop()
                callbacks.fit_end(history)
    finally:
        learner._run = None
        if rates is not None:
            rates.restore()
    return history


def _watchers(settings: Settings, schedule: Schedule | None, average: Average | None) -> list[str]:
    """The settings that look at the monitored figure of an epoch."""
    found = {
        "early_stopping": settings.early_stopping is not None,
        "restore_best": settings.restore_best,
        f"schedule={settings.schedule!r}": hasattr(schedule, "epoch"),
        f"average={settings.average!r}": isinstance(average, NTASGD),
    }
    return [name for name, watches in found.items() if watches]


def _data(
    learner: Learner, train: Any, settings: Settings, order: torch.Generator | None
) -> tuple[Forward, Batches, HeldOut | None]:
    """How the model is run on batches, those to train on, and what to validate on."""
    alike: Any = {"passes": settings.epochs, "bptt": settings.bptt, "stateful": settings.stateful}
    forward, batches = batches_of(learner, train, settings.batch_size, order, even=True, **alike)
    if settings.validation is None:
        return forward, batches, None
    if isinstance(settings.validation, float):
        return forward, batches, (forward, hold_out(batches, settings.validation))
    return forward, batches, batches_of(learner, settings.validation, max(settings.batch_size, 256), **alike)


def state_and_seed(
    learner: Learner, seed: int | None, checkpoint: str | PathLike[str] | None, resume: bool
) -> tuple[State | None, int]:
    """The state to go on from, None where a run begins; and the run's seed: the state's, the given one, or a draw."""
    state = None if checkpoint is None else find_state(checkpoint, resume=resume)
    if state is not None:
        seed = int(state["seed"])
    return state, learner._draw_seed() if seed is None else seed


def _checkpoint(
    learner: Learner,
    settings: Settings,
    run: Run,
    parts: dict[str, Any],
    held_out: HeldOut | None,
    seed: int,
    generator: torch.Generator,
) -> Checkpoint:
    """Gathers what the state of a run consists of, and what it must share with the run that it is resumed in."""
    assert settings.checkpoint is not None
    fabric, path = learner._fabric, settings.checkpoint
    optimizer: Any = run.optimizer
    parts = {
        "place": run.at,
        "model": learner.model,
        "optimizer": OptimizerState(optimizer if fabric is None else optimizer.optimizer),
        "callbacks": run.callbacks,
        "losses": run.losses,
        "metrics": run.metrics,
        **parts,
    }
    if isinstance(run.forward, Carrying):
        parts["carried"] = run.forward
    if run.rates is not None:
        parts["rates"] = run.rates
    if run.average is not None:
        parts["average"] = run.average
    if fabric is not None:
        parts["precision"] = fabric.strategy.precision
    own = {"order": generator}
    loader = getattr(getattr(run.batches, "source", None), "generator", None)
    if isinstance(loader, torch.Generator):
        own["loader"] = loader

    free = {*Settings.free, "history", "extra", "model"}
    chosen = {**vars(learner), **{field.name: getattr(settings, field.name) for field in fields(settings)}}
    chosen = {name: value for name, value in chosen.items() if not name.startswith("_") and name not in free}
    identity = {
        **describe_settings({**chosen, "loss": learner._loss.name, "device": learner.device.type}),
        "processes": learner._processes,
        "model": describe_model(learner.model),
        "data": describe_data(run.batches),
        "validation": describe_data(None if held_out is None else held_out[1]),
    }
    for callback in run.callbacks.all:
        identity |= getattr(callback, "identity", {})
    return Checkpoint(
        path,
        settings.checkpoint_every,
        facts={"identity": identity, "epochs": run.epochs, "steps": run.batches.steps, "seed": seed},
        parts=parts,
        random=RandomStates(learner.device, own),
        write_model=partial(_write_model, learner, path),
        averaged=run.averaged,
        can_pause=run.metrics.can_pause,
        rank=learner._rank,
        processes=learner._processes,
    )


def _write_model(learner: Learner, path: str | PathLike[str], row: Row) -> None:
    save_module(learner.model, Path(path), extra={**learner.extra, "epoch": row["epoch"], "metrics": row})


def _resume(run: Run, checkpoint: Checkpoint, state: State, history: History, kept: Kept) -> None:
    """Puts a run where an earlier one was, its model file with it."""
    done = len(state["history"]["rows"])
    if run.epochs < done:
        raise ConfigError(f"epochs={run.epochs} arrived, but {done} epochs of the run at {checkpoint.path} are done")
    checkpoint.restore(state)
    _say_if_the_schedule_moves(run, state["epochs"])
    repair_model(checkpoint, history, kept)


def _say_if_the_schedule_moves(run: Run, epochs: int) -> None:
    rates = run.rates
    if rates is None or epochs == run.epochs:
        return
    before = rates.total // run.epochs * epochs
    old, new = (rates.schedule(run.at.step, total) for total in (before, rates.total))
    if old != new:
        warnings.warn(
            f"the run was begun with {epochs} epochs and goes on with {run.epochs}, and its schedule with it: at step "
            f"{run.at.step} the factor on the learning rate is {new:.3g}, not {old:.3g}",
            stacklevel=4,
        )
