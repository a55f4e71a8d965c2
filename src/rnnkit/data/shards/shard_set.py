"""Shards as one source of tokens or rows, read in constant memory.

Legend: S units (tokens or rows), N ranges.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from ...errors import ConfigError, DataError, DataWarning, Place, Remedy, check_choice
from ...types import Field
from .addresses import MissingFileError, Retry, Storage, as_reason
from .manifest import MAKING, MANIFEST, PLAN, TOKENIZER, Manifest, Shard
from .order import as_ranges, generator
from .parquet_files import ShardFile, fields_of, find_column
from .reader import ShardReader

if TYPE_CHECKING:
    import numpy.typing as npt

    from ..text.tokenizer import Tokenizer
    from ..tokens import TokenArray
    from .order import Ranges

DAMAGED = ("refuse", "skip")


@dataclass(frozen=True, eq=False)
class ShardSet:
    """Shards in a folder, on this machine or another one. `ShardSet.open` makes it.

    A loop over it yields its rows as dictionaries, in the order of the source, in constant memory.

    Attributes:
        storage: where they are.
        manifest: what they hold.
        damaged: treatment of a shard that cannot be read: "refuse" or "skip".
        skipped: the addresses of the shards that were skipped so far, and why.
        first, last: the units that belong to this set, where it is a part of a larger one.
        by_rows: whether rows are the units of shards of tokens, too.

    Example:
        >>> import tempfile
        >>> from rnnkit.data import shards
        >>> from pathlib import Path
        >>> folder = Path(tempfile.mkdtemp())
        >>> _ = (folder / "a.txt").write_text("to be\\nor not to be\\n")
        >>> _ = shards.make_shards(folder / "a.txt", folder / "out", tokens="char", unit="line")
        >>> found = shards.ShardSet.open(folder / "out")
        >>> found
        ShardSet(19 tokens in 1 shard)
        >>> [found.tokenizer().decode(row["tokens"]) for row in found]
        ['to be', 'or not to be']
    """

    storage: Storage
    manifest: Manifest
    damaged: Literal["refuse", "skip"] = "refuse"
    skipped: dict[str, str] = field(default_factory=dict)
    first: int = 0
    last: int | None = None
    by_rows: bool = False

    @staticmethod
    def open(
        address: str | os.PathLike[str],
        *,
        column: str | None = None,
        damaged: Literal["refuse", "skip"] = "refuse",
        retry: Retry | None = None,
        **options: Any,
    ) -> ShardSet:
        """Open the shards of a folder, or Parquet files that others made.

        Args:
            address: a folder, a `.parquet` file, or an address of fsspec such as ``s3://bucket/shards``. Without a
                manifest the `.parquet` files of the folder are read in the natural order of their names.
            column: of files of others: the column with the tokens (lists of whole numbers) or the text; None finds it.
            damaged: "refuse" raises DataError for a shard that is missing, damaged or not of the size that the
                manifest says; "skip" continues without it, and counts it in `skipped`.
            retry: how often a read from another machine is tried.
            **options: of fsspec's file system.

        Raises:
            DataError: there are no shards, or they are damaged.
            MissingExtraError: pyarrow or fsspec is not installed.
        """
        check_choice(damaged, "damaged", DAMAGED)
        storage = Storage(os.fspath(address), options, retry or Retry())
        if is_one_file(storage):
            return _open_others(storage, column, damaged)
        try:
            manifest = Manifest.read(storage)
        except MissingFileError:
            return _open_others(storage, column, damaged)
        if column is not None and column != manifest.column:
            names = ", ".join(one.name for one in manifest.schema)
            raise ConfigError.of("column", column, f"leave it out: the manifest says {manifest.column!r} (of {names})")
        found = ShardSet(storage, manifest, damaged)
        if storage.local:
            found._check_sizes()
        if not found.manifest.rows:
            raise DataError("the shards hold no rows", Place(storage.address))
        return found

    def __len__(self) -> int:
        """Return the number of units: tokens of shards of tokens, rows of others."""
        return (self._total() if self.last is None else self.last) - self.first

    def __repr__(self) -> str:
        unit = "tokens" if self.kind == "tokens" else f"rows of {self.kind}"
        count = len(self.manifest.shards)
        skipped = f", {len(self.skipped)} skipped" if self.skipped else ""
        part = "" if self.last is None else f" of {self._total():,}"
        return f"ShardSet({len(self):,}{part} {unit} in {count} {'shard' if count == 1 else 'shards'}{skipped})"

    @property
    def kind(self) -> str:
        """What they hold: "text", "tokens", "series", "audio", or "rows"."""
        return self.manifest.kind

    @property
    def schema(self) -> tuple[Field, ...]:
        """The entries of a row."""
        return self.manifest.schema

    @property
    def labels(self) -> tuple[str, ...]:
        """The labels of the rows, in order."""
        return tuple(self.manifest.labels)

    def fingerprint(self) -> str:
        """Return a digest of the shards' hashes, or of their sizes, and of the part that belongs to this set."""
        known = [self.manifest.fingerprint(), self.first, self.last]
        return hashlib.sha256(json.dumps(known).encode()).hexdigest()

    def tokenizer(self) -> Tokenizer:
        """Return the tokenizer that the tokens were made by.

        Raises:
            DataError: the shards have none.
        """
        from ..text.tokenizer import Tokenizer

        place, advice = Place(self.storage.where(TOKENIZER)), "copy the whole folder again"
        if self.manifest.tokenizer is None:
            raise DataError("the shards name no tokenizer", Place(self.storage.address))
        try:
            found = Tokenizer.from_dict(self.storage.json(TOKENIZER))
        except DataError as error:
            raise DataError(error.problem, place, error.remedies or advice) from None
        if found.fingerprint() != self.manifest.tokenizer:
            raise DataError("is not the tokenizer that the shards were made by", place, advice)
        return found

    def part(self, begin: int, end: int) -> ShardSet:
        """Return the units from one place to another as a set of its own.

        Raises:
            ConfigError: the places are out of range.
        """
        if not 0 <= begin < end <= len(self):
            raise ConfigError(f"a part from {begin} to {end} was asked for; expected places from 0 to {len(self)}")
        return replace(self, first=self.first + begin, last=self.first + end)

    def shard(self, rank: int, world: int, *, even: bool = True) -> ShardSet:
        """Return the `rank`-th of `world` consecutive parts; see `TokenArray.shard` for the arguments."""
        from ..sharding import check_shard

        check_shard(rank, world)
        if len(self) < world:
            raise DataError(f"{len(self)} units arrived for {world} processes", Place(self.storage.address))
        whole = len(self) - len(self) % world if even else len(self)
        return self.part(whole * rank // world, whole * (rank + 1) // world)

    def read_tokens(self, begin: int, end: int) -> TokenArray:
        """Return the tokens from one place to another, in memory.

        Raises:
            ConfigError: the places are out of range, or the shards hold no tokens.
            DataError: they belong to a damaged shard, whatever `damaged` says.
        """
        from ..tokens import TokenArray

        if self.kind != "tokens":
            raise ConfigError(f"shards of {self.kind} arrived; expected tokens")
        part = self.part(begin, end)
        found = np.empty(len(part), np.int64)
        reader = replace(part, damaged="refuse").reader(tokens=True)
        reader.tokens(part.first, part.first + len(part), found)
        return TokenArray(found, self.storage.address)

    def batches(self, batch_size: int, window: int | None = None, **settings: Any) -> Any:
        """Return batches: `ShardTokenBatches` where a window is named, else `ShardRowBatches`."""
        from .row_batches import ShardRowBatches
        from .token_batches import ShardTokenBatches

        if window is None:
            return ShardRowBatches(self, batch_size, **settings)
        return ShardTokenBatches(self, batch_size, window, **settings)

    def __iter__(self) -> Iterator[dict[str, Any]]:
        if self.kind == "tokens" and self.last is not None:
            raise ConfigError("a part of shards of tokens has no whole rows; read it by batches(B, window)")
        rows = self.reader(tokens=False)
        last = self.manifest.rows if self.last is None else self.last
        for number in range(self.first, last):
            if (row := rows.row(number)) is not None:
                yield row

    def as_rows(self) -> ShardSet:
        """Return the same shards with rows as units; a document of tokens is a row then.

        Raises:
            ConfigError: this is a part of shards of tokens.
        """
        if self.kind == "tokens" and (self.first or self.last is not None):
            raise ConfigError("a part of shards of tokens has no whole rows; read it by batches(B, window)")
        return replace(self, by_rows=True)

    def ranges(self, *key: int, shuffle: bool) -> Ranges:
        """Return the order of an epoch: ranges of units, a shard each.

        Args:
            *key: numbers that name the epoch.
            shuffle: whether the shards come in random order.
        """
        bounds = self._bounds()
        clipped = np.clip(bounds, self.first, self.first + len(self))
        found = as_ranges(np.stack([clipped[:-1], clipped[1:]], 1))  # type: ignore[arg-type]
        return found[generator(*key).permutation(len(found))] if shuffle else found

    def reader(self, *, tokens: bool) -> ShardReader:
        """Return what reads units by their numbers.

        Args:
            tokens: whether units are tokens, else rows.
        """
        skip = None if self.damaged == "refuse" else self.skip
        return ShardReader(self.storage, self.manifest, self.bounds(tokens=tokens), tokens, skip)

    def skip(self, where: str, why: str) -> None:
        """Note that a shard was skipped, and warn of it once."""
        import warnings

        if where not in self.skipped:
            self.skipped[where] = why
            warnings.warn(DataWarning(f"is skipped: it {why}", Place(where)), stacklevel=2)

    def bounds(self, *, tokens: bool) -> npt.NDArray[np.int64]:
        """Return the number of the first unit of each shard, and the number of all [shards + 1]."""
        counts = [(one.tokens or 0) if tokens else one.rows for one in self.manifest.shards]
        return np.concatenate([[0], np.cumsum(counts, dtype=np.int64)])

    def _bounds(self) -> npt.NDArray[np.int64]:
        return self.bounds(tokens=self.kind == "tokens" and not self.by_rows)

    def _total(self) -> int:
        return int(self._bounds()[-1])

    def _check_sizes(self) -> None:
        """Refuse, or note, shards that are missing or not of their size.

        The counts stay those of the manifest, so that all processes divide an epoch alike, whatever each of them finds.
        """
        for shard in self.manifest.shards:
            problem = size_problem(self.storage, shard)
            if problem is not None and self.damaged == "refuse":
                remedy = ("copy or make it again", Remedy("damaged", "skip", "to go on without it"))
                raise DataError(problem, Place(self.storage.where(shard.name)), remedy)
            if problem is not None:
                self.skip(self.storage.where(shard.name), problem)
        if self.manifest.shards and len(self.skipped) == len(self.manifest.shards):
            raise DataError("no shard is left that can be read", Place(self.storage.address))


def size_problem(storage: Storage, shard: Shard) -> str | None:
    """Return what is wrong with a shard's size, or None."""
    try:
        size = storage.size(shard.name)
    except DataError as error:
        return f"cannot be read ({error.problem})"
    if shard.bytes is not None and size is not None and size != shard.bytes:
        return f"has {size:,} bytes; expected {shard.bytes:,}"
    return None


def is_one_file(storage: Storage) -> bool:
    """Return whether an address is that of one Parquet file, not of a folder."""
    return storage.address.endswith(".parquet") and not storage.is_folder()


def find_others(storage: Storage) -> tuple[Storage, list[str]]:
    """Return a folder, and the names of its Parquet files, where there is no manifest.

    Args:
        storage: the folder or one file.

    Raises:
        DataError: there are none.
    """
    if is_one_file(storage):
        folder, _, name = storage.address.replace(os.sep, "/").rpartition("/")
        return replace(storage, address=folder or "."), [name]
    place = Place(storage.address)
    if storage.address.startswith("http"):
        problem = f"has no {MANIFEST}, and a web server lists no files"
        raise DataError(problem, place, "give the address of one .parquet file, or of shards")
    if not storage.is_folder():
        problem = "there is no such folder"
        if storage.exists():
            problem = "is a file; expected a folder of shards, or a .parquet file"
        raise DataError(problem, place)
    if storage.exists(f"{MAKING}/{PLAN}"):
        advice = "make them again by the same command, which goes on where it was"
        raise DataError("the making of these shards was interrupted", place, advice)
    names = storage.names(".parquet")
    if not names:
        raise DataError("holds no .parquet files", place, "make shards: rnnkit shards make SOURCE --out DIR")
    return storage, names


def _open_others(storage: Storage, column: str | None, damaged: Any) -> ShardSet:
    """Open Parquet files without a manifest."""
    storage, names = find_others(storage)
    base = ShardSet(storage, Manifest("rows", "", ()), damaged)
    manifest = read_footers(base, names, column)
    if manifest is None:
        raise DataError("no file holds a row that can be read", Place(storage.address))
    return replace(base, manifest=manifest)


def read_footers(base: ShardSet, names: Sequence[str], column: str | None) -> Manifest | None:
    """Return what Parquet files hold as their footers say; None: no row that can be read.

    Args:
        base: where they are, and what becomes of damaged ones.
        names: of the files.
        column: see `ShardSet.open`.

    Raises:
        DataError: a file is damaged, or is not like the others, and `base` refuses such.
    """
    kind, found, schema, shards = "", "", None, []
    types: set[str] = set()  # of the tokens: files may differ in it
    storage = base.storage
    for name in names:
        try:
            size = storage.size(name)
            file = ShardFile(storage, name, size, None)
            if schema is None:
                schema = file.schema
                kind, found = find_column(schema, file.where, column)
            elif kind != "rows" and found not in file.schema.names:
                listed = ", ".join(file.schema.names)
                raise DataError(f"has no column {found!r} as the files before; it has {listed}", Place(file.where))
            tokens = int(file.units(found)[-1]) if kind == "tokens" else None
            types |= {one.dtype for one in fields_of(file.schema, [found]) if one.name == found}
            shards.append(Shard(name, file.rows, size, tokens=tokens))
            file.close()
        except DataError as error:
            if base.damaged == "refuse":
                raise
            base.skip(storage.where(name), as_reason(error))
    if schema is None or not shards or not sum(one.rows for one in shards):
        return None
    inputs = [found] if found else list(schema.names)
    fields = fields_of(schema, inputs)
    if kind == "tokens" and len(types) > 1:
        widest = np.result_type(*types)
        dtype = str(widest) if widest.kind in "iu" else "int64"
        fields = tuple(one._replace(dtype=dtype) if one.name == found else one for one in fields)
    return Manifest(kind, found, fields, tuple(shards), made={"by": "others"})
