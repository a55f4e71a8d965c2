"""What arrives as data becomes tensors here: dtypes, padding, and the checks that belong at the door."""

from __future__ import annotations

import math
from typing import Any, overload

import numpy as np
import torch
from torch import Tensor

from ...errors import DataError
from ...ops.padding import valid_steps
from ...types import Sequences

Inputs = Tensor | Sequences
HALF = (torch.float16, torch.bfloat16)


def to_inputs(data: Any, dtype: torch.dtype) -> Inputs:
    """Turns arrays, tensors or a list of rows into one tensor, or into `Sequences` if the rows differ in length.

    Floats become `dtype`. Integers of one or two axes [B, T] are token ids and become int64; integers of
    more axes are measurements (pixels, say) and become `dtype`.
    """
    if isinstance(data, Sequences):
        return Sequences(_measurements(data.values, dtype), data.lengths.cpu())
    if isinstance(data, list | tuple) and len(data) > 0 and np.ndim(data[0]) > 0:
        rows = Sequences.from_list([_tensor(row) for row in data])
        ragged = int(rows.lengths.min()) < rows.values.shape[1]
        values = _measurements(rows.values, dtype)
        return Sequences(values, rows.lengths) if ragged else values
    return _measurements(_tensor(data), dtype)


def to_targets(data: Any, dtype: torch.dtype) -> Inputs:
    """As `to_inputs`, but integers of any number of axes stay integers: they are labels."""
    if isinstance(data, Sequences):
        return Sequences(_numbers(data.values, dtype), data.lengths.cpu())
    if isinstance(data, list | tuple) and len({np.shape(row) for row in data}) > 1:
        rows = Sequences.from_list([_tensor(row) for row in data])
        return Sequences(_numbers(rows.values, dtype), rows.lengths)
    if isinstance(data, list | tuple) and any(isinstance(row, Tensor) for row in data):
        data = torch.stack([_tensor(row) for row in data])
    return _numbers(_tensor(data), dtype)


@overload
def select(data: Tensor, rows: Tensor) -> Tensor: ...
@overload
def select(data: Sequences, rows: Tensor) -> Sequences: ...
def select(data: Inputs, rows: Tensor) -> Inputs:
    """The given rows, on the device of `data`; `Sequences` without the padding that none of them needs."""
    return data.index_select(0, rows.to(data.device)) if isinstance(data, Tensor) else data[rows]


def check_inputs(inputs: Inputs) -> None:
    """Raises `DataError` where there is nothing to work on, or NaN in it."""
    if len(inputs) == 0:
        raise DataError("no data arrived: the inputs have 0 rows")
    check_finite("inputs", inputs)


def check_finite(what: str, data: Inputs) -> None:
    """Raises `DataError` naming the first row that holds NaN or infinity at a step that is no padding."""
    values = data if isinstance(data, Tensor) else data.values
    # A sum is one pass without a temporary; NaN or infinity anywhere shows in it.
    if not values.is_floating_point() or math.isfinite(values.sum().item()):
        return
    bad = ~values.isfinite()
    if isinstance(data, Sequences):
        bad[~valid_steps(data.lengths, values.shape[1], values.device)] = False
    rows = bad.reshape(len(bad), -1).any(1).nonzero().flatten().tolist()
    if rows:
        value = values[rows[0]][bad[rows[0]]].flatten()[0].item()
        more = f" (and in {len(rows) - 1:,} more)" if len(rows) > 1 else ""
        raise DataError(
            f"the {what} hold {value} in row {rows[0]}{more}; expected finite numbers: "
            "drop these rows or fill the gaps first"
        )


def describe(thing: Any) -> str:
    """Says in a few words what arrived, for error messages."""
    shape = getattr(thing, "shape", None)
    return f"a {type(thing).__name__}" + (f" of shape {tuple(shape)}" if shape is not None else "")


def _tensor(data: Any) -> Tensor:
    if isinstance(data, Tensor):
        return data.detach()
    array = np.asarray(data)
    if array.dtype.kind not in "biuf":
        raise DataError(f"data of type {array.dtype} arrived; expected numbers, or a list of arrays of numbers")
    # What torch refuses: foreign byte order, negative strides, read-only memory, wide unsigned, long double.
    native = array.dtype.newbyteorder("=")
    if native.kind == "u" and native.itemsize > 1:
        native = np.dtype(np.int64)
    if native.kind == "f" and native.itemsize > 8:
        native = np.dtype(np.float64)
    return torch.from_numpy(np.require(array, native, ["C", "W"]))


def _numbers(values: Tensor, dtype: torch.dtype) -> Tensor:
    return values.to(dtype if values.is_floating_point() else torch.int64)


def _measurements(values: Tensor, dtype: torch.dtype) -> Tensor:
    return _numbers(values, dtype) if values.dim() <= 2 else values.to(dtype)
