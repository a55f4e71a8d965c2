"""The order of an epoch, and which process reads which part of it, from a few numbers alone.

An epoch is a sequence of positions 0 … S − 1. Behind each position is a unit of a source: a token or a row. Positions
are divided between lanes: the rows of a batch that continue from window to window, or the processes. All lanes advance
together. So the number of lanes and the number of positions that each lane took determine all that is left, in every
process, and also for another number of lanes: what is left is divided again.

Legend: S positions, N ranges, K positions of the shuffle buffer.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from ...errors import DataError

if TYPE_CHECKING:
    import numpy.typing as npt

    Ranges = npt.NDArray[np.int64]  # [N, 2]: begin and end of each


def as_ranges(pairs: Sequence[tuple[int, int]]) -> Ranges:
    """Return pairs of begin and end as an array [N, 2], without the empty ones.

    Example:
        >>> as_ranges([(0, 3), (5, 5), (7, 9)]).tolist()
        [[0, 3], [7, 9]]
    """
    found = np.asarray(pairs, np.int64).reshape(-1, 2)
    return found[found[:, 1] > found[:, 0]]


def size_of(ranges: Ranges) -> int:
    """Return the number of positions in ranges."""
    return int((ranges[:, 1] - ranges[:, 0]).sum())


def cut(ranges: Ranges, begin: int, end: int) -> Ranges:
    """Return the part of ranges, joined one after the other, from one place to another.

    Example:
        >>> cut(as_ranges([(0, 4), (10, 14)]), 3, 6).tolist()
        [[3, 4], [10, 12]]
    """
    if len(ranges) == 1:  # the usual case, and often asked
        low, high = ranges[0].tolist()
        return as_ranges([(low + begin, min(low + end, high))])
    sizes = ranges[:, 1] - ranges[:, 0]
    ends = np.cumsum(sizes)
    first, last = np.searchsorted(ends, begin, "right"), np.searchsorted(ends, end, "left")
    found = ranges[first : last + 1].copy()
    if end <= begin or not len(found):
        return found[:0]
    starts = ends - sizes
    found[0, 0] += begin - starts[first]
    if last < len(ends):
        found[-1, 1] -= ends[last] - end
    return found[found[:, 1] > found[:, 0]]


def numbers_in(ranges: Ranges) -> npt.NDArray[np.int64]:
    """Return all numbers of ranges, in their order.

    Example:
        >>> numbers_in(as_ranges([(5, 7), (1, 3)])).tolist()
        [5, 6, 1, 2]
    """
    sizes = ranges[:, 1] - ranges[:, 0]
    jumps = np.repeat(ranges[:, 0] - np.concatenate([[0], np.cumsum(sizes)[:-1]]), sizes)
    return jumps + np.arange(len(jumps))


def ranges_of(numbers: npt.NDArray[np.int64]) -> Ranges:
    """Return rising numbers as ranges.

    Example:
        >>> ranges_of(np.array([1, 2, 5])).tolist()
        [[1, 3], [5, 6]]
    """
    if not len(numbers):
        return np.zeros((0, 2), np.int64)
    breaks = np.flatnonzero(np.diff(numbers) != 1)
    begins = numbers[np.concatenate([[0], breaks + 1])]
    ends = numbers[np.concatenate([breaks, [len(numbers) - 1]])] + 1
    return np.stack([begins, ends], 1)


def generator(*key: int) -> np.random.Generator:
    """Return the generator of random numbers that whole numbers name."""
    return np.random.default_rng(np.random.SeedSequence(key))


def torch_seed(*key: int) -> int:
    """Return a seed for torch's generators that whole numbers name."""
    return int(np.random.SeedSequence(key).generate_state(1, np.uint64)[0] >> np.uint64(1))


