"""Warnings about inputs whose scale keeps a network from learning: bytes, and offsets that float32 cannot resolve."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
import torch
from torch.utils.data import Subset, TensorDataset

from ...types import Batch, Sequences

_ROWS = 64  # of which a hint is made
_FLOAT32 = float(np.finfo(np.float32).eps)


def warn_of_scale(x: Any, dtype: torch.dtype) -> None:
    """Warn where inputs are bytes, or have an offset that leaves few digits of their differences in float32.

    Args:
        x: inputs as the user has them, before they become tensors of the model's dtype.
        dtype: the model's.
    """
    sample = _sample(x)
    if sample is None or sample.ndim < 3 or not sample.size:  # whole numbers with fewer axes are token ids
        return
    values = sample.astype(np.float64)
    low, high = float(values.min()), float(values.max())
    # Of other types whole numbers up to 255 may be bytes that were converted; small ones are counts, perhaps.
    if low >= 0 and high < 256 and high > (16 if sample.dtype == np.uint8 else 127) and not (values % 1).any():
        warnings.warn(
            f"the inputs are bytes up to {high:.0f}; networks learn best from about [-1, 1]: divide by 255",
            stacklevel=7,  # the call of `Learner.fit`, where the data is in memory
        )
    if dtype == torch.float64 or sample.dtype in (np.float16, np.float32) or not np.isfinite([low, high]).all():
        return
    steps = values.reshape(-1, values.shape[-1])
    spread, offset = steps.std(0), np.abs(steps).max(0)
    lost = (spread > 0) & (spread < 100 * _FLOAT32 * offset)
    if lost.any():
        channel = int(lost.argmax())
        warnings.warn(
            f"input {channel} has values of about {offset[channel]:.3g} with a deviation of {spread[channel]:.3g}, and "
            "becomes float32, which keeps 7 digits: subtract the mean while the data is float64",
            stacklevel=7,  # the call of `Learner.fit`, where the data is in memory
        )


def inputs_in(data: Any) -> Any:
    """Return the inputs of data in memory, (X, y), a `Batch` or a TensorDataset; None where it has to be iterated."""
    if isinstance(data, Batch):
        return data.inputs
    if isinstance(data, Subset) and isinstance(data.dataset, TensorDataset):
        data = data.dataset
    if isinstance(data, TensorDataset):
        data = data.tensors
    return data[0] if isinstance(data, tuple) and len(data) == 2 else None


def _sample(x: Any) -> np.ndarray | None:
    """The first rows as one array; those of a list one below the other, [1, T, ...]."""
    if isinstance(x, Sequences):
        x = x.values
    try:
        if isinstance(x, list | tuple):
            arrays = [_array(row) for row in x[:_ROWS]]
            found = np.concatenate([one[:, None] if one.ndim == 1 else one for one in arrays])[None]
        else:
            found = _array(x[:_ROWS])
    except (TypeError, ValueError, IndexError, KeyError):  # what arrived is refused where it is converted
        return None
    return found if found.dtype.kind in "iuf" else None


def _array(rows: Any) -> np.ndarray:
    return np.asarray(rows.detach().cpu().float() if _is_half(rows) else rows.cpu() if hasattr(rows, "cpu") else rows)


def _is_half(rows: Any) -> bool:
    return isinstance(rows, torch.Tensor) and rows.dtype == torch.bfloat16
