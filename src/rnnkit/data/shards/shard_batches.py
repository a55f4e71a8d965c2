"""What batches of tokens and of rows of shards have in common: a position of a few numbers, and shares of processes."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, ClassVar, Protocol, Self

from ...errors import check_seed, check_whole
from ..sharding import check_shard
from .order import Progress

if TYPE_CHECKING:
    from ...types import Field
    from .order import Ranges


class Units(Protocol):
    """What `ShardSet` and `Mixture` have in common: units with numbers, and an order of them for each epoch."""

    @property
    def kind(self) -> str: ...

    @property
    def schema(self) -> tuple[Field, ...]: ...

    def __len__(self) -> int: ...

    def fingerprint(self) -> str: ...

    def ranges(self, *key: int, shuffle: bool) -> Ranges: ...

    def reader(self, *, tokens: bool) -> Any: ...


class ShardBatches:
    """Base of batches of shards, which any number of processes reads together.

    A subclass defines `steps`, `fingerprint`, `_lanes`, `_rest` and `_check`.

    Args:
        shards: a `ShardSet`, or a `Mixture`.
        batch_size: B.
        seed: of the order.

    Attributes:
        progress: the position in the epoch.
        rank, world: the number of this process and of all processes.
        even: whether the last rows that cannot be divided evenly are left out.
    """

    any_number: ClassVar[bool] = True  # of processes can resume from the position of some

    def __init__(self, shards: Units, batch_size: int, seed: int) -> None:
        check_whole(batch_size, "batch_size")
        check_seed(seed)
        self.shards, self.batch_size, self.seed = shards, batch_size, seed
        self.rank, self.world, self.even = 0, 1, False
        self.progress = Progress()

    @property
    def schema(self) -> tuple[Field, ...]:
        """The entries of a row of the shards."""
        return self.shards.schema

    def shard(self, rank: int, world: int, *, even: bool = True) -> Self:
        """Return the batches of one process.

        Args:
            rank: the process's number, from 0.
            world: the number of processes.
            even: whether the last rows that cannot be divided evenly, fewer than `world`, are left out of an epoch.
                Then all processes make the same number of steps, as distributed training expects. Streams of tokens
                are of one length in any case.

        Raises:
            ConfigError: rank or world out of range.
            DataError: there are fewer rows than processes, or fewer tokens than streams.
        """
        check_shard(rank, world)
        part = copy.copy(self)
        part.rank, part.world = self.rank * world + rank, self.world * world
        part.even = (even and world > 1) or self.even
        part.progress = Progress()
        part._check()
        return part

    def divided(self, rank: int, world: int, *, widen: bool = True) -> Self:
        """Return the batches of one of several processes: `shard`, unless these are a share already.

        Args:
            rank: the process's number, from 0.
            world: the number of processes.
            widen: whether all processes make the same number of steps, for which the last rows may be left out.

        Raises:
            ConfigError: rank or world out of range.
            DataError: there are fewer rows than processes, or fewer tokens than streams.
        """
        return self if self.world > 1 else self.shard(rank, world, even=widen)

    def state_dict(self) -> dict[str, Any]:
        """Return the position: numbers alone, the same in all processes."""
        return self.progress.state_dict()

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Have the next iteration resume behind that position.

        Raises:
            DataError: it is no position of batches of shards.
        """
        self.progress.load_state_dict(state)

    def __iter__(self) -> Iterator[Any]:
        """Yield the batches of one epoch; after `load_state_dict` those that are left of it."""
        self.progress.begin(self._lanes)
        return self._rest()

    @property
    def _lanes(self) -> int:
        """What the positions of an epoch are divided between; see `order`."""
        raise NotImplementedError

    def _rest(self) -> Iterator[Any]:
        """Yield the batches that are left of the epoch."""
        raise NotImplementedError

    def _check(self) -> None:
        """Raise DataError where there is too little for all processes."""
        raise NotImplementedError

    def _share(self) -> str:
        """The share of the process, for `repr`."""
        return f", share {self.rank} of {self.world}" if self.world > 1 else ""
