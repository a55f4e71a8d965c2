"""What `Learner.fit` does: it makes a `Run` of settings and data, and runs its epochs."""

from __future__ import annotations

import math
import time
import warnings
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, fields
from datetime import timedelta
from functools import partial
from os import PathLike
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import torch

from ..errors import ConfigError, Remedy, RnnkitWarning, check_path, check_seed, check_whole
from ..layers.modes import mode
from ..ops.memory import release_work_memory
from .batching.batches import ArrayBatches, hold_out
from .batching.iterables import IterableBatches
from .config import LearnerConfig
from .contexts import CatchInterrupt, seeded
from .epochs import open_history, run_epochs
from .history import History, Recorded
from .loop import Run, evaluate
from .objectives.forward import Forward
from .optimization.averaging import Average
from .optimization.rates import Rates
from .optimization.schedules import Schedule, resolve_schedule
from .resuming.checkpoint import Checkpoints, check_every
from .resuming.run_fingerprint import describe_model, describe_settings
from .resuming.states import State, find_state, is_over
from .session import Session
from .sources import balance_classes, make_batches
from .watching.callbacks import Callback, CallbackLike, Callbacks, check_callbacks, with_defaults
from .watching.early_stopping import EarlyStopping
from .watching.losses import LossMeter
from .watching.progress import Progress
from .watching.validation_figures import ValidationFigures
from .watching.weights import BestWeights, DivergenceRescue, WeightAveraging


def as_python(settings: Mapping[str, Any]) -> dict[str, Any]:
    """Return settings with NumPy's numbers as Python's, which generators of random numbers and JSON ask for."""
    return {name: one.item() if isinstance(one, np.number) else one for name, one in settings.items()}


@dataclass(frozen=True)
class FitSettings:
    """The arguments of `Learner.fit`, which describes them."""

    validation: Any = None
    epochs: int = 10
    batch_size: int = 32
    shuffle: bool = True
    schedule: str | Schedule | None = None
    seed: int | None = None
    early_stopping: int | None = None
    restore_best: bool = False
    monitor: str | None = None
    checkpoint: str | PathLike[str] | None = None
    resume: bool = False
    checkpoint_every: int | timedelta | None = None
    accumulate: int = 1
    bptt: int | None = None
    stateful: bool = False
    average: str | Average | None = None
    callbacks: Iterable[CallbackLike] = ()
    progress: bool | None = None
    sample_weight: Any = None

    # Settings that a resumed run may change, or that are fingerprinted separately.
    free: ClassVar[tuple[str, ...]] = (
        "validation", "epochs", "checkpoint", "resume", "checkpoint_every", "callbacks", "progress", "sample_weight",
    )  # fmt: skip

    def check(self) -> None:
        """Raise `ConfigError` for settings out of their range."""
        for name in ("epochs", "batch_size", "accumulate"):
            check_whole(getattr(self, name), name)
        for name in ("early_stopping", "bptt"):
            check_whole(getattr(self, name), name, optional=True)
        check_seed(self.seed)
        check_every(self.checkpoint_every)
        check_path(self.checkpoint, "checkpoint")

    def default_callbacks(self) -> list[Callback]:
        """Return the built-in callbacks that these settings ask for."""
        found: list[Callback] = [DivergenceRescue()]
        if self.restore_best:
            found.append(BestWeights())
        if self.average is not None:
            found.append(WeightAveraging(self.average))
        if self.early_stopping is not None:
            found.append(EarlyStopping(self.early_stopping))
        if self.checkpoint is not None:
            found.append(Checkpoints(self.checkpoint, self.checkpoint_every))
        return found


def fit(
    session: Session, config: LearnerConfig, train: Any, settings: FitSettings, bind: Callable[..., Callbacks]
) -> History:
    """Train, and return the history.

    Args:
        session: model, objective, metrics, and the optimizer of earlier runs.
        config: the learner's settings.
        train: the data.
        settings: of this run.
        bind: makes the callbacks of a run of a list of them.
    """
    began = time.monotonic()  # the checks belong to the run
    settings.check()
    exchange = session.execution.exchange
    if exchange is not None and exchange.settings.local and settings.average is not None:
        raise ConfigError(
            f"average={settings.average!r} arrived with local steps, between which each process has weights of its "
            "own; pass average=None, or exchange gradients at each step"
        )
    config.check(session.model)
    callbacks = with_defaults(check_callbacks(settings.callbacks), settings.default_callbacks())
    checkpoints = _checkpoints(callbacks, settings)
    schedule = resolve_schedule(settings.schedule)
    watchers, validated = _watchers(settings, schedule, callbacks), settings.validation is not None
    figures: dict[str, bool] = {}
    for one in callbacks:
        figures |= one.higher_is_better if isinstance(one, ValidationFigures) else {}
    history = open_history(settings.monitor, session.metrics, validated=validated, watchers=watchers, figures=figures)
    path = None if checkpoints is None else checkpoints.path
    state, seed = state_and_seed(session, settings.seed, path, settings.resume)
    session.history = history
    run = make_run(session, config, train, settings, schedule, seed, Recorded(history, began), bind(callbacks))
    with _surroundings(run, session, settings):
        try:
            run.callbacks.prepare(run)
            if checkpoints is not None and state is not None:
                _resume(run, checkpoints, state)
        except BaseException as error:
            run.recorder.broke_off(error)
            raise
        if state is not None and is_over(state, settings.epochs):
            run.finish()
            return history
        session.run = run
        _run(run)
    _warn_without_figure(history, watchers)
    return history


