"""Outlines of things in pictures: polygons, runs of pixels (COCO's RLE), files of masks; and the pixels within them.

Legend: H height, W width.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ...errors import DataError

if TYPE_CHECKING:
    import numpy.typing as npt


@dataclass(frozen=True, eq=False)
class Polygons:
    """The parts of a thing as closed polygons; a part that lies within another one is part of the thing as well.

    Attributes:
        parts: float64 [n, 2] each: the x and y of its corners, in pixels or in shares.
    """

    parts: tuple[npt.NDArray[np.float64], ...]


@dataclass(frozen=True, eq=False)
class Runs:
    """The pixels of a thing as runs, column by column: so many outside, so many inside, and so on.

    Attributes:
        counts: int64 [n], whose sum is H × W.
        size: (H, W).
    """

    counts: npt.NDArray[np.int64]
    size: tuple[int, int]


@dataclass(frozen=True)
class MaskFile:
    """A file that holds the mask of a thing.

    Attributes:
        path: the file.
        value: the number that its pixels have; None: all that is not 0.
    """

    path: Path
    value: int | None = None


@dataclass(frozen=True)
class ClassFile:
    """A file in which each pixel has the number of its class.

    Attributes:
        path: the file.
        numbers: the class's number in the file → in the set, counted from 1; what is missing is not judged.
    """

    path: Path
    numbers: tuple[tuple[int, int], ...] = ()


Outline = Polygons | Runs | MaskFile


def fill_polygon(corners: npt.NDArray[np.float64], height: int, width: int) -> npt.NDArray[np.bool_]:
    """Return the pixels whose centres lie within a closed polygon, by the even-odd rule.

    The centre of the pixel in row r and column c is (c + 0.5, r + 0.5). So a rectangle of whole numbers has its area in
    pixels, and two polygons that share an edge share no pixel.

    Args:
        corners: [n, 2], x and y. What lies outside of the picture is cut.
        height, width: of the picture.

    Returns:
        bool [H, W].

    Example:
        >>> fill_polygon(np.array([[1, 0], [3, 0], [3, 2], [1, 2]], float), 3, 4).astype(int).tolist()
        [[0, 1, 1, 0], [0, 1, 1, 0], [0, 0, 0, 0]]
    """
    # Each edge is crossed by the rows whose centres it passes; a crossing changes inside and outside to its right.
    crossings = np.zeros((height, width + 1), np.int32)
    ends = np.roll(corners, -1, axis=0)
    for (x0, y0), (x1, y1) in zip(corners.tolist(), ends.tolist(), strict=True):
        if y0 == y1:
            continue
        low, high = min(y0, y1), max(y0, y1)
        rows = np.arange(max(int(np.ceil(low - 0.5)), 0), min(int(np.ceil(high - 0.5)), height))
        if len(rows):
            x = x0 + (rows + 0.5 - y0) * ((x1 - x0) / (y1 - y0))
            crossings[rows, np.clip(np.ceil(x - 0.5), 0, width).astype(np.int64)] += 1
    inside: npt.NDArray[np.bool_] = np.cumsum(crossings, axis=1)[:, :width] % 2 == 1
    return inside


def fill_runs(runs: Runs) -> npt.NDArray[np.bool_]:
    """Return the pixels of runs, bool [H, W].

    Example:
        >>> fill_runs(Runs(np.array([1, 2, 3]), (2, 3))).astype(int).tolist()
        [[0, 1, 0], [1, 0, 0]]
    """
    height, width = runs.size
    inside = np.zeros(len(runs.counts), np.bool_)
    inside[1::2] = True
    filled: npt.NDArray[np.bool_] = np.repeat(inside, runs.counts).reshape(width, height).T
    return filled


def runs_of(mask: npt.NDArray[np.bool_]) -> Runs:
    """Return the runs of a mask bool [H, W].

    Example:
        >>> runs_of(np.array([[0, 1], [1, 0]], bool)).counts.tolist()
        [1, 2, 1]
    """
    flat = mask.T.ravel()
    changes = np.flatnonzero(np.diff(np.concatenate([[False], flat]).astype(np.int8)))
    counts = np.diff(np.concatenate([[0], changes, [flat.size]]))
    return Runs(counts.astype(np.int64), (mask.shape[0], mask.shape[1]))


def read_runs(written: Any, size: Any) -> Runs:
    """Return runs as COCO writes them: a list of counts, or a text in which they are packed.

    The text holds 5 bits a character behind "0", the lowest first; a sixth bit says that more follow. From the third
    count on, the difference to the count before the last is written.

    Args:
        written: the counts.
        size: [H, W].

    Raises:
        DataError: the counts are damaged, or do not fill the size.

    Example:
        >>> read_runs("12", [1, 3]).counts.tolist(), read_runs([1, 2], [1, 3]).counts.tolist()
        ([1, 2], [1, 2])
    """
    if isinstance(written, bytes):
        written = written.decode("ascii", "replace")
    try:
        height, width = (int(one) for one in size)
        counts = np.asarray(_unpacked(written) if isinstance(written, str) else list(written), np.int64)
    except (TypeError, ValueError, OverflowError):
        raise DataError("runs of pixels (RLE) that are damaged arrived; expected counts and a size [H, W]") from None
    if counts.ndim != 1 or (counts < 0).any() or int(counts.sum()) != height * width:
        raise DataError(
            f"runs of {int(counts.sum()):,} pixels arrived for a size of {height} × {width} (height × width)"
        )
    return Runs(counts, (height, width))


def write_runs(runs: Runs) -> str:
    """Return the counts of runs as COCO's tools pack them into a text, which `read_runs` reads.

    Example:
        >>> written = write_runs(Runs(np.array([40, 3, 7, 2, 60]), (8, 14)))
        >>> written, read_runs(written, [8, 14]).counts.tolist()
        ('X137Oe1', [40, 3, 7, 2, 60])
    """
    counts = runs.counts.tolist()
    signs = []
    for place, count in enumerate(counts):
        value = count - counts[place - 2] if place > 2 else count
        more = True
        while more:
            bits = value & 31
            value >>= 5
            more = value != (-1 if bits & 16 else 0)
            signs.append(chr(48 + (bits | 32 if more else bits)))
    return "".join(signs)


def _unpacked(text: str) -> list[int]:
    counts: list[int] = []
    value = shift = 0
    for sign in text:
        bits = ord(sign) - 48
        if not 0 <= bits < 64:
            raise ValueError(sign)
        value |= (bits & 31) << shift
        shift += 5
        if not bits & 32:
            if bits & 16:  # the sign of the whole number
                value -= 1 << shift
            counts.append(value + counts[-2] if len(counts) > 2 else value)
            value = shift = 0
    if shift:
        raise ValueError(text)
    return counts


def polygons_of(written: Sequence[Any]) -> Polygons:
    """Return the polygons of lists of coordinates, [x, y, x, y, …] each; a part of fewer than three corners is none.

    Raises:
        DataError: they are no numbers, or no pairs.

    Example:
        >>> [part.shape for part in polygons_of([[0, 0, 4, 0, 4, 4], [1, 1, 2, 2]]).parts]
        [(3, 2)]
    """
    parts = []
    for one in written:
        try:
            numbers = np.asarray(one, np.float64).ravel()
        except (TypeError, ValueError):
            raise DataError("a polygon that holds no numbers arrived; expected [x, y, x, y, …]") from None
        if len(numbers) % 2 or not np.isfinite(numbers).all():
            raise DataError(f"a polygon of {len(numbers)} numbers arrived; expected finite pairs [x, y, x, y, …]")
        if len(numbers) >= 6:
            parts.append(numbers.reshape(-1, 2))
    return Polygons(tuple(parts))
