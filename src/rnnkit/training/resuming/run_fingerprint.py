"""What makes a run the run it is: model, data and settings. A state is only resumed by the same run."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping
from functools import partial
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.optim import Optimizer

from ...types import Sequences
from ..batching.batches import ArrayBatches, Batches

SAMPLE = 64  # rows whose numbers are looked at


def describe_model(model: torch.nn.Module) -> dict[str, str]:
    """The model's class, and dtype and shape of each parameter and buffer by name."""
    tensors = {name: _kind(tensor) for name, tensor in model.state_dict().items() if isinstance(tensor, Tensor)}
    return {"class": type(model).__name__, **tensors}


def describe_data(batches: Batches | None) -> dict[str, Any]:
    """Number of rows, old rows of a replay among them, shapes, dtypes and a hash; of an iterable its class and length.

    The hash is of all rows' order and lengths and of 64 new and 64 old ones, evenly spaced: it costs milliseconds, and
    tells other data, another order and another split, not that a single row was touched.
    """
    if batches is None:
        return {}
    if not isinstance(batches, ArrayBatches):
        return {"kind": type(batches.source).__name__, "batches": batches.steps}
    order, inputs = batches.order, batches.inputs
    values = inputs.values if isinstance(inputs, Sequences) else inputs
    hashed = hashlib.sha256()
    for rows in (order.rows, order.old):
        if rows is not None:
            sample = rows[:: max(1, len(rows) // SAMPLE)].to(values.device)
            for tensor in (rows, values[sample], batches.targets[sample]):
                hashed.update(_bytes(tensor))
    if isinstance(inputs, Sequences):
        hashed.update(_bytes(inputs.lengths))
    old = {} if order.old is None else {"old rows": len(order.old), "drawn of them": order.drawn}
    return {
        "rows": len(order.rows),
        **old,
        "inputs": _kind(values[:0]),
        "targets": _kind(batches.targets[:0]),
        "hash": hashed.hexdigest()[:16],
    }


def describe_settings(settings: Mapping[str, Any]) -> dict[str, Any]:
    """Settings as JSON values: functions and objects by their name, with what a dataclass or a partial holds."""
    described: dict[str, Any] = json.loads(json.dumps({name: _plain(value) for name, value in settings.items()}))
    return described


def differences(before: Mapping[str, Any], now: Mapping[str, Any]) -> list[str]:
    """Says in a line each what differs between two nests of descriptions."""
    return list(_differences(before, now, ""))


def _differences(before: Any, now: Any, name: str) -> Iterator[str]:
    if isinstance(before, Mapping) and isinstance(now, Mapping):
        for key in dict.fromkeys([*before, *now]):
            inner = f"{name}: {key}" if name else str(key)
            yield from _differences(before.get(key), now.get(key), inner)
    elif before != now:
        yield f"{name} was {before!r}, is {now!r}"


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
        return value.tolist() if value.numel() <= SAMPLE else _kind(value)
    if hasattr(value, "__dataclass_fields__"):
        return [type(value).__name__, {name: _plain(getattr(value, name)) for name in value.__dataclass_fields__}]
    return getattr(value, "__qualname__", type(value).__qualname__)


def _kind(tensor: Tensor) -> str:
    """Example:
    >>> _kind(torch.zeros(2, 3))
    'float32 [2, 3]'
    """
    return f"{str(tensor.dtype).removeprefix('torch.')} {list(tensor.shape)}"


def _bytes(tensor: Tensor) -> bytes:
    return tensor.detach().cpu().contiguous().flatten().view(torch.uint8).numpy().tobytes()
