"""Rows of an .npz file to measure a network on, for ``rnnkit inspect``."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from ..errors import DataError

INPUTS, TARGETS = ("x", "X", "inputs", "values"), ("y", "Y", "targets", "labels")


def read_npz(path: Path) -> tuple[Any, Any]:
    """Return inputs and targets of an .npz file: arrays x [N, T, I] and y, and lengths [N] where rows are padded.

    Returns:
        inputs (a tensor, or ``Sequences`` with lengths), and targets, None where there are none.

    Raises:
        DataError: no such file, damaged, without x, arrays of objects (they would have to be unpickled), or lengths
            that do not fit.
    """
    from ..types import Sequences

    arrays = named_arrays(path)
    inputs, targets = (next((name for name in names if name in arrays), None) for names in (INPUTS, TARGETS))
    if inputs is None:
        raise DataError(f"{path} holds {', '.join(arrays) or 'nothing'}; expected x [N, T, I] and y")
    x = tensor_of(arrays[inputs], inputs, path)
    y = None if targets is None else tensor_of(arrays[targets], targets, path)
    if y is not None and len(y) != len(x):
        raise DataError(f"{path}: {len(x)} inputs arrived with {len(y)} targets; expected one for each")
    if "lengths" in arrays:
        x = Sequences(x, lengths_of(arrays, x, path))
    return x, y


def lengths_of(arrays: dict[str, Any], x: Any, path: Path) -> Any:
    """Return the array "lengths" [N]: how many steps of each row of x count.

    Raises:
        DataError: other numbers than those of steps, or not one a row.
    """
    lengths, steps = tensor_of(arrays["lengths"], "lengths", path), x.shape[1] if x.dim() > 1 else 0
    fits = lengths.shape == x.shape[:1] and not lengths.is_floating_point()
    if not fits or int(lengths.min()) < 1 or int(lengths.max()) > steps:
        raise DataError(f"{path}: expected lengths [{len(x)}] of whole numbers from 1 to {steps}")
    return lengths


def named_arrays(path: Path) -> dict[str, Any]:
    """Return the arrays of an .npz file by their names.

    Raises:
        DataError: no such file, damaged, or arrays of objects.
    """
    from ..data.readers.npz import read_arrays

    if not path.exists():
        raise DataError(f"{path} does not exist; expected an .npz file with x [N, T, I] and y")
    return read_arrays(path)


def tensor_of(array: Any, name: str, path: Path) -> Any:
    """Return an array of rows as a tensor: float32, or int64 of whole numbers.

    Raises:
        DataError: it has no rows, or holds no numbers.
    """
    import numpy as np
    import torch

    if not array.shape or not len(array):
        raise DataError(f"{path}: {name} has shape {array.shape}; expected at least one row")
    if array.dtype.kind not in "biuf":
        raise DataError(f"{path}: {name} is of type {array.dtype}; expected numbers (for classes their numbers from 0)")
    kind = np.float32 if array.dtype.kind == "f" else np.int64
    return torch.from_numpy(np.ascontiguousarray(array.astype(kind)))