class Division:
    """What is left of an epoch, divided between lanes.

    Args:
        whole: the positions of the epoch.
        parts: the parts of the epoch that are over: the number of lanes, and how many positions each lane took.
        lanes: the lanes of this part of the epoch.
        even: whether all lanes have the same number of positions. The positions at the end that cannot be divided
            belong to no lane; a division that follows has them again.
        buffer: K; each lane draws K positions after the other in random order.
        key: numbers that name the epoch, for the draws.

    Attributes:
        lengths: the number of positions of each lane.

    Example:
        >>> first = Division(as_ranges([(0, 10)]), [], 2)
        >>> [first.ranges(lane).tolist() for lane in range(2)]
        [[[0, 5]], [[5, 10]]]
        >>> then = Division(as_ranges([(0, 10)]), [(2, 2)], 3)
        >>> [then.ranges(lane).tolist() for lane in range(3)]
        [[[2, 4]], [[4, 5], [7, 8]], [[8, 10]]]
    """

    def __init__(
        self,
        whole: Ranges,
        parts: Sequence[tuple[int, int]],
        lanes: int,
        *,
        even: bool = True,
        buffer: int = 0,
        key: tuple[int, ...] = (),
    ) -> None:
        self._left, self._even, self._buffer, self._key = whole, even, buffer, key
        self._number = 0
        for part_lanes, taken in parts:
            self._divide(part_lanes)
            found = [self._after(lane, taken) for lane in range(part_lanes)]
            rest = cut(self._left, self._bounds[-1], size_of(self._left))
            self._left = np.concatenate([*found, rest])
            self._number += 1
        self._divide(lanes)
        self.lengths = [self._bounds[lane + 1] - self._bounds[lane] for lane in range(lanes)]

    def _divide(self, lanes: int) -> None:
        size = size_of(self._left)
        if self._even:
            size -= size % lanes
        self._bounds = [size * lane // lanes for lane in range(lanes + 1)]

    def ranges(self, lane: int) -> Ranges:
        """Return the positions of a lane, before they are drawn in random order."""
        return cut(self._left, self._bounds[lane], self._bounds[lane + 1])

    def permutation(self, lane: int, window: int, size: int) -> npt.NDArray[np.int64]:
        """Return the order in which the positions of a lane's buffer are drawn.

        Args:
            lane: its number.
            window: how many buffers came before.
            size: K, or what is left at the end.
        """
        return generator(*self._key, self._number, lane, window).permutation(size)

    def _after(self, lane: int, taken: int) -> Ranges:
        """Return what is left of a lane that took some of its positions."""
        ranges = self.ranges(lane)
        size = size_of(ranges)
        taken = min(taken, size)
        if not self._buffer:
            return cut(ranges, taken, size)
        window, drawn = divmod(taken, self._buffer)
        begin, end = window * self._buffer, min((window + 1) * self._buffer, size)
        held = numbers_in(cut(ranges, begin, end))
        left = held[np.sort(self.permutation(lane, window, end - begin)[drawn:])]
        return np.concatenate([_runs(left), cut(ranges, end, size)])


def _runs(numbers: npt.NDArray[np.int64]) -> Ranges:
    """Return numbers as ranges in their order, which need not rise."""
    if not len(numbers):
        return np.zeros((0, 2), np.int64)
    return np.concatenate([ranges_of(part) for part in np.split(numbers, np.flatnonzero(np.diff(numbers) <= 0) + 1)])


class Progress:
    """The position in an epoch as a few numbers, the same in all processes.

    Attributes:
        epoch: the number of epochs that are over.
        batch: the batches of this epoch that were yielded.
        parts: the parts of the epoch that are over, see `Division`.
        taken: positions that each lane took in this part.

    Example:
        >>> progress = Progress()
        >>> progress.begin(lanes=4)
        >>> progress.advance(10)
        >>> progress.state_dict()
        {'epoch': 0, 'batch': 1, 'parts': [[4, 10]]}
        >>> other = Progress()
        >>> other.load_state_dict(progress.state_dict())
        >>> other.begin(lanes=2)
        >>> other.parts, other.taken
        ([(4, 10)], 0)
    """

    def __init__(self) -> None:
        self.epoch = self.batch = self.taken = 0
        self.parts: list[tuple[int, int]] = []
        self._lanes = 0
        self._loaded = False

    def begin(self, lanes: int) -> None:
        """Begin an epoch, or resume the one that was loaded."""
        if not self._loaded:
            self.parts, self.batch, self.taken = [], 0, 0
        elif self.parts and self.parts[-1][0] == lanes:
            self.taken = self.parts.pop()[1]
        else:
            self.taken = 0
        self._loaded, self._lanes = False, lanes

    def advance(self, count: int) -> None:
        """Count a batch, of which each lane has so many positions."""
        self.batch, self.taken = self.batch + 1, self.taken + count

    def end(self) -> None:
        """End an epoch whose batches were all yielded."""
        self.epoch, self.batch, self.taken, self.parts, self._lanes = self.epoch + 1, 0, 0, [], 0

    def state_dict(self) -> dict[str, object]:
        """Return the position as JSON values."""
        now = [(self._lanes, self.taken)] if self._lanes and self.taken and not self._loaded else []
        return {"epoch": self.epoch, "batch": self.batch, "parts": [list(part) for part in [*self.parts, *now]]}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Have the next epoch resume behind that position.

        Raises:
            DataError: it is no such position.
        """
        try:
            found = [
                state["epoch"],
                state["batch"],
                *(number for lanes, taken in state["parts"] for number in (lanes, taken)),
            ]
        except (KeyError, TypeError, ValueError):
            found = [None]
        if not all(isinstance(one, int) and one >= 0 for one in found) or 0 in found[2::2]:
            raise DataError(
                f"the state {state!r} arrived; expected what state_dict() of batches of shards gave: "
                "{'epoch': 0, 'batch': 3, 'parts': [[8, 150]]}"
            )
        self.epoch, self.batch, *numbers = found
        self.parts = list(zip(numbers[::2], numbers[1::2], strict=True))
        self.taken, self._loaded = 0, True
