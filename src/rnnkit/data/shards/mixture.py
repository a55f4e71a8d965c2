"""Several sources as one, by weight."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from ...errors import ConfigError, DataError, check_choice, check_number
from ...types import Field
from .order import cut, size_of
from .shard_set import ShardSet

if TYPE_CHECKING:
    import numpy.typing as npt

    from .order import Ranges

_PIECE = {True: 1 << 14, False: 16}  # tokens, or rows, that come from one source before the next
_MOST_REPEATS = 1000


class Mixture:
    """Several sets of shards of one kind, whose units follow each other in given shares.

    Source i gives pieces of 16,384 tokens, or of 16 rows. Piece k of it stands at (k + ½) / weight_i, and the pieces
    of all sources are read in the order of these numbers: at any place of an epoch the shares are those of the
    weights, up to a piece of each source.

    Args:
        sources: the sets and their weights, which are numbers above 0.
        until: when an epoch ends: "first": where the first source has been read, so that no unit comes twice and what
            is left of the others is not seen in that epoch (shuffled shards come in another order in the next);
            "all": where the last source has been read; the others are read again, in a new order each time.

    Raises:
        ConfigError: no sources, sources of several kinds or tokenizers, or a weight out of range.

    Example:
        >>> import tempfile
        >>> from pathlib import Path
        >>> from rnnkit.data import shards
        >>> folder, sets = Path(tempfile.mkdtemp()), []
        >>> for name, count in (("news", 600), ("plays", 100)):
        ...     _ = (folder / f"{name}.txt").write_text(f"{name} in a line\\n" * count)
        ...     _ = shards.make_shards(folder / f"{name}.txt", folder / name, unit="line")
        ...     sets.append(shards.ShardSet.open(folder / name))
        >>> mixture = shards.Mixture([(sets[0], 0.75), (sets[1], 0.25)])
        >>> len(mixture), mixture.counts()
        (400, (300, 100))
    """

    def __init__(self, sources: Sequence[tuple[ShardSet, float]], *, until: Literal["first", "all"] = "first") -> None:
        check_choice(until, "until", ("first", "all"))
        if not sources:
            raise ConfigError("no sources arrived; expected at least one")
        for one in sources:
            if not isinstance(one, tuple | list) or len(one) != 2:
                raise ConfigError(f"the source {one!r} arrived; expected a pair: (shards, weight)")
            if not isinstance(one[0], ShardSet):
                raise ConfigError(f"{one[0]!r} arrived; expected shards", remedy="open them by ShardSet.open(...)")
        self.sets = [one for one, _ in sources]
        for number, (_, weight) in enumerate(sources):
            check_number(weight, f"the weight of source {number}", above=0)
        weights = np.array([float(weight) for _, weight in sources])
        self.weights, self.until = weights / weights.sum(), until
        kinds = sorted({one.kind for one in self.sets})
        if len(kinds) > 1:
            raise ConfigError(f"sources of {' and '.join(kinds)} arrived; expected one kind")
        if len({one.manifest.tokenizer for one in self.sets}) > 1:
            raise ConfigError("the sources were made by several tokenizers", remedy="make them by one tokenizer")
        if len({one.manifest.column for one in self.sets}) > 1 and kinds[0] in ("text", "rows"):
            raise ConfigError("the text has another column's name in each source; expected one name")
        lengths = np.array([len(one) for one in self.sets])
        times = lengths / self.weights
        end = times.min() if until == "first" else times.max()
        if (end / times).max() > _MOST_REPEATS:
            problem = f"expected weights that are nearer: a source would be read more than {_MOST_REPEATS} times"
            raise ConfigError.of("weights", tuple(weights.tolist()), problem)
        whole = np.floor(end * self.weights + 1e-6).astype(np.int64)
        self._counts = whole if until == "all" else np.minimum(whole, lengths)
        self._bases = np.concatenate([[0], np.cumsum(lengths)])

    @property
    def kind(self) -> str:
        """What the shards hold."""
        return self.sets[0].kind

    @property
    def manifest(self) -> Any:
        """The manifest of the first source, for the name of its column."""
        return self.sets[0].manifest

    @property
    def schema(self) -> tuple[Field, ...]:
        """The entries of a row."""
        return self.sets[0].schema

    @property
    def labels(self) -> tuple[str, ...]:
        """The labels of all sources, in order."""
        return tuple(sorted({label for one in self.sets for label in one.labels}))

    @property
    def skipped(self) -> dict[str, str]:
        """The shards that were skipped, and why."""
        return {where: why for one in self.sets for where, why in one.skipped.items()}

    def __len__(self) -> int:
        """Return the number of units of an epoch."""
        return int(self._counts.sum())

    def __repr__(self) -> str:
        shares = ", ".join(f"{weight:.0%} of {one!r}" for one, weight in zip(self.sets, self.weights, strict=True))
        return f"Mixture({shares})"

    def counts(self) -> tuple[int, ...]:
        """Return the units of each source in an epoch."""
        return tuple(self._counts.tolist())

    def fingerprint(self) -> str:
        """Return a digest of the sources, their weights, and the end of an epoch."""
        known = [[one.fingerprint() for one in self.sets], self.weights.tolist(), self.until]
        return hashlib.sha256(json.dumps(known).encode()).hexdigest()

    def batches(self, batch_size: int, window: int | None = None, **settings: Any) -> Any:
        """Return batches: `ShardTokenBatches` where a window is named, else `ShardRowBatches`."""
        from .row_batches import ShardRowBatches
        from .token_batches import ShardTokenBatches

        if window is None:
            return ShardRowBatches(self, batch_size, **settings)
        return ShardTokenBatches(self, batch_size, window, **settings)

    def ranges(self, *key: int, shuffle: bool) -> Ranges:
        """Return the order of an epoch: ranges of units, numbered through all sources."""
        piece = _PIECE[self.kind == "tokens"]
        found, times = [], []
        for index, (one, count) in enumerate(zip(self.sets, self._counts.tolist(), strict=True)):
            repeats = -(-count // len(one))
            parts = [one.ranges(*key, index, repeat, shuffle=shuffle) for repeat in range(repeats)]
            pieces = _pieces(cut(np.concatenate(parts), 0, count), piece)
            ends = np.cumsum(pieces[:, 1] - pieces[:, 0])
            times.append((ends - (pieces[:, 1] - pieces[:, 0]) / 2) / self.weights[index])
            # Units are numbered through all sources; a part of a set begins at a later unit of its shards.
            found.append(pieces - one.first + self._bases[index])
        order = np.argsort(np.concatenate(times), kind="stable")
        ranges: Ranges = np.concatenate(found)[order]
        assert size_of(ranges) == len(self)
        return ranges

    def reader(self, *, tokens: bool) -> _MixtureReader:
        """Return what reads units by their numbers."""
        readers = [one.reader(tokens=tokens) for one in self.sets]
        return _MixtureReader(readers, self._bases, [one.first for one in self.sets])


class _MixtureReader:
    def __init__(self, readers: Sequence[Any], bases: npt.NDArray[np.int64], firsts: Sequence[int]) -> None:
        self._readers, self._bases, self._firsts = readers, bases, firsts

    def row(self, number: int) -> dict[str, Any] | None:
        source = self._source(number)
        found: dict[str, Any] | None = self._readers[source].row(self._own(source, number))
        return found

    @property
    def dtype(self) -> np.dtype[Any]:
        return np.result_type(*(one.dtype for one in self._readers))

    def tokens(self, begin: int, end: int, out: npt.NDArray[Any], stream: int = 0) -> list[tuple[int, int]]:
        source = self._source(begin)
        if end > self._bases[source + 1]:
            raise DataError(f"the tokens {begin} to {end} belong to several sources")
        own = self._own(source, begin)
        found: list[tuple[int, int]] = self._readers[source].tokens(own, own + end - begin, out, stream)
        return found

    def _source(self, number: int) -> int:
        return int(np.searchsorted(self._bases, number, "right")) - 1

    def _own(self, source: int, number: int) -> int:
        return number - int(self._bases[source]) + self._firsts[source]


def _pieces(ranges: Ranges, most: int) -> Ranges:
    """Cut ranges into pieces of so many units at most."""
    counts = -(-(ranges[:, 1] - ranges[:, 0]) // most)
    own = np.repeat(np.arange(len(ranges)), counts)
    number = np.arange(len(own)) - np.repeat(np.cumsum(counts) - counts, counts)
    begins = ranges[own, 0] + number * most
    return np.stack([begins, np.minimum(begins + most, ranges[own, 1])], 1)
