"""Shares of a data source: each process reads its own, and together they are everything."""

from __future__ import annotations

from ..errors import ConfigError, check_whole


def check_shard(rank: int, world: int) -> None:
    """Raise ConfigError unless rank is one of 0 … world − 1."""
    check_whole(world, "world")
    check_whole(rank, "rank", 0)
    if rank >= world:
        raise ConfigError.of("rank", rank, f"expected a whole number below world={world}")


def shard_indices(rank: int, world: int) -> slice:
    """Return the slice of rows that a process reads: every `world`-th one, from its rank on.

    Args:
        rank: the process's number, from 0.
        world: the number of processes.

    Raises:
        ConfigError: rank or world out of range.

    Example:
        >>> list(range(7))[shard_indices(1, 3)]
        [1, 4]
    """
    check_shard(rank, world)
    return slice(rank, None, world)
