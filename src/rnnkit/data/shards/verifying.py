"""Looks at all bytes of shards: hashes, counts, and whether each row group can be decoded."""

from __future__ import annotations

import hashlib
import os
import warnings
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from typing import Any, NamedTuple

from ...errors import DataError, DataWarning, MissingExtraError, check_whole
from .addresses import MissingFileError, Retry, Storage, as_reason
from .manifest import TOKENIZER, Manifest, Shard
from .parquet_files import ShardFile
from .shard_set import ShardSet, find_others, read_footers, size_problem

_BLOCK = 8 << 20  # bytes that are read at once


class ShardProblem(NamedTuple):
    """A shard, or the tokenizer, that is not as the manifest says.

    Attributes:
        name: of the file.
        address: where it is.
        problem: what is wrong, in words.

    Example:
        >>> ShardProblem("shard-00000.parquet", "out/shard-00000.parquet", "is missing").problem
        'is missing'
    """

    name: str
    address: str
    problem: str


def verify_shards(
    address: str | os.PathLike[str],
    *,
    decode: bool = True,
    threads: int = 2,
    retry: Retry | None = None,
    on_shard: Callable[[Shard], Any] | None = None,
    **options: Any,
) -> list[ShardProblem]:
    """Compare all shards and their tokenizer with the manifest, and return what differs.

    Args:
        address: a folder or an address of fsspec; see `ShardSet.open`. Files of others have no manifest: each is read.
        decode: whether each row group is decoded, too.
        threads: shards that are looked at at a time.
        retry: how often a read from another machine is tried.
        on_shard: called after each shard.
        **options: of fsspec's file system.

    Returns:
        The problems in the order of the shards; none where all is well.

    Raises:
        DataError: there are no shards, or the manifest is damaged.

    Example:
        >>> import tempfile
        >>> from pathlib import Path
        >>> from rnnkit.data import shards
        >>> folder = Path(tempfile.mkdtemp())
        >>> _ = (folder / "a.txt").write_text("to be or not to be")
        >>> _ = shards.make_shards(folder / "a.txt", folder / "out")
        >>> verify_shards(folder / "out")
        []
        >>> _ = (folder / "out" / "shard-00000.parquet").write_bytes(b"PAR1")
        >>> [one.problem.split(";")[0] for one in verify_shards(folder / "out")]
        ['has 4 bytes']
    """
    check_whole(threads, "threads")
    storage = Storage(os.fspath(address), options, retry or Retry())
    unread: dict[str, ShardProblem] = {}
    try:
        manifest = Manifest.read(storage)
        names = [one.name for one in manifest.shards]
    except MissingFileError:
        storage, names = find_others(storage)
        manifest, unread = _of_others(storage, names)

    def look(shard: Shard) -> ShardProblem | None:
        problem = _problem(storage, manifest, shard, decode)
        if on_shard is not None:
            on_shard(shard)
        return None if problem is None else ShardProblem(shard.name, storage.where(shard.name), problem)

    for name in unread:
        if on_shard is not None:
            on_shard(Shard(name, 0))
    with ThreadPoolExecutor(threads) as pool:
        problems = unread | {found.name: found for found in pool.map(look, manifest.shards) if found is not None}
    if manifest.tokenizer is not None:
        try:
            with suppress(MissingExtraError):  # without its library the file is not looked at
                ShardSet(storage, manifest).tokenizer()
        except DataError as error:
            problems[TOKENIZER] = ShardProblem(TOKENIZER, storage.where(TOKENIZER), as_reason(error))
    return [problems[name] for name in [*names, TOKENIZER] if name in problems]


def _of_others(storage: Storage, names: list[str]) -> tuple[Manifest, dict[str, ShardProblem]]:
    """Return what the Parquet files of others hold, and what is wrong with those whose footer cannot be read."""
    base = ShardSet(storage, Manifest("rows", "", ()), "skip")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DataWarning)  # they are returned
        manifest = read_footers(base, names, None)
    places = {storage.where(name): name for name in names}
    unread = {places[where]: ShardProblem(places[where], where, why) for where, why in base.skipped.items()}
    return manifest or base.manifest, unread


def _problem(storage: Storage, manifest: Manifest, shard: Shard, decode: bool) -> str | None:
    if (found := size_problem(storage, shard)) is not None:
        return found
    try:
        if shard.sha256:
            digest = hashlib.sha256()
            size = shard.bytes or 0
            for begin in range(0, size, _BLOCK):
                digest.update(storage.read(shard.name, begin, min(begin + _BLOCK, size)))
            if digest.hexdigest() != shard.sha256:
                return f"has the SHA-256 {digest.hexdigest()[:16]}…; expected {shard.sha256[:16]}…"
        column = manifest.column if manifest.kind == "tokens" else None
        file = ShardFile(storage, shard.name, shard.bytes, column)
        if file.rows != shard.rows:
            return f"holds {file.rows:,} rows; expected {shard.rows:,}"
        if column is not None and file.before[-1] != shard.tokens:
            return f"holds {int(file.before[-1]):,} tokens; expected {shard.tokens:,}"
        for group in range(len(file.before) - 1 if decode else 0):
            file.read(group)
        file.close()
    except DataError as error:
        return error.problem
    return None
