"""The learning-rate range test: a short run at rising rates tells which rate to train with."""

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
from ...serialization import replacing
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


@dataclass(frozen=True)
class RateSweep:
    """What `Learner.find_rate` found.

    Attributes:
        rates: the learning rate of each step; of the first group of parameters, where there are several.
        losses: the loss of each step's batch, before the step.
        adjusted: the same without what is the batch's doing rather than the weights': less the loss of the initial
            weights on that batch (with the same dropout), plus the mean of those.
        smoothed: the adjusted losses without their noise, see `suggest_rate`.
        suggestion: a rate to train with, None where no rate lowered the loss.
        reason: in a sentence, why this one or why none.
        stopped: "end" of the range, or "blow-up" of the loss before it.
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
        """Draws loss against rate; the suffix of `path` chooses the format (.png, .svg, .pdf)."""
        from matplotlib.figure import Figure

        path = Path(path)
        if path.suffix[1:] not in ("png", "svg", "pdf", "jpg"):
            raise ConfigError(f"{path} arrived for the picture; expected a name that ends in .png, .svg, .pdf or .jpg")
        figure = Figure(figsize=(5.6, 3.6), layout="constrained")
        axes = figure.subplots()
        axes.spines[["top", "right"]].set_visible(False)
        axes.grid(color="#e6e6e6", linewidth=0.8)
        axes.plot(self.rates, self.adjusted, color="#bbbbbb", linewidth=1, label="loss, adjusted for its batch")
        axes.plot(self.rates, self.smoothed, color="#0072B2", label="smoothed")
        if self.suggestion is not None:
            label = f"suggested {self.suggestion:.2g}"
            axes.axvline(self.suggestion, color="#D55E00", linestyle="--", label=label)
        # What blew up must not flatten the rest.
        low, high = min(self.smoothed), max(self.smoothed[0], float(np.median(self.adjusted)))
        margin = 0.5 * (high - low) or 0.1 * abs(high) or 1.0
        axes.set_ylim(low - margin, high + margin)
        axes.set_xscale("log")
        axes.set_xlabel("learning rate")
        axes.set_ylabel("loss")
        axes.legend(frameon=False)
        with replacing(path) as temporary:
            figure.savefig(temporary, dpi=150, facecolor="white", format=path.suffix[1:])


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
    """Return the loss of the initial weights on a batch, with the dropout that the next call of the model draws."""
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
    """Returns the smoothed losses, the rate at which they fall most steeply over log(rate) if any, and a reason.

    Smoothed is with a Gaussian of 0.15 decades to both sides, which unlike a running average does not move the curve to
    higher rates; losses beyond the blow-up count as those at it. Looked at is what lies before the lowest smoothed
    loss. There is no suggestion where the fall from the start (the median of the first tenth) to the lowest is within
    the noise, 3 standard errors of the smoothed curve, or below a thousandth of the loss: the curve is flat.

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
    finite = np.isfinite(y)
    ceiling = y[finite].min() + 4 * max(abs(float(y[finite].min())), float(y[0] - y[finite].min()))
    y = np.where(finite, np.minimum(y, ceiling), ceiling)
    kernel = np.exp(-(((x[:, None] - x[None, :]) / _DECADES) ** 2) / 2)
    kernel /= kernel.sum(1, keepdims=True)
    smoothed = kernel @ y
    lowest = int(smoothed.argmin())
    start = float(np.median(y[: max(1, len(y) // 10)]))
    fall = start - float(smoothed[lowest])
    near = kernel[lowest]
    apart = np.abs(y - smoothed)
    deviation = max(float(np.sqrt((near * apart**2).sum())), 1.48 * float(np.median(apart[: lowest + 1])))
    noise = deviation * float(np.sqrt((near**2).sum()))
    if lowest == 0 or fall <= max(3 * noise, 1e-3 * abs(start)):
        return smoothed.tolist(), None, "no rate lowered the loss: the curve is flat"
    steepest = int(np.gradient(smoothed, x)[: lowest + 1].argmin())
    reason = f"the loss falls most steeply here; it is lowest, {smoothed[lowest]:.4g}, at {rates[lowest]:.2g}"
    return smoothed.tolist(), rates[steepest], reason


@dataclass(frozen=True)
class _Sweep:
    """A factor that rises by the same share each step, to 1 at `peak`."""

    low: float
    peak: float

    def __call__(self, step: int, total: int) -> float:
        return float((self.low / self.peak) ** (1 - step / (total - 1)))


def _blown_up(losses: list[float]) -> bool:
    """Whether the loss rose to the lowest so far plus 3 times its size, or 3 times the fall to it if that is more."""
    if not math.isfinite(losses[-1]):
        if len(losses) == 1:
            raise DivergenceError(f"the loss is {losses[0]} before the first step; look at the data and the weights")
        return True
    recent = float(np.mean(losses[-3:]))  # a single bad batch is no blow-up
    best = min(losses)
    return recent > best + 3 * max(abs(best), losses[0] - best)


def _cycle(batches: Any, steps: int) -> Iterator[Any]:
    """So many batches, from as many epochs as that takes."""
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
