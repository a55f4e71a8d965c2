"""The training loop, and its counterpart for evaluation."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass, field, replace
from itertools import islice
from typing import Any, Literal

import torch
from torch import Tensor
from torch.optim import Optimizer

from ..errors import DataError
from ..layers.modes import mode
from ..types import Batch
from .batching.batches import ArrayBatches
from .batching.iterables import IterableBatches
from .contexts import CatchInterrupt
from .execution import DeviceShare, Execution, share_of_total
from .history import History, Recorded, Row
from .native_step import NativeStep
from .objectives.forward import Forward
from .objectives.objective import Score
from .optimization.clipping import Clipping
from .optimization.optimizers import left_out_by
from .optimization.rates import Rates
from .watching.callbacks import Callbacks
from .watching.divergence import NonFinite, all_finite
from .watching.losses import LossMeter, check_loss
from .watching.metrics import Metrics
from .watching.progress import Progress
from .watching.weights import copy_weights

StopReason = Literal["early stopping", "callback"]


@dataclass
class TrainingPosition:
    """How far a run is.

    Attributes:
        epoch: the current epoch, from 1.
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
    """The parts of a run, which `Learner.fit` makes and the loop uses. Callbacks may read and change them.

    Attributes:
        execution: the model and where it is computed.
        forward: the forward pass and the objective.
        batches: the data of an epoch.
        epochs: how many the run has.
        clip: clips the gradients; None: they are left as they are.
        penalty: what is added to the loss of a batch; None: nothing.
        rates: sets the learning rates; None: they are constant.
        validate: returns the figures on the validation data; None: there is none.
        held_out: that data.
        accumulate: batches of an update.
        identity: what a run that goes on must share with this one, as JSON values.
        seed: of the run.
        generators: those that the run draws from, by name.
        extra: what is stored beside the model.
        averaged: a context in which the model shows its averaged weights.
        finishers: put the weights into the model that the run ends with.
        native: computes steps of the common kind.
        averaged_at: the step after which the weights of local steps were last averaged over the processes.
        begin_epoch: returns the batches that are left of an epoch.
        stop_reason: why a callback ends the run.
    """

    execution: Execution
    forward: Forward
    batches: ArrayBatches | IterableBatches
    metrics: Metrics
    optimizer: Optimizer
    epochs: int
    history: History
    recorder: Recorded
    callbacks: Callbacks
    losses: LossMeter
    interrupt: CatchInterrupt
    progress: Progress
    clip: Clipping | None = None
    penalty: Callable[[], Tensor] | None = None
    rates: Rates | None = None
    validate: Callable[[], Row] | None = None
    held_out: ArrayBatches | IterableBatches | None = None
    accumulate: int = 1
    identity: dict[str, Any] = field(default_factory=dict)
    seed: int = 0
    generators: dict[str, torch.Generator] = field(default_factory=dict)
    extra: dict[str, Any] = field(default_factory=dict)
    position: TrainingPosition = field(default_factory=TrainingPosition)
    averaged: Callable[[], AbstractContextManager[None]] = nullcontext
    finishers: list[Callable[[], object]] = field(default_factory=list)
    native: NativeStep = field(default_factory=NativeStep)
    averaged_at: int = -1
    begin_epoch: Callable[[ArrayBatches | IterableBatches], Iterator[Batch]] = iter
    stop_reason: StopReason | None = None

    @property
    def stopping(self) -> bool:
        """Whether the run ends after the current step."""
        return self.stop_reason is not None or self.interrupt.requested

    def agree_to_stop(self) -> None:
        """Stop in all processes where a callback of one of them stops; all must call this."""
        reasons = self.execution.from_all(self.stop_reason)
        self.stop_reason = next((one for one in reasons if one is not None), None)

    @contextmanager
    def final_weights(self) -> Iterator[None]:
        """Have the model show, for a while, the weights that the run would end with now."""
        now = copy_weights(self.execution.model)
        self.finish()
        try:
            yield
        finally:
            self.execution.model.load_state_dict(now)

    def finish(self) -> None:
        """Put into the model what the run ends with: its best weights, else the averaged, else those it has."""
        for put in self.finishers:
            put()

    def updates(self) -> Iterator[Sequence[Batch]]:
        """Return the rest of the epoch's batches, as many at a time as one update learns from."""
        if self.position.batch == 0:
            self.position.began = time.monotonic()
            self.forward.begin()
        batches = self.begin_epoch(self.batches)
        if self.execution.world > 1 and not self.batches.in_step:
            batches = _while_any_has(self.execution, batches)
        if self.accumulate == 1:
            return zip(batches)  # tuples of one
        return iter(lambda: tuple(islice(batches, self.accumulate)), ())

    def scores(self, batches: Sequence[Batch]) -> Iterator[tuple[Score, float | DeviceShare]]:
        """Run the model on the batches of an update.

        Returns:
            the score of each batch, or piece of one, and what its mean loss is multiplied by: its share of the targets
            of the update, those of all processes together.
        """
        several, execution = self.in_pieces(batches), self.execution
        if execution.exchange is None and not several:
            return self._scores(batches, None, 1)
        total: int | Tensor | None = None
        if execution.by_reducer(several=several, step=self.position.step):
            total = execution.sum_over_processes(self.count(batches))
            return self._scores(batches, total, execution.world)
        if several:  # each process takes its own mean; `exchange` joins them
            total = max(1, self.count(batches))
        scores = self._scores(batches, total, 1)
        return _within(execution.own_gradients(several=several, step=self.position.step), scores)

    def in_pieces(self, batches: Sequence[Batch]) -> bool:
        """Return whether the gradient of an update takes several backward passes."""
        return len(batches) > 1 or self.forward.splits_batch

    def count(self, batches: Sequence[Batch]) -> int:
        """Return the number of this process's targets in an update."""
        return sum(0 if batch.stands_in else self.forward.count(batch) for batch in batches)

    def exchange(self, batches: Sequence[Batch]) -> None:
        """Join the gradients of an update with those of the other processes, unless that was done or is not wanted."""
        execution, step = self.execution, self.position.step
        exchange = execution.exchange
        if exchange is None or exchange.local_at(step):
            return
        if not execution.by_reducer(several=self.in_pieces(batches), step=step):
            exchange.join(execution.model.parameters(), self.count(batches))

    @property
    def apart(self) -> bool:
        """Whether processes have weights of their own after this step."""
        exchange, step = self.execution.exchange, self.position.step
        if exchange is None or not exchange.settings.local:
            return False
        return step > exchange.settings.local_start and step != self.averaged_at

    def average_local_steps(self, *, now: bool = False) -> None:
        """Average the weights that processes trained by themselves, if that is due after this step.

        Args:
            now: also where it is not, unless it was done after the last step.
        """
        exchange, step = self.execution.exchange, self.position.step
        if exchange is None or not exchange.settings.local or step == self.averaged_at:
            return
        since = step - exchange.settings.local_start
        if since > 0 and (now or since % exchange.settings.local_steps == 0):
            exchange.average_weights(self.execution.model.parameters(), self.optimizer)
            self.averaged_at = step

    def _scores(
        self, batches: Sequence[Batch], total: int | Tensor | None, world: int
    ) -> Iterator[tuple[Score, float | DeviceShare]]:
        position = self.position
        for batch in batches:
            for score in self.forward.microbatches(batch):
                if batch.stands_in:
                    score = _without_targets(score)
                yield score, 1.0 if total is None else share_of_total(score.count * world, total)
            position.batch += 1
            position.rows += 0 if batch.stands_in else len(batch)


