"""What torchmetrics objects have collected, as values that a checkpoint stores."""

from __future__ import annotations

from typing import Any

import torch

from ..distribution.group import from_all_processes, several_processes


def parts_of(metric: Any) -> list[Any]:
    """A torchmetrics object and those within it, each with its sums in attributes that `_defaults` names."""
    parts = metric.modules() if isinstance(metric, torch.nn.Module) else ()
    return [part for part in parts if hasattr(part, "_defaults")]


def states_of(metric: Any) -> list[dict[str, Any]]:
    """What a torchmetrics object, and those within it, have collected."""
    return [
        {"updates": part._update_count, "values": {key: getattr(part, key) for key in part._defaults}}
        for part in parts_of(metric)
    ]


def load_states(metric: Any, states: list[dict[str, Any]]) -> None:
    """Take back what `states_of` gave."""
    for part, state in zip(parts_of(metric), states, strict=True):
        part._update_count = state["updates"]
        vars(part).update(state["values"])


def to_exchange_device(metric: Any) -> None:
    """Move a torchmetrics object to where processes exchange tensors, if there are several and they have GPUs."""
    if several_processes() and torch.distributed.get_backend() == "nccl":
        metric.to(torch.device("cuda", torch.cuda.current_device()))


def fill_from_processes(metric: Any) -> None:
    """Give each list of an object without data an empty tensor of the kind that other processes have in theirs.

    torchmetrics exchanges such lists as tensors, which must agree in dtype and in all axes but the first. All processes
    must call this.
    """
    kinds = {
        key: (value[0].dtype, value[0].shape[1:])
        for key in metric._defaults
        if isinstance(value := getattr(metric, key), list) and value
    }
    known: dict[str, Any] = next((one for one in from_all_processes(kinds) if one), {})
    for key, (dtype, axes) in known.items():
        if not getattr(metric, key):
            setattr(metric, key, [torch.empty(0, *axes, dtype=dtype, device=metric.device)])
