"""Optimizers, by name or as the user's own, and the two kinds of decay.

Legend: θ a parameter, g its gradient (clipped already), η its learning rate, λ `weight_decay`, μ `l2`.

- `weight_decay` is decoupled from the gradient (AdamW; Loshchilov & Hutter 2019): θ ← (1 − η λ) θ before the step, for
  every named optimizer. It shrinks all weights by the same share, whatever their gradients.
- `l2` adds the gradient of (μ / 2) ‖θ‖²: g ← g + μ θ. An adaptive optimizer scales this term like g, so weights with
  large gradients shrink less. PyTorch's `Adam(weight_decay=μ)` and `SGD(weight_decay=μ)` are this kind.

For SGD without momentum both are the same, μ = λ. The Learner's `recurrent_l2` covers the recurrent weights alone,
without the factor 1/2, and its gradient is clipped with the rest.
"""

from __future__ import annotations

import inspect
import warnings
from collections.abc import Callable, Iterable
from functools import partial
from typing import Any

import torch
from torch.nn import Parameter
from torch.optim import Optimizer

from ...errors import ConfigError, RnnkitWarning, check_choice, check_number
from .parameter_groups import ParameterGroups, Settings, group_parameters

OptimizerLike = str | Optimizer | Callable[[Iterable[Any]], Optimizer]

OPTIMIZERS: dict[str, Callable[..., Optimizer]] = {
    "adam": torch.optim.Adam,
    "adamw": torch.optim.AdamW,
    "sgd": torch.optim.SGD,
    "rmsprop": torch.optim.RMSprop,
}

# One step of Adam over 6 tensors of 21,514 numbers on a CPU: fused 46 µs, foreach 118 µs, neither 152 µs.
_HAVE_FUSED = ("adam", "adamw", "sgd")
_HAVE_DECOUPLED = ("adam", "adamw")
# Settings of PyTorch's optimizers that do not change the result of a step, or that a group cannot have.
_NOT_OF_A_GROUP = {"params", "foreach", "fused", "capturable", "differentiable", "maximize", "decoupled_weight_decay"}


def check_optimizer(optimizer: OptimizerLike) -> None:
    """Raise `ConfigError` for a name that is unknown."""
    if isinstance(optimizer, str):
        check_choice(optimizer, "optimizer", tuple(OPTIMIZERS))
    if not (isinstance(optimizer, str | Optimizer) or callable(optimizer)):
        raise ConfigError(
            f"{optimizer!r} arrived as optimizer; expected a name, an Optimizer or a callable that makes one "
            "from the parameters"
        )


def check_step(optimizer: OptimizerLike) -> None:
    """Raise `ConfigError` for an optimizer, or a class of them, that runs the model several times in a step."""
    made_by = optimizer.func if isinstance(optimizer, partial) else optimizer
    kind = type(optimizer) if isinstance(optimizer, Optimizer) else made_by
    if not (isinstance(kind, type) and issubclass(kind, Optimizer)):
        return
    closure = inspect.signature(kind.step).parameters.get("closure")
    if closure is not None and closure.default is inspect.Parameter.empty:
        raise ConfigError(
            f"the optimizer {kind.__name__} computes the loss several times in a step, by a closure, which a Learner "
            "does not give; expected one whose step() needs no argument: type optimizer='adam'"
        )


def check_rate(lr: Any) -> None:
    """Raise `ConfigError` for a learning rate that is no finite number of at least 0."""
    try:
        check_number(lr, "lr")
    except ConfigError as error:
        if lr is not None:
            raise
        advice = "A sweep without a suggestion found no rate: read sweep.reason"
        raise ConfigError(f"lr=None arrived; {error.problem}, such as 1e-3.", remedy=advice) from None


def held_by(optimizer: Optimizer) -> set[Parameter]:
    """Return the parameters of all groups."""
    return {parameter for group in optimizer.param_groups for parameter in group["params"]}


def check_trains(optimizer: Optimizer, model: torch.nn.Module) -> None:
    """Raise `ConfigError` for an optimizer that holds no parameter of the model that trains, or needs a closure."""
    if not isinstance(optimizer, Optimizer):
        raise ConfigError(
            f"the callable that arrived as optimizer returned a {type(optimizer).__name__}; expected an Optimizer: "
            "lambda parameters: torch.optim.SGD(parameters, lr=0.1)"
        )
    check_step(optimizer)
    held, kind = held_by(optimizer), type(optimizer).__name__
    ours = [parameter for parameter in model.parameters() if parameter in held]
    if not ours:
        raise ConfigError(
            f"the {kind} holds no parameter of this {type(model).__name__}, so nothing would train; make it from "
            f"model.parameters() of the same model, or pass a name such as 'adam', or the class {kind}"
        )
    if not any(parameter.requires_grad for parameter in ours):
        raise ConfigError(
            f"all parameters that the {kind} holds are frozen, so nothing would train; make it from parameters whose "
            "requires_grad is True"
        )


