"""What is done with the epochs of a run: best weights, checkpoints, early stopping, rescue from a divergence."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from ..errors import ConfigError, DivergenceError, suggest
from .divergence import NonFinite, explain
from .history import History, Row
from .loop import Run, train
from .metrics import Metrics


def follow(
    run: Run,
    model: torch.nn.Module,
    history: History,
    *,
    patience: int | None,
    restore_best: bool,
    save: Callable[[Row], None] | None,
) -> None:
    """Runs the loop and fills `history`; see `Learner.fit` for what the arguments mean."""
    best = good = _weights(model)
    try:
        for row in train(run):
            good = _weights(model)
            better = history.add(row)
            if better:
                best = good
            if save is not None and (better or not restore_best):
                save(row)
            run.progress.epoch(row)
            run.callbacks.epoch_end(row)
            if patience is not None and len(history.rows) - (history.best_epoch or 0) >= patience:
                history.stopped = "early stopping"
                break
            if run.interrupt.requested or run.stop:
                break
    except NonFinite as bad:
        message = _explain(bad, run, model, epoch=len(history.rows) + 1)
        model.load_state_dict(good)
        run.optimizer.state.clear()  # its averages may hold NaN too
        raise DivergenceError(message) from None
    if history.stopped == "finished" and len(history.rows) < run.epochs:
        history.stopped = "callback" if run.stop else "interrupted"
    if restore_best:
        model.load_state_dict(best)


def open_history(monitor: str | None, metrics: Metrics, *, validated: bool, watched: bool) -> History:
    """Returns an empty history that knows which column tells the best epoch.

    Raises:
        ConfigError: the run has no such column, or it does not tell whether more is better; or, where the run is
            `watched` for a best epoch, there is neither a monitor nor validation.
    """
    columns = ["loss", *metrics.names]
    if monitor is None:
        if watched and not validated:
            raise ConfigError(
                "early_stopping, restore_best and the schedule 'plateau' watch 'val_loss': pass validation=..., "
                "or name a figure of the training data, as in monitor='loss'"
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


def _weights(model: torch.nn.Module) -> dict[str, Tensor]:
    return {name: tensor.detach().clone() for name, tensor in model.state_dict().items()}


def _explain(bad: NonFinite, run: Run, model: torch.nn.Module, epoch: int) -> str:
    facts = explain(model, *run.batches.recall(bad.step))
    lr = run.optimizer.param_groups[0]["lr"]
    advice = ["inputs scaled to about [-1, 1]", f"a lower lr (now {lr:g})"]
    if run.clip is None:
        advice.append("clip_norm=1.0")
    back = f"epoch {epoch - 1}" if epoch > 1 else "before training"
    return "\n  ".join(
        [
            f"{bad.what} in epoch {epoch}, step {bad.step + 1}",
            *facts,
            f"the weights were put back to those of {back}; try {', '.join(advice)}",
        ]
    )
