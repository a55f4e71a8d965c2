"""A callback that ends a run which gets no better."""

from __future__ import annotations

import math
from typing import Any, ClassVar

from ...errors import check_whole
from ..history import Row
from .callbacks import Callback


class EarlyStopping(Callback):
    """Ends the run after `patience` epochs in a row without a better monitored figure.

    `fit(early_stopping=5)` adds it. An epoch whose figure is NaN or infinite does not count.

    Args:
        patience: number of epochs, at least 1.

    Raises:
        ConfigError: a patience below 1.

    Example:
        >>> import rnnkit, torch
        >>> x, learner = torch.randn(8, 2), rnnkit.Learner(torch.nn.Linear(2, 1), loss="mse")
        >>> learner.fit((x, x.sum(1)), validation=0.5, epochs=2, callbacks=[EarlyStopping(5)], progress=False).stopped
        'finished'
    """

    order: ClassVar[int] = 80
    watches_monitor = True

    def __init__(self, patience: int) -> None:
        check_whole(patience, "patience")
        self.patience = int(patience)

    def __repr__(self) -> str:
        return f"EarlyStopping({self.patience})"

    def on_prepare(self, learner: Any, run: Any) -> None:
        self.run = run

    def on_epoch_end(self, learner: Any, row: Row) -> None:
        history = learner.history
        since = history.rows[history.best_epoch or 0 :]
        if sum(math.isfinite(one[history.monitor]) for one in since) >= self.patience:
            self.run.stop_reason = "early stopping"
