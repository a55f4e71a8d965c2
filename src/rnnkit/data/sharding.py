"""Shares of a data source: each process reads its own."""

from __future__ import annotations

from typing import TypeVar

from ..errors import ConfigError, DataError, check_whole

Rows = TypeVar("Rows")


def check_shard(rank: int, world: int) -> None:
    """Raise ConfigError unless rank is one of 0 … world − 1."""
    check_whole(world, "world")
    check_whole(rank, "rank", 0)
    if rank >= world:
        raise ConfigError.of("rank", rank, f"expected a whole number below world={world}")


def as_share(rows: Rows, world: int) -> Rows:
    """Return rows, marked as one process's share of the data where there are several; nothing divides them again."""
    if world > 1:
        object.__setattr__(rows, "is_share", True)
    return rows


def shard_indices(count: int, rank: int, world: int, *, even: bool) -> slice:
    """Return the slice of rows that a process reads: every `world`-th one, from its rank on.

    Args:
        count: the number of rows.
        rank: the process's number, from 0.
        world: the number of processes.
        even: whether the last `count % world` rows are left out, so that each process has the same number of rows.

    Raises:
        ConfigError: rank or world out of range.
        DataError: `even`, and there are fewer rows than processes.

    Example:
        >>> [list(range(7))[shard_indices(7, rank, 3, even=False)] for rank in range(3)]
        [[0, 3, 6], [1, 4], [2, 5]]
        >>> [list(range(7))[shard_indices(7, rank, 3, even=True)] for rank in range(3)]
        [[0, 3], [1, 4], [2, 5]]
    """
    check_shard(rank, world)
    if even and count < world:
        raise DataError(f"{count} rows arrived for {world} processes; expected at least one for each")
    return slice(rank, count - count % world if even else None, world)
