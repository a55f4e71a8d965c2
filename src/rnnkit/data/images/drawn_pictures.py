"""From annotations as they are written to boxes and masks that fit the pictures; what was put right is counted."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
import torch

from ...errors import DataError
from ..sentences import Phrase, sentence
from .boxes import Boxes, mend_boxes
from .mask_folders import mask_values
from .masks import (
    NOT_JUDGED,
    Masks,
    MaskSource,
    Packed,
    fill_outlines,
    packed_map,
    resized,
    turn_boxes,
    turn_upright,
)
from .outlines import ClassFile, MaskFile, Polygons
from .picture_entries import Drawn, Entry
from .picture_files import PictureInfo

if TYPE_CHECKING:
    import numpy.typing as npt

_ALIKE = 0.01  # of the ratios of width to height of a picture and of what is drawn for it
_FAULTS: dict[str, Phrase] = {
    "no numbers": (
        "has a corner that is no number, and is left out",
        "have corners that are no numbers, and are left out",
    ),
    "reversed": ("has its sides exchanged, and is put right", "have their sides exchanged, and are put right"),
    "outside": ("lies outside of its picture, and is left out", "lie outside of their pictures, and are left out"),
    "cut": (
        "reaches out of its picture, and is cut at the edge",
        "reach out of their pictures, and are cut at the edge",
    ),
    "empty": ("has no width or height, and is left out", "have no width or height, and are left out"),
    "doubled": ("is there twice, and is kept once", "are there twice, and are kept once"),
}
_STORED = (
    "has boxes for the picture before it is turned upright; they are turned with it",
    "have boxes for the pictures before they are turned upright; they are turned with them",
)
_SCALED = (
    "has another size than its annotation says, which is scaled",
    "have other sizes than their annotations say, which are scaled",
)
_UNLIKE = (
    "has another shape than its annotation says, which is taken as it is",
    "have other shapes than their annotations say, which are taken as they are",
)
_MASK_SCALED = ("has a mask of another size, which is scaled", "have masks of other sizes, which are scaled")
_MASK_UNLIKE = (
    "has a mask of another shape, and is left without annotation",
    "have masks of other shapes, and are left without annotation",
)
_MASK_DAMAGED = (
    "has a mask that cannot be read, and is left without annotation",
    "have masks that cannot be read, and are left without annotation",
)
_MASK_EMPTY = ("is empty, and is left out", "are empty, and are left out")


class _Unlike(Exception):
    """A mask has another shape than its picture."""


class Drawings:
    """Makes boxes and masks of annotations, and counts what was wrong.

    Where an annotation gives the size of a picture that EXIF turns, the size says whether it means the picture before
    or after it is turned. Without a size, or where both are the same, it means the picture as it is shown: upright.

    Args:
        classes: their names in order.
    """

    def __init__(self, classes: Sequence[str]) -> None:
        self._numbers = {name: number for number, name in enumerate(classes)}
        self._faults: dict[str, list[str]] = defaultdict(list)
        self._pictures: dict[Phrase, list[str]] = defaultdict(list)
        self._empty: list[str] = []
        self._boxes = self._drawn = self._masks = 0

    def settle(self, entry: Entry, info: PictureInfo) -> tuple[Boxes | None, MaskSource | None]:
        """Return the boxes and the masks of a picture; None for what is not annotated."""
        drawn = entry.drawn
        if drawn is None:
            return None, None
        self._drawn += 1
        try:
            if any(isinstance(one, MaskFile) for one in drawn.outlines) or drawn.class_file is not None:
                return self._of_files(entry, drawn, info)
            return self._of_outlines(entry, drawn, info)
        except _Unlike as problem:
            self._pictures[_MASK_UNLIKE].append(f"{entry.id} ({problem})")
        except DataError as error:
            self._pictures[_MASK_DAMAGED].append(f"{entry.id} ({error})")
        return None, None

    def findings(self) -> list[str]:
        """Return the sentences."""
        said = [sentence(phrase, names, self._drawn, "annotated pictures") for phrase, names in self._pictures.items()]
        for name, phrase in _FAULTS.items():
            said += [sentence(phrase, self._faults[name], self._boxes, "boxes")] if self._faults[name] else []
        said += [sentence(_MASK_EMPTY, self._empty, self._masks, "masks")] if self._empty else []
        return said

    def _mended(self, boxes: Boxes, entry: Entry, info: PictureInfo) -> tuple[Boxes, list[int]]:
        self._boxes += len(boxes)
        mended, kept, faults = mend_boxes(boxes, info.height, info.width)
        for name, count in faults.items():
            self._faults[name] += [entry.id] * count
        return mended, kept.tolist()

    def _of_outlines(self, entry: Entry, drawn: Drawn, info: PictureInfo) -> tuple[Boxes, MaskSource | None]:
        orientation, (width, height) = self._frame(entry, drawn, info)
        scale = np.array([width, height], np.float64) if drawn.shares else np.ones(2)
        outlines = [
            Polygons(tuple(part * scale for part in one.parts)) if isinstance(one, Polygons) else one
            for one in drawn.outlines
        ]
        corners = []
        for box, outline in zip(drawn.boxes, outlines, strict=True):
            if box is not None:
                corners.append(np.array(box) * np.tile(scale, 2))
            elif isinstance(outline, Polygons) and outline.parts:
                points = np.concatenate(outline.parts)
                corners.append(np.concatenate([points.min(0), points.max(0)]))
            else:
                filled = Masks.of_stack(torch.from_numpy(fill_outlines([outline], height, width)))
                corners.append(filled.boxes()[0].numpy().astype(np.float64))
        boxes = Boxes.of(np.array(corners).reshape(-1, 4), [self._numbers[name] for name in drawn.names], drawn.crowd)
        upright = turn_boxes(boxes.xyxy, orientation, width, height)
        turned = (height, width) if orientation >= 5 else (width, height)
        ratio = torch.tensor([info.width / turned[0], info.height / turned[1]] * 2)
        mended, kept = self._mended(boxes.moved(upright * ratio), entry, info)
        chosen = tuple(outlines[number] for number in kept)
        if not any(one is not None for one in chosen):
            return mended, None
        return mended, MaskSource(outlines=chosen, size=(height, width), orientation=orientation)

    def _frame(self, entry: Entry, drawn: Drawn, info: PictureInfo) -> tuple[int, tuple[int, int]]:
        """Return the orientation that an annotation has not yet, and the (width, height) in which it is drawn."""
        upright, stored = (info.width, info.height), info.stored_size
        if drawn.size is None or drawn.size == upright:
            return 1, upright
        if drawn.size == stored:
            self._pictures[_STORED].append(entry.id)
            return info.orientation, stored
        for size, orientation in ((upright, 1), (stored, info.orientation)):
            if _alike(drawn.size, size):
                self._pictures[_SCALED].append(f"{entry.id} ({_by(drawn.size)}, not {_by(size)})")
                return orientation, drawn.size
        self._pictures[_UNLIKE].append(f"{entry.id} ({_by(drawn.size)}, not {_by(upright)})")
        return 1, upright

    def _of_files(self, entry: Entry, drawn: Drawn, info: PictureInfo) -> tuple[Boxes | None, MaskSource]:
        class_map = None if drawn.class_file is None else Packed.of(self._class_map(entry, drawn.class_file, info))
        files = [one for one in drawn.outlines if isinstance(one, MaskFile)]
        if not files:
            return None, MaskSource(class_map=class_map)
        self._masks += len(files)
        labels = [self._numbers[name] for name in drawn.names]
        if all(one.value is not None for one in files):
            values = self._fitted(entry, mask_values(files[0].path), info)
            place = np.zeros(max(int(values.max()), max(one.value or 0 for one in files)) + 1, np.int32)
            for number, one in enumerate(files):
                place[one.value] = number + 1
            masks = Masks(torch.from_numpy(place[values]), len(files))
        else:
            stack = np.stack([self._fitted(entry, mask_values(one.path), info) != 0 for one in files])
            masks = Masks.of_stack(torch.from_numpy(stack))
        filled = masks.areas > 0
        self._empty += [one.path.name for one, full in zip(files, filled.tolist(), strict=True) if not full]
        masks, found = masks.select(filled), torch.tensor(labels)[filled]
        boxes = Boxes.of(masks.boxes(), found)
        self._boxes += len(boxes)
        values = masks.values.numpy()
        things = Packed.of(values) if masks.is_stack else packed_map(values.astype(np.int64), len(masks))
        return boxes, MaskSource(things, class_map=class_map)

    def _class_map(self, entry: Entry, file: ClassFile, info: PictureInfo) -> npt.NDArray[np.int64]:
        values = self._fitted(entry, mask_values(file.path), info)
        present, places = np.unique(values, return_inverse=True)
        numbers = dict(file.numbers)
        mapped = np.array([numbers.get(one, NOT_JUDGED) for one in present.tolist()], np.int64)
        found: npt.NDArray[np.int64] = mapped[places.reshape(values.shape)]
        return found

    def _fitted(self, entry: Entry, values: npt.NDArray[np.int64], info: PictureInfo) -> npt.NDArray[np.int64]:
        """Return the numbers of a mask in the size of the upright picture."""
        size, upright = values.shape[1::-1], (info.width, info.height)
        if size == upright:
            return values
        if size == info.stored_size:
            return turn_upright(values, info.orientation)
        if not _alike(size, upright):
            raise _Unlike(f"{_by(size)}, not {_by(upright)}")
        self._pictures[_MASK_SCALED].append(f"{entry.id} ({_by(size)}, not {_by(upright)})")
        return resized(values, info.height, info.width)


def _alike(size: tuple[int, ...], other: tuple[int, ...]) -> bool:
    return abs(size[0] * other[1] / (size[1] * other[0]) - 1) <= _ALIKE


def _by(size: tuple[int, ...]) -> str:
    return f"{size[0]} × {size[1]}"
