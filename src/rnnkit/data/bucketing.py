"""Rows of unequal length, and batches of rows that are about as long.

Legend: N rows, B batch.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from ..errors import DataError, check_whole
from ..types import Batch, pad_rows
from .position import ResumableBatches

if TYPE_CHECKING:
    import numpy.typing as npt
    import torch

_POOL = 100  # batches: rows are sorted by length within so many


class Rows(Protocol):
    """Rows that `LengthBatches` makes batches of."""

    def __len__(self) -> int: ...

    def __getitem__(self, index: Any) -> Batch:
        """Return the rows of an array of indices as a batch."""
        ...

    @property
    def lengths(self) -> tuple[npt.NDArray[np.int64], ...]:
        """The lengths of the rows, an array [N] for the inputs, and one for the targets where they have their own."""
        ...

    def fingerprint(self) -> str:
        """Return a digest of all rows."""
        ...


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


class LengthBatches(ResumableBatches):
    """Batches of rows that are about as long, so that little is padded; the batches themselves come in a random order.

    Each epoch draws a new order of the rows. Within 100 batches the rows are sorted by the length of their targets, and
    then of their inputs (without targets: of their inputs); they are cut into batches, whose order is drawn, too.
    Without `shuffle` all rows are sorted, and the order stays.

    Args:
        data: `RaggedRows`, or an object with their `lengths`, `fingerprint()`, `len` and `data[indices]`.
        batch_size: B, the most rows of a batch.
        steps: the most steps of a batch, padding included, of inputs or targets, whichever are longer; a longer row is
            a batch by itself. None: any number.
        shuffle: see above.
        seed: of the orders.

    Raises:
        ConfigError: a number below 1.

    Example:
        >>> batches = LengthBatches(RaggedRows([[1], [2, 2], [3], [4, 4]]), 2, shuffle=False)
        >>> [batch.inputs.tolist() for batch in batches]
        [[[1], [3]], [[2, 2], [4, 4]]]
    """

    def __init__(
        self, data: Rows, batch_size: int, *, steps: int | None = None, shuffle: bool = True, seed: int = 0
    ) -> None:
        check_whole(batch_size, "batch_size")
        check_whole(steps, "steps", optional=True)
        self.data, self.batch_size, self.longest, self.shuffle = data, batch_size, steps, shuffle
        self._lengths = data.lengths
        super().__init__(seed, data)

    def __repr__(self) -> str:
        return f"LengthBatches({self.data!r}, batch_size={self.batch_size}, shuffle={self.shuffle})"

    @property
    def steps(self) -> int | None:
        """The number of batches of an epoch; None where it is another in each, as with `steps`."""
        if self.longest is None:
            return -(-len(self.data) // self.batch_size)
        return None if self.shuffle else len(self._sorted())

    def __iter__(self) -> Iterator[Batch]:
        """Yield the batches of one epoch; after `load_state_dict` those that are left of it."""
        first = self.position.begin()
        return self._rest(self._drawn() if self.shuffle else self._sorted(), first)

    def _rest(self, batches: list[npt.NDArray[np.int64]], first: int) -> Iterator[Batch]:
        for rows in batches[first:]:
            self.position.advance()
            yield self.marked(self.data[self.own(rows)], rows)
        self.position.end()

    def _drawn(self) -> list[npt.NDArray[np.int64]]:
        """The rows of each batch of an epoch, in a new order."""
        import torch

        order = torch.randperm(len(self.data), generator=self.generator).numpy()
        pool = _POOL * self.batch_size
        batches = [one for begin in range(0, len(order), pool) for one in self._cut(order[begin : begin + pool])]
        return [batches[at] for at in torch.randperm(len(batches), generator=self.generator).tolist()]

    def _sorted(self) -> list[npt.NDArray[np.int64]]:
        return self._cut(np.arange(len(self.data)))

    def _cut(self, rows: npt.NDArray[np.int64]) -> list[npt.NDArray[np.int64]]:
        """Sort rows by length and cut them into batches."""
        rows = rows[np.lexsort([lengths[rows] for lengths in self._lengths])]
        if self.longest is None:
            return [rows[begin : begin + self.batch_size] for begin in range(0, len(rows), self.batch_size)]
        batches: list[npt.NDArray[np.int64]] = []
        widest, begin = 0, 0
        for at, row in enumerate(rows):
            wide = max(widest, *(int(lengths[row]) for lengths in self._lengths))
            if at > begin and (at - begin == self.batch_size or wide * (at - begin + 1) > self.longest):
                batches.append(rows[begin:at])
                begin, wide = at, max(int(lengths[row]) for lengths in self._lengths)
            widest = wide
        return [*batches, rows[begin:]]

    def fingerprint(self) -> dict[str, Any]:
        """Return JSON values that distinguish the data and its order from others."""
        seed = self.seed if self.shuffle else None
        return {"data": self.data.fingerprint(), "batch_size": self.batch_size, "steps": self.longest, "seed": seed}


def _rows(rows: Sequence[Any], name: str) -> list[npt.NDArray[np.int64]]:
    found = [np.array(row, np.int64, order="C") for row in rows]  # a copy: torch takes no reversed view
    if not found:
        raise DataError(f"no {name} arrived; expected at least one row")
    for number, row in enumerate(found):
        if row.ndim != 1 or not len(row):
            raise DataError(f"row {number} of the {name} has shape {row.shape}; expected ids [T], at least one")
    return found
