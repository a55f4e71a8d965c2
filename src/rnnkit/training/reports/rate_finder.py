"""The learning-rate range test: a short run at rising rates, which suggests a rate to train with."""

from __future__ import annotations

import math
import time
from collections.abc import Iterator
from contextlib import nullcontext
from dataclasses import dataclass
from os import PathLike
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch

from ...errors import ConfigError, DivergenceError, check_whole
from ...layers.modes import mode
from ...types import Batch
from ..batching.iterables import check_rereadable
from ..config import LearnerConfig
from ..contexts import seeded
from ..fitting import FitSettings, as_python, make_run
from ..history import History, Recorded
from ..loop import Run, train
from ..objectives.forward import Forward
from ..objectives.objective import Score
from ..optimization.rates import Rates
from ..resuming.preserve import preserve_session
from ..session import Session
from ..watching.callbacks import Callback, Callbacks
from ..watching.divergence import NonFinite
from ..watching.losses import LossMeter
from ..watching.metrics import Metrics

_DECADES = 0.15  # standard deviation of the smoothing
_WINDOW = 0.3  # that of the test for a fall
_LEAST_FALL = 1e-3  # of the loss
_ERRORS = 6.0  # of sweeps of noise alone 6% are above; digits on a SimpleRNN, an LSTM and a GRU are at 8 to 30


@dataclass(frozen=True)
class RateSweep:
    """What `Learner.find_rate` found.

    Attributes:
        rates: the learning rate of each step; the rate of the first group of parameters if there are several.
        losses: the loss of each step's batch, before the step.
        adjusted: the losses without the differences between batches: minus the loss of the initial weights on that
            batch (with the same dropout), plus the mean of those.
        smoothed: the adjusted losses without their noise, see `suggest_rate`.
        suggestion: a rate to train with; None if no rate lowered the loss.
        reason: a sentence that says why this rate, or why none.
        stopped: "end" of the range, or "blow-up" of the loss before the end.

    Example:
        >>> import rnnkit, torch
        >>> x = torch.randn(64, 5, 2)
        >>> learner = rnnkit.Learner(rnnkit.SequenceRegressor(rnnkit.GRU(2, 8)))
        >>> sweep = learner.find_rate((x, x.sum((1, 2))), steps=20)
        >>> len(sweep.rates) == len(sweep.losses)
        True
    """

    rates: tuple[float, ...]
    losses: tuple[float, ...]
    adjusted: tuple[float, ...]
    smoothed: tuple[float, ...]
    suggestion: float | None
    reason: str
    stopped: Literal["end", "blow-up"]

    def __repr__(self) -> str:
        tried = (
            f"{len(self.rates)} rates from {self.rates[0]:.2g} to {self.rates[-1]:.2g}" if self.rates else "no rates"
        )
        found = "none" if self.suggestion is None else f"{self.suggestion:.2g}"
        return f"RateSweep({tried}, stopped={self.stopped!r}, suggestion={found})"

    def plot(self, path: str | PathLike[str]) -> None:
        """Draw loss against rate; the suffix of `path` chooses the format (.png, .svg, .pdf)."""
        from ...plotting.palette import BLUE, ORANGE
        from ...plotting.style import figure, open_axes, write

        path = Path(path)
        if path.suffix[1:] not in ("png", "svg", "pdf", "jpg"):
            raise ConfigError(f"{path} arrived for the picture; expected a name that ends in .png, .svg, .pdf or .jpg")
        drawn = figure(5.6, 3.6)
        axes = drawn.subplots()
        open_axes(axes)
        axes.plot(self.rates, self.adjusted, color="#bbbbbb", linewidth=1, label="loss, adjusted for its batch")
        axes.plot(self.rates, self.smoothed, color=BLUE, label="smoothed")
        if self.suggestion is not None:
            label = f"suggested {self.suggestion:.2g}"
            axes.axvline(self.suggestion, color=ORANGE, linestyle="--", label=label)
        # A blow-up must not flatten the rest.
        low, high = min(self.smoothed), max(self.smoothed[0], float(np.median(self.adjusted)))
        margin = 0.5 * (high - low) or 0.1 * abs(high) or 1.0
        axes.set_ylim(low - margin, high + margin)
        axes.set_xscale("log")
        axes.set_xlabel("learning rate")
        axes.set_ylabel("loss")
        axes.legend(frameon=False)
        write(drawn, path)


