"""Masks of the things in a picture: as a map or a stack in memory, and packed until they are needed.

Legend: N things, H height, W width.
"""

from __future__ import annotations

import hashlib
import zlib
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor

from ...errors import ShapeError
from .outlines import MaskFile, Outline, Polygons, Runs, fill_polygon, fill_runs

if TYPE_CHECKING:
    import numpy.typing as npt

NOT_JUDGED = -100  # in a class map; cross-entropy of PyTorch ignores it


@dataclass(frozen=True, eq=False, repr=False)
class Masks:
    """The pixels of each thing in a picture.

    Things that do not overlap are kept as a map, 4 bytes a pixel whatever their number; others as a stack, a byte a
    pixel and thing.

    Attributes:
        values: the map, int32 [H, W]: n for the pixels of thing n − 1, 0 for none; or the stack, bool [N, H, W].
        count: N.

    Example:
        >>> masks = Masks(torch.tensor([[1, 1, 0], [0, 2, 2]], dtype=torch.int32), 2)
        >>> masks, masks.areas.tolist(), masks.boxes().tolist()
        (Masks(2 in a map [2, 3]), [2, 2], [[0.0, 0.0, 2.0, 1.0], [1.0, 1.0, 3.0, 2.0]])
        >>> masks.stack().shape, masks.select([1]).map().tolist()
        (torch.Size([2, 2, 3]), [[0, 0, 0], [0, 1, 1]])
    """

    values: Tensor
    count: int

    def __post_init__(self) -> None:
        fits = self.values.ndim == 2 if self.values.dtype != torch.bool else self.values.shape[0] == self.count
        if not fits or self.values.dtype not in (torch.int32, torch.bool):
            raise ShapeError.of(
                "masks",
                list(self.values.shape),
                f" and the type {self.values.dtype}; expected int32 [H, W] or bool [N, H, W]",
            )

    @classmethod
    def of_stack(cls, stack: Tensor) -> Masks:
        """Return masks of a stack bool [N, H, W]: a map where no pixel belongs to two things."""
        if len(stack) and bool((stack.sum(0) > 1).any()):
            return cls(stack, len(stack))
        numbers = torch.arange(1, len(stack) + 1, dtype=torch.int32)[:, None, None]
        return cls((stack * numbers).sum(0, dtype=torch.int32), len(stack))

    def __len__(self) -> int:
        return self.count

    def __repr__(self) -> str:
        return f"Masks({self.count} in a {'stack' if self.is_stack else 'map'} {list(self.values.shape)})"

    @property
    def is_stack(self) -> bool:
        """Whether the values are a stack."""
        return self.values.dtype == torch.bool

    def stack(self) -> Tensor:
        """Return the masks as bool [N, H, W]."""
        if self.is_stack:
            return self.values
        return self.values == torch.arange(1, self.count + 1, dtype=torch.int32)[:, None, None]

    def map(self) -> Tensor:
        """Return the masks as int32 [H, W]; where things overlap, the smaller one is seen."""
        if not self.is_stack:
            return self.values
        seen = torch.zeros(self.values.shape[1:], dtype=torch.int32)
        for number in self.areas.argsort(descending=True, stable=True).tolist():
            seen[self.values[number]] = number + 1
        return seen

    @property
    def areas(self) -> Tensor:
        """The number of pixels of each thing, int64 [N]."""
        if self.is_stack:
            return self.values.flatten(1).sum(1)
        return torch.bincount(self.values.flatten(), minlength=self.count + 1)[1 : self.count + 1]

    def boxes(self) -> Tensor:
        """Return the smallest box around each thing, float32 [N, 4]; of one without pixels all are 0."""
        found = torch.zeros(self.count, 4)
        if self.is_stack:
            for number, mask in enumerate(self.values):
                rows, columns = mask.any(1).nonzero()[:, 0], mask.any(0).nonzero()[:, 0]
                if len(rows):
                    found[number] = torch.stack([columns[0], rows[0], columns[-1] + 1, rows[-1] + 1]).float()
            return found
        rows, columns = self.values.nonzero(as_tuple=True)
        numbers = self.values[rows, columns].long() - 1
        for place, (axis, add) in enumerate(((columns, 0), (rows, 0), (columns, 1), (rows, 1))):
            how = "amin" if add == 0 else "amax"
            found[:, place].scatter_reduce_(0, numbers, (axis + add).float(), how, include_self=False)
        return found

    def select(self, index: Any) -> Masks:
        """Return the masks of numbers, or of a mask bool [N]; they are numbered again."""
        index = torch.as_tensor(index) if len(index) else torch.zeros(0, dtype=torch.int64)
        numbers = index.nonzero()[:, 0] if index.dtype == torch.bool else index
        if self.is_stack:
            return Masks.of_stack(self.values[numbers])
        new = torch.zeros(self.count + 1, dtype=torch.int32)
        new[numbers + 1] = torch.arange(1, len(numbers) + 1, dtype=torch.int32)
        return Masks(new[self.values.long()], len(numbers))

    def changed(self, values: Tensor) -> Masks:
        """Return masks of the same things with other pixels."""
        return Masks(values, self.count)


