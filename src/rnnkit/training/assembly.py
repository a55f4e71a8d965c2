"""What a run is put together of, as a learner's settings say: optimizer, penalty, clipping."""

from __future__ import annotations

from typing import TYPE_CHECKING

from torch.optim import Optimizer

from ..errors import ConfigError, check_number
from .optimization.clipping import Clipping
from .optimization.optimizers import check_optimizer, make_optimizer
from .optimization.regularisation import Regularisation

if TYPE_CHECKING:
    from .learner import Learner


def check_settings(learner: Learner) -> None:
    """Raises `ConfigError` for settings that no run could be put together of."""
    for name in ("lr", "weight_decay", "l2", "recurrent_l2", "ar", "tar"):
        check_number(getattr(learner, name), name)
    for name in ("clip_norm", "clip_value"):
        most = getattr(learner, name)
        if most is not None and not most > 0:
            raise ConfigError(f"{name}={most!r} arrived; expected a number above 0, or None for no clipping")
    check_optimizer(learner.optimizer)
    if not callable(learner.optimizer):
        _bare_optimizer(learner, fused=False)
    penalty_of(learner)


def optimizer_of(learner: Learner) -> Optimizer:
    """A fresh optimizer of the learner's settings (or the finished one it was given), as its Fabric wants it."""
    if not any(parameter.requires_grad for parameter in learner.model.parameters()):
        raise ConfigError("there is nothing to train: no parameter of the model requires a gradient")
    optimizer, fabric = _bare_optimizer(learner, fused=learner._fused), learner._fabric
    return optimizer if fabric is None else fabric.setup_optimizers(optimizer)  # type: ignore[return-value]


def penalty_of(learner: Learner) -> Regularisation | None:
    """What is added to the loss, None for nothing: a context to train in, and the penalty of a step by a call."""
    coefficients = {name: getattr(learner, name) for name in ("recurrent_l2", "ar", "tar")}
    penalty = Regularisation(learner.model, **coefficients)  # which refuses a model it cannot watch
    return penalty if any(coefficients.values()) else None


def clipping_of(learner: Learner, optimizer: Optimizer) -> Clipping | None:
    """What to call between the backward pass and the step; None where nothing is clipped."""
    norm, value = learner.clip_norm, learner.clip_value
    if norm is None and value is None:
        return None
    return Clipping(learner.model, norm, value, fabric=learner._fabric, module=learner._module, optimizer=optimizer)


def _bare_optimizer(learner: Learner, *, fused: bool) -> Optimizer:
    return make_optimizer(
        learner.optimizer,
        learner.model,
        lr=learner.lr,
        weight_decay=learner.weight_decay,
        l2=learner.l2,
        decay_biases=learner.decay_biases,
        parameter_groups=learner.parameter_groups,
        fused=fused,
    )
