"""Progress of a run: a bar on a terminal, a line per epoch elsewhere."""

from __future__ import annotations

import sys
import time
from typing import Any, Self

from ...ops.machine import BUSY, busy_cores_of_others, usable_cores, waiting_advice
from ..distribution.group import several_processes
from ..history import Row
from .losses import LossMeter
from .metrics import Metrics

_REFRESH_SECONDS = 0.1


def epoch_line(row: Row, epochs: int) -> str:
    """The figures of an epoch in one line.

    Example:
        >>> row = {"epoch": 3, "loss": 0.12344, "accuracy": 0.9641, "lr": 0.001, "samples_per_second": 48200.3}
        >>> epoch_line({**row, "seconds": 1.31}, 10)
        'epoch 3/10  loss 0.1234  accuracy 96.41%  48,200 samples/s  1.3 s'
    """
    unnamed = ("epoch", "lr", "samples_per_second", "seconds")
    figures = _figures({name: value for name, value in row.items() if name not in unnamed})
    speed = f"{row['samples_per_second']:,.0f} samples/s"
    return "  ".join([f"epoch {row['epoch']:.0f}/{epochs}", figures, speed, f"{row['seconds']:.1f} s"])


def _figures(row: Row) -> str:
    return "  ".join(
        f"{name} {value:.2%}" if name.endswith("accuracy") else f"{name} {value:#.4g}" for name, value in row.items()
    )


class Progress:
    """Shows the progress of a run. A step reads the clock; the bar is drawn at most ten times a second.

    Args:
        show: whether anything is shown.
        epochs: the number of epochs.
        steps: the steps of an epoch; None if unknown.
    """

    def __init__(self, show: bool, epochs: int, steps: int | None) -> None:
        self.show, self.epochs, self.steps = show, epochs, steps
        self._bar: Any = None
        self._task: Any = None
        self._next_refresh = float("inf")
        self._noted_busy = False

    def __enter__(self) -> Self:
        if self.show and sys.stdout.isatty():
            from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

            self._bar = Progress(
                TextColumn("{task.description}"),
                BarColumn(),
                TextColumn("{task.fields[figures]}"),
                TimeRemainingColumn(),
                auto_refresh=False,
                transient=True,
            )
            total = None if self.steps is None else self.steps * self.epochs
            self._task = self._bar.add_task(f"epoch 1/{self.epochs}", total=total, figures="")
            self._bar.start()
            self._next_refresh = 0.0
        return self

    def __exit__(self, *_: object) -> None:
        if self._bar is not None:
            self._bar.stop()

    def step(self, step: int, epoch: int, rows: int, began: float, losses: LossMeter, metrics: Metrics) -> None:
        """Redraw the bar if it is due; `rows` were trained on in this epoch since `began` (monotonic clock)."""
        now = time.monotonic()
        if now < self._next_refresh:
            return
        self._next_refresh = now + _REFRESH_SECONDS
        figures = _figures({"loss": losses.mean(over_processes=False), **metrics.peek()})
        self._bar.update(
            self._task,
            completed=step,
            description=f"epoch {epoch}/{self.epochs}",
            figures=f"{figures}  {rows / (now - began):,.0f} samples/s",
        )
        self._bar.refresh()

    def epoch(self, row: Row) -> None:
        """Print the line of a finished epoch, above the bar if there is one."""
        if self._bar is not None:
            self._bar.console.print(epoch_line(row, self.epochs), highlight=False, markup=False, soft_wrap=True)
        elif self.show:
            print(epoch_line(row, self.epochs), flush=True)
        if several_processes():  # which keep each other's cores busy
            return
        if self.show and not self._noted_busy and (busy := busy_cores_of_others() or 0.0) > BUSY:
            self._noted_busy = True
            note = f"other programs keep {busy:.1f} of {usable_cores()} cores busy; training is slower meanwhile"
            note = ". ".join(filter(None, (note, waiting_advice())))
            if self._bar is not None:
                self._bar.console.print(note, highlight=False, markup=False, soft_wrap=True)
            else:
                print(note, file=sys.stderr, flush=True)
