"""Sets the learning rates of an optimizer for each step of a run, by a schedule."""

from __future__ import annotations

from typing import Any

from torch.optim import Optimizer

from ...errors import ConfigError
from ..history import History
from .schedules import Schedule


class Rates:
    """Sets the learning rates of an optimizer (and momenta, where the schedule has them) for each step of a run.

    Call `set` before each step, `epoch` with the row of each finished epoch, and `restore` at the end, which puts the
    initial rates back. `state_dict` holds the initial rates and the schedule's state, as JSON values. The optimizer's
    own state holds the rates of its last step, which a resumed run must not start from.

    A user's schedule may have, beside its call: `momentum_at(step, total)`; `epoch(figure, higher_is_better=...)`;
    `state_dict()` and `load_state_dict(state)`; `peak`, the rate of the first group at factor 1; `needs_total = False`
    if it does not need the number of steps.

    Args:
        optimizer: the optimizer to set.
        schedule: the factor on its rates.
        steps: the steps of an epoch; None if unknown.
        epochs: the epochs of the run.
        history: names the column of a row that `epoch` reads, and whether a larger figure is better.
    """

    def __init__(
        self,
        optimizer: Optimizer,
        schedule: Schedule,
        steps: int | None,
        epochs: int,
        history: History | None = None,
    ) -> None:
        if steps is None and getattr(schedule, "needs_total", True):
            raise ConfigError("a schedule has to know the number of steps; give the iterable of batches a __len__")
        self.optimizer, self.schedule, self.total = optimizer, schedule, (steps or 0) * epochs
        self.history = history or History()
        kept = ("lr", "momentum", "betas")
        self.base: list[dict[str, Any]] = [{key: group[key] for key in kept if key in group} for group in self._groups]
        peak, first = getattr(schedule, "peak", None), self.base[0]["lr"]
        if peak is not None and not first > 0:
            raise ConfigError(f"the schedule's peak={peak} scales the learning rates, but the first of them is {first}")
        self.scale = 1.0 if peak is None else peak / first
        self._momentum = getattr(schedule, "momentum_at", None)

    @property
    def _groups(self) -> list[dict[str, Any]]:
        return self.optimizer.param_groups

    def set(self, step: int) -> None:
        factor = self.schedule(step, self.total) * self.scale
        momentum = None if self._momentum is None else self._momentum(step, self.total)
        for group, base in zip(self._groups, self.base, strict=True):
            group["lr"] = base["lr"] * factor
            if momentum is None:
                continue
            if "betas" in group:
                group["betas"] = (momentum, *base["betas"][1:])
            elif base.get("momentum"):
                group["momentum"] = momentum

    def epoch(self, row: dict[str, float]) -> None:
        """Give the epoch's figure to the schedule, if it takes one."""
        if hasattr(self.schedule, "epoch"):
            self.schedule.epoch(row[self.history.monitor], higher_is_better=self.history.higher_is_better)

    def restore(self) -> None:
        for group, base in zip(self._groups, self.base, strict=True):
            group.update(base)

    def state_dict(self) -> dict[str, Any]:
        learned = self.schedule.state_dict() if hasattr(self.schedule, "state_dict") else {}
        return {"base": self.base, "schedule": learned}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        # JSON has lists for the pairs of betas.
        self.base = [
            {name: tuple(value) if isinstance(value, list) else value for name, value in group.items()}
            for group in state["base"]
        ]
        if hasattr(self.schedule, "load_state_dict"):
            self.schedule.load_state_dict(state["schedule"])
