"""The figures of a run, epoch by epoch."""

from __future__ import annotations

import csv
import math
import time
from dataclasses import dataclass, field
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from ..errors import CheckpointError, ConfigError, MissingExtraError, suggest

if TYPE_CHECKING:
    from matplotlib.figure import Figure

Row = dict[str, float]


@dataclass(repr=False)
class History:
    """The figures of a run.

    Attributes:
        rows: one dict per finished epoch: `epoch` (from 1), `loss` and the metrics on the training data while it was
            trained on, the same with `val_` before them on the validation data, `lr` at the epoch's last step,
            `samples_per_second` while training, `seconds` including validation.
        monitor: the column that decides the best epoch.
        higher_is_better: whether a larger `monitor` is better.
        best_epoch: the epoch with the best `monitor`; None before one has finished, or where it is NaN or infinite in
            all.
        stopped: why the run ended. "callback": a callback called `learner.stop()`; "interrupted": Ctrl-C or a
            KeyboardInterrupt; "error": another error, which `fit` raised.
        seconds: how long the run took, including checks and checkpoints.
        report: what a fine-tuning changed, a `training.fine_tuning.report.FineTuningReport`; None for other runs.

    Example:
        >>> history = History()
        >>> history.add({"epoch": 1, "loss": 0.7}), history.add({"epoch": 2, "loss": 0.4})
        (True, True)
        >>> history["loss"], history.best_epoch, history.rows[-1]
        ([0.7, 0.4], 2, {'epoch': 2, 'loss': 0.4})
        >>> history
        History(2 epochs in 0.0 s, best epoch 2: loss 0.4, finished)
    """

    rows: list[Row] = field(default_factory=list)
    monitor: str = "loss"
    higher_is_better: bool = False
    best_epoch: int | None = None
    stopped: Literal["finished", "early stopping", "callback", "interrupted", "error"] = "finished"
    seconds: float = 0.0
    report: Any = None

    def __repr__(self) -> str:
        count = len(self.rows)
        parts = [f"{count} epoch{'' if count == 1 else 's'} in {self.seconds:.1f} s"]
        if self.best_epoch is not None:
            value = self.rows[self.best_epoch - 1][self.monitor]
            parts.append(f"best epoch {self.best_epoch}: {self.monitor} {value:.4g}")
        return f"History({', '.join([*parts, self.stopped])})"

    def __getitem__(self, column: str) -> list[float]:
        """Return a column, one number per epoch.

        Raises:
            ConfigError: there is no such column.
        """
        if not isinstance(column, str):
            raise ConfigError(f"history[{column!r}] arrived; expected a column's name; an epoch is history.rows[0]")
        columns = self.columns
        if column not in columns:
            raise ConfigError(f"the history has no column {column!r}{suggest(column, columns)}")
        return [row.get(column, math.nan) for row in self.rows]

    def extend(self, later: History) -> None:
        """Go on with the epochs of a later run, counted on from this one's.

        Example:
            >>> history, later = History(), History(seconds=2.0, stopped="interrupted")
            >>> history.add({"epoch": 1, "loss": 0.7}), later.add({"epoch": 1, "loss": 0.4})
            (True, True)
            >>> history.extend(later)
            >>> history.rows[-1], history.seconds, history.stopped
            ({'epoch': 2, 'loss': 0.4}, 2.0, 'interrupted')
        """
        for row in later.rows:
            self.rows.append({**row, "epoch": len(self.rows) + 1})
        self.seconds += later.seconds
        self.stopped, self.report = later.stopped, later.report

    @property
    def columns(self) -> tuple[str, ...]:
        """The names of the columns."""
        return tuple(dict.fromkeys(name for row in self.rows for name in row))

    @property
    def history(self) -> dict[str, list[float]]:
        """All columns by name, as Keras' `history.history` has them."""
        return {name: self[name] for name in self.columns}

    def plot(self, path: str | PathLike[str] | None = None) -> Figure:
        """Draw loss and metrics over the epochs, the best epoch marked.

        Args:
            path: the file to write; its suffix chooses the format (.png, .svg, .pdf). None writes none.

        Returns:
            The matplotlib figure, which a notebook shows.

        Raises:
            ConfigError: the suffix is no picture's.

        Example:
            >>> history = History(rows=[{"epoch": 1, "loss": 0.7, "val_loss": 0.8}])
            >>> len(history.plot().axes)
            1
        """
        from ..plotting.learning_curves import curves

        path = None if path is None else Path(path)
        if path is not None and path.suffix[1:] not in ("png", "svg", "pdf", "jpg"):
            raise ConfigError(f"{path} arrived for the picture; expected a name that ends in .png, .svg, .pdf or .jpg")
        return curves(self.rows, path, best=self.best_epoch)

    def to_dataframe(self) -> Any:
        """Return the rows as a pandas DataFrame, with the epoch as its index.

        Raises:
            MissingExtraError: pandas is not installed.
        """
        try:
            import pandas
        except ImportError:
            raise MissingExtraError("to_dataframe needs pandas; install it with: pip install pandas") from None
        return pandas.DataFrame(self.rows, columns=list(self.columns) or ["epoch"]).set_index("epoch")

    def add(self, row: Row) -> bool:
        """Append an epoch's row; return whether it is the best so far."""
        self.rows.append(row)
        value = row[self.monitor]
        best = math.nan if self.best_epoch is None else self.rows[self.best_epoch - 1][self.monitor]
        better = value > best if self.higher_is_better else value < best
        if math.isfinite(value) and (better or not math.isfinite(best)):
            self.best_epoch = len(self.rows)
            return True
        return False

    def to_csv(self, path: str | PathLike[str]) -> None:
        """Write the rows as a table with a header line."""
        columns = list(self.rows[0]) if self.rows else ["epoch"]
        with open(path, "w", newline="", encoding="utf-8") as file:
            writer = csv.DictWriter(file, columns)
            writer.writeheader()
            writer.writerows(self.rows)


class Recorded:
    """A history that is still written: its duration, and what a checkpoint stores of it."""

    def __init__(self, history: History, began: float) -> None:
        self.history, self.began = history, began

    def stop(self) -> None:
        self.history.seconds = time.monotonic() - self.began

    def broke_off(self, error: BaseException) -> None:
        """Note why a run ended early."""
        if self.history.stopped == "finished" and not isinstance(error, CheckpointError):
            self.history.stopped = "interrupted" if isinstance(error, KeyboardInterrupt) else "error"

    def state_dict(self) -> dict[str, Any]:
        self.stop()
        return {name: getattr(self.history, name) for name in ("rows", "best_epoch", "stopped", "seconds")}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Continue an earlier part of the run, which is then no longer interrupted."""
        vars(self.history).update(state)
        self.began -= self.history.seconds
        if self.history.stopped == "interrupted":
            self.history.stopped = "finished"
