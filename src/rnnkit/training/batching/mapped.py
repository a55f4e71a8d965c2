"""Rows that stay in a file: a memory map in the place of a tensor."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from torch import Tensor

_CHUNK = 1 << 22  # numbers that are read at a time


def is_mapped(data: Any) -> bool:
    """Whether an array is a memory map, or a view of one."""
    while isinstance(data, np.ndarray):
        if isinstance(data, np.memmap):
            return True
        data = data.base
    return False


class MappedRows:
    """All rows of a memory map, of which a selection is read and converted when it is needed.

    Args:
        array: [N, ...].
        convert: makes a tensor of some rows.

    Example:
        >>> rows = MappedRows(np.zeros((5, 3, 2)), lambda some: torch.from_numpy(some).float())
        >>> rows.shape, rows.index_select(0, torch.tensor([4, 1])).dtype
        (torch.Size([5, 3, 2]), torch.float32)
    """

    device = torch.device("cpu")

    def __init__(self, array: np.ndarray, convert: Callable[[np.ndarray], Tensor]) -> None:
        self.array, self.convert = array, convert
        self.shape, self.nbytes, self.dtype = torch.Size(array.shape), array.nbytes, convert(array[:0]).dtype

    def __len__(self) -> int:
        return len(self.array)

    def __getitem__(self, rows: slice | Tensor) -> Tensor:
        """The rows of a slice, or of a tensor of indices."""
        return self.convert(self.array[rows if isinstance(rows, slice) else rows.numpy()])

    def index_select(self, axis: int, rows: Tensor) -> Tensor:
        """As of a tensor, along axis 0."""
        assert axis == 0
        return self[rows]

    def dim(self) -> int:
        return self.array.ndim

    def is_floating_point(self) -> bool:
        return self.dtype.is_floating_point

    def to(self, device: Any) -> MappedRows:
        """The rows stay where they are; a batch goes to the device."""
        return self

    def chunks(self) -> list[slice]:
        """Slices of rows that are small enough to be read one at a time."""
        step = max(1, _CHUNK // max(1, self.array[:1].size))
        return [slice(begin, begin + step) for begin in range(0, len(self), step)]

    def whole(self) -> Tensor:
        """All rows in memory."""
        return self[:]


def in_memory_rows(values: Tensor | MappedRows) -> Tensor:
    """Return a tensor of all rows."""
    return values.whole() if isinstance(values, MappedRows) else values
