"""From samples to a batch of tensors: rows are stacked, or padded where their lengths differ."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from ..errors import DataError
from ..types import Batch, pad_rows

if TYPE_CHECKING:
    import numpy.typing as npt
    import torch

Sample = Any  # inputs and targets in a tuple, or the inputs alone


def collate(samples: Sequence[Sample]) -> Batch:
    """Make a batch of samples.

    Args:
        samples: each (inputs, targets), or the inputs alone: arrays or tensors [T_i, ...], of which the first axis may
            differ from sample to sample. Floats become float32, integers int64.

    Returns:
        The batch, padded with 0; `input_lengths` and `target_lengths` where lengths differ.

    Raises:
        DataError: no samples, or rows that differ in more than their lengths.

    Example:
        >>> batch = collate([(np.ones((3, 2)), 0), (np.ones((1, 2)), 1)])
        >>> batch, batch.input_lengths.tolist()
        (Batch(inputs [2, 3, 2], targets [2], input_lengths [2]), [3, 1])
    """
    if not samples:
        raise DataError("no samples arrived; expected at least one")
    pairs = [isinstance(sample, tuple) and len(sample) == 2 for sample in samples]
    if not any(pairs):
        inputs, lengths = stack(samples)
        return Batch(inputs, input_lengths=lengths)
    if not all(pairs):
        raise DataError("only some samples are pairs (inputs, targets)")
    inputs, input_lengths = stack([sample[0] for sample in samples])
    targets, target_lengths = stack([sample[1] for sample in samples])
    return Batch(inputs, targets, input_lengths, target_lengths)


def stack(rows: Sequence[Any]) -> tuple[torch.Tensor, torch.Tensor | None]:
    """Stack arrays [T_i, ...] to one tensor [B, T, ...].

    Returns:
        The tensor, padded on the right with 0, and the lengths, int64 [B]; None where all lengths are the same.
    """
    import torch

    arrays = [plain(row) for row in rows]
    first = arrays[0]
    for index, array in enumerate(arrays):
        if array.ndim != first.ndim or array.shape[1:] != first.shape[1:]:
            raise DataError(f"sample {index} has shape {array.shape}; sample 0 of its batch has {first.shape}")
    sizes = [len(array) if array.ndim else 0 for array in arrays]
    if len(set(sizes)) == 1:
        return torch.from_numpy(np.stack(arrays)), None
    return pad_rows([torch.from_numpy(np.ascontiguousarray(array)) for array in arrays])


def plain(row: Any) -> npt.NDArray[Any]:
    """Return an array or tensor as a NumPy array of float32, int64 or bool."""
    array = np.asarray(row.detach().cpu() if hasattr(row, "detach") else row)
    if array.dtype.kind not in "biuf":
        raise DataError(f"a sample of type {array.dtype} arrived; expected numbers")
    return array if array.dtype == np.bool_ else array.astype(np.float32 if array.dtype.kind == "f" else np.int64)
