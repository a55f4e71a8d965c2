"""What torchmetrics objects have collected, as values that a checkpoint stores."""

from __future__ import annotations

from typing import Any

import torch


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
