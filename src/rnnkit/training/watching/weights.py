"""Callbacks that keep copies of the weights: of the best epoch, of the last one, and their average."""

from __future__ import annotations

import copy
from typing import Any, ClassVar

import torch
from torch import Tensor

from ...errors import DivergenceError
from ..history import History, Row
from ..optimization.averaging import NTASGD, Average, resolve_average
from .callbacks import Callback
from .divergence import NonFinite, explain

Weights = dict[str, Tensor]


def copy_weights(model: torch.nn.Module) -> Weights:
    """Return a copy of all that `model.state_dict()` has."""
    return {name: tensor.detach().clone() for name, tensor in model.state_dict().items()}


class DivergenceRescue(Callback):
    """Puts the weights of the last finished epoch back when the loss or a weight turns NaN or infinite.

    It raises `DivergenceError`, which names the batch, the largest numbers and what to try. The optimizer forgets its
    averages, which may hold NaN too.

    Example:
        >>> import rnnkit, torch
        >>> x, learner = torch.randn(8, 2), rnnkit.Learner(torch.nn.Linear(2, 1), loss="mse")
        >>> learner.fit((x, x.sum(1)), epochs=2, callbacks=[DivergenceRescue()], progress=False).stopped
        'finished'
    """

    order: ClassVar[int] = 0

    def on_prepare(self, learner: Any, run: Any) -> None:
        self.run = run

    def on_fit_begin(self, learner: Any, run: Any) -> None:
        self.last = copy_weights(learner.model)
        resumed = run.position.step > 0
        self.origin = "the checkpoint that it was resumed from" if resumed else "before training"

    def on_epoch_end(self, learner: Any, row: Row) -> None:
        with self.run.averaged():
            self.last = copy_weights(learner.model)
        self.origin = f"epoch {row['epoch']:.0f}"

    def on_exception(self, learner: Any, error: BaseException) -> None:
        if not isinstance(error, NonFinite):
            return
        message = self._message(learner.model, error)
        learner.model.load_state_dict(self.last)
        self.run.optimizer.state.clear()
        raise DivergenceError(message) from None

    def _message(self, model: torch.nn.Module, error: NonFinite) -> str:
        run = self.run
        facts = explain(model, *run.batches.recall(error.step))
        lr = run.optimizer.param_groups[0]["lr"]
        advice = ["inputs scaled to about [-1, 1]", f"a lower lr (now {lr:g})"]
        if run.clip is None:
            advice.append("clip_norm=1.0")
        return "\n  ".join(
            [
                f"{error.what} in epoch {run.position.epoch}, step {error.step + 1}",
                *facts,
                f"the weights were put back to those of {self.origin}; try {', '.join(advice)}",
            ]
        )


class BestWeights(Callback):
    """Keeps the weights of the epoch with the best monitored figure, and ends the run with them.

    `fit(restore_best=True)` adds it. The best epoch is `History.best_epoch`. An epoch whose figure is NaN or
    infinite is never the best; where no epoch has a figure, the run ends with its last weights.

    Example:
        >>> import rnnkit, torch
        >>> x, learner = torch.randn(8, 2), rnnkit.Learner(torch.nn.Linear(2, 1), loss="mse")
        >>> learner.fit((x, x.sum(1)), validation=0.5, callbacks=[BestWeights()], progress=False).stopped
        'finished'
    """

    order: ClassVar[int] = 5
    state_name: ClassVar[str | None] = "kept"
    watches_monitor = True

    def on_prepare(self, learner: Any, run: Any) -> None:
        self.run, self.model = run, learner.model
        self.best: Weights | None = None
        run.finishers.append(self.finish)

    def on_epoch_end(self, learner: Any, row: Row) -> None:
        if learner.history.best_epoch == len(learner.history.rows):
            with self.run.averaged():
                self.best = copy_weights(self.model)

    def on_train_end(self, learner: Any, history: History) -> None:
        self.finish()

    def finish(self) -> None:
        """Put the best weights into the model, if there is a best epoch."""
        if self.best is not None and self.run.history.best_epoch is not None:
            self.model.load_state_dict(self.best)

    def state_dict(self) -> dict[str, Any]:
        return {"best": self.best}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self.best = state.get("best")


class WeightAveraging(Callback):
    """Averages the weights over the steps of a run.

    What is validated, compared, stored and kept at the end are the averaged weights; training goes on with its own.
    `fit(average="ema")` adds it.

    Args:
        average: "ema", "nt-asgd", or an object such as `EMA(decay=0.99)`.

    Raises:
        ConfigError: an unknown average.

    Example:
        >>> import rnnkit, torch
        >>> x, learner = torch.randn(8, 2), rnnkit.Learner(torch.nn.Linear(2, 1), loss="mse")
        >>> learner.fit((x, x.sum(1)), epochs=2, callbacks=[WeightAveraging("ema")], progress=False).stopped
        'finished'
    """

    order: ClassVar[int] = 10
    state_name: ClassVar[str | None] = "average"

    def __init__(self, average: str | Average = "ema") -> None:
        found = resolve_average(average)
        assert found is not None
        self.settings = self.average = found
        self.watches_monitor = isinstance(found, NTASGD)

    def __repr__(self) -> str:
        return f"WeightAveraging({self.settings!r})"

    def on_prepare(self, learner: Any, run: Any) -> None:
        history = run.history
        self.average = copy.deepcopy(self.settings)  # a run does not depend on an earlier one
        self.average.begin(learner.model, monitor=history.monitor, higher_is_better=history.higher_is_better)
        run.averaged = self.average.swapped
        run.finishers.insert(0, self.average.finish)  # the best weights, where there are some, come after

    def on_step_end(self, learner: Any, step: int) -> None:
        self.average.update()

    def on_epoch_end(self, learner: Any, row: Row) -> None:
        self.average.epoch(row)

    def on_train_end(self, learner: Any, history: History) -> None:
        self.average.finish()

    def state_dict(self) -> dict[str, Any]:
        return self.average.state_dict()

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self.average.load_state_dict(state)