@dataclass(frozen=True, eq=False)
class Packed:
    """An array of whole numbers or truth values, packed by zlib; maps of things take some kilobytes so.

    Attributes:
        data: the bytes.
        shape: of the array.
        dtype: of the array, as NumPy names it.
    """

    data: bytes = field(repr=False)
    shape: tuple[int, ...]
    dtype: str

    @classmethod
    def of(cls, array: npt.NDArray[Any]) -> Packed:
        """Pack an array."""
        if array.dtype == np.bool_:
            return cls(zlib.compress(np.packbits(array).tobytes(), 1), array.shape, "bool")
        small = array.astype(np.int16) if array.size == 0 or abs(array).max() < 1 << 15 else array.astype(np.int32)
        return cls(zlib.compress(np.ascontiguousarray(small).tobytes(), 1), array.shape, small.dtype.name)

    def unpacked(self) -> npt.NDArray[Any]:
        """Return the array: int64, or bool."""
        raw = zlib.decompress(self.data)
        if self.dtype == "bool":
            bits = np.unpackbits(np.frombuffer(raw, np.uint8), count=int(np.prod(self.shape)))
            return bits.reshape(self.shape).astype(np.bool_)
        return np.frombuffer(raw, self.dtype).reshape(self.shape).astype(np.int64)


@dataclass(frozen=True, eq=False)
class MaskSource:
    """The masks of a picture, until they are needed: packed, or as outlines that are filled then.

    Attributes:
        things: a packed map, or stack, of what is in the picture; None: see outlines.
        outlines: of each box, in pixels of a picture of `size`.
        size: (H, W) in which the outlines are.
        orientation: of EXIF, by which what is filled is turned.
        class_map: a packed map of classes.
    """

    things: Packed | None = None
    outlines: tuple[Outline | None, ...] = ()
    size: tuple[int, int] = (0, 0)
    orientation: int = 1
    class_map: Packed | None = None

    def read(self, height: int, width: int) -> tuple[Masks | None, Tensor | None]:
        """Return the masks and the class map of a picture of height × width; None for what it has not."""
        classes = None
        if self.class_map is not None:
            classes = torch.from_numpy(resized(self.class_map.unpacked(), height, width))
        if self.things is not None:
            values = self.things.unpacked()
            if values.dtype == np.bool_:
                stack = np.stack([resized(one, height, width) for one in values])
                return Masks.of_stack(torch.from_numpy(stack)), classes
            # The number of things is stored with the map: its last ones may be hidden.
            shown = resized(values[:-1].astype(np.int32), height, width)
            return Masks(torch.from_numpy(shown), int(values[-1, 0])), classes
        if not self.outlines:
            return None, classes
        stack = fill_outlines(self.outlines, *self.size)
        turned = np.stack([resized(turn_upright(mask, self.orientation), height, width) for mask in stack])
        return Masks.of_stack(torch.from_numpy(turned)), classes

    def digest(self) -> bytes:
        """Return a digest of what is drawn."""
        found = hashlib.sha256(repr((self.size, self.orientation)).encode())
        for packed in (self.things, self.class_map):
            if packed is not None:
                found.update(repr(packed.shape).encode() + packed.unpacked().tobytes())
        for outline in self.outlines:
            if isinstance(outline, Polygons):
                for part in outline.parts:
                    found.update(part.tobytes())
            elif isinstance(outline, Runs):
                found.update(outline.counts.tobytes())
        return found.digest()


