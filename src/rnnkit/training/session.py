"""What a learner holds from run to run."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import torch
from torch.optim import Optimizer

from .config import LearnerConfig
from .execution import Execution
from .history import History
from .loop import Run
from .objectives.objective import Objective
from .watching.metrics import Metrics


@dataclass
class Session:
    """The changing part of a learner, which the functions of a run get in its place.

    Attributes:
        execution: the model and where it is computed.
        objective: what compares outputs with targets.
        metrics: of the runs and evaluations.
        optimizer: as the last run left it; None: the next run makes one.
        optimizer_settings: what it was made of; None: it is used as it is.
        history: of the last run.
        run: the current run; None between runs.
        extra: what is stored beside the model, as JSON values.
    """

    execution: Execution
    objective: Objective
    metrics: Metrics
    optimizer: Optimizer | None = None
    optimizer_settings: Any = None
    history: History = field(default_factory=History)
    run: Run | None = None
    extra: dict[str, Any] = field(default_factory=dict)

    @property
    def model(self) -> torch.nn.Module:
        return self.execution.model

    def ready_optimizer(self, config: LearnerConfig) -> Optimizer:
        """Return the optimizer of the next run: that of the last one, or one that takes up what has changed.

        Settings of the learner that were changed since, and parameters that are new, make a fresh optimizer. It goes on
        with the averages of the parameters that both have.
        """
        settings = config.optimizer_settings()
        old = self.optimizer
        if old is not None and (self.optimizer_settings is None or not self._changed(old, settings)):
            return old
        new = config.make_optimizer(self.execution)
        if old is not None and new is not old and type(_bare(new)) is type(_bare(old)):
            kept = {one for group in new.param_groups for one in group["params"]}
            _bare(new).state.update({one: held for one, held in _bare(old).state.items() if one in kept})
        self.optimizer, self.optimizer_settings = new, settings
        return new

    def _changed(self, optimizer: Optimizer, settings: Any) -> bool:
        known = {one for group in optimizer.param_groups for one in group["params"]}
        new = any(one.requires_grad and one not in known for one in self.model.parameters())
        return new or bool(settings != self.optimizer_settings)

    def rewrap(self) -> None:
        """Take note of parameters that were added to the model or replaced."""
        self.execution = self.execution.rewrapped()

    def draw_seed(self) -> int:
        """Return a seed for a run that was given none, the same in all processes."""
        return int(self.execution.shared(int(torch.randint(2**62, ()))))


def _bare(optimizer: Any) -> Optimizer:
    """Return the optimizer in Fabric's wrapper."""
    found: Optimizer = getattr(optimizer, "optimizer", optimizer)
    return found