def find_rate(
    session: Session,
    config: LearnerConfig,
    data: Any,
    *,
    low: float,
    high: float,
    steps: int,
    batch_size: int,
    seed: int,
    accumulate: int = 1,
    bptt: int | None = None,
    stateful: bool = False,
) -> RateSweep:
    """See `Learner.find_rate`."""
    if not 0 < low < high < math.inf:
        raise ConfigError(f"low={low!r}, high={high!r} arrived; expected learning rates with 0 < low < high")
    check_whole(steps, "steps", least=10)
    check_whole(accumulate, "accumulate")
    config.check(session.model)
    given = {"batch_size": batch_size, "accumulate": accumulate, "bptt": bptt, "stateful": stateful, "seed": seed}
    # As many epochs as the steps may take: the sweep ends the run.
    settings = FitSettings(epochs=int(steps * accumulate), progress=False, **as_python(given))
    settings.check()
    if session.execution.world > 1:
        raise ConfigError("find_rate runs in one process; run it without torchrun, then train with the rate it finds")
    check_rereadable(data, "find_rate would use it up", "pass (X, y)")
    device = session.execution.device
    with preserve_session(session, config.optimizer, data), seeded(settings.seed, device), torch.enable_grad():
        session.optimizer, session.metrics = None, Metrics(())
        sweep = _Sweep(low, high, int(steps))
        recorder, callbacks = Recorded(History(), time.monotonic()), Callbacks(None, [sweep])
        run = make_run(session, config, data, settings, None, int(seed), recorder, callbacks)
        callbacks.prepare(run)
        watching: Any = run.penalty or nullcontext()
        with mode(session.execution.module, training=True), watching:
            try:
                for _ in train(run):
                    pass
            except NonFinite:  # the weights, at the end of an epoch
                sweep.stopped = "blow-up"
    smoothed, suggestion, reason = suggest_rate(sweep.rates, sweep.adjusted)
    return RateSweep(
        tuple(sweep.rates), tuple(sweep.losses), tuple(sweep.adjusted), tuple(smoothed), suggestion, reason,
        sweep.stopped,
    )  # fmt: skip


class _Sweep(Callback):
    """Raises the rate from step to step, and ends the run at the last rate or where the loss blows up.

    Args:
        low, high: the first and the last rate.
        steps: how many updates.
    """

    def __init__(self, low: float, high: float, steps: int) -> None:
        self.low, self.high, self.steps = low, high, steps
        self.rates: list[float] = []
        self.losses: list[float] = []
        self.initial: list[float] = []
        self.stopped: Literal["end", "blow-up"] = "end"

    @property
    def adjusted(self) -> list[float]:
        return _adjust(self.losses, self.initial)

    def on_prepare(self, learner: Any, run: Run) -> None:
        self.run, self.forward = run, _Compared(run.forward)
        run.forward = self.forward  # type: ignore[assignment]
        run.losses = LossMeter(run.execution.device, strict=False)
        run.rates = Rates(run.optimizer, _Rise(self.low, self.high), self.steps, 1)

    def on_backward_end(self, learner: Any, step: int) -> None:
        for kept, scores in ((self.losses, self.forward.now), (self.initial, self.forward.before)):
            kept.append(_mean(scores))
            scores.clear()
        self.rates.append(self.low * (self.high / self.low) ** (step / (self.steps - 1)))
        if _blown_up(self.adjusted):
            self.stopped = "blow-up"
        if self.stopped == "blow-up" or step == self.steps - 1:
            self.run.stop_reason = "callback"


class _Compared:
    """A forward pass that keeps the loss of each batch, and that of the initial weights on the same batch.

    The initial weights see the same dropout, and the states that they carried on themselves.

    Args:
        forward: the forward pass of the run.
    """

    def __init__(self, forward: Forward) -> None:
        self.forward, self.splits_batch = forward, forward.splits_batch
        self.parameters = [parameter.detach() for parameter in forward.execution.model.parameters()]
        self.start = [parameter.clone() for parameter in self.parameters]
        self.now: list[tuple[float, int]] = []
        self.before: list[tuple[float, int]] = []
        self._state: dict[str, Any] = {}

    def begin(self) -> None:
        self._state = {}
        self.forward.begin()

    def count(self, batch: Batch) -> int:
        return self.forward.count(batch)

    def microbatches(self, batch: Batch) -> Iterator[Score]:
        self._score_initial_weights(batch)
        for score in self.forward.microbatches(batch):
            self.now.append((score.loss.item(), score.count))
            yield score

    @torch.no_grad()
    def _score_initial_weights(self, batch: Batch) -> None:
        forward: Any = self.forward
        now = [parameter.clone() for parameter in self.parameters]
        carried = forward.state_dict() if hasattr(forward, "state_dict") else None
        if carried is not None:
            forward.load_state_dict(self._state or {"state": None})
        with torch.random.fork_rng([forward.device] if forward.device.type == "cuda" else []):
            torch._foreach_copy_(self.parameters, self.start)
            self.before += [(score.loss.item(), score.count) for score in forward.microbatches(batch)]
            torch._foreach_copy_(self.parameters, now)
        if carried is not None:
            self._state = forward.state_dict()
            forward.load_state_dict(carried)


