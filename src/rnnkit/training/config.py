"""The settings of a learner, and what a run is made of them: optimizer, penalty, clipping."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch.optim import Optimizer

from ..errors import ConfigError, check_number
from .execution import Execution
from .objectives.cross_entropy import ClassWeights
from .optimization.clipping import Clipping
from .optimization.optimizers import OptimizerLike, check_optimizer, check_rate, check_step
from .optimization.optimizers import make_optimizer as make_bare_optimizer
from .optimization.parameter_groups import ParameterGroups
from .optimization.regularisation import Regularisation


@dataclass(frozen=True)
class LearnerConfig:
    """The settings of a :class:`rnnkit.Learner`, which describes them."""

    optimizer: OptimizerLike = "adam"
    lr: float = 1e-3
    weight_decay: float = 0.0
    l2: float = 0.0
    decay_biases: bool = True
    parameter_groups: ParameterGroups | None = None
    recurrent_l2: float = 0.0
    ar: float = 0.0
    tar: float = 0.0
    clip_norm: float | None = None
    clip_value: float | None = None
    label_smoothing: float = 0.0
    class_weights: ClassWeights | None = None

    def check(self, model: Any) -> None:
        """Raise `ConfigError` for settings that no run could be made of."""
        if not isinstance(model, torch.nn.Module):
            made = f"the class {model.__name__}" if isinstance(model, type) else f"a {type(model).__name__}"
            raise ConfigError(f"{made} arrived as model; expected a torch.nn.Module that is made: Learner(Model(...))")
        if next(model.parameters(), None) is None:
            raise ConfigError(f"this {type(model).__name__} has no parameters; expected a model that can be trained")
        check_rate(self.lr)
        for name in ("weight_decay", "l2", "recurrent_l2", "ar", "tar"):
            check_number(getattr(self, name), name)
        for name in ("clip_norm", "clip_value"):
            most = getattr(self, name)
            if most is not None and not most > 0:
                raise ConfigError(f"{name}={most!r} arrived; expected a number above 0, or None for no clipping")
        check_optimizer(self.optimizer)
        check_step(self.optimizer)
        if not callable(self.optimizer):
            self._bare_optimizer(model, fused=False)
        self.make_penalty(model)

    def optimizer_settings(self) -> tuple[Any, ...]:
        """Return what an optimizer is made of, to be compared."""
        own = (self.optimizer, self.lr, self.weight_decay, self.l2, self.decay_biases)
        return (*own, None if self.parameter_groups is None else id(self.parameter_groups))

    def make_optimizer(self, execution: Execution) -> Optimizer:
        """Return a fresh optimizer (or the finished one that was passed), wrapped where Fabric is used."""
        if not any(parameter.requires_grad for parameter in execution.model.parameters()):
            raise ConfigError(
                "there is nothing to train: no parameter of the model requires a gradient. Weights in 8 bits "
                "(rnnkit.quantize) cannot be trained: train the float model"
            )
        return execution.setup_optimizer(self._bare_optimizer(execution.model, fused=execution.fused))

    def make_penalty(self, model: Any) -> Regularisation | None:
        """Return what is added to the loss: a context to train in, and the penalty of a step by a call."""
        coefficients = {name: getattr(self, name) for name in ("recurrent_l2", "ar", "tar")}
        penalty = Regularisation(model, **coefficients)  # which refuses a model it cannot watch
        return penalty if any(coefficients.values()) else None

    def make_clipping(self, execution: Execution, optimizer: Optimizer) -> Clipping | None:
        """Return what to call between the backward pass and the step; None where nothing is clipped."""
        norm, value = self.clip_norm, self.clip_value
        if norm is None and value is None:
            return None
        fabric, module = execution.fabric, execution.module
        return Clipping(execution.model, norm, value, fabric=fabric, module=module, optimizer=optimizer)

    def _bare_optimizer(self, model: Any, *, fused: bool) -> Optimizer:
        return make_bare_optimizer(
            self.optimizer,
            model,
            lr=self.lr,
            weight_decay=self.weight_decay,
            l2=self.l2,
            decay_biases=self.decay_biases,
            parameter_groups=self.parameter_groups,
            fused=fused,
        )