def left_out_by(optimizer: Optimizer, model: torch.nn.Module) -> dict[str, Parameter]:
    """Return the parameters of a model that train, but not by this optimizer, by name."""
    held = held_by(optimizer)
    return {name: one for name, one in model.named_parameters() if one.requires_grad and one not in held}


def warn_of_strangers(optimizer: Optimizer, model: torch.nn.Module) -> None:
    """Warn where an optimizer holds parameters that the model has not, and lacks some that the model has.

    So it is where a part of the model was replaced after the optimizer was made.
    """
    lacking, kind = left_out_by(optimizer, model), type(optimizer).__name__
    if lacking and held_by(optimizer) - set(model.parameters()):
        warnings.warn(
            RnnkitWarning(
                f"the {kind} holds parameters that this {type(model).__name__} has not, and lacks {listed(lacking)}, "
                "which will not train; make it after the model has its final parts, from model.parameters()"
            ),
            stacklevel=4,
        )


def listed(names: Iterable[str]) -> str:
    """Return the first four names, and how many there are."""
    found = list(names)
    return ", ".join(found[:4]) + (f" and {len(found) - 4} more" if len(found) > 4 else "")


def set_rate(optimizer: Optimizer, lr: float) -> None:
    """Set the rate of the first group of parameters; the others keep their ratio to it."""
    first = optimizer.param_groups[0]["lr"]
    for group in optimizer.param_groups:
        group["lr"] = lr * (group["lr"] / first) if first else lr


def make_optimizer(
    optimizer: OptimizerLike,
    model: torch.nn.Module,
    *,
    lr: float,
    weight_decay: float,
    l2: float = 0.0,
    decay_biases: bool = True,
    parameter_groups: ParameterGroups | None = None,
    fused: bool = False,
) -> Optimizer:
    """Return the optimizer of that name, what the callable makes of the parameters, or the given one.

    Args:
        optimizer: see the Learner.
        model: the model to train.
        lr, weight_decay, l2: settings of the named optimizers; see the module for the two kinds of decay.
        decay_biases, parameter_groups: see `parameter_groups`. A callable gets the groups as PyTorch's list of dicts.
        fused: ask for one kernel per step where there is one.

    Raises:
        ConfigError: a rate that is no number; settings for an optimizer that has its own; groups that do not fit the
            model; an optimizer of another model.
    """
    grouped = parameter_groups is not None or not decay_biases
    for name, value in (("l2", l2), ("weight_decay", weight_decay)):
        if not isinstance(optimizer, str) and value:
            raise ConfigError(f"{name}={value} is for optimizers by name; give your own its weight_decay")
    if isinstance(optimizer, Optimizer):
        if grouped:
            raise ConfigError(
                f"parameter_groups and decay_biases make the groups of an optimizer, but a finished "
                f"{type(optimizer).__name__} arrived, which has its own; pass a name or a callable"
            )
        check_trains(optimizer, model)
        return optimizer
    if callable(optimizer):
        whole = group_parameters(model, parameter_groups, None, decay_biases=decay_biases) if grouped else None
        made = optimizer(list(model.parameters()) if whole is None else whole)
        check_trains(made, model)
        return made
    check_rate(lr)
    kind, lr = OPTIMIZERS[optimizer], float(lr)  # a state cannot hold numpy's numbers
    settings: Settings = {"lr": lr, "weight_decay": weight_decay, "l2": l2}
    own = tuple(name for name in inspect.signature(kind).parameters if name not in _NOT_OF_A_GROUP)
    groups = group_parameters(model, parameter_groups, (*own, "l2"), decay_biases=decay_biases)
    groups = [_translate(optimizer, {**settings, **group}) for group in groups]
    if any(group.get("decoupled_weight_decay") is False for group in groups):
        kind = torch.optim.Adam  # AdamW, restored from a state, would take every decay for a decoupled one
    made = kind(groups, lr=lr, **({"fused": True} if fused and optimizer in _HAVE_FUSED else {}))
    if any("decay" in group for group in groups):
        made.register_step_pre_hook(_decay)
    return made


def _translate(optimizer: str, settings: Settings) -> Settings:
    """The settings of a group under PyTorch's names; `decay` is for `_decay`, where PyTorch's optimizer has none."""
    decay, l2 = settings.pop("weight_decay"), settings.pop("l2")
    if optimizer in _HAVE_DECOUPLED and decay and not l2:
        return {**settings, "weight_decay": decay, "decoupled_weight_decay": True}
    translated = {**settings, "weight_decay": l2}
    if optimizer in _HAVE_DECOUPLED and l2:
        translated["decoupled_weight_decay"] = False
    return {**translated, "decay": decay} if decay else translated


@torch.no_grad()
def _decay(optimizer: Optimizer, *_: Any) -> None:
    for group in optimizer.param_groups:
        if group.get("decay"):
            trained = [parameter for parameter in group["params"] if parameter.grad is not None]
            if trained:
                torch._foreach_mul_(trained, 1 - group["lr"] * group["decay"])
