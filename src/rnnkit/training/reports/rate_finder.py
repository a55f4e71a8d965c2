"""The learning-rate range test: a short run at rising rates, which suggests a rate to train with."""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import nullcontext
from dataclasses import dataclass
from os import PathLike
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from torch import Tensor

from ...errors import ConfigError, DataError, DivergenceError, check_seed, check_whole
from ...types import Batch
from ..batching.iterables import check_rereadable
from ..config import LearnerConfig
from ..contexts import mode, seeded
from ..objectives.forward import Forward
from ..optimization.rates import Rates
from ..resuming.preserve import preserve_session
from ..session import Session
from ..sources import balance_classes, make_batches

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
) -> RateSweep:
    """See `Learner.find_rate`."""
    if not 0 < low < high < math.inf:
        raise ConfigError(f"low={low!r}, high={high!r} arrived; expected learning rates with 0 < low < high")
    check_whole(steps, "steps", least=10)
    check_whole(batch_size, "batch_size")
    check_seed(seed)
    steps, batch_size, seed = int(steps), int(batch_size), int(seed)  # NumPy's numbers too
    execution = session.execution
    if execution.world > 1:
        raise ConfigError("find_rate runs in one process; run it without torchrun, then train with the rate it finds")
    check_rereadable(data, "find_rate would use it up", "pass (X, y)")
    rates, losses, initial = [], [], []
    with preserve_session(session, config.optimizer, data), seeded(seed, execution.device), torch.enable_grad():
        order = torch.Generator().manual_seed(seed)
        forward, batches = make_batches(execution, session.objective, data, batch_size, order, passes=steps)
        balance_classes(forward, batches)
        optimizer, penalty = config.make_optimizer(execution), config.make_penalty(session.model)
        with mode(execution.module, training=True), penalty or nullcontext():
            sweep = Rates(optimizer, _Sweep(low, high), steps, 1)
            clip = config.make_clipping(execution, optimizer)
            start = [parameter.detach().clone() for parameter in session.model.parameters()]
            stopped: Literal["end", "blow-up"] = "end"
            for step, batch in enumerate(_cycle(batches, steps)):
                initial.append(_initial_loss(forward, start, batch))
                loss = forward.score(batch).loss
                rates.append(low * (high / low) ** (step / (steps - 1)))
                losses.append(loss.item())
                if _blown_up(_adjust(losses, initial)):
                    stopped = "blow-up"
                    break
                for parameter in session.model.parameters():
                    parameter.grad = None
                execution.backward(loss if penalty is None else loss + penalty())
                if clip is not None:
                    clip()
                sweep.set(step)
                optimizer.step()
    adjusted = _adjust(losses, initial)
    smoothed, suggestion, reason = suggest_rate(rates, adjusted)
    return RateSweep(tuple(rates), tuple(losses), tuple(adjusted), tuple(smoothed), suggestion, reason, stopped)


@torch.no_grad()
def _initial_loss(forward: Forward, start: list[Tensor], batch: Batch) -> float:
    """Return the loss of the initial weights on a batch, with the dropout of the model's next call."""
    parameters = [parameter.detach() for parameter in forward.execution.model.parameters()]
    now = [parameter.clone() for parameter in parameters]
    with torch.random.fork_rng([forward.device] if forward.device.type == "cuda" else []):
        torch._foreach_copy_(parameters, start)
        loss = forward.score(batch).loss.item()
        torch._foreach_copy_(parameters, now)
    return float(loss)


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
class _Sweep:
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


def _cycle(batches: Any, steps: int) -> Iterator[Any]:
    """Yield this number of batches, from as many epochs as needed."""
    done = 0
    while done < steps:
        before = done
        for batch in batches:
            yield batch
            done += 1
            if done == steps:
                return
        if done == before:
            raise DataError("no data arrived: there was not a single batch")
