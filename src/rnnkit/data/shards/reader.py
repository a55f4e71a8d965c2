"""Reads units of shards by their numbers: tokens or rows."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from ...errors import DataError, Place
from .addresses import as_reason
from .parquet_files import Rows, ShardFile

if TYPE_CHECKING:
    import numpy.typing as npt

    from .addresses import Storage
    from .manifest import Manifest

_OPEN = 64  # files that are open at a time
_NARROW = ("uint8", "int8", "uint16", "int16", "uint32", "int32")


class _Held(NamedTuple):
    """The row group of a stream; no content where it is skipped."""

    shard: int
    group: int
    content: Any


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
        self._held: dict[int, _Held] = {}  # of each stream

    @property
    def dtype(self) -> np.dtype[Any]:
        """What holds all tokens, as the schema says: the type of the column, or int64."""
        column = self._manifest.column
        found = next((one.dtype for one in self._manifest.schema if one.name == column), "")
        return np.dtype(found) if found in _NARROW else np.dtype(np.int64)

    def row(self, number: int) -> dict[str, Any] | None:
        """Return a row; None where its shard is skipped."""
        shard, group, at, _ = self._place(number)
        content = None if group is None else self._content(shard, group, 0)
        return None if content is None else content[at]

    def tokens(self, begin: int, end: int, out: npt.NDArray[Any], stream: int = 0) -> list[tuple[int, int]]:
        """Write the tokens from one number to another into an array.

        Args:
            begin, end: the numbers.
            out: the array, whole numbers.
            stream: which of several streams reads; each holds a row group of its own.

        Returns:
            The places of the array that belong to shards that are skipped; they are 0.

        Raises:
            DataError: a damaged shard, or a token that the array cannot hold.
        """
        lost: list[tuple[int, int]] = []
        here = begin
        while here < end:
            shard, group, at, left = self._place(here)
            count = min(left, end - here)
            content = None if group is None else self._content(shard, group, stream)
            span = slice(here - begin, here - begin + count)
            if content is None:
                out[span] = 0
                lost.append((span.start, span.stop))
            else:
                where = self._storage.where(self._manifest.shards[shard].name)
                out[span] = _fitting(content[at : at + count], out.dtype, where)
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

    def _content(self, shard: int, group: int, stream: int) -> Any:
        """Return a row group, which the stream holds until it reads another one; None where it is skipped."""
        held = self._held.get(stream)
        if held is None or (held.shard, held.group) != (shard, group):
            file = self._file(shard)
            assert file is not None
            try:
                content = file.tokens(group) if self._tokens else Rows(file.read(group))
            except DataError as error:
                self._skip(shard, error)
                content = None
            held = self._held[stream] = _Held(shard, group, content)
        return held.content

    def _skip(self, shard: int, error: DataError) -> None:
        if self._on_damage is None:
            raise error
        self._on_damage(self._storage.where(self._manifest.shards[shard].name), as_reason(error))


def _fitting(ids: npt.NDArray[Any], dtype: np.dtype[Any], where: str) -> npt.NDArray[Any]:
    """Return tokens that fit a type.

    Raises:
        DataError: one does not; the schema says otherwise.
    """
    if np.can_cast(ids.dtype, dtype):
        return ids
    limits = np.iinfo(dtype)
    if ids.size and not limits.min <= int(ids.min()) <= int(ids.max()) <= limits.max:
        raise DataError(
            f"holds tokens from {int(ids.min()):,} to {int(ids.max()):,}; expected {dtype}, as the schema says",
            Place(where),
            "make the shards again",
        )
    return ids