def _within(context: AbstractContextManager[None], items: Iterator[Any]) -> Iterator[Any]:
    with context:
        yield from items


def _while_any_has(execution: Execution, batches: Iterator[Batch]) -> Iterator[Batch]:
    """Yield the batches of this process, then its last one to stand in, until no process has any left."""
    last: Batch | None = None
    while True:
        batch = next(batches, None)
        if not execution.any_process(batch is not None):
            return
        if batch is None and last is None:
            raise DataError(
                f"process {execution.rank} has no batch while another one has; divide the data so that each has some"
            )
        last = replace(last, stands_in=True) if batch is None and last is not None else batch
        assert last is not None
        yield last


def _without_targets(score: Score) -> Score:
    """Return the score of a batch that counts nowhere; its loss is there to be backpropagated."""
    output = score.output[:0] if isinstance(score.output, Tensor) else score.output
    return Score(score.loss * 0.0, 0, output, score.targets[:0])


def train(run: Run) -> Iterator[Row]:
    """Train epoch by epoch, yielding the figures of each. After Ctrl-C or a stop it ends with the current step.

    This is the whole loop; docs/benchmarks.md has what `fit` adds to the bare steps.
    """
    position, losses = run.position, run.losses
    left_out = list(left_out_by(run.optimizer, run.execution.model).values())
    step_end = run.callbacks.step_end
    while position.epoch <= run.epochs:
        for batches in run.updates():
            learn(run, batches, left_out)
            for hook in step_end:
                hook(position.step - 1)
            run.progress.step(position.step, position.epoch, position.rows, position.began, losses, run.metrics)
            if run.stopping:
                return
        if not all_finite(_held(run.optimizer)):
            raise NonFinite("the weights became NaN or infinite", position.batch - 1)
        run.average_local_steps(now=True)
        row = {"epoch": position.epoch, "loss": losses.mean(), **run.metrics.compute()}
        seconds = time.monotonic() - position.began
        if run.validate is not None:
            with run.averaged():
                row |= {f"val_{name}": value for name, value in run.validate().items()}
        row["lr"] = run.optimizer.param_groups[0]["lr"]
        row["samples_per_second"] = int(run.execution.sum_over_processes(position.rows)) / seconds
        row["seconds"] = time.monotonic() - position.began
        row = run.execution.shared(row)  # figures by functions, and the clock, are each process's own
        if run.rates is not None:
            run.rates.epoch(row)
        position.next_epoch()
        losses.reset()
        yield row


