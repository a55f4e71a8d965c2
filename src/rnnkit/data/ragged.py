"""Rows of ids of unequal length, with targets of unequal length.

Legend: N rows, S steps of inputs, T steps of targets.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from ..errors import DataError
from ..types import Batch, pad_rows

if TYPE_CHECKING:
    import numpy.typing as npt
    import torch


class RaggedRows:
    """Sequences of ids of unequal lengths, and the sequences that belong to them.

    Args:
        inputs: N arrays of integers [S_i].
        targets: N arrays of integers [T_i]; None: there are none.

    Raises:
        DataError: no rows, not as many targets as inputs, or a row without a step.

    Example:
        >>> rows = RaggedRows([[5, 6, 7], [8]], [[1], [2, 3]])
        >>> rows[[1, 0]], rows[[1, 0]].inputs.tolist()
        (Batch(inputs [2, 3], targets [2, 2], input_lengths [2], target_lengths [2]), [[8, 0, 0], [5, 6, 7]])
    """

    def __init__(self, inputs: Sequence[Any], targets: Sequence[Any] | None = None) -> None:
        self._inputs = _rows(inputs, "inputs")
        self._targets = None if targets is None else _rows(targets, "targets")
        if self._targets is not None and len(self._targets) != len(self._inputs):
            raise DataError(f"{len(self._targets)} targets arrived for {len(self._inputs)} inputs; expected as many")

    def __len__(self) -> int:
        return len(self._inputs)

    def __repr__(self) -> str:
        return f"RaggedRows({len(self):,} rows)"

    def __getitem__(self, index: Any) -> Batch:
        """Return the rows of an array of indices as a batch, padded with 0 to the longest of them."""
        inputs, input_lengths = self._padded(self._inputs, index)
        if self._targets is None:
            return Batch(inputs, input_lengths=input_lengths)
        targets, target_lengths = self._padded(self._targets, index)
        return Batch(inputs, targets, input_lengths, target_lengths)

    @staticmethod
    def _padded(rows: list[npt.NDArray[np.int64]], index: Any) -> tuple[torch.Tensor, torch.Tensor]:
        import torch

        return pad_rows([torch.from_numpy(rows[one]) for one in index])

    @property
    def lengths(self) -> tuple[npt.NDArray[np.int64], ...]:
        """The lengths of the inputs [N], and of the targets where there are any."""
        parts = (self._inputs,) if self._targets is None else (self._inputs, self._targets)
        return tuple(np.array([len(row) for row in part]) for part in parts)

    @property
    def order_key(self) -> npt.NDArray[np.int64]:
        """What `BucketedBatches` sorts by, [N]: the length of the targets, then that of the inputs."""
        inputs, *targets = self.lengths
        return targets[0] * (int(inputs.max()) + 1) + inputs if targets else inputs

    def select(self, index: Any) -> RaggedRows:
        """Return the rows of an array of indices."""
        targets = None if self._targets is None else [self._targets[one] for one in index]
        return RaggedRows([self._inputs[one] for one in index], targets)

    def arrays(self) -> tuple[Any, Any]:
        """Return (X, y) as `Learner.fit` takes them, `rnnkit.types.Sequences` with the padding of the longest row.

        Raises:
            DataError: the rows have no targets.
        """
        from ..types import Sequences

        if self._targets is None:
            raise DataError("the rows have no targets; expected some for each")
        everything = range(len(self))
        return Sequences(*self._padded(self._inputs, everything)), Sequences(*self._padded(self._targets, everything))

    def fingerprint(self) -> str:
        """Return a digest of all rows."""
        hashed = hashlib.sha256()
        for part in (self._inputs, self._targets or []):
            hashed.update(f"{len(part)} rows".encode())
            for row in part:
                hashed.update(len(row).to_bytes(8, "little"))
                hashed.update(row.tobytes())
        return hashed.hexdigest()


def _rows(rows: Sequence[Any], name: str) -> list[npt.NDArray[np.int64]]:
    found = [np.array(row, np.int64, order="C") for row in rows]  # a copy: torch takes no reversed view
    if not found:
        raise DataError(f"no {name} arrived; expected at least one row")
    for number, row in enumerate(found):
        if row.ndim != 1 or not len(row):
            raise DataError(f"row {number} of the {name} has shape {row.shape}; expected ids [T], at least one")
    return found
