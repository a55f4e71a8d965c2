"""The epochs of a run: history and callbacks around the loop, and the reason why the run ended."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Literal

from ..errors import ConfigError, suggest
from .history import History
from .loop import Run, train
from .watching.metrics import Metrics

StoppedBy = Literal["finished", "early stopping", "callback", "interrupted"]


def run_epochs(run: Run) -> None:
    """Run the loop, fill the history and call the callbacks."""
    history, callbacks = run.history, run.callbacks
    try:
        for row in train(run):
            history.add(row)
            run.progress.epoch(row)
            callbacks.epoch_end(row)
            run.agree_to_stop()
            history.stopped = _reason(run)
            callbacks.epoch_closed(row)
            if history.stopped != "finished":
                break
        history.stopped = _reason(run)
        callbacks.train_end(history)
    except BaseException as error:
        callbacks.exception(error)
        raise


def _reason(run: Run) -> StoppedBy:
    """Return why the run ends now; "finished" where it goes on or is complete."""
    if run.stop_reason == "early stopping":
        return "early stopping"
    if run.stopping and len(run.history.rows) < run.epochs:
        return run.stop_reason or "interrupted"
    return "finished"


def open_history(
    monitor: str | None,
    metrics: Metrics,
    *,
    validated: bool,
    watchers: Sequence[str],
    figures: Mapping[str, bool] = MappingProxyType({}),
) -> History:
    """Return an empty history that knows which column decides the best epoch.

    Args:
        monitor: that column; None: the loss.
        metrics: of the run.
        validated: whether there is validation data.
        watchers: settings that look at the column.
        figures: what callbacks measure beside the metrics on validation data, and whether more of it is better.

    Raises:
        ConfigError: the run has no such column, or it does not say whether more is better; or there are
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
    known = columns + [f"val_{name}" for name in (*columns, *figures)] * validated
    if monitor not in known:
        raise ConfigError(f"monitor={monitor!r} is no column of this run{suggest(monitor, tuple(known))}")
    name = monitor.removeprefix("val_")
    higher = figures.get(name, False) if name in (*figures, "loss") else metrics.higher_is_better(name)
    if higher is None:
        raise ConfigError(
            f"monitor={monitor!r} does not say whether more is better; give the metric an attribute higher_is_better"
        )
    return History(monitor=monitor, higher_is_better=higher)
