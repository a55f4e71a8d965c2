"""Batches of the rows of shards: series, recordings, documents, or what files of others hold.

Legend: N rows, P processes, B rows of a batch, K rows of the shuffle buffer, T steps, C channels.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from typing import TYPE_CHECKING, Any

import numpy as np

from ...errors import ConfigError, DataError, check_whole
from ...types import Batch
from ..collate import Sample
from ..collate import collate as stack_samples
from .background import ReadAhead
from .order import Division, as_ranges, cut, numbers_in, size_of
from .shard_batches import ShardBatches, Units

if TYPE_CHECKING:
    from ..text.tokenizer import Tokenizer

Samples = Callable[[list[dict[str, Any]]], Sequence[Sample]]
_FULL_SCALE = 32768.0  # of the 16 bits of a recording's sample
_ORDER, _BUFFER = 2, 3  # what is drawn


class ShardRowBatches(ShardBatches):
    """Batches of B rows, in the order of the shards or shuffled.

    The shards of an epoch are put in an order, and its rows are divided between P processes. Each process draws its
    rows from a buffer: K rows after the other, each K in random order.

    The position is a few numbers, the same in all processes. On the same number of processes exactly the same batches
    follow. On another number of processes, what is left of the epoch is divided again: each of its rows is still seen
    once.

    A thread reads ahead. In memory are K rows, a batch and two row groups, whatever the size of the shards.

    Args:
        shards: a `ShardSet`, or a `Mixture`.
        batch_size: B.
        shuffle: K; 0 reads the rows in order, and the shards too.
        samples: makes samples, (inputs, targets) or inputs, of a list of rows. None: series [T, C] with their label's
            number or target; recordings [T, 1] in −1 … 1 with their label's number; documents as ids with the next
            ids as targets; of text the `tokenizer` makes ids first.
        tokenizer: of rows of text.
        collate: makes a batch of samples; None: they are stacked, or padded with 0 where their lengths differ.
        seed: of the order; each epoch draws another order.

    Attributes:
        progress: the position in the epoch.

    Raises:
        ConfigError: a number out of range, or rows of a kind that needs `samples`.

    Example:
        >>> import tempfile
        >>> from pathlib import Path
        >>> from rnnkit.data import shards
        >>> folder = Path(tempfile.mkdtemp())
        >>> _ = (folder / "a.txt").write_text("abc\\ndefg\\nhi\\n")
        >>> _ = shards.make_shards(folder / "a.txt", folder / "out", tokens="char", unit="line")
        >>> found = shards.ShardSet.open(folder / "out")
        >>> [tuple(batch.inputs.shape) for batch in found.batches(2, shuffle=0)]
        [(2, 4), (1, 2)]
    """

    def __init__(
        self,
        shards: Units,
        batch_size: int,
        *,
        shuffle: int = 0,
        samples: Samples | None = None,
        tokenizer: Tokenizer | None = None,
        collate: Callable[[list[Sample]], Any] | None = None,
        seed: int = 0,
    ) -> None:
        super().__init__(shards, batch_size, seed)
        check_whole(shuffle, "shuffle", 0)
        self.shuffle = shuffle
        self.samples = samples or samples_of(shards, tokenizer)
        self.tokenizer = tokenizer
        self.collate = collate or (
            next_tokens if samples is None and shards.kind in ("text", "tokens") else stack_samples
        )
        self._rows = _RowUnits(shards)

    def __repr__(self) -> str:
        order = f"shuffle={self.shuffle}{self._share()}"
        return f"ShardRowBatches(batches of {self.batch_size} from {self.shards!r}, {order})"

    @property
    def steps(self) -> int:
        """The number of batches of a whole epoch."""
        count = self._rows.count
        bounds = [count * rank // self.world for rank in (self.rank, self.rank + 1)]
        own = count // self.world if self.even else bounds[1] - bounds[0]
        return -(-own // self.batch_size)

    def fingerprint(self) -> dict[str, Any]:
        """Return JSON values that distinguish the rows and their order from others, without the number of processes."""
        return {
            "rows": self.shards.fingerprint(),
            "batch_size": self.batch_size,
            "shuffle": self.shuffle,
            "seed": self.seed if self.shuffle else None,
            "tokenizer": None if self.tokenizer is None else self.tokenizer.fingerprint(),
        }

    @property
    def _lanes(self) -> int:
        return self.world

    def _check(self) -> None:
        if self._rows.count < self.world:
            raise DataError(f"{self._rows.count} rows arrived for {self.world} processes; expected one for each")

    def _rest(self) -> Iterator[Any]:
        progress = self.progress
        order = self._rows.ranges(self.seed, progress.epoch, _ORDER, shuffle=self.shuffle > 0)
        division = Division(
            as_ranges([(0, size_of(order))]),
            progress.parts,
            self.world,
            even=self.even,
            buffer=self.shuffle,
            key=(self.seed, progress.epoch, _BUFFER),
        )
        with closing(ReadAhead(self._batches(division, order, progress.taken))) as batches:
            for batch, taken in batches:
                progress.advance(taken)
                if batch is not None:
                    yield batch
        progress.end()

    def _batches(self, division: Division, order: Any, taken: int) -> Iterator[tuple[Any, int]]:
        """Yield batches and how many rows each took, those that were skipped among them; a thread runs this."""
        rows = self._taken(division, order, taken)
        held: list[dict[str, Any]] = []
        count = 0
        for row in rows:
            count += 1
            if row is not None:
                held.append(row)
            if count == self.batch_size:
                yield self._batch(held), count
                held, count = [], 0
        if count:
            yield self._batch(held), count

    def _batch(self, rows: list[dict[str, Any]]) -> Any:
        samples = list(self.samples(rows)) if rows else []
        return self.collate(samples) if samples else None

    def _taken(self, division: Division, order: Any, taken: int) -> Iterator[dict[str, Any] | None]:
        """Yield the rows of this process in the order of the buffer; None for a row that was skipped."""
        reader = self._rows.reader()
        lane = division.ranges(self.rank)
        size = division.lengths[self.rank]
        window = self.shuffle or 1024
        for first in range(taken - taken % window, size, window):
            last = min(first + window, size)
            positions = cut(lane, first, last)
            parts = [cut(order, low, high) for low, high in positions.tolist()]
            numbers = numbers_in(np.concatenate(parts))
            drawn = max(0, taken - first)
            if not self.shuffle:
                yield from (reader.row(number) for number in numbers[drawn:].tolist())
                continue
            places = division.permutation(self.rank, first // window, last - first)[drawn:]
            wanted = set(places.tolist())
            rows: dict[int, dict[str, Any] | None] = {}
            for place in np.argsort(numbers, kind="stable").tolist():
                if place in wanted:
                    rows[place] = _copied(reader.row(int(numbers[place])))
            for place in places.tolist():
                yield rows.pop(place)


class _RowUnits:
    """The rows of a set, whatever its units."""

    def __init__(self, shards: Units) -> None:
        self._shards = shards
        if shards.kind == "tokens":
            whole: Any = shards
            if not hasattr(whole, "as_rows"):
                raise ConfigError("a mixture of tokens has no rows; read it by batches(B, window)")
            self._shards = whole.as_rows()

    @property
    def count(self) -> int:
        return len(self._shards)

    def ranges(self, *key: int, shuffle: bool) -> Any:
        return self._shards.ranges(*key, shuffle=shuffle)

    def reader(self) -> Any:
        return self._shards.reader(tokens=False)


def _copied(row: dict[str, Any] | None) -> dict[str, Any] | None:
    """Return a row with arrays of its own, so that the row group it came from can go."""
    if row is None:
        return None
    return {name: value.copy() if isinstance(value, np.ndarray) else value for name, value in row.items()}


def samples_of(shards: Any, tokenizer: Tokenizer | None = None) -> Samples:
    """Return what makes samples of the rows of shards; see `ShardRowBatches`.

    Raises:
        ConfigError: rows of text without a tokenizer, or rows of unknown meaning.
    """
    kind = shards.kind
    if kind == "text" and tokenizer is None:
        raise ConfigError("shards of text arrived without a tokenizer", remedy="pass tokenizer=")
    if tokenizer is not None and not hasattr(tokenizer, "encode_many"):
        advice = "expected a Tokenizer, of train_tokenizer(...) or Tokenizer.open(FILE)"
        raise ConfigError.of("tokenizer", tokenizer, advice)
    if kind == "rows":
        names = ", ".join(one.name for one in shards.schema)
        advice = "pass samples=, a function that makes (inputs, targets)"
        raise ConfigError(f"rows with the columns {names} arrived", remedy=advice)
    column = shards.manifest.column if hasattr(shards, "manifest") else kind
    if kind == "tokens":
        return lambda rows: [row[column] for row in rows if row[column] is not None and len(row[column]) > 1]
    numbers = {label: number for number, label in enumerate(shards.labels)}
    if kind == "text":
        known = tokenizer
        assert known is not None
        return lambda rows: [ids for ids in encode_rows(known, rows, column) if len(ids) > 1]
    make = _series if kind == "series" else _recording
    return lambda rows: [make(row, numbers) for row in rows]


def encode_rows(tokenizer: Tokenizer, rows: Sequence[dict[str, Any]], column: str) -> list[Any]:
    """Return the ids of rows of text, with the token `end` behind each text that ends."""
    end = [] if tokenizer.end is None else [tokenizer.end]
    found = tokenizer.encode_many(row[column] for row in rows)
    return [
        np.concatenate([ids, np.asarray(end, ids.dtype)]) if end and row.get("ends", True) else ids
        for ids, row in zip(found, rows, strict=True)
    ]


def next_tokens(rows: Sequence[Any]) -> Batch:
    """Return rows of ids as a batch whose targets are the next ids, padded with 0.

    Example:
        >>> batch = next_tokens([[5, 6, 7], [8, 9]])
        >>> batch.inputs.tolist(), batch.targets.tolist(), batch.input_lengths.tolist()
        ([[5, 6], [8, 0]], [[6, 7], [9, 0]], [2, 1])
    """
    import torch

    lengths = [len(row) - 1 for row in rows]
    inputs = np.zeros((len(rows), max(lengths)), np.int64)
    targets = np.zeros_like(inputs)
    for number, (row, length) in enumerate(zip(rows, lengths, strict=True)):
        inputs[number, :length], targets[number, :length] = row[:-1], row[1:]
    told = None if len(set(lengths)) == 1 else torch.tensor(lengths)
    return Batch(torch.from_numpy(inputs), torch.from_numpy(targets), told, told)


def _series(row: dict[str, Any], labels: dict[str, int]) -> Sample:
    if row.get("label") is not None:
        return row["values"], labels[row["label"]]
    return row["values"] if row.get("target") is None else (row["values"], np.float32(row["target"]))


def _recording(row: dict[str, Any], labels: dict[str, int]) -> Sample:
    samples = row["samples"][:, None].astype(np.float32) / _FULL_SCALE
    return samples if row.get("label") is None else (samples, labels[row["label"]])
