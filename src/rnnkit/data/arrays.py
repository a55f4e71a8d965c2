"""Rows in arrays, in memory or mapped from files, and their batches by index.

Legend: N rows, B batch, T time.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import numpy as np

from ..errors import DataError, check_whole
from ..types import Batch, Field, Sequences, fingerprint_sample
from .collate import plain
from .position import ResumableBatches
from .sharding import as_share, shard_indices

if TYPE_CHECKING:
    import numpy.typing as npt

_ROLES = {"inputs": "input", "targets": "target", "input_lengths": "length", "target_lengths": "length"}


class ArrayDataset:
    """Rows of arrays: inputs, and what belongs to them.

    `Learner.fit(dataset)` takes all rows as `arrays()` gives them, by the rules of `(X, y)`: integers of more than two
    axes are measurements. `Learner.fit(dataset.batches(32))` reads the rows batch by batch, and is the form that
    carries `weights`. There dtypes follow the arrays: floats become float32, integers int64.

    The arrays may be `np.load(file, mmap_mode="r")`: a batch reads its own rows alone.

    Args:
        inputs: [N, T, ...].
        targets: [N, ...], or None.
        input_lengths, target_lengths: integers [N], the valid steps of each row; None: all are valid.
        weights: [N, ...], what the loss of each target is multiplied by.
        rows: the rows that count, in order; None: all.

    Raises:
        DataError: no rows, not the same number of rows in each, or lengths out of range.

    Example:
        >>> data = ArrayDataset(np.zeros((4, 5, 2)), np.arange(4), input_lengths=np.array([5, 3, 2, 1]))
        >>> data
        ArrayDataset(4 rows; inputs float64 [5, 2], targets int64 [], input_lengths int64 [])
        >>> data[[1, 2]], data.shard(1, 2)[:].targets.tolist()
        (Batch(inputs [2, 3, 2], targets [2], input_lengths [2]), [1, 3])
    """

    def __init__(
        self,
        inputs: Any,
        targets: Any = None,
        *,
        input_lengths: Any = None,
        target_lengths: Any = None,
        weights: Any = None,
        rows: npt.NDArray[np.int64] | None = None,
    ) -> None:
        given = {
            "inputs": inputs,
            "targets": targets,
            "input_lengths": input_lengths,
            "target_lengths": target_lengths,
            "weights": weights,
        }
        self._arrays = {name: _array(value) for name, value in given.items() if value is not None}
        count = len(self._arrays["inputs"])
        for name, array in self._arrays.items():
            if array.dtype.kind not in "biuf" or not array.ndim:
                raise DataError(f"{name} {array.shape} of {array.dtype} arrived; expected numbers [N, ...]")
            if len(array) != count:
                raise DataError(f"{len(array)} {name} arrived for {count} inputs; expected one for each")
        if not count:
            raise DataError("no rows arrived; expected at least one")
        for name in ("input_lengths", "target_lengths"):
            self._check_lengths(name, name.removesuffix("_lengths") + "s")
        self.rows = np.arange(count) if rows is None else np.asarray(rows, np.int64)

    def _check_lengths(self, name: str, of: str) -> None:
        lengths, whole = self._arrays.get(name), self._arrays.get(of)
        if lengths is None:
            return
        longest = whole.shape[1] if whole is not None and whole.ndim > 1 else 0
        if lengths.ndim != 1 or lengths.dtype.kind not in "iu" or lengths.min() < 1 or lengths.max() > longest:
            raise DataError(
                f"{name} {lengths.shape} of {lengths.dtype} arrived; expected integers [N] in 1 … {longest}"
            )

    def __len__(self) -> int:
        return len(self.rows)

    def __repr__(self) -> str:
        parts = (f"{name} {array.dtype.name} {list(array.shape[1:])}" for name, array in self._arrays.items())
        return f"ArrayDataset({len(self):,} rows; {', '.join(parts)})"

    def __getitem__(self, index: Any) -> Batch:
        """Return the rows of a slice, an array of indices or a mask as a batch, cut to the longest of them."""
        import torch

        rows = np.atleast_1d(self.rows[index])
        picked = {name: plain(array[rows]) for name, array in self._arrays.items()}
        for name, of in (("input_lengths", "inputs"), ("target_lengths", "targets")):
            if name in picked and len(rows):
                picked[of] = picked[of][:, : int(picked[name].max())]
        made: dict[str, Any] = {name: torch.from_numpy(np.ascontiguousarray(one)) for name, one in picked.items()}
        return Batch(**made)

    @property
    def schema(self) -> tuple[Field, ...]:
        """Name, dtype and shape of each entry of a row; the time axis varies where there are lengths."""
        found = []
        for name, array in self._arrays.items():
            shape: tuple[int | None, ...] = array.shape[1:]
            if f"{name.removesuffix('s')}_lengths" in self._arrays:
                shape = (None, *shape[1:])
            role: Any = _ROLES.get(name, "weight")
            found.append(Field(name, array.dtype.name, shape, role))
        return tuple(found)

    def arrays(self) -> tuple[Any, Any]:
        """Return (X, y) as `Learner.fit` takes them; entries that have lengths are `rnnkit.types.Sequences`.

        Weights have no place in (X, y): pass `dataset.batches(batch_size)` to `Learner.fit` for rows with weights.

        Raises:
            DataError: the rows have no targets, or they have weights.

        Example:
            >>> x, y = ArrayDataset(np.zeros((2, 5, 1)), np.arange(2), input_lengths=np.array([5, 3])).arrays()
            >>> x.lengths.tolist(), y.tolist()
            ([5, 3], [0, 1])
        """
        if "targets" not in self._arrays:
            raise DataError("the rows have no targets; expected one for each")
        if "weights" in self._arrays:
            raise DataError(
                "the rows have weights, which (X, y) cannot carry",
                remedy="pass the batches, for example fit(dataset.batches(32))",
            )
        return self._whole("inputs"), self._whole("targets")

    def _whole(self, name: str) -> Any:
        import torch

        array, lengths = self._arrays[name], self._arrays.get(f"{name.removesuffix('s')}_lengths")
        if not np.array_equal(self.rows, np.arange(len(array))):  # all rows in order: a memory map stays one
            array, lengths = array[self.rows], None if lengths is None else lengths[self.rows]
        if lengths is None:
            return array
        return Sequences(torch.from_numpy(plain(array)), torch.from_numpy(plain(lengths)))

    def fingerprint(self) -> str:
        """Return a digest of the order of all rows and of the numbers of 64 of them, evenly spaced."""
        hashed = hashlib.sha256(np.ascontiguousarray(self.rows).tobytes())
        sample = fingerprint_sample(self.rows)
        for name, array in self._arrays.items():
            hashed.update(f"{name} {array.dtype.name} {array.shape[1:]}".encode())
            hashed.update(np.ascontiguousarray(array[sample]).tobytes())
        return hashed.hexdigest()

    def shard(self, rank: int, world: int, *, even: bool = True) -> ArrayDataset:
        """Return every `world`-th row from row `rank` on: the share of one process.

        Args:
            rank: the process's number, from 0.
            world: the number of processes.
            even: whether the last rows that cannot be divided evenly are left out. Then all processes make the same
                number of steps, as distributed training expects.

        Raises:
            ConfigError: rank or world out of range.
            DataError: `even`, and there are fewer rows than processes.
        """
        part = ArrayDataset(**self._arrays, rows=self.rows[shard_indices(len(self), rank, world, even=even)])
        return as_share(part, world)

    def batches(self, batch_size: int, *, shuffle: bool = True, seed: int = 0) -> IndexedBatches:
        """Return `IndexedBatches(self, batch_size, shuffle=shuffle, seed=seed)`."""
        return IndexedBatches(self, batch_size, shuffle=shuffle, seed=seed)


class IndexedBatches(ResumableBatches):
    """Batches of a dataset whose rows are picked by index; the last one may be smaller.

    Args:
        data: an object with `__len__`, `fingerprint`, and `__getitem__` from an array of indices to a `Batch`.
        batch_size: B.
        shuffle: whether each epoch has another order.
        seed: of the orders.

    Attributes:
        position: the position in the epoch, and the generator of its order.

    Example:
        >>> data = ArrayDataset(np.zeros((5, 3, 1)), np.arange(5))
        >>> [batch.targets.tolist() for batch in IndexedBatches(data, 2, shuffle=False)]
        [[0, 1], [2, 3], [4]]
    """

    def __init__(self, data: Any, batch_size: int, *, shuffle: bool = True, seed: int = 0) -> None:
        check_whole(batch_size, "batch_size")
        self.data, self.batch_size, self.shuffle = data, batch_size, shuffle
        super().__init__(seed, data)

    def __repr__(self) -> str:
        return f"IndexedBatches({self.data!r}, batch_size={self.batch_size}, shuffle={self.shuffle})"

    @property
    def steps(self) -> int:
        """The number of batches of an epoch."""
        return -(-len(self.data) // self.batch_size)

    def __iter__(self) -> Iterator[Batch]:
        """Yield the batches of one epoch; after `load_state_dict` those that are left of it."""
        import torch

        first = self.position.begin()
        count = len(self.data)
        order = torch.randperm(count, generator=self.generator).numpy() if self.shuffle else np.arange(count)
        return self._rest(order, first)

    def _rest(self, order: npt.NDArray[np.int64], first: int) -> Iterator[Batch]:
        for begin in range(first * self.batch_size, len(order), self.batch_size):
            self.position.advance()
            rows = order[begin : begin + self.batch_size]
            yield self.marked(self.data[self.own(rows)], rows)
        self.position.end()

    def fingerprint(self) -> dict[str, Any]:
        """Return JSON values that distinguish the data and its order from others."""
        seed = self.seed if self.shuffle else None
        return {"data": self.data.fingerprint(), "batch_size": self.batch_size, "seed": seed}


def _array(value: Any) -> npt.NDArray[Any]:
    if isinstance(value, np.ndarray):
        return value  # a memory map stays one
    return np.asarray(value.detach().cpu() if hasattr(value, "detach") else value)