def learn(run: Run, batches: Sequence[Batch], left_out: Sequence[Tensor] = ()) -> None:
    """Update the weights once.

    Args:
        run: see `Run`.
        batches: what the update learns from.
        left_out: parameters of the model that the optimizer has not; their gradients count for clipping.
    """
    position = run.position
    if not (len(batches) == 1 and _natively(run, batches[0])):
        _backpropagate(run, batches, left_out)
    run.exchange(batches)
    for hook in run.callbacks.backward_end:
        hook(position.step)
    if run.rates is not None:
        run.rates.set(position.step)
    run.native.step(run)
    position.step += 1
    run.average_local_steps()


def _natively(run: Run, batch: Batch) -> bool:
    """Have the core compute the gradients of a batch; False where it cannot."""
    score = None if batch.stands_in else run.native.score(run, batch)
    if score is None:
        return False
    run.losses.add(score.loss, score.count, run.position.batch)  # raises if it is NaN or infinite
    run.metrics.add(score.output, score.targets)
    run.position.batch += 1
    run.position.rows += len(batch)
    return True


def _backpropagate(run: Run, batches: Sequence[Batch], left_out: Sequence[Tensor]) -> None:
    """Compute the gradients of all batches together by autograd."""
    backward, first = run.execution.backward, True
    for score, share in run.scores(batches):
        loss = score.loss
        check_loss(loss, trains=True)
        run.losses.add(loss, score.count, run.position.batch)  # raises if it is NaN or infinite
        run.metrics.add(score.output, score.targets)
        if first:  # not earlier: if the loss is NaN, the last gradient shows why
            for parameter in _held(run.optimizer):  # optimizer.zero_grad() without its profiler hook, which takes 7 µs
                parameter.grad = None
            for parameter in left_out:
                parameter.grad = None
            first = False
        if run.penalty is not None:
            loss = loss + run.penalty()
        backward(loss if share == 1.0 else loss * share)


def _held(optimizer: Optimizer) -> list[Tensor]:
    """Return the parameters of an optimizer, those of groups that were added on the way among them."""
    return [parameter for group in optimizer.param_groups for parameter in group["params"]]


def evaluate(forward: Forward, batches: ArrayBatches | IterableBatches, metrics: Metrics) -> Row:
    """Return the mean loss and the metrics over all batches; the module's modes are left as they were."""
    losses = LossMeter(forward.device, strict=False)
    metrics.reset()
    forward.begin()
    with mode(forward.module, training=False):
        for batch in batches:
            with torch.inference_mode():  # not around the metrics: their sums outlive it
                score = forward.score(batch)
            check_loss(score.loss, trains=False)
            losses.add(score.loss, score.count, 0)
            metrics.add(score.output, score.targets)
    return {"loss": losses.mean(), **metrics.compute()}
