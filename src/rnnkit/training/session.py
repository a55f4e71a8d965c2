"""What a learner holds from run to run."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import torch
from torch.nn import Parameter
from torch.optim import Optimizer

from ..errors import ConfigError
from .config import LearnerConfig
from .execution import Execution
from .history import History
from .loop import Run
from .objectives.objective import Objective
from .optimization.optimizers import left_out_by, listed, set_rate, warn_of_strangers
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
        rate: a learning rate that was set after the learner was made; it holds for an optimizer of the user's, too.
        seen: the user's optimizer, and the parameters of the model that trained without it when it was passed.
    """

    execution: Execution
    objective: Objective
    metrics: Metrics
    optimizer: Optimizer | None = None
    optimizer_settings: Any = None
    history: History = field(default_factory=History)
    run: Run | None = None
    extra: dict[str, Any] = field(default_factory=dict)
    rate: float | None = None
    seen: tuple[Optimizer, set[Parameter]] | None = None

    def __post_init__(self) -> None:
        self._known = set(self.model.parameters())

    @property
    def model(self) -> torch.nn.Module:
        return self.execution.model

    def ready_optimizer(self, config: LearnerConfig) -> Optimizer:
        """Return the optimizer of the next run: that of the last one, or one that takes up what has changed.

        Settings of the learner that were changed since, and parameters that are new, make a fresh optimizer. It goes on
        with the averages of the parameters that both have. An optimizer that the user made is used as it is.

        Raises:
            ConfigError: the user's optimizer lacks parameters that are new since it was passed.
        """
        settings = config.optimizer_settings()
        old = self.optimizer
        given = config.optimizer if isinstance(config.optimizer, Optimizer) else None
        if given is not None:
            self.note_optimizer(given)
            self._check_given(given)
        if old is not None and (self.optimizer_settings is None or not self._changed(old, settings)):
            return old
        new = self.make_optimizer(config)
        if old is not None and given is None and type(_bare(new)) is type(_bare(old)):
            kept = {one for group in new.param_groups for one in group["params"]}
            _bare(new).state.update({one: held for one, held in _bare(old).state.items() if one in kept})
        self.optimizer, self.optimizer_settings = new, settings
        return new

    def make_optimizer(self, config: LearnerConfig) -> Optimizer:
        """Return an optimizer by the settings, at the rate that was set after the learner was made."""
        made = config.make_optimizer(self.execution)
        if self.rate is not None and not isinstance(config.optimizer, str):
            set_rate(made, self.rate)
        return made

    def note_optimizer(self, optimizer: Optimizer) -> None:
        """Take note of what of the model the user's optimizer does not train, unless that was done before."""
        if self.seen is None or self.seen[0] is not optimizer:
            self.seen = optimizer, set(left_out_by(optimizer, self.model).values())
            warn_of_strangers(optimizer, self.model)

    def _check_given(self, optimizer: Optimizer) -> None:
        assert self.seen is not None
        new = [name for name, one in left_out_by(optimizer, self.model).items() if one not in self.seen[1]]
        if new:
            raise ConfigError(
                f"{listed(new)} would not train: the {type(optimizer).__name__} that was passed does not hold them. "
                "Call add_param_group({'params': [...]}) of the optimizer, or set learner.optimizer to one that is "
                "made from model.parameters()"
            )

    def take_up_parameters(self) -> None:
        """Bring parameters that are new in the model to its device and into the wrapper around it."""
        if set(self.model.parameters()) - self._known:
            self.model.to(self.execution.device)
            self.rewrap()

    def _changed(self, optimizer: Optimizer, settings: Any) -> bool:
        known = {one for group in optimizer.param_groups for one in group["params"]}
        new = any(one.requires_grad and one not in known for one in self.model.parameters())
        return new or bool(settings != self.optimizer_settings)

    def rewrap(self) -> None:
        """Take note of parameters that were added to the model or replaced."""
        self.execution, self._known = self.execution.rewrapped(), set(self.model.parameters())

    def draw_seed(self) -> int:
        """Return a seed for a run that was given none, the same in all processes."""
        return int(self.execution.shared(int(torch.randint(2**62, ()))))


def _bare(optimizer: Any) -> Optimizer:
    """Return the optimizer in Fabric's wrapper."""
    found: Optimizer = getattr(optimizer, "optimizer", optimizer)
    return found
