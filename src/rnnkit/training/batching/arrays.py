"""Conversion of data to tensors: dtypes, padding, and the checks of what arrives."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import Subset, TensorDataset

from ...errors import DataError, check_no_missing
from ...ops.padding import valid_steps
from ...types import Batch, Sequences
from .mapped import MappedRows, is_mapped

Inputs = Tensor | Sequences
Stored = Tensor | MappedRows  # all rows of an entry
HALF = (torch.float16, torch.bfloat16)


def to_stored_inputs(data: Any, dtype: torch.dtype) -> Inputs | MappedRows:
    """As `to_inputs`, but a memory map stays one: its rows are read and converted batch by batch."""
    if is_mapped(data) and data.ndim:
        return MappedRows(data, lambda rows: _measurements(_tensor(rows), dtype))
    return to_inputs(data, dtype)


def to_inputs(data: Any, dtype: torch.dtype) -> Inputs:
    """Turn arrays, tensors or a list of rows into one tensor, or into `Sequences` if the rows differ in length.

    Floats become `dtype`. Integers of one or two axes [B, T] are token ids and become int64; integers of
    more axes are measurements (pixels, say) and become `dtype`.
    """
    if isinstance(data, Sequences):
        return Sequences(_measurements(data.values, dtype), data.lengths.cpu())
    data = _listed(data)
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
    data = _listed(data)
    if isinstance(data, list | tuple) and len({np.shape(row) for row in data}) > 1:
        rows = _padded([_tensor(row) for row in data])
        return Sequences(_numbers(rows.values, dtype), rows.lengths)
    if isinstance(data, list | tuple) and any(isinstance(row, Tensor) for row in data):
        data = torch.stack([_tensor(row) for row in data])
    return _numbers(_tensor(data, labels=True), dtype)


def _listed(data: Any) -> Any:
    """An array of objects [N] that are arrays as a list of them; other data as it is."""
    rows = isinstance(data, np.ndarray) and data.dtype == object and data.ndim == 1 and len(data) > 0
    return list(data) if rows and np.ndim(data[0]) > 0 else data


def _padded(rows: list[Tensor]) -> Sequences:
    """Targets of unequal lengths; a row may have none, which objectives refuse or allow."""
    some = [row for row in rows if row.dim() == 0 or len(row)]
    if len(some) == len(rows) or any(row.dim() != 1 for row in rows):
        return Sequences.from_list(rows)
    rows = [row.to(some[0].dtype) for row in rows]  # an empty list is one of floats
    rows = [row[:, None] if row.is_floating_point() else row for row in rows]
    lengths = torch.tensor([len(row) for row in rows])
    return Sequences(torch.nn.utils.rnn.pad_sequence(rows, batch_first=True), lengths)


def to_weights(data: Any, dtype: torch.dtype) -> Tensor:
    """Turn weights [N] or [N, T], or a list of arrays of unequal lengths, into a tensor; padding weighs 0.

    Raises:
        DataError: they are no numbers, or below 0.
    """
    if isinstance(data, str) or not hasattr(data, "__len__"):
        raise DataError(f"sample_weight={data!r} arrived; expected a number for each row, or for each step")
    weights = to_targets(data, dtype)
    values = (weights if isinstance(weights, Tensor) else weights.values.squeeze(-1)).to(dtype)
    if bool((values < 0).any()):
        raise DataError("sample_weight holds numbers below 0; expected 0 or more, such as how often a row counts")
    return values


def to_batch(inputs: Inputs | MappedRows, targets: Inputs | None) -> Batch:
    """Join inputs and targets, tensors or `Sequences`, to a `Batch`.

    Raises:
        DataError: not as many targets as inputs.
    """
    if targets is not None and len(inputs) != len(targets):
        raise DataError(f"{len(inputs):,} inputs arrived with {len(targets):,} targets; expected one for each")
    values, lengths = split_lengths(inputs)
    if targets is None:
        return Batch(values, input_lengths=lengths)
    wanted, target_lengths = split_lengths(targets)
    return Batch(values, wanted, lengths, target_lengths)


def to_dtype(batch: Batch, dtype: torch.dtype) -> Batch:
    """Bring the floating inputs, targets and weights of a `Batch` of the user's to the model's dtype."""
    floating: dict[str, Any] = {
        name: value.to(dtype)
        for name in ("inputs", "targets", "weights")
        if isinstance(value := getattr(batch, name), Tensor) and value.is_floating_point()
    }
    return replace(batch, **floating)


def as_normal(batch: Batch) -> Batch:
    """Return a batch whose tensors autograd can keep: copies of those that were made under `torch.inference_mode`."""
    if torch.is_inference_mode_enabled():
        return batch
    named = {name: getattr(batch, name) for name in ("inputs", "targets", "weights", "resets")}
    copies: dict[str, Any] = {
        name: one.clone() for name, one in named.items() if isinstance(one, Tensor) and one.is_inference()
    }
    return replace(batch, **copies) if copies else batch


def to_resets(resets: Any, inputs: Tensor, what: str) -> Tensor:
    """Return resets as truth values [B] or [B, T]; raises `DataError` for others."""
    found = torch.as_tensor(resets)
    if found.dtype != torch.bool or found.shape not in (inputs.shape[:1], inputs.shape[:2]):
        raise DataError(
            f"{what} has resets {list(found.shape)} of {found.dtype} with inputs {list(inputs.shape)}; "
            f"expected truth values, [{len(inputs)}], or {list(inputs.shape[:2])} for resets between steps"
        )
    return found


def split_lengths(data: Inputs | MappedRows) -> tuple[Any, Tensor | None]:
    """Return values and their lengths; a tensor has none."""
    return (data.values, data.lengths) if isinstance(data, Sequences) else (data, None)


def select(batch: Batch, rows: Tensor, *, follow: str = "rows") -> Batch:
    """Return the given rows of a batch, without the padding that none of them needs.

    Args:
        batch: all rows, on one device.
        rows: indices [n].
        follow: "inputs": targets [N, T, ...] are cut as the inputs are; "targets": by their own lengths; else not.
    """
    inputs, input_lengths = _picked(batch.inputs, batch.input_lengths, rows)
    targets, target_lengths, weights, resets = batch.targets, batch.target_lengths, batch.weights, batch.resets
    if targets is not None:
        targets, target_lengths = _picked(targets, target_lengths, rows, cut=follow == "targets")
        if follow == "inputs" and input_lengths is not None:
            targets = targets[:, : inputs.shape[1]]
        if weights is not None:
            weights = weights.index_select(0, rows.to(weights.device))
            if weights.dim() > 1 and targets.dim() > 1:
                weights = weights[:, : targets.shape[1]]
    if resets is not None:
        resets = resets.index_select(0, rows.to(resets.device))
        if resets.dim() > 1:
            resets = resets[:, : inputs.shape[1]]
    return Batch(inputs, targets, input_lengths, target_lengths, weights, resets, batch.stands_in)


def _picked(values: Stored, lengths: Tensor | None, rows: Tensor, *, cut: bool = True) -> tuple[Tensor, Tensor | None]:
    picked = values.index_select(0, rows.to(values.device))
    if lengths is None:
        return picked, None
    lengths = lengths[rows]
    return (picked[:, : int(lengths.max()) if lengths.numel() else 0] if cut else picked), lengths


def check_finite_values(what: str, values: Stored, lengths: Tensor | None, first: int = 0) -> None:
    """Raise `DataError` naming the first row that holds NaN or infinity at a valid step.

    Args:
        what: what the values are called.
        values: [N, ...], or [N, T, ...] with lengths.
        lengths: valid steps [N]; None: all are.
        first: the number of the first row.
    """
    if isinstance(values, MappedRows):
        for chunk in values.chunks():
            check_finite_values(what, values[chunk], None, chunk.start)
        return
    # A sum is one pass without a temporary; NaN or infinity anywhere shows in it.
    if not values.is_floating_point() or math.isfinite(values.sum().item()):
        return
    bad = ~values.isfinite()
    if lengths is not None:
        bad[~valid_steps(lengths, values.shape[1], values.device)] = False
    rows = bad.reshape(len(bad), -1).any(1).nonzero().flatten().tolist()
    if rows:
        value = values[rows[0]][bad[rows[0]]].flatten()[0].item()
        more = f" (and in {len(rows) - 1:,} more)" if len(rows) > 1 else ""
        raise DataError(
            f"the {what} hold {value} in row {first + rows[0]}{more}; expected finite numbers: "
            "drop these rows or fill the gaps first"
        )


def check_inputs(values: Stored, lengths: Tensor | None) -> None:
    """Raise `DataError` where there is nothing to work on, or NaN in it."""
    if len(values) == 0:
        raise DataError("no data arrived: the inputs have 0 rows")
    check_finite_values("inputs", values, lengths)


def describe(thing: Any) -> str:
    """Say in a few words what arrived, for error messages."""
    shape = getattr(thing, "shape", None)
    return f"a {type(thing).__name__}" + (f" of shape {tuple(shape)}" if shape is not None else "")


def _tensor(data: Any, *, labels: bool = False) -> Tensor:
    if isinstance(data, Tensor):
        return data.detach()
    array = np.asarray(data)
    if array.dtype.kind == "O":
        if labels:
            check_no_missing(array.ravel())
        array = np.array(array.tolist()) if array.size and np.ndim(array.flat[0]) == 0 else array  # of Python's numbers
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


def in_memory(data: Any, dtype: torch.dtype) -> Batch | None:
    """Return all rows of `data` where it holds them in memory, None where it has to be iterated.

    Raises:
        DataError: a tuple that is not (X, y), not as many targets as inputs, or values that are no numbers.
    """
    if isinstance(data, Batch):
        if data.resets is not None:
            to_resets(data.resets, data.inputs, "the batch")
        return to_dtype(data, dtype)
    if isinstance(data, Subset) and isinstance(data.dataset, TensorDataset):
        rows = torch.as_tensor(data.indices)
        data = tuple(tensor[rows] for tensor in data.dataset.tensors)
    elif isinstance(data, TensorDataset):
        data = data.tensors
    if isinstance(data, tuple):
        if len(data) != 2 or isinstance(data[0], tuple):
            raise DataError(
                f"a tuple of {len(data)} ({', '.join(map(describe, data[:4]))}) arrived; expected (X, y). "
                "Batches are passed as a list or any other iterable"
            )
        return to_batch(to_stored_inputs(data[0], dtype), to_targets(data[1], dtype))
    return None


def tensor_kind(tensor: Tensor) -> str:
    """Return dtype and shape in words.

    Example:
        >>> tensor_kind(torch.zeros(2, 3))
        'float32 [2, 3]'
    """
    return f"{str(tensor.dtype).removeprefix('torch.')} {list(tensor.shape)}"


def tensor_bytes(tensor: Tensor) -> bytes:
    return tensor.detach().cpu().contiguous().flatten().view(torch.uint8).numpy().tobytes()
