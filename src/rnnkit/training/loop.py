"""The training loop, its counterpart for evaluation, and the sum of losses that both keep."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from itertools import islice
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor
from torch.optim import Optimizer

from ..errors import DataError
from .batching.batches import Batch, Batches
from .contexts import CatchInterrupt, mode
from .execution import several_processes
from .objectives.forward import Forward
from .optimization.averaging import Average
from .optimization.clipping import Clipping
from .optimization.rates import Rates
from .watching.callbacks import Callbacks
from .watching.divergence import NonFinite, all_finite
from .watching.history import Row
from .watching.metrics import Metrics
from .watching.progress import Progress

if TYPE_CHECKING:
    from .resuming.checkpoint import Checkpoint


@dataclass
class Place:
    """How far a run is.

    Attributes:
        epoch: the epoch at hand, from 1.
        step: updates of the weights, over the whole run.
        batch: batches of this epoch that were learned from.
        rows: rows in them.
        began: when the epoch did, by the monotonic clock; before a pause, as if there had been none.
    """

    epoch: int = 1
    step: int = 0
    batch: int = 0
    rows: int = 0
    began: float = 0.0

    def next_epoch(self) -> None:
        self.epoch, self.batch, self.rows = self.epoch + 1, 0, 0

    def state_dict(self) -> dict[str, Any]:
        return {**vars(self), "began": time.monotonic() - self.began}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        vars(self).update(state, began=time.monotonic() - state["began"])


@dataclass
class Run:
    """What `train` works with, made ready by `Learner.fit`."""

    forward: Forward
    batches: Batches
    metrics: Metrics
    optimizer: Optimizer
    epochs: int
    backward: Callable[[Tensor], object]
    clip: Clipping | None
    penalty: Callable[[], Tensor] | None
    rates: Rates | None
    validate: Callable[[], Row] | None
    interrupt: CatchInterrupt
    progress: Progress
    processes: int
    exchange: Callable[[], AbstractContextManager[None]] | None  # of several processes: gradients meet once an update
    callbacks: Callbacks
    losses: LossMeter
    average: Average | None = None
    at: Place = field(default_factory=Place)
    accumulate: int = 1  # batches of an update
    checkpoint: Checkpoint | None = None
    stop: bool = False  # set by `Learner.stop`

    def averaged(self) -> AbstractContextManager[None]:
        """Has the model show its averaged weights for a while, where there are any."""
        return nullcontext() if self.average is None else self.average.swapped()

    def updates(self) -> Iterator[Sequence[Batch]]:
        """The rest of the epoch's batches, as many at a time as one update learns from."""
        if self.at.batch == 0:
            self.at.began = time.monotonic()
            self.forward.begin()
        start = iter if self.checkpoint is None else self.checkpoint.start
        batches = start(self.batches)
        if self.accumulate == 1:
            return zip(batches)  # tuples of one
        return iter(lambda: tuple(islice(batches, self.accumulate)), ())

    def pieces(self, batches: Sequence[Batch]) -> Iterator[tuple[Tensor, Tensor, float]]:
        """Runs the model on the batches of an update: outputs, their targets, and their share of all its targets."""
        whole = len(batches) == 1 and not self.forward.cuts
        total = 0 if whole else sum(self.forward.count(*batch) for batch in batches)
        with nullcontext() if whole or self.exchange is None else self.exchange():
            for inputs, expected in batches:
                for output, targets in self.forward.pieces(inputs, expected):
                    yield output, targets, 1.0 if whole else len(targets) / total
                self.at.batch += 1
                self.at.rows += len(inputs)


