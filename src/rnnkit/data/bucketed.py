"""Batches of rows of similar length, so that little of a batch is padding.

Legend: N rows, B batch.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from ..errors import DataError
from ..types import Batch
from .arrays import IndexedBatches

if TYPE_CHECKING:
    import numpy.typing as npt

_POOL = 50  # batches whose rows are sorted by length together


class BucketedBatches(IndexedBatches):
    """Batches of rows of similar length; see `IndexedBatches` for the rest.

    Each epoch shuffles all rows, sorts pools of 50 batches by length, cuts them into batches and shuffles the batches.
    Without `shuffle`, all rows are sorted.

    Args:
        data: an object with `__len__`, `fingerprint`, and `__getitem__` from an array of indices to a `Batch`.
        lengths: of the rows, [N].
        batch_size: B.
        shuffle: whether each epoch has another order.
        seed: of the orders.

    Raises:
        DataError: not a length for each row.

    Example:
        >>> data = ArrayDataset(np.zeros((4, 5, 1)), np.arange(4), input_lengths=np.array([5, 1, 2, 4]))
        >>> [batch.input_lengths.tolist() for batch in BucketedBatches(data, [5, 1, 2, 4], 2, shuffle=False)]
        [[1, 2], [4, 5]]
    """

    def __init__(
        self,
        data: Any,
        lengths: Sequence[int] | npt.NDArray[Any],
        batch_size: int,
        *,
        shuffle: bool = True,
        seed: int = 0,
    ) -> None:
        super().__init__(data, batch_size, shuffle=shuffle, seed=seed)
        self.lengths = np.asarray(lengths)
        if self.lengths.shape != (len(data),):
            raise DataError(f"{self.lengths.size} lengths arrived for {len(data)} rows; expected one for each")

    def __iter__(self) -> Iterator[Batch]:
        """Yield the batches of one epoch; after `load_state_dict` those that are left of it."""
        import torch

        first, count, size = self.position.begin(), len(self.data), self.batch_size
        if not self.shuffle:
            return self._rest(np.argsort(self.lengths, kind="stable"), first)
        order = torch.randperm(count, generator=self.generator).numpy()
        pools = [order[begin : begin + _POOL * size] for begin in range(0, count, _POOL * size)]
        order = np.concatenate([pool[np.argsort(self.lengths[pool], kind="stable")] for pool in pools])
        whole = count // size  # a smaller batch stays the last one
        moved = torch.randperm(whole, generator=self.generator).numpy()
        cut = order[: whole * size].reshape(whole, size)[moved].ravel()
        return self._rest(np.concatenate((cut, order[whole * size :])), first)
