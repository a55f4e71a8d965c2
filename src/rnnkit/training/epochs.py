"""What is done with the epochs of a run: best weights, checkpoints, early stopping, rescue from a divergence."""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor

from ..errors import ConfigError, DivergenceError, suggest
from .loop import Run, train
from .optimization.averaging import Average
from .resuming.checkpoint import Checkpoint
from .watching.divergence import NonFinite, explain
from .watching.history import History
from .watching.metrics import Metrics

Weights = dict[str, Tensor]


class Kept:
    """The weights that a run may go back to, or end with: of the last epoch, and where they are wanted of the best.

    Attributes:
        last, best: the weights; the averaged ones, where there is an average.
        since: what the last are those of.
    """

    def __init__(self, model: torch.nn.Module, restore_best: bool, average: Average | None) -> None:
        self.model, self.restore_best, self.average = model, restore_best, average
        self.last = self.best = weights(model)
        self.since = "before training"

    def epoch(self, number: int, better: bool) -> None:
        self.last, self.since = weights(self.model), f"epoch {number}"
        if better:
            self.best = self.last

    @contextmanager
    def showing(self) -> Iterator[None]:
        """Has the model show, for a while, the weights that the run would end with now."""
        now = weights(self.model)
        self.finish()
        try:
            yield
        finally:
            self.model.load_state_dict(now)

    def finish(self) -> None:
        """Puts into the model what the run ends with: its best weights, else the averaged, else those it has."""
        if self.restore_best:
            self.model.load_state_dict(self.best)
        elif self.average is not None:
            self.average.finish()

    def state_dict(self) -> dict[str, Any]:
        return {"best": self.best} if self.restore_best else {}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Takes the best weights back; the last are those that the model has, its own being back already."""
        self.last, self.since = weights(self.model), "the checkpoint that it was resumed from"
        self.best = state.get("best", self.last)


def follow(run: Run, history: History, kept: Kept, *, patience: int | None) -> None:
    """Runs the loop and fills `history`; see `Learner.fit` for what the arguments mean."""
    checkpoint = run.checkpoint
    try:
        for row in train(run):
            better = history.add(row)
            with run.averaged():
                kept.epoch(len(history.rows), better)
            if run.average is not None:
                run.average.epoch(row)
            run.progress.epoch(row)
            run.callbacks.epoch_end(row)
            if patience is not None and len(history.rows) - (history.best_epoch or 0) >= patience:
                history.stopped = "early stopping"
            elif len(history.rows) < run.epochs and (run.stop or run.interrupt.requested):
                history.stopped = "callback" if run.stop else "interrupted"
            if checkpoint is not None:
                checkpoint.save(row if better or not kept.restore_best else None)
            if history.stopped != "finished":
                break
        if history.stopped == "finished" and len(history.rows) < run.epochs:  # within an epoch
            history.stopped = "callback" if run.stop else "interrupted"
            if checkpoint is not None:
                checkpoint.save()
    except NonFinite as bad:
        message = _explain(bad, run, kept)
        kept.model.load_state_dict(kept.last)
        run.optimizer.state.clear()  # its averages may hold NaN too
        raise DivergenceError(message) from None
    if checkpoint is not None and (checkpoint.error is not None or checkpoint.stale):  # there may be room again
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            checkpoint.save()
            if checkpoint.error is None:
                repair_model(checkpoint, history, kept)
    kept.finish()
    if checkpoint is not None:
        checkpoint.finish()


def repair_model(checkpoint: Checkpoint, history: History, kept: Kept) -> None:
    """Sees that the model on the disk is the one that belongs to the state, where the state has its weights."""
    best = history.best_epoch if kept.restore_best else None
    if history.rows and (best is not None or checkpoint.place.batch == 0):
        with kept.showing():
            checkpoint.repair(history.rows[-1 if best is None else best - 1])


def open_history(monitor: str | None, metrics: Metrics, *, validated: bool, watchers: Sequence[str]) -> History:
    """Returns an empty history that knows which column tells the best epoch.

    Raises:
        ConfigError: the run has no such column, or it does not tell whether more is better; or there are
            `watchers`, settings that look at it, but neither a monitor nor validation.
    """
    columns = ["loss", *metrics.names]
    if monitor is None:
        if watchers and not validated:
            raise ConfigError(
                f"there is no 'val_loss' to watch for {' and '.join(watchers)}: pass validation=..., or name a figure "
                "of the training data, as in monitor='loss'"
            )
        monitor = "val_loss" if validated else "loss"
    known = columns + [f"val_{name}" for name in columns] * validated
    if monitor not in known:
        raise ConfigError(f"monitor={monitor!r} is no column of this run{suggest(monitor, tuple(known))}")
    name = monitor.removeprefix("val_")
    higher = False if name == "loss" else metrics.higher_is_better(name)
    if higher is None:
        raise ConfigError(
            f"monitor={monitor!r} does not tell whether more is better; give the metric an attribute higher_is_better"
        )
    return History(monitor=monitor, higher_is_better=higher)


def weights(model: torch.nn.Module) -> Weights:
    """A copy of all that `model.state_dict()` has."""
    return {name: tensor.detach().clone() for name, tensor in model.state_dict().items()}


def _explain(bad: NonFinite, run: Run, kept: Kept) -> str:
    facts = explain(kept.model, *run.batches.recall(bad.step))
    lr = run.optimizer.param_groups[0]["lr"]
    advice = ["inputs scaled to about [-1, 1]", f"a lower lr (now {lr:g})"]
    if run.clip is None:
        advice.append("clip_norm=1.0")
    return "\n  ".join(
        [
            f"{bad.what} in epoch {run.at.epoch}, step {bad.step + 1}",
            *facts,
            f"the weights were put back to those of {kept.since}; try {', '.join(advice)}",
        ]
    )