def train(run: Run) -> Iterator[Row]:
    """Trains epoch by epoch, yielding the figures of each. After a Ctrl-C or a stop it ends with the step at hand.

    This is the whole loop. On a CPU `fit` adds 12 to 20 µs to a step that is picking the rows, the model, the loss, the
    backward pass and the optimizer alone, the setting up of a run of 1,500 steps included.
    """
    parameters = [parameter for group in run.optimizer.param_groups for parameter in group["params"]]
    loss_function = run.forward.loss.function
    at, losses, backward_end, step_end = run.at, run.losses, run.callbacks.backward_end, run.callbacks.step_end
    while at.epoch <= run.epochs:
        for batches in run.updates():
            first = True
            for output, targets, share in run.pieces(batches):
                loss = loss_function(output, targets)
                losses.add(loss, len(targets), at.batch)  # raises if it is NaN or infinite
                run.metrics.add(output, targets)
                if first:  # not earlier: should the loss be NaN, the last gradient tells why
                    for parameter in parameters:  # optimizer.zero_grad() without its profiler hook, which takes 7 µs
                        parameter.grad = None
                    first = False
                if run.penalty is not None:
                    loss = loss + run.penalty()
                run.backward(loss if share == 1.0 else loss * share)
            for hook in backward_end:
                hook(at.step)
            if run.clip is not None:
                run.clip()
            if run.rates is not None:
                run.rates.set(at.step)
            run.optimizer.step()
            if run.average is not None:
                run.average.update()
            for hook in step_end:
                hook(at.step)
            at.step += 1
            run.progress.step(at.step, at.epoch, at.rows, at.began, losses, run.metrics)
            if run.interrupt.requested or run.stop:
                return
            if run.checkpoint is not None and run.checkpoint.due(at.step):
                run.checkpoint.save()
        if not all_finite(parameters):
            raise NonFinite("the weights became NaN or infinite", at.batch - 1)
        row = {"epoch": at.epoch, "loss": losses.mean(), **run.metrics.compute()}
        seconds = time.monotonic() - at.began
        if run.validate is not None:
            with run.averaged():
                row |= {f"val_{name}": value for name, value in run.validate().items()}
        row["lr"] = run.optimizer.param_groups[0]["lr"]
        row["samples_per_second"] = at.rows * run.processes / seconds
        row["seconds"] = time.monotonic() - at.began
        if run.rates is not None:
            run.rates.epoch(row)
        at.next_epoch()
        losses.reset()
        yield row


def evaluate(forward: Forward, batches: Batches, metrics: Metrics) -> Row:
    """Returns the mean loss and the metrics over all batches; the module's modes are left as they were."""
    losses = LossMeter(forward.device, strict=False)
    metrics.reset()
    forward.begin()
    with mode(forward.module, training=False):
        for inputs, targets in batches:
            with torch.inference_mode():  # not around the metrics: their sums outlive it
                output, targets = forward(inputs, targets)
                loss = forward.loss.function(output, targets)
            losses.add(loss, len(targets), 0)
            metrics.add(output, targets)
    return {"loss": losses.mean(), **metrics.compute()}


class LossMeter:
    """The mean of losses, each weighted by the number of targets that it is itself the mean of.

    To read a loss is to wait for an accelerator, so there 50 are read at once; on a CPU each is as it comes. Where
    the meter is `strict`, one that is NaN or infinite raises `NonFinite`.
    """

    def __init__(self, device: torch.device, *, strict: bool) -> None:
        self.device, self.strict = device, strict
        self.every = 1 if device.type == "cpu" else 50
        self.reset()

    def reset(self) -> None:
        self.waiting: list[tuple[Tensor, int, int]] = []
        self.total, self.count = 0.0, 0

    def add(self, loss: Tensor, count: int, batch: int) -> None:
        """Takes the mean loss of `count` targets in a batch of that number (from 0) in the epoch."""
        self.waiting.append((loss.detach(), count, batch))
        if len(self.waiting) >= self.every:
            self.read()

    def read(self) -> None:
        losses = [loss for loss, _, _ in self.waiting]
        values = [losses[0].item()] if len(losses) == 1 else torch.stack(losses).tolist() if losses else []
        for value, (_, count, batch) in zip(values, self.waiting, strict=True):
            if self.strict and not math.isfinite(value):
                raise NonFinite(f"the loss became {value}", batch)
            self.total += value * count
            self.count += count
        self.waiting.clear()

    def state_dict(self) -> dict[str, Any]:
        self.read()
        return {"total": self.total, "count": self.count}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self.total, self.count = state["total"], state["count"]

    def mean(self, *, over_processes: bool = True) -> float:
        """Returns the mean so far; under torchrun that of all processes, which then must all ask for it."""
        self.read()
        total, count = self.total, self.count
        if over_processes and several_processes():
            both = torch.tensor([total, count], dtype=torch.float64, device=self.device)
            torch.distributed.all_reduce(both)
            total, count = both.tolist()
        if count == 0:
            raise DataError("no data arrived: there was not a single batch")
        return total / count
