"""Batches of a source that is read from its begin to its end: files, a database, a generator; in constant memory."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterable, Iterator
from itertools import islice
from typing import Any, Self, cast

import numpy as np

from ..errors import ConfigError, check_whole
from ..types import Field
from .collate import Sample, collate
from .position import EpochPosition, ResumableBatches
from .sharding import check_shard

Source = Iterable[Any] | Callable[[], Iterable[Any]]


class StreamedBatches(ResumableBatches):
    """The batches of samples that come one after the other, drawn from a buffer where they are to be shuffled.

    A buffer of K samples is filled. Then each new sample takes the place of one that is drawn from the buffer. With
    K = 0 the order of the source stays. No more than K samples and a batch are in memory.

    Going on in the middle of an epoch reads the source again up to that position, so the source has to give the same
    samples in each epoch.

    Args:
        source: what can be iterated again for each epoch: a list, an object with `__iter__`, or a function without
            arguments that returns an iterator. An item is a sample, (inputs, targets) or inputs; see `collate`.
        batch_size: samples of a batch; None: the items are batches already, `Batch` or what `Learner.fit` takes.
        shuffle: K.
        seed: of the draws; each epoch draws another order.
        collate: makes a batch of a list of samples.
        drop_last: whether a last batch of fewer samples is left out.
        steps: the number of batches of an epoch, where it is known.
        schema: of a sample, where it is known.
        name: of the source for `fingerprint`, where the source has no `fingerprint` of its own.

    Attributes:
        position: the position in the epoch, and the generator of its order.

    Raises:
        ConfigError: an iterator, which can be read only once; a number out of range.

    Example:
        >>> def lines():
        ...     for number in range(5):
        ...         yield np.full((number + 1, 1), number), number
        >>> batches = StreamedBatches(lines, batch_size=2)
        >>> [(batch.targets.tolist(), tuple(batch.inputs.shape)) for batch in batches]
        [([0, 1], (2, 2, 1)), ([2, 3], (2, 4, 1)), ([4], (1, 5, 1))]
        >>> [batch.targets.tolist() for batch in batches.shard(1, 2)]
        [[1, 3]]
    """

    def __init__(
        self,
        source: Source,
        batch_size: int | None = None,
        *,
        shuffle: int = 0,
        seed: int = 0,
        collate: Callable[[list[Sample]], Any] = collate,
        drop_last: bool = False,
        steps: int | None = None,
        schema: tuple[Field, ...] = (),
        name: str = "",
    ) -> None:
        if isinstance(source, Iterator):
            raise ConfigError(
                f"an iterator ({type(source).__name__}) arrived, which can be read only once",
                remedy="pass the function that makes it, without calling it, or an object with __iter__",
            )
        if not callable(source) and not isinstance(source, Iterable):
            raise ConfigError(f"a {type(source).__name__} arrived; expected an iterable, or a function that makes one")
        check_whole(batch_size, "batch_size", optional=True)
        check_whole(shuffle, "shuffle", 0)
        check_whole(steps, "steps", optional=True)
        self.source, self.batch_size, self.shuffle = source, batch_size, shuffle
        self.collate, self.drop_last, self.steps, self.name = collate, drop_last, steps, name
        self.schema: tuple[Field, ...] = tuple(getattr(source, "schema", schema))
        self.rank, self.world, self.even = 0, 1, False
        super().__init__(seed)

    def __repr__(self) -> str:
        size = "batches" if self.batch_size is None else f"batches of {self.batch_size}"
        share = f", share {self.rank} of {self.world}" if self.world > 1 else ""
        return f"StreamedBatches({size} from {self._source_name()}, shuffle={self.shuffle}{share})"

    def __iter__(self) -> Iterator[Any]:
        """Yield the batches of one epoch; after `load_state_dict` those that are left of it."""
        import torch

        first = self.position.begin()
        draw = int(torch.randint(2**62, (), generator=self.generator))  # now, so that the generator moves now
        return self._rest(np.random.default_rng(draw), first)

    def fingerprint(self) -> dict[str, Any]:
        """Return JSON values: the source's own fingerprint, or its name, and how it is read."""
        own = getattr(self.source, "fingerprint", None)
        return {
            "source": own() if callable(own) else self._source_name(),
            "batch_size": self.batch_size,
            "shuffle": self.shuffle,
            "seed": self.seed if self.shuffle else None,
            "share": [self.rank, self.world, "even"] if self.even else [self.rank, self.world],
        }

    def shard(self, rank: int, world: int, *, even: bool = True) -> StreamedBatches:
        """Return the batches of one process: every `world`-th item of the source from item `rank` on.

        Each process draws in its own buffer.

        Args:
            rank: the process's number, from 0.
            world: the number of processes.
            even: whether the last items that cannot be divided evenly are left out. Then all processes make the same
                number of steps, as distributed training expects. The source's length need not be known: an item is
                used once the `world` items that it is one of have all been read.

        Raises:
            ConfigError: rank or world out of range.
        """
        check_shard(rank, world)
        part = copy.copy(self)
        part.even = (even and world > 1) or self.even
        part.rank, part.world = self.rank + self.world * rank, self.world * world
        part.steps = None
        part.position = EpochPosition(self.seed)
        return part

    def divided(self, rank: int, world: int, *, widen: bool = True) -> Self:
        """Return the batches of one of several processes: `shard`, unless these are a share already.

        Args:
            rank: the process's number, from 0.
            world: the number of processes.
            widen: whether all processes make the same number of steps, for which the last items may be left out.

        Raises:
            ConfigError: rank or world out of range.
        """
        return self if self.world > 1 else cast(Self, self.shard(rank, world, even=widen))

    def _source_name(self) -> str:
        named = getattr(self.source, "__qualname__", type(self.source).__qualname__)
        return self.name or str(named)

    def _items(self) -> Iterator[Any]:
        items = self.source() if callable(self.source) else self.source
        if not self.even:
            yield from islice(items, self.rank, None, self.world)
            return
        own = None
        for index, item in enumerate(items):
            if index % self.world == self.rank:
                own = item
            if index % self.world == self.world - 1:
                yield own

    def _drawn(self, random: np.random.Generator) -> Iterator[Any]:
        """Yield the items in the order of the shuffle buffer."""
        items = self._items()
        if not self.shuffle:
            yield from items
            return
        buffer = list(islice(items, self.shuffle))
        for item in items:
            place = int(random.integers(len(buffer)))
            drawn, buffer[place] = buffer[place], item
            yield drawn
        for place in random.permutation(len(buffer)).tolist():
            yield buffer[place]

    def _rest(self, random: np.random.Generator, skipped: int) -> Iterator[Any]:
        items = self._drawn(random)
        size = self.batch_size
        next(islice(items, *[skipped * (size or 1)] * 2), None)
        if size is None:
            for item in items:
                self.position.advance()
                yield item
        else:
            while samples := list(islice(items, size)):
                if len(samples) < size and self.drop_last:
                    break
                self.position.advance()
                yield self.collate(samples)
        self.position.end()