def _mean(scores: list[tuple[float, int]]) -> float:
    """Return the mean loss of an update, weighted by the numbers of targets."""
    if len(scores) == 1:
        return scores[0][0]
    return sum(loss * count for loss, count in scores) / sum(count for _, count in scores)


def _adjust(losses: list[float], initial: list[float]) -> list[float]:
    level = float(np.mean(initial))
    return [loss - before + level for loss, before in zip(losses, initial, strict=True)]


def suggest_rate(rates: list[float], losses: list[float]) -> tuple[list[float], float | None, str]:
    """Return the smoothed losses, the rate at which they fall most steeply over log(rate) if any, and a reason.

    Smoothing is by a Gaussian of 0.15 decades to both sides, which unlike a running average does not move the curve to
    higher rates. A loss above the start (the median of the first tenth) counts as at most as far above it as the lowest
    is below it, so that one blow-up does not fill the valley beside it. The suggestion lies at or before the lowest
    smoothed loss.

    There is no suggestion where the curve is flat: the lowest is less than a thousandth below the start, or the mean
    loss of the last 0.3 decades is nowhere below the start by 6 of its standard errors. The noise is that of the same
    0.3 decades: losses scatter more at higher rates, and most behind the lowest. Once the curve has fallen, what
    counts ends where it is back at the start: a second valley after that belongs to other weights.

    Example:
        >>> rates = [10 ** (i / 10 - 6) for i in range(60)]
        >>> losses = [1 / (1 + 1000 * rate) for rate in rates]
        >>> f"{suggest_rate(rates, losses)[1]:.1e}"
        '1.0e-03'
        >>> suggest_rate(rates, [1.0] * 60)[1:]
        (None, 'no rate lowered the loss: the curve is flat')
    """
    x = np.log10(np.asarray(rates))
    y = np.asarray(losses, dtype=np.float64)
    start = float(np.median(y[: max(1, len(y) // 10)]))
    ceiling = start + max(start - float(y[np.isfinite(y)].min()), _LEAST_FALL * abs(start))
    y = np.where(np.isfinite(y), np.minimum(y, ceiling), ceiling)
    kernel = np.exp(-(((x[:, None] - x[None, :]) / _DECADES) ** 2) / 2)
    kernel /= kernel.sum(1, keepdims=True)
    smoothed = kernel @ y
    fallen = np.flatnonzero(_falls_in_errors(x, y, start) >= _ERRORS)
    first = int(fallen[0]) if len(fallen) else 0
    risen = np.flatnonzero(smoothed[first:] >= start)
    lowest = int(smoothed[: first + int(risen[0]) if len(risen) else None].argmin()) if first else 0
    if lowest == 0 or start - float(smoothed[lowest]) <= _LEAST_FALL * abs(start):
        return smoothed.tolist(), None, "no rate lowered the loss: the curve is flat"
    steepest = int(np.gradient(smoothed, x)[: lowest + 1].argmin())
    reason = f"the loss falls most steeply here; it is lowest, {smoothed[lowest]:.4g}, at {rates[lowest]:.2g}"
    return smoothed.tolist(), rates[steepest], reason


def _falls_in_errors(x: np.ndarray, y: np.ndarray, start: float) -> np.ndarray:
    """How many standard errors the mean of the steps up to each one is below the start."""
    weights = np.exp(-(((x[:, None] - x[None, :]) / _WINDOW) ** 2) / 2) * (x[None, :] <= x[:, None])
    weights /= weights.sum(1, keepdims=True)
    bends = np.zeros_like(y)
    bends[2:] = (y[2:] - 2 * y[1:-1] + y[:-2]) / math.sqrt(6)  # of the losses' own deviation, without their slope
    bends[:2] = bends[2:3]
    typical = np.array([1.48 * np.median(np.abs(bends[: step + 1])) for step in range(len(y))])
    error = np.maximum(np.sqrt(weights @ bends**2), typical) * np.sqrt((weights**2).sum(1))
    falls = (start - weights @ y) / np.maximum(error, 1e-12)
    falls[: max(5, len(y) // 10)] = 0.0  # too few steps to know the noise
    return falls  # type: ignore[no-any-return]


@dataclass(frozen=True)
class _Rise:
    """A factor that is multiplied by the same number each step, up to 1 at `peak`."""

    low: float
    peak: float

    def __call__(self, step: int, total: int) -> float:
        return float((self.low / self.peak) ** (1 - step / (total - 1)))


def _blown_up(losses: list[float]) -> bool:
    """Whether the loss rose by 3 times the lowest so far, or by 3 times the fall to it if that is more."""
    if not math.isfinite(losses[-1]):
        if len(losses) == 1:
            raise DivergenceError(f"the loss is {losses[0]} before the first step; look at the data and the weights")
        return True
    recent = float(np.mean(losses[-3:]))  # a single bad batch is no blow-up
    best = min(losses)
    return recent > best + 3 * max(abs(best), losses[0] - best)
