"""Reads units of shards by their numbers: tokens or rows."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np

from ...errors import DataError, Place
from .parquet_files import Rows, ShardFile

if TYPE_CHECKING:
    import numpy.typing as npt

    from .addresses import Storage
    from .manifest import Manifest

_OPEN = 64  # files that are open at a time


class ShardReader:
    """Reads units by their numbers; it holds a row group for each stream, and some open files.

    Args:
        storage: where the shards are.
        manifest: what they hold.
        bounds: the number of the first unit of each shard, and of the one behind the last.
        tokens: whether units are tokens.
        skip: called with the address of a damaged shard and what is wrong with it; None: it is refused.
    """

    def __init__(
        self,
        storage: Storage,
        manifest: Manifest,
        bounds: npt.NDArray[np.int64],
        tokens: bool,
        skip: Callable[[str, str], None] | None,
    ) -> None:
        self._storage, self._manifest, self._bounds = storage, manifest, bounds
        self._tokens, self._on_damage = tokens, skip
        self._files: OrderedDict[int, ShardFile | None] = OrderedDict()
        self._groups: dict[int, tuple[tuple[int, int], Any]] = {}  # of each stream the one that it reads

    def row(self, number: int) -> dict[str, Any] | None:
        """Return a row; None where its shard is skipped."""
        shard, group, at, _ = self._place(number)
        held = None if group is None else self._group(shard, group, 0)
        return None if held is None else held[at]

    def tokens(self, begin: int, end: int, out: npt.NDArray[np.int64], stream: int = 0) -> list[tuple[int, int]]:
        """Write the tokens from one number to another into an array.

        Args:
            begin, end: the numbers.
            out: the array.
            stream: which of several streams reads; each holds a row group of its own.

        Returns:
            The places of the array that belong to shards that are skipped; they are 0.
        """
        lost: list[tuple[int, int]] = []
        here = begin
        while here < end:
            shard, group, at, left = self._place(here)
            count = min(left, end - here)
            held = None if group is None else self._group(shard, group, stream)
            span = slice(here - begin, here - begin + count)
            if held is None:
                out[span] = 0
                lost.append((span.start, span.stop))
            else:
                out[span] = held[at : at + count]
            here += count
        return lost

    def _place(self, number: int) -> tuple[int, int | None, int, int]:
        """Return shard, row group, place in it, and how many units are left there; no group of a skipped shard."""
        shard = int(np.searchsorted(self._bounds, number, "right")) - 1
        at = number - int(self._bounds[shard])
        file = self._file(shard)
        if file is None:
            return shard, None, 0, int(self._bounds[shard + 1]) - number
        group = int(np.searchsorted(file.before, at, "right")) - 1
        return shard, group, at - int(file.before[group]), int(file.before[group + 1]) - at

    def _file(self, shard: int) -> ShardFile | None:
        if shard in self._files:
            self._files.move_to_end(shard)
            return self._files[shard]
        entry, storage = self._manifest.shards[shard], self._storage
        column = self._manifest.column if self._tokens else None
        try:
            file: ShardFile | None = ShardFile(storage, entry.name, entry.bytes, column)
            assert file is not None
            expected = int(self._bounds[shard + 1] - self._bounds[shard])
            if file.before[-1] != expected:
                unit = "tokens" if self._tokens else "rows"
                problem = f"holds {int(file.before[-1]):,} {unit}; expected {expected:,}"
                raise DataError(problem, Place(storage.where(entry.name)), "make the shards again")
        except DataError as error:
            self._skip(shard, error)
            file = None
        self._files[shard] = file
        if len(self._files) > _OPEN:
            _, old = self._files.popitem(last=False)
            if old is not None:
                old.close()
        return file

    def _group(self, shard: int, group: int, stream: int) -> Any:
        key = (shard, group)
        if stream in self._groups and self._groups[stream][0] == key:
            return self._groups[stream][1]
        file = self._file(shard)
        assert file is not None
        try:
            held: Any = file.tokens(group) if self._tokens else Rows(file.read(group))
        except DataError as error:
            self._skip(shard, error)
            held = None
        self._groups[stream] = key, held
        return held

    def _skip(self, shard: int, error: DataError) -> None:
        if self._on_damage is None:
            raise error
        self._on_damage(self._storage.where(self._manifest.shards[shard].name), error.problem)
