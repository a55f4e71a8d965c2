"""The training loop, its counterpart for evaluation, and the sum of losses that both keep."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.optim import Optimizer

from ..errors import DataError
from .batches import Batches
from .callbacks import Callbacks
from .contexts import CatchInterrupt, mode
from .divergence import NonFinite, all_finite
from .engine import several_processes
from .forward import Forward
from .history import Row
from .metrics import Metrics
from .progress import Progress
from .schedules import Rates


@dataclass
class Run:
    """What `train` works with, made ready by `Learner.fit`."""

    forward: Forward
    batches: Batches
    metrics: Metrics
    optimizer: Optimizer
    epochs: int
    backward: Callable[[Tensor], object]
    clip: Callable[[], object] | None
    penalty: Callable[[], Tensor] | None
    rates: Rates | None
    validate: Callable[[], Row] | None
    interrupt: CatchInterrupt
    progress: Progress
    processes: int
    callbacks: Callbacks
    stop: bool = False  # set by `Learner.stop`


def train(run: Run) -> Iterator[Row]:
    """Trains epoch by epoch, yielding the figures of each. After a Ctrl-C or a stop it ends with the step at hand.

    This is the whole loop. What it adds to a step on a CPU, beside picking the rows, the model, the loss, the backward
    pass and the optimizer, takes about 5 µs.
    """
    parameters = [parameter for group in run.optimizer.param_groups for parameter in group["params"]]
    loss_function = run.forward.loss.function
    backward_end, step_end = run.callbacks.backward_end, run.callbacks.step_end
    step = 0
    for epoch in range(1, run.epochs + 1):
        began, rows = time.monotonic(), 0
        losses = LossMeter(run.forward.device, strict=True)
        run.metrics.reset()
        for inputs, targets in run.batches:
            rows += len(inputs)
            output, targets = run.forward(inputs, targets)
            loss = loss_function(output, targets)
            losses.add(loss, len(targets))  # raises if it is NaN or infinite
            run.metrics.add(output, targets)
            for parameter in parameters:  # optimizer.zero_grad() without its profiler hook, which takes 7 µs
                parameter.grad = None
            run.backward(loss if run.penalty is None else loss + run.penalty())
            for hook in backward_end:
                hook(step)
            if run.clip is not None:
                run.clip()
            if run.rates is not None:
                run.rates.set(step)
            run.optimizer.step()
            for hook in step_end:
                hook(step)
            step += 1
            run.progress.step(step, epoch, rows, began, losses, run.metrics)
            if run.interrupt.requested or run.stop:
                return
        if not all_finite(parameters):
            raise NonFinite("the weights became NaN or infinite", losses.steps - 1)
        row = {"epoch": epoch, "loss": losses.mean(), **run.metrics.compute()}
        seconds = time.monotonic() - began
        if run.validate is not None:
            row |= {f"val_{name}": value for name, value in run.validate().items()}
        row["lr"] = run.optimizer.param_groups[0]["lr"]
        row["samples_per_second"] = rows * run.processes / seconds
        row["seconds"] = time.monotonic() - began
        if run.rates is not None:
            run.rates.epoch(row)
        yield row


def evaluate(forward: Forward, batches: Batches, metrics: Metrics) -> Row:
    """Returns the mean loss and the metrics over all batches; the module's modes are left as they were."""
    losses = LossMeter(forward.device, strict=False)
    metrics.reset()
    with mode(forward.module, training=False):
        for inputs, targets in batches:
            with torch.inference_mode():  # not around the metrics: their sums outlive it
                output, targets = forward(inputs, targets)
                loss = forward.loss.function(output, targets)
            losses.add(loss, len(targets))
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
        self.waiting: list[tuple[Tensor, int]] = []
        self.total, self.count, self.steps = 0.0, 0, 0

    def add(self, loss: Tensor, count: int) -> None:
        self.waiting.append((loss.detach(), count))
        if len(self.waiting) >= self.every:
            self.read()

    def read(self) -> None:
        losses = [loss for loss, _ in self.waiting]
        values = [losses[0].item()] if len(losses) == 1 else torch.stack(losses).tolist() if losses else []
        for value, (_, count) in zip(values, self.waiting, strict=True):
            if self.strict and not math.isfinite(value):
                raise NonFinite(f"the loss became {value}", self.steps)
            self.total += value * count
            self.count += count
            self.steps += 1
        self.waiting.clear()

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
