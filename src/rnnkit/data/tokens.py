"""Token ids in one long array on disk, and its batches for language models whose state is carried on.

Legend: S tokens in all, B streams, L steps of a stream, T steps of a window.
"""

from __future__ import annotations

import hashlib
import math
import os
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ..errors import ConfigError, DataError, Place, Remedy, check_whole
from ..types import Batch, Field
from .position import ResumableBatches
from .sharding import as_share, check_shard

if TYPE_CHECKING:
    import numpy.typing as npt
    import torch

DTYPES = ("uint16", "uint32", "int32", "int64")
_PAGE = 4096  # bytes
_PAGES = 64  # of which a fingerprint is made
_SHORTEST = 5  # steps of a random window
_WHOLE = 0.95  # of the random windows have a mean of the whole window, the others of half


class TokenArray:
    """A one-dimensional array of token ids, mapped from a file: no more of it is in memory than is read.

    Args:
        tokens: integers [S]: an array, or a memory map.
        source: the file, for messages.

    Raises:
        DataError: the array has several axes, no integers or no tokens.

    Example:
        >>> import tempfile
        >>> file = Path(tempfile.mkdtemp()) / "tokens.npy"
        >>> tokens = TokenArray.write(file, [5, 3, 300, 7])
        >>> tokens, tokens[1:3].tolist()
        (TokenArray(4 tokens of uint16, from tokens.npy), [3, 300])
        >>> [part.tokens.tolist() for part in (tokens.shard(0, 2), tokens.shard(1, 2))]
        [[5, 3], [300, 7]]
    """

    def __init__(self, tokens: npt.NDArray[Any], source: str = "") -> None:
        tokens = tokens if isinstance(tokens, np.ndarray) else np.asarray(tokens)
        if tokens.ndim != 1 or tokens.dtype.kind not in "iu":
            problem = f"tokens {tokens.shape} of {tokens.dtype} arrived; expected integers [S]"
            raise DataError(problem, Place(source))
        if not len(tokens):
            raise DataError("no tokens arrived; expected at least one", Place(source))
        self.tokens, self.source = tokens, source

    @staticmethod
    def open(path: str | os.PathLike[str], dtype: str | None = None) -> TokenArray:
        """Map a file into memory, for reading.

        Args:
            path: an `.npy` file, or a file of the plain numbers alone (`.bin`).
            dtype: of a file of plain numbers: "uint16", "uint32", "int32" or "int64", little endian.

        Raises:
            DataError: there is no such file, or it is not one of integers on one axis.
            ConfigError: `dtype` has no such value.
        """
        file, place = Path(path), Place(str(path))
        if dtype is not None and dtype not in DTYPES:
            raise ConfigError.of("dtype", dtype, f"expected one of {', '.join(DTYPES)}")
        if not file.is_file():
            raise DataError("there is no such file", place)
        if file.suffix == ".npy":
            try:
                return TokenArray(np.load(file, mmap_mode="r", allow_pickle=False), str(path))
            except (ValueError, EOFError, OSError) as error:
                if isinstance(error, DataError):
                    raise
                raise DataError(f"cannot be read as an .npy file ({error})", place) from None
        if dtype is None:
            raise DataError(
                "a file of plain numbers does not say what they are",
                place,
                (Remedy("dtype", "uint16"), Remedy("dtype", "uint32"), Remedy("dtype", "int64")),
            )
        size, each = file.stat().st_size, np.dtype(dtype).itemsize
        if size == 0 or size % each:
            raise DataError(f"has {size} bytes; expected a multiple of {each}, one {dtype} each", place)
        return TokenArray(np.memmap(file, np.dtype(dtype).newbyteorder("<"), mode="r"), str(path))

    @staticmethod
    def write(path: str | os.PathLike[str], tokens: Any, dtype: str | None = None) -> TokenArray:
        """Write token ids to a file and map it.

        Args:
            path: `.npy` or `.bin`. A file of that name is replaced once all is written.
            tokens: integers [S], or an iterable of such arrays, which are written one after the other.
            dtype: one of `DTYPES`; None takes the smallest that holds an array's ids, and "uint32" for an iterable.

        Raises:
            DataError: not integers, or ids that the dtype cannot hold.
        """
        whole = not isinstance(tokens, Iterator) and not (len(tokens) and np.ndim(tokens[0]) == 1)
        chunks: Iterable[Any] = [np.asarray(tokens)] if whole else tokens
        if dtype is None:
            dtype = _smallest(np.asarray(tokens)) if whole else "uint32"
        if dtype not in DTYPES:
            raise ConfigError.of("dtype", dtype, f"expected one of {', '.join(DTYPES)}")
        file = Path(path)
        kind, limits = np.dtype(dtype).newbyteorder("<"), np.iinfo(dtype)
        part, count = file.with_name(f"{file.name}.part"), 0
        header = {"descr": np.lib.format.dtype_to_descr(kind), "fortran_order": False, "shape": (0,)}
        try:
            with part.open("wb") as stream:
                if file.suffix == ".npy":
                    np.lib.format.write_array_header_1_0(stream, header)  # which leaves room for the number of tokens
                for chunk in map(np.asarray, chunks):
                    if chunk.ndim != 1 or chunk.dtype.kind not in "iu":
                        raise DataError(f"tokens {chunk.shape} of {chunk.dtype} arrived; expected integers [S]")
                    if len(chunk) and (chunk.min() < limits.min or chunk.max() > limits.max):
                        raise DataError(f"ids from {chunk.min()} to {chunk.max()} arrived; {dtype} cannot hold them")
                    stream.write(chunk.astype(kind).tobytes())
                    count += len(chunk)
                if file.suffix == ".npy":
                    stream.seek(0)
                    np.lib.format.write_array_header_1_0(stream, {**header, "shape": (count,)})
            if not count:
                raise DataError("no tokens arrived; expected at least one", Place(str(path)))
            part.replace(file)
        finally:
            part.unlink(missing_ok=True)
        return TokenArray.open(file, None if file.suffix == ".npy" else dtype)

    def __len__(self) -> int:
        return len(self.tokens)

    def __getitem__(self, index: Any) -> npt.NDArray[np.int64]:
        """Return the ids of a slice or an array of indices, int64."""
        return np.asarray(self.tokens[index]).astype(np.int64)

    def __repr__(self) -> str:
        where = f", from {Path(self.source).name}" if self.source else ""
        return f"TokenArray({len(self):,} tokens of {self.tokens.dtype.name}{where})"

    @property
    def schema(self) -> tuple[Field, ...]:
        """One entry: the token, input and target of a language model alike."""
        return (Field("tokens", self.tokens.dtype.name, (), "input"),)

    def fingerprint(self) -> str:
        """Return a digest of size, dtype and up to 64 pages of 4 KiB, evenly spaced: it costs milliseconds.

        It changes with the tokens and their order. A single token between two pages may change without it.
        """
        each = _PAGE // self.tokens.dtype.itemsize
        pages = -(-len(self) // each)
        hashed = hashlib.sha256(f"{len(self)} {self.tokens.dtype.name}".encode())
        for page in np.unique(np.linspace(0, pages - 1, min(pages, _PAGES)).astype(np.int64)).tolist():
            hashed.update(np.ascontiguousarray(self.tokens[page * each : (page + 1) * each]).tobytes())
        return hashed.hexdigest()

    def shard(self, rank: int, world: int, *, even: bool = True) -> TokenArray:
        """Return the `rank`-th of `world` consecutive parts.

        Args:
            rank: the process's number, from 0.
            world: the number of processes.
            even: whether the last tokens that cannot be divided evenly are left out. Then all parts have the same
                number of tokens; else the numbers differ by up to one.

        Raises:
            ConfigError: rank or world out of range.
            DataError: there are fewer tokens than parts.
        """
        check_shard(rank, world)
        if len(self) < world:
            raise DataError(f"{len(self)} tokens arrived for {world} processes", Place(self.source))
        whole = len(self) - len(self) % world if even else len(self)
        begin, end = (whole * part // world for part in (rank, rank + 1))
        return as_share(TokenArray(self.tokens[begin:end], self.source), world)

    def batches(self, batch_size: int, window: int, **settings: Any) -> TokenBatches:
        """Return `TokenBatches(self, batch_size, window, **settings)`."""
        return TokenBatches(self, batch_size, window, **settings)


class TokenBatches(ResumableBatches):
    """Windows of B parallel streams, one after the other, for training with carried state (`stateful=True`).

    The tokens w_0 … w_{S−1} are cut into B streams of L = ⌊(S − 1) / B⌋ steps. The batch at step t holds, in row b,

        inputs[b, i] = w[b L + t + i],  targets[b, i] = w[b L + t + i + 1],  i = 0 … T − 1

    so that row b of a batch continues where row b of the batch before ended. The last window may be shorter.

    With `random_windows` each window's length is drawn as in Merity, Keskar & Socher 2018 ("Regularizing and Optimizing
    LSTM Language Models", section 5): T* = T with probability 0.95, else T / 2; then a normal with mean T* and
    deviation 5, at least 5. Variant: all epochs have as many windows as are expected, and the lengths of an epoch are
    scaled to fill it, so that schedules know the number of steps. Their rescaling of the learning rate by the window's
    length is not done here.

    Args:
        tokens: a `TokenArray`, or integers [S].
        batch_size: B.
        window: T.
        random_windows: see above.
        seed: of the random windows; each epoch draws new ones.

    Attributes:
        position: the position in the epoch, and the generator of the random windows.

    Raises:
        ConfigError: a number out of range.
        DataError: fewer than B + 1 tokens.

    Example:
        >>> batches = TokenBatches(np.arange(10), batch_size=2, window=3)
        >>> [(batch.inputs.tolist(), batch.targets.tolist()) for batch in batches]
        [([[0, 1, 2], [4, 5, 6]], [[1, 2, 3], [5, 6, 7]]), ([[3], [7]], [[4], [8]])]
        >>> iterator = iter(batches)
        >>> _ = next(iterator)
        >>> again = TokenBatches(np.arange(10), batch_size=2, window=3)
        >>> again.load_state_dict(batches.state_dict())
        >>> [batch.inputs.tolist() for batch in again]
        [[[3], [7]]]
    """

    def __init__(
        self,
        tokens: TokenArray | npt.NDArray[Any],
        batch_size: int,
        window: int,
        *,
        random_windows: bool = False,
        seed: int = 0,
    ) -> None:
        check_whole(batch_size, "batch_size")
        check_whole(window, "window")
        self.tokens = tokens if isinstance(tokens, TokenArray) else TokenArray(tokens)
        self.batch_size, self.window, self.random_windows = batch_size, window, random_windows
        self._cut_streams()
        super().__init__(seed, self.tokens)

    def _cut_streams(self) -> None:
        size = self.batch_size
        self.length = (len(self.tokens) - 1) // size
        if self.length < 1:
            problem = f"{len(self.tokens)} tokens arrived; expected at least {size + 1}, for {size} streams"
            raise DataError(problem, Place(self.tokens.source))

    def __repr__(self) -> str:
        windows = "random windows around" if self.random_windows else "windows of"
        return f"TokenBatches({self.batch_size} streams of {self.length:,} steps, {windows} {self.window})"

    @property
    def steps(self) -> int:
        """The number of windows of an epoch."""
        return expected_windows(self.length, self.window, random=self.random_windows)

    def __iter__(self) -> Iterator[Batch]:
        """Yield the batches of one epoch; after `load_state_dict` those that are left of it."""
        first = self.position.begin()
        return self._rest(self._cuts(), first)  # the cuts are drawn now, so that the generator moves now

    def fingerprint(self) -> dict[str, Any]:
        """Return JSON values that distinguish the tokens and their windows from others."""
        return {
            "tokens": self.tokens.fingerprint(),
            "streams": self.batch_size,
            "window": self.window,
            "random windows": self.random_windows,
            "seed": self.seed if self.random_windows else None,
        }

    def shard(self, rank: int, world: int, *, even: bool = True) -> TokenBatches:
        """Return the batches of one process: B streams of its own part of the tokens.

        Args:
            rank: the process's number, from 0.
            world: the number of processes.
            even: whether the last tokens that cannot be divided evenly are left out. Then all processes make the same
                number of steps, as distributed training expects. Random windows are the same in all processes.

        Raises:
            ConfigError: rank or world out of range.
            DataError: a part has fewer than B + 1 tokens.
        """
        tokens, seed = self.tokens.shard(rank, world, even=even), self.seed
        return TokenBatches(tokens, self.batch_size, self.window, random_windows=self.random_windows, seed=seed)

    def _divide(self, times: int) -> None:
        super()._divide(times)
        self._cut_streams()

    def _rest(self, cuts: list[int], first: int) -> Iterator[Batch]:
        import torch

        for step in range(first, len(cuts) - 1):
            begin, end = cuts[step], cuts[step + 1]
            whole = self._rows()
            rows = [self.tokens[row + begin : row + end + 1] for row in self.own(whole)]
            block = torch.from_numpy(np.stack(rows))
            self.position.advance()
            yield self.marked(Batch(block[:, :-1].contiguous(), block[:, 1:].contiguous()), whole)
        self.position.end()

    def _rows(self) -> range:
        return range(0, self.batch_size * self.length, self.length)

    def _cuts(self) -> list[int]:
        """Return where the windows of an epoch begin, and the end of the last one."""
        return window_cuts(self.length, self.window, self.generator if self.random_windows else None)


def expected_windows(length: int, window: int, *, random: bool) -> int:
    """Return the number of windows of streams of so many steps.

    Args:
        length: L.
        window: T.
        random: whether the windows' lengths are drawn; see `TokenBatches`.

    Example:
        >>> expected_windows(100, 30, random=False)
        4
    """
    mean = window * (_WHOLE + (1 - _WHOLE) / 2) if random else window
    return max(1, math.ceil(length / max(mean, _SHORTEST if random else 1)))


def window_cuts(length: int, window: int, generator: torch.Generator | None) -> list[int]:
    """Return where the windows of streams of so many steps begin, and the end of the last one.

    Args:
        length: L.
        window: T.
        generator: of the windows' lengths; None: they are not drawn. See `TokenBatches`.

    Example:
        >>> window_cuts(100, 30, None)
        [0, 30, 60, 90, 100]
    """
    import torch

    if generator is None:
        return [*range(0, length, window), length]
    lengths = []
    for _ in range(expected_windows(length, window, random=True)):
        whole = float(torch.rand((), generator=generator)) < _WHOLE
        mean = window if whole else window / 2
        lengths.append(max(_SHORTEST, int(mean + 5 * float(torch.randn((), generator=generator)))))
    ends = np.cumsum(lengths) * (length / sum(lengths))
    return [0, *np.rint(ends).astype(int).tolist()]


def _smallest(tokens: npt.NDArray[Any]) -> str:
    """Return the first of `DTYPES` that holds all ids."""
    if not tokens.size or tokens.dtype.kind not in "iu":
        return "int64"
    low, high = int(tokens.min()), int(tokens.max())
    return next((name for name in DTYPES if np.iinfo(name).min <= low and high <= np.iinfo(name).max), "int64")
