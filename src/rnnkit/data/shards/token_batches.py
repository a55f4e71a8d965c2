"""Batches of shards of tokens for language models whose state is carried from window to window.

Legend: S tokens in all, P processes, B streams of a process, L steps of a stream, T steps of a window.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterator
from contextlib import closing
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import numpy as np

from ...errors import ConfigError, DataError, Place, check_choice, check_whole
from ...types import Batch
from ..tokens import expected_windows, window_cuts
from .background import ReadAhead
from .order import Division, as_ranges, cut, size_of, torch_seed
from .shard_batches import ShardBatches, Units

if TYPE_CHECKING:
    import numpy.typing as npt

    from .order import Ranges

    Steps = list[tuple[int, int]]
    Tokens = npt.NDArray[Any]

_AHEAD = 1 << 21  # tokens of all streams that are read at once
_ORDER, _WINDOWS = 0, 1  # what is drawn


class ShardTokenBatches(ShardBatches):
    """Windows of P × B parallel streams, one after the other, for training with carried state (`stateful=True`).

    The shards of an epoch are put in an order: w_0 … w_{S−1}. It is cut into P B streams of L = ⌊(S − 1) / (P B)⌋
    steps. The batch at step t of process p holds, in row b,

        inputs[b, i] = w[(p B + b) L + t + i],  targets[b, i] = w[(p B + b) L + t + i + 1],  i = 0 … T − 1

    so that row b of a batch continues where row b of the batch before ended, as in `TokenBatches`, which gives the same
    batches of the same tokens without `shuffle`. The last S − 1 − P B L targets, fewer than P B, are left out.

    The position is a few numbers, the same in all processes: the epoch, and how many tokens how many streams took.
    On the same number of streams exactly the same batches follow. On another number of streams, what is left of the
    epoch is divided again: each of its targets is still seen once.

    A thread reads ahead. In memory are a row group of 65,536 tokens for each stream, and some windows, whatever the
    size of the shards.

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
        super().__init__(shards, batch_size, seed)
        check_whole(window, "window")
        check_choice(shuffle, "shuffle", (True, False))
        if shards.kind != "tokens":
            raise ConfigError(
                f"shards of {shards.kind} arrived; expected tokens",
                remedy="make them by rnnkit shards make SOURCE --out DIR --tokens bpe",
            )
        self.window, self.shuffle, self.random_windows = window, shuffle, random_windows
        self._check()

    def __repr__(self) -> str:
        windows = f"{'random windows around' if self.random_windows else 'windows of'} {self.window}{self._share()}"
        return f"ShardTokenBatches({self.batch_size} streams of {self.shards!r}, {windows})"

    @property
    def in_step(self) -> bool:
        """Whether each process has as many batches as the others: all streams are of one length."""
        return self.world > 1

    @property
    def steps(self) -> int:
        """The number of windows of a whole epoch."""
        return expected_windows(self._length(), self.window, random=self.random_windows)

    def fingerprint(self) -> dict[str, Any]:
        """Return JSON values that distinguish the tokens and their windows from others.

        The number of processes is not among them.
        """
        return {
            "tokens": self.shards.fingerprint(),
            "streams": self.batch_size,
            "window": self.window,
            "random windows": self.random_windows,
            "shuffle": self.shuffle,
            "seed": self.seed if self.random_windows or self.shuffle else None,
        }

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
        size = size_of(order)
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
                for inputs, targets, lost, ends in blocks:
                    for batch in _windows(inputs, targets, lost, ends):
                        progress.advance(batch.inputs.shape[1])
                        yield batch
        progress.end()

    def _cuts(self, length: int) -> list[int]:
        """Return where the windows begin in a stream of this part of the epoch, and its end."""
        import torch

        seed = torch_seed(self.seed, self.progress.epoch, _WINDOWS, len(self.progress.parts))
        generator = torch.Generator().manual_seed(seed) if self.random_windows else None
        return window_cuts(length, self.window, generator)

    def _blocks(
        self, lanes: list[Ranges], order: Ranges, cuts: list[int]
    ) -> Iterator[tuple[Tokens, Tokens, list[Steps], list[int]]]:
        """Yield inputs and targets [B, steps] of some windows, what of them was lost, and where the windows end.

        A thread runs this. The ids are as narrow as in the files: they become int64 in each batch, which is still in
        the processor's cache then.
        """
        reader = self.shards.reader(tokens=True)
        at_once = max(_AHEAD // self.batch_size, int(np.diff(cuts).max(initial=0)))
        while len(cuts) > 1:
            last = bisect_right(cuts, cuts[0] + at_once) - 1
            count = cuts[last] - cuts[0]
            spans = [cut(lane, cuts[0], cuts[last]).tolist() for lane in lanes]
            if all(len(span) == 1 for span in spans):
                ids = np.empty((self.batch_size, count + 1), reader.dtype)
                inputs, targets = ids[:, :-1], ids[:, 1:]
                lost = [
                    _read(reader, row, order, first, behind, ids[row]) for row, [(first, behind)] in enumerate(spans)
                ]
            else:  # behind a change of the number of streams
                inputs, targets = (np.empty((self.batch_size, count), reader.dtype) for _ in range(2))
                lost = [
                    _read_parts(reader, row, order, span, inputs[row], targets[row]) for row, span in enumerate(spans)
                ]
            yield inputs, targets, lost, cuts[: last + 1]
            cuts = cuts[last:]


def _windows(inputs: Tokens, targets: Tokens, lost: list[Steps], cuts: list[int]) -> Iterator[Batch]:
    """Cut some steps into batches; what was lost gets the weight 0."""
    import torch

    weights = None
    if any(lost):
        weights = np.ones(inputs.shape, np.float32)
        for row, steps in enumerate(lost):
            for first, behind in steps:
                weights[row, first:behind] = 0
    for begin, end in pairwise(cuts):
        here = slice(begin - cuts[0], end - cuts[0])
        ids, following = inputs[:, here].astype(np.int64), targets[:, here].astype(np.int64)
        batch = Batch(torch.from_numpy(ids), torch.from_numpy(following))
        if weights is not None and not weights[:, here].all():
            batch.weights = torch.from_numpy(weights[:, here].copy())
        yield batch


def _read(reader: Any, stream: int, order: Ranges, first: int, behind: int, ids: Tokens) -> Steps:
    """Write the tokens of some targets of an epoch, and the one before them, into an array.

    Args:
        reader: of the tokens.
        stream: which of several reads.
        order: of the tokens in the epoch.
        first, behind: the targets.
        ids: the array.

    Returns:
        The steps whose input or target was lost: the first one of each run, and the one behind it.
    """
    lost: Steps = []
    here = 0
    for low, high in cut(order, first - 1, behind).tolist():  # numbers of tokens
        for one, other in reader.tokens(low, high, ids[here : here + high - low], stream):
            lost.append((max(0, here + one - 1), min(here + other, len(ids) - 1)))
        here += high - low
    return lost


def _read_parts(
    reader: Any, stream: int, order: Ranges, spans: list[list[int]], inputs: Tokens, targets: Tokens
) -> Steps:
    """Write several runs of targets, one behind the other, and their inputs into arrays; see `_read`."""
    lost: Steps = []
    done = 0
    for first, behind in spans:
        ids = np.empty(behind - first + 1, inputs.dtype)
        lost += [(done + low, done + high) for low, high in _read(reader, stream, order, first, behind, ids)]
        here = slice(done, done + behind - first)
        inputs[here], targets[here] = ids[:-1], ids[1:]
        done = here.stop
    return lost
