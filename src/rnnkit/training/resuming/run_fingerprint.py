"""What a resumed run must share with the run that wrote the state: model, data and settings."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from functools import partial
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.optim import Optimizer

from ..batching.arrays import tensor_kind

MOST = 64  # numbers of a tensor that are described one by one


def describe_model(model: torch.nn.Module) -> dict[str, str]:
    """The model's class, and dtype and shape of each parameter and buffer by name."""
    tensors = {name: tensor_kind(tensor) for name, tensor in model.state_dict().items() if isinstance(tensor, Tensor)}
    return {"class": type(model).__name__, **tensors}


def describe_settings(settings: Mapping[str, Any]) -> dict[str, Any]:
    """Settings as JSON values: functions and objects by their name, with what a dataclass or a partial holds."""
    described: dict[str, Any] = json.loads(json.dumps({name: _plain(value) for name, value in settings.items()}))
    return described


def differences(before: Mapping[str, Any], now: Mapping[str, Any]) -> list[str]:
    """Say in a line each what differs between two nests of descriptions."""
    return list(_differences(before, now, ""))


def _differences(before: Any, now: Any, name: str) -> Iterator[str]:
    if isinstance(before, Mapping) and isinstance(now, Mapping):
        for key in dict.fromkeys([*before, *now]):
            inner = f"{name}: {key}" if name else str(key)
            yield from _differences(before.get(key), now.get(key), inner)
    elif before != now and _is_digest(before) and _is_digest(now):
        yield f"{name} was {before[:12]}…, is {now[:12]}…: other content"
    elif before != now:
        yield f"{name} was {before!r}, is {now!r}"


def _is_digest(value: Any) -> bool:
    return isinstance(value, str) and len(value) >= 16 and not set(value) - set("0123456789abcdef")


def _plain(value: Any) -> Any:
    if isinstance(value, np.generic):
        value = value.item()
    if value is None or isinstance(value, bool | int | float | str):
        return value
    if isinstance(value, Mapping):
        return {str(key): _plain(part) for key, part in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(part) for part in value]
    if isinstance(value, partial):
        return [_plain(value.func), _plain(value.args), _plain(value.keywords)]
    if isinstance(value, Optimizer):
        return [type(value).__name__, {name: _plain(part) for name, part in value.defaults.items()}]
    if isinstance(value, Tensor):
        return value.tolist() if value.numel() <= MOST else tensor_kind(value)
    if hasattr(value, "__dataclass_fields__"):
        return [type(value).__name__, {name: _plain(getattr(value, name)) for name in value.__dataclass_fields__}]
    return getattr(value, "__qualname__", type(value).__qualname__)