def make_run(
    session: Session,
    config: LearnerConfig,
    train: Any,
    settings: FitSettings,
    schedule: Schedule | None,
    seed: int,
    recorder: Recorded,
    callbacks: Callbacks,
) -> Run:
    """Read and check the data, and make the parts of a run."""
    session.take_up_parameters()
    execution, history = session.execution, recorder.history
    generator = torch.Generator().manual_seed(seed)
    forward, batches, held_out = _data(session, train, settings, generator if settings.shuffle else None)
    balance_classes(forward, batches)
    optimizer = session.ready_optimizer(config)
    steps = None if batches.steps is None else -(-batches.steps // settings.accumulate)
    run = Run(
        execution=execution,
        forward=forward,
        batches=batches,
        metrics=session.metrics,
        optimizer=optimizer,
        epochs=settings.epochs,
        history=history,
        recorder=recorder,
        callbacks=callbacks,
        losses=LossMeter(execution.device, strict=True),
        interrupt=CatchInterrupt(),
        progress=Progress(settings.progress is not False and execution.rank == 0, settings.epochs, steps),
        clip=config.make_clipping(execution, optimizer),
        penalty=config.make_penalty(execution.model),
        rates=None if schedule is None else Rates(optimizer, schedule, steps, settings.epochs, history=history),
        validate=None if held_out is None else partial(evaluate, *held_out, session.metrics),
        held_out=None if held_out is None else held_out[1],
        accumulate=settings.accumulate,
        seed=seed,
        generators=_generators(batches, generator),
        extra=session.extra,
    )
    run.identity = _identity(session, config, settings, run, held_out)
    run.metrics.reset()
    return run


@contextmanager
def _surroundings(run: Run, session: Session, settings: FitSettings) -> Iterator[None]:
    """What a run changes for its duration: generators, modes, Ctrl-C, the progress bar, learning rates."""
    execution = run.execution
    watching: Any = run.penalty or nullcontext()
    # Ctrl-C reaches each of several processes at another step, but they can only stop together: it ends them.
    catching = run.interrupt if execution.world == 1 else nullcontext()
    random = seeded(None if settings.seed is None else run.seed + execution.rank, execution.device)
    training = mode(execution.module, training=True)
    try:
        with random, training, torch.enable_grad(), watching, catching, run.progress:
            yield
    finally:
        session.run = None
        if run.rates is not None:
            run.rates.restore()


def _checkpoints(callbacks: Iterable[CallbackLike], settings: FitSettings) -> Checkpoints | None:
    """Return the callback that writes checkpoints, the user's or that of the settings.

    Raises:
        ConfigError: there are two places to write to, or none to resume from.
    """
    found = [one for one in callbacks if isinstance(one, Checkpoints)]
    places = {str(Path(one.path)) for one in found}
    if settings.checkpoint is not None:
        places.add(str(Path(settings.checkpoint)))
    if len(found) > 1 or len(places) > 1:
        raise ConfigError(f"checkpoints at {' and '.join(sorted(places))} arrived; a run writes them to one place")
    if not found and (settings.resume or settings.checkpoint_every is not None):
        raise ConfigError("resume and checkpoint_every need a place: pass checkpoint='runs/my-run'")
    return found[0] if found else None


def _run(run: Run) -> None:
    try:
        run.callbacks.fit_begin(run)
        run_epochs(run)
    except BaseException as error:
        run.recorder.broke_off(error)  # before the callbacks see the end of the run
        raise
    finally:
        try:
            run.recorder.stop()
            run.callbacks.fit_end(run.history)
        finally:
            release_work_memory()


def _watchers(settings: FitSettings, schedule: Schedule | None, callbacks: Iterable[CallbackLike]) -> list[str]:
    """Return the settings that look at the monitored figure of an epoch, as users type them."""
    names = {EarlyStopping: "early_stopping", BestWeights: "restore_best"}
    if settings.average is not None:
        names[WeightAveraging] = f"average={settings.average!r}"
    found = [
        next((name for kind, name in names.items() if isinstance(one, kind)), type(one).__name__)
        for one in callbacks
        if getattr(one, "watches_monitor", False)
    ]
    return found + ([f"schedule={settings.schedule!r}"] if hasattr(schedule, "epoch") else [])


def _warn_without_figure(history: History, watchers: Sequence[str]) -> None:
    """Warn where the monitored figure is finite in no epoch, so that the settings that look at it could do nothing."""
    if not watchers or not history.rows or any(map(math.isfinite, history[history.monitor])):
        return
    name, loss = history.monitor, "val_loss" if history.monitor.startswith("val_") else "loss"
    remedies: list[Remedy | str] = [f"pass rows for which {name} is defined; an AUC, say, needs rows of two classes"]
    if name != loss:
        remedies.insert(0, Remedy("monitor", loss))
    found = "NaN" if all(map(math.isnan, history[history.monitor])) else "NaN or infinite"
    problem = f"{name} is {found} in every epoch, so {' and '.join(watchers)} did nothing, and the last weights stay"
    warnings.warn(RnnkitWarning(problem, remedy=remedies), stacklevel=4)


HeldOut = tuple[Forward, ArrayBatches | IterableBatches]


def _data(
    session: Session, train: Any, settings: FitSettings, order: torch.Generator | None
) -> tuple[Forward, ArrayBatches | IterableBatches, HeldOut | None]:
    """Return the forward pass, the batches to train on, and those to validate on with their forward pass."""
    make = partial(
        make_batches,
        session.execution,
        session.objective,
        passes=settings.epochs,
        bptt=settings.bptt,
        stateful=settings.stateful,
    )
    forward, batches = make(train, settings.batch_size, order, even=True, weights=settings.sample_weight, hints=True)
    if settings.validation is None:
        return forward, batches, None
    if isinstance(settings.validation, float):
        return forward, batches, (forward, hold_out(batches, settings.validation))
    return forward, batches, make(settings.validation, max(settings.batch_size, 256))


def state_and_seed(
    session: Session, seed: int | None, checkpoint: str | PathLike[str] | None, resume: bool
) -> tuple[State | None, int]:
    """Return the state to resume from (None: a run begins) and the seed: the state's, the given one, or a draw."""
    state = None if checkpoint is None else find_state(checkpoint, resume=resume)
    if state is not None:
        seed = int(state["seed"])
    return state, session.draw_seed() if seed is None else seed


def _generators(batches: ArrayBatches | IterableBatches, order: torch.Generator) -> dict[str, torch.Generator]:
    """Return the generators that the batches draw from: of the order of the rows, and a DataLoader's own."""
    loader = getattr(getattr(batches, "source", None), "generator", None)
    return {"order": order} | ({"loader": loader} if isinstance(loader, torch.Generator) else {})


def _identity(
    session: Session, config: LearnerConfig, settings: FitSettings, run: Run, held_out: HeldOut | None
) -> dict[str, Any]:
    """Return what a run that goes on must share with this one, as JSON values."""
    execution, objective = session.execution, session.objective
    chosen = {one.name: getattr(config, one.name) for one in fields(config)}
    chosen |= {one.name: getattr(settings, one.name) for one in fields(settings) if one.name not in settings.free}
    identity = {
        **describe_settings({**chosen, "loss": objective.loss.name, "device": execution.device.type}),
        **objective.identity(),
        "processes": execution.world,
        **({} if execution.exchange is None else execution.exchange.identity()),
        "model": describe_model(execution.model),
        "data": run.batches.fingerprint(),
        "validation": {} if held_out is None else held_out[1].fingerprint(),
    }
    for callback in run.callbacks.all:
        identity |= getattr(callback, "identity", {})
    return identity


def _resume(run: Run, checkpoints: Checkpoints, state: State) -> None:
    """Put a run where an earlier one was, its model file with it."""
    done = len(state["history"]["rows"])
    if run.epochs < done:
        raise ConfigError(f"epochs={run.epochs} arrived, but {done} epochs of the run at {checkpoints.path} are done")
    checkpoints.restore(state)
    _warn_of_a_changed_schedule(run, state["epochs"])
    checkpoints.repair()


def _warn_of_a_changed_schedule(run: Run, epochs: int) -> None:
    rates = run.rates
    if rates is None or epochs == run.epochs:
        return
    before = rates.total // run.epochs * epochs
    old, new = (rates.schedule(run.position.step, total) for total in (before, rates.total))
    if old != new:
        warnings.warn(
            f"the run was begun with {epochs} epochs and goes on with {run.epochs}, and its schedule with it: at step "
            f"{run.position.step} the factor on the learning rate is {new:.3g}, not {old:.3g}",
            stacklevel=4,
        )