def packed_map(values: npt.NDArray[np.int64], count: int) -> Packed:
    """Pack a map [H, W] of things with their number, which stands in a row below."""
    below = np.zeros((1, values.shape[1]), np.int64)
    below[0, 0] = count
    return Packed.of(np.concatenate([values, below]))


def fill_outlines(outlines: Sequence[Outline | None], height: int, width: int) -> npt.NDArray[np.bool_]:
    """Return the pixels of each outline, bool [N, H, W]; none for an outline that is None.

    Example:
        >>> fill_outlines([Runs(np.array([0, 1, 3]), (2, 2)), None], 2, 2).astype(int).tolist()
        [[[1, 0], [0, 0]], [[0, 0], [0, 0]]]
    """
    stack = np.zeros((len(outlines), height, width), np.bool_)
    for mask, outline in zip(stack, outlines, strict=True):
        if isinstance(outline, Polygons):
            for part in outline.parts:
                mask |= fill_polygon(part, height, width)
        elif isinstance(outline, Runs):
            mask |= resized(fill_runs(outline), height, width)
        elif isinstance(outline, MaskFile):
            raise TypeError("masks in files are packed when they are read")
    return stack


def turn_upright(values: npt.NDArray[Any], orientation: int) -> npt.NDArray[Any]:
    """Turn an array [H, W, …] as EXIF's orientation says; from 5 on its sides are exchanged.

    Example:
        >>> turn_upright(np.array([[1, 2], [3, 4]]), 6).tolist()
        [[3, 1], [4, 2]]
    """
    if orientation in (3, 4, 7):
        values = values[::-1]
    if orientation in (2, 3, 7):
        values = values[:, ::-1]
    if orientation in (5, 7):
        values = values.swapaxes(0, 1)
    if orientation in (6, 8):
        values = np.rot90(values, 1 if orientation == 8 else -1)
    return values


def turn_boxes(xyxy: Tensor, orientation: int, width: int, height: int) -> Tensor:
    """Turn boxes [N, 4] of a stored picture of width × height as EXIF's orientation says.

    Example:
        >>> turn_boxes(torch.tensor([[0.0, 0.0, 1.0, 2.0]]), 6, 4, 3).tolist()
        [[1.0, 0.0, 3.0, 1.0]]
    """
    left, top, right, bottom = xyxy.unbind(1)
    if orientation in (2, 3):
        left, right = width - right, width - left
    if orientation in (3, 4):
        top, bottom = height - bottom, height - top
    sides = {
        5: (top, left, bottom, right),
        6: (height - bottom, left, height - top, right),
        7: (height - bottom, width - right, height - top, width - left),
        8: (top, width - right, bottom, width - left),
    }
    return torch.stack(sides.get(orientation, (left, top, right, bottom)), 1)


def resized(values: npt.NDArray[Any], height: int, width: int) -> npt.NDArray[Any]:
    """Return an array [H, W] at another size, the value of the nearest pixel for each.

    Example:
        >>> resized(np.array([[1, 2]]), 2, 4).tolist()
        [[1, 1, 2, 2], [1, 1, 2, 2]]
    """
    if values.shape[:2] == (height, width):
        return values
    rows = ((np.arange(height) + 0.5) * values.shape[0] / height).astype(np.int64)
    columns = ((np.arange(width) + 0.5) * values.shape[1] / width).astype(np.int64)
    picked: npt.NDArray[Any] = values[rows[:, None], columns[None]]
    return picked
