"""What a run recorded, epoch by epoch."""

from __future__ import annotations

import csv
import math
import time
from dataclasses import dataclass, field
from os import PathLike
from typing import Any, Literal

from ..errors import CheckpointError

Row = dict[str, float]


@dataclass
class History:
    """The figures of a run.

    Attributes:
        rows: one dict per finished epoch: `epoch` (from 1), `loss` and the metrics on the training data as it was
            trained on, the same with `val_` before them on the validation data, `lr` at the epoch's last step,
            `samples_per_second` while training, `seconds` with validation.
        monitor: the column that tells the best epoch, and
        higher_is_better: whether more of it is better.
        best_epoch: the epoch with the best `monitor`; None before one has finished.
        stopped: why the run ended; "callback": one called `learner.stop()`; "interrupted": by Ctrl-C, or a
            KeyboardInterrupt; "error": by another one, which `fit` raised.
        seconds: how long it took, checks and checkpoints included.
        report: of a fine-tuning, a `training.fine_tuning.report.FineTuningReport`; None otherwise.

    Example:
        >>> history = History()
        >>> history.add({"epoch": 1, "loss": 0.7}), history.add({"epoch": 2, "loss": 0.4})
        (True, True)
        >>> history.best_epoch, history.rows[-1]["loss"]
        (2, 0.4)
    """

    rows: list[Row] = field(default_factory=list)
    monitor: str = "loss"
    higher_is_better: bool = False
    best_epoch: int | None = None
    stopped: Literal["finished", "early stopping", "callback", "interrupted", "error"] = "finished"
    seconds: float = 0.0
    report: Any = None

    def add(self, row: Row) -> bool:
        """Appends an epoch's row; returns whether it is the best so far."""
        self.rows.append(row)
        value = row[self.monitor]
        best = math.nan if self.best_epoch is None else self.rows[self.best_epoch - 1][self.monitor]
        better = value > best if self.higher_is_better else value < best
        if better or (math.isnan(best) and not math.isnan(value)):
            self.best_epoch = len(self.rows)
            return True
        return False

    def to_csv(self, path: str | PathLike[str]) -> None:
        """Writes the rows as a table with a header line."""
        columns = list(self.rows[0]) if self.rows else ["epoch"]
        with open(path, "w", newline="", encoding="utf-8") as file:
            writer = csv.DictWriter(file, columns)
            writer.writeheader()
            writer.writerows(self.rows)


class Recorded:
    """A history while it is written: how long the run has taken, and what a checkpoint keeps of it."""

    def __init__(self, history: History, began: float) -> None:
        self.history, self.began = history, began

    def stop(self) -> None:
        self.history.seconds = time.monotonic() - self.began

    def broke_off(self, error: BaseException) -> None:
        """Notes what ended a run that was not over."""
        if self.history.stopped == "finished" and not isinstance(error, CheckpointError):
            self.history.stopped = "interrupted" if isinstance(error, KeyboardInterrupt) else "error"

    def state_dict(self) -> dict[str, Any]:
        self.stop()
        return {name: getattr(self.history, name) for name in ("rows", "best_epoch", "stopped", "seconds")}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Goes on with an earlier part of the run; one that was interrupted is so no longer."""
        vars(self.history).update(state)
        self.began -= self.history.seconds
        if self.history.stopped == "interrupted":
            self.history.stopped = "finished"
