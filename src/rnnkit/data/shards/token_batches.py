"""Batches of shards of tokens for language models whose state is carried from window to window.

Legend: S tokens in all, P processes, B streams of a process, L steps of a stream, T steps of a window.
"""

from __future__ import annotations

import copy
from collections.abc import Iterator
from contextlib import closing
from typing import TYPE_CHECKING, Any, ClassVar, Protocol, Self, cast

import numpy as np

from ...errors import ConfigError, DataError, Place, check_choice, check_seed, check_whole
from ...types import Batch
from ..sharding import check_shard
from ..tokens import expected_windows, window_cuts
from .background import ReadAhead
from .order import Division, Progress, as_ranges, cut, torch_seed

if TYPE_CHECKING:
    import numpy.typing as npt

    from ...types import Field
    from .order import Ranges

_AHEAD = 1 << 19  # tokens of all streams that are read at once
_ORDER, _WINDOWS = 0, 1  # what is drawn


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


class ShardTokenBatches:
    """Windows of P × B parallel streams, one after the other, for training with carried state (`stateful=True`).

    The shards of an epoch are put in an order: w_0 … w_{S−1}. It is cut into P B streams of L = ⌊(S − 1) / (P B)⌋
    steps. The batch at step t of process p holds, in row b,

        inputs[b, i] = w[(p B + b) L + t + i],  targets[b, i] = w[(p B + b) L + t + i + 1],  i = 0 … T − 1

    so that row b of a batch goes on where row b of the batch before ended, as in `TokenBatches`, which gives the same
    batches of the same tokens without `shuffle`. The last S − 1 − P B L targets, fewer than P B, are left out.

    The position is a few numbers, the same in all processes: the epoch, and how many tokens how many streams took.
    On as many streams the batches go on to the bit. On another number of streams, what is left of the epoch is divided
    anew: each of its targets is still seen once.

    A thread reads ahead. In memory are about a row group a stream, whatever the size of the shards.

    Args:
        shards: a `ShardSet` of tokens, or a `Mixture` of such sets.
        batch_size: B.
        window: T.
        shuffle: whether each epoch has the shards in another order.
        random_windows: as in `TokenBatches`.
        seed: of the order and of the random windows.

    Attributes:
        progress: the position in the epoch.

    Raises:
        ConfigError: a number out of range, or shards of something else.
        DataError: fewer than P B + 1 tokens.

    Example:
        >>> import tempfile
        >>> from pathlib import Path
        >>> from rnnkit.data import shards
        >>> folder = Path(tempfile.mkdtemp())
        >>> _ = (folder / "a.txt").write_text("abcdefghi")
        >>> _ = shards.make_shards(folder / "a.txt", folder / "out", tokens="char")
        >>> found = shards.ShardSet.open(folder / "out")
        >>> [batch.inputs.tolist() for batch in found.batches(2, window=3)]
        [[[4, 5, 6], [8, 9, 10]], [[7], [11]]]
    """

    any_number: ClassVar[bool] = True  # of processes can go on with the position of some

    def __init__(
        self,
        shards: Units,
        batch_size: int,
        window: int,
        *,
        shuffle: bool = False,
        random_windows: bool = False,
        seed: int = 0,
    ) -> None:
        check_whole(batch_size, "batch_size")
        check_whole(window, "window")
        check_seed(seed)
        check_choice(shuffle, "shuffle", (True, False))
        if shards.kind != "tokens":
            raise ConfigError(
                f"shards of {shards.kind} arrived; expected tokens",
                remedy="make them by rnnkit shards make SOURCE --out DIR --tokens bpe",
            )
        self.shards, self.batch_size, self.window = shards, batch_size, window
        self.shuffle, self.random_windows, self.seed = shuffle, random_windows, seed
        self.rank, self.world = 0, 1
        self.progress = Progress()
        self._check()

    def __repr__(self) -> str:
        share = f", share {self.rank} of {self.world}" if self.world > 1 else ""
        windows = "random windows around" if self.random_windows else "windows of"
        return f"ShardTokenBatches({self.batch_size} streams of {self.shards!r}, {windows} {self.window}{share})"

    @property
    def schema(self) -> tuple[Field, ...]:
        """The entries of a row of the shards."""
        return self.shards.schema

    @property
    def steps(self) -> int:
        """The number of windows of a whole epoch."""
        return expected_windows(self._length(), self.window, random=self.random_windows)

    def shard(self, rank: int, world: int, *, even: bool = True) -> ShardTokenBatches:
        """Return the batches of one process: its B of all streams.

        Args:
            rank: the process's number, from 0.
            world: the number of processes.
            even: of no consequence: all streams are of one length.

        Raises:
            ConfigError: rank or world out of range.
            DataError: there are fewer tokens than streams.
        """
        check_shard(rank, world)
        part = copy.copy(self)
        part.rank, part.world = self.rank * world + rank, self.world * world
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
            DataError: there are fewer rows or tokens than processes.
        """
        return self if self.world > 1 else cast(Self, self.shard(rank, world, even=widen))

    def fingerprint(self) -> dict[str, Any]:
        """Return JSON values that tell the tokens and their windows from others; the number of processes is none."""
        return {
            "tokens": self.shards.fingerprint(),
            "streams": self.batch_size,
            "window": self.window,
            "random windows": self.random_windows,
            "shuffle": self.shuffle,
            "seed": self.seed if self.random_windows or self.shuffle else None,
        }

    def state_dict(self) -> dict[str, Any]:
        """Return the position: numbers alone, the same in all processes."""
        return self.progress.state_dict()

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Have the next iteration go on behind that position."""
        self.progress.load_state_dict(state)

    def __iter__(self) -> Iterator[Batch]:
        """Yield the batches of one epoch; after `load_state_dict` those that are left of it."""
        self.progress.begin(self._lanes)
        return self._rest()

    @property
    def _lanes(self) -> int:
        return self.world * self.batch_size

    def _length(self) -> int:
        return (len(self.shards) - 1) // self._lanes

    def _check(self) -> None:
        if self._length() < 1:
            of = f" in {self.world} processes" if self.world > 1 else ""
            raise DataError(
                f"{len(self.shards)} tokens arrived; expected at least {self._lanes + 1}, for {self.batch_size} "
                f"streams{of}",
                Place(getattr(getattr(self.shards, "storage", None), "address", "")),
            )

    def _rest(self) -> Iterator[Batch]:
        progress = self.progress
        order = self.shards.ranges(self.seed, progress.epoch, _ORDER, shuffle=self.shuffle)
        size = int((order[:, 1] - order[:, 0]).sum())
        division = Division(as_ranges([(1, size)]), progress.parts, self._lanes)
        length = division.lengths[0]
        if length:
            first = self.rank * self.batch_size
            lanes = [division.ranges(lane) for lane in range(first, first + self.batch_size)]
            cuts = self._cuts(length)
            begin = progress.taken
            if begin not in cuts:
                raise DataError(f"the position {begin} is none of these batches; expected a state of the same settings")
            cuts = cuts[cuts.index(begin) :]
            with closing(ReadAhead(self._blocks(lanes, order, cuts))) as blocks:
                for block in blocks:
                    for batch in block:
                        progress.advance(batch.inputs.shape[1])
                        yield batch
        progress.end()

    def _cuts(self, length: int) -> list[int]:
        """Return where the windows begin in a stream of this part of the epoch, and its end."""
        import torch

        seed = torch_seed(self.seed, self.progress.epoch, _WINDOWS, len(self.progress.parts))
        generator = torch.Generator().manual_seed(seed) if self.random_windows else None
        return window_cuts(length, self.window, generator)

    def _blocks(self, lanes: list[Ranges], order: Ranges, cuts: list[int]) -> Iterator[list[Batch]]:
        """Yield the batches of some windows at a time; a thread runs this."""
        import torch

        reader = self.shards.reader(tokens=True)
        at_once = max(1, _AHEAD // self.batch_size, int(np.diff(cuts).max(initial=0)))
        buffer = np.empty((self.batch_size, at_once + 1), np.int64)  # used again and again: batches are copies
        step = 0
        while step < len(cuts) - 1:
            last = step + 1
            while last < len(cuts) - 1 and cuts[last + 1] - cuts[step] <= at_once:
                last += 1
            begin, end = cuts[step], cuts[last]
            spans = [cut(lane, begin, end).tolist() for lane in lanes]
            lost: list[tuple[int, int, int]] = []
            if all(len(span) == 1 for span in spans):
                ids = buffer[:, : end - begin + 1]
                inputs, targets = ids[:, :-1], ids[:, 1:]
                for row, ((first, behind),) in enumerate(spans):
                    lost += _read(reader, row, order, first - 1, behind, ids[row], 0)
            else:  # behind a change of the number of streams
                inputs, targets = (np.empty((self.batch_size, end - begin), np.int64) for _ in range(2))
                for row, span in enumerate(spans):
                    done = 0
                    for first, behind in span:
                        part = np.empty(behind - first + 1, np.int64)
                        lost += _read(reader, row, order, first - 1, behind, part, done)
                        here = slice(done, done + behind - first)
                        inputs[row, here], targets[row, here] = part[:-1], part[1:]
                        done += behind - first
            weights = None
            if lost:
                weights = np.ones(inputs.shape, np.float32)
                for row, low, high in lost:
                    weights[row, low:high] = 0
            found = []
            for one in range(step, last):
                here = slice(cuts[one] - begin, cuts[one + 1] - begin)
                batch = Batch(torch.from_numpy(inputs[:, here].copy()), torch.from_numpy(targets[:, here].copy()))
                if weights is not None and not weights[:, here].all():
                    batch.weights = torch.from_numpy(weights[:, here].copy())
                found.append(batch)
            yield found
            step = last


def _read(
    reader: Any, stream: int, order: Ranges, begin: int, end: int, out: npt.NDArray[np.int64], done: int
) -> list[tuple[int, int, int]]:
    """Write the tokens at some positions of an epoch into an array.

    Returns:
        The steps whose input or target was lost, counted from `done` on: the stream, the first step, the one behind.
    """
    lost: list[tuple[int, int, int]] = []
    here = 0
    for low, high in cut(order, begin, end).tolist():  # numbers of tokens
        for one, other in reader.tokens(low, high, out[here : here + high - low], stream):
            first, behind = max(0, here + one - 1), min(here + other, len(out) - 1)
            lost.append((stream, done + first, done + behind))
        here += high - low
    return lost
