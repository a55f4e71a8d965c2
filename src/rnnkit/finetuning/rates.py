"""Learning rates that fall from the output to the input."""

from __future__ import annotations

import math
from typing import Any

from torch.nn import Module
from torch.optim import Optimizer

from ..errors import ConfigError
from .groups import layer_groups

DIVISOR = 2.6


def discriminative_rates(model: Module, lr: float, divisor: float = DIVISOR) -> list[dict[str, Any]]:
    """Parameter groups for a torch optimizer, one a layer, with rates that fall towards the input.

    η_{l-1} = η_l / 2.6, the last layer's is ``lr`` (discriminative fine-tuning, Howard & Ruder 2018, section 3.1):
    layers near the input hold what is general and should change least.

    Args:
        model: any module; its layers are those of :func:`rnnkit.finetuning.groups.layer_groups`.
        lr: the last group's learning rate.
        divisor: at least 1; 1 gives every layer the same rate.

    Returns:
        ``{"params", "lr", "name"}`` of every group with a parameter that trains, the output's first.

    Example:
        >>> import rnnkit
        >>> model = rnnkit.SequenceClassifier(rnnkit.GRU(8, 16, num_layers=2), classes=3)
        >>> [(group["name"], round(group["lr"], 5)) for group in discriminative_rates(model, lr=0.01)]
        [('head', 0.01), ('body.l1', 0.00385), ('body.l0', 0.00148)]
    """
    check_divisor(divisor)
    groups = reversed(layer_groups(model).items())
    return [
        {"params": members, "lr": lr / divisor**depth, "name": name}
        for depth, (name, parameters) in enumerate(groups)
        if (members := [parameter for parameter in parameters if parameter.requires_grad])
    ]


def divide_rates(optimizer: Optimizer, model: Module, divisor: float) -> None:
    """Split the groups of a fresh optimizer by layer and divides their rates as :func:`discriminative_rates` does.

    All other settings of a group, such as its weight decay, stay those it had.
    """
    check_divisor(divisor)
    depths = {
        id(parameter): (depth, name)
        for depth, (name, parameters) in enumerate(reversed(layer_groups(model).items()))
        for parameter in parameters
    }
    split: list[dict[str, Any]] = []
    for group in optimizer.param_groups:
        members: dict[tuple[int, str], list[Any]] = {}
        for parameter in group["params"]:
            members.setdefault(depths.get(id(parameter), (0, "")), []).append(parameter)
        for (depth, name), parameters in members.items():
            split.append({**group, "params": parameters, "lr": group["lr"] / divisor**depth, "name": name})
    split.sort(key=lambda group: -group["lr"])  # the output's first: its rate is the one a history shows
    optimizer.param_groups[:] = split


def check_divisor(divisor: float, name: str = "divisor") -> None:
    """Raise ConfigError for a divisor below 1, or no number."""
    if isinstance(divisor, bool) or not isinstance(divisor, int | float) or not 1 <= divisor < math.inf:
        raise ConfigError(f"{name}={divisor!r} arrived; expected by how much a layer's rate is divided: 2.6")
