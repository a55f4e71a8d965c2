"""Boxes of a picture with their classes, and the rule by which faulty ones are mended or left out.

Legend: N boxes, H height, W width. A box is (left, top, right, bottom) in pixels; the edges of a picture of W columns
are 0 and W.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from ...errors import ShapeError

_OUTSIDE = 1.0  # pixels behind an edge that are cut without a word: tools count from 0 or from 1, and round


@dataclass(frozen=True, eq=False, repr=False)
class Boxes:
    """The boxes of one picture.

    Attributes:
        xyxy: float32 [N, 4]: left, top, right, bottom, in pixels.
        labels: int64 [N], the number of each box's class.
        crowd: bool [N]: a box that stands for many things (COCO's ``iscrowd``), or that is too hard to judge
            (``difficult`` in Pascal VOC). Such a box is neither learnt nor counted.

    Raises:
        ShapeError: the parts have not these shapes.

    Example:
        >>> boxes = Boxes.of([[0, 0, 10, 20], [5, 5, 9, 9]], [1, 0])
        >>> boxes, boxes.areas.tolist(), boxes.select([1]).xyxy.tolist()
        (Boxes(2 of 2 classes), [200.0, 16.0], [[5.0, 5.0, 9.0, 9.0]])
    """

    xyxy: Tensor
    labels: Tensor
    crowd: Tensor

    def __post_init__(self) -> None:
        if self.xyxy.ndim != 2 or self.xyxy.shape[1] != 4 or self.xyxy.dtype != torch.float32:
            raise ShapeError.of(
                "xyxy", list(self.xyxy.shape), f" and the type {self.xyxy.dtype}; expected float32 [N, 4]"
            )
        for name in ("labels", "crowd"):
            found = getattr(self, name)
            if found.shape != self.xyxy.shape[:1]:
                raise ShapeError.of(name, list(found.shape), f"; expected [{len(self.xyxy)}], one a box")

    @classmethod
    def of(cls, xyxy: Any, labels: Any = None, crowd: Any = None) -> Boxes:
        """Return boxes of lists, arrays or tensors; without labels all are of class 0; without `crowd` none is one."""
        corners = torch.as_tensor(xyxy, dtype=torch.float32).reshape(-1, 4)
        count = len(corners)
        numbers = (
            torch.zeros(count, dtype=torch.int64) if labels is None else torch.as_tensor(labels, dtype=torch.int64)
        )
        flags = torch.zeros(count, dtype=torch.bool) if crowd is None else torch.as_tensor(crowd, dtype=torch.bool)
        return cls(corners, numbers.reshape(-1), flags.reshape(-1))

    def __len__(self) -> int:
        return len(self.xyxy)

    def __repr__(self) -> str:
        return f"Boxes({len(self)} of {len(self.labels.unique())} classes)"

    @property
    def widths(self) -> Tensor:
        """Right minus left, [N]."""
        return self.xyxy[:, 2] - self.xyxy[:, 0]

    @property
    def heights(self) -> Tensor:
        """Bottom minus top, [N]."""
        return self.xyxy[:, 3] - self.xyxy[:, 1]

    @property
    def areas(self) -> Tensor:
        """Width times height in pixels, [N]."""
        return self.widths * self.heights

    def select(self, index: Any) -> Boxes:
        """Return the boxes of numbers, or of a mask bool [N]."""
        index = torch.as_tensor(index) if len(index) else torch.zeros(0, dtype=torch.int64)
        return Boxes(self.xyxy[index], self.labels[index], self.crowd[index])

    def moved(self, xyxy: Tensor) -> Boxes:
        """Return boxes of the same classes at other places, [N, 4]."""
        return Boxes(xyxy.float(), self.labels, self.crowd)

    def clipped(self, height: int, width: int) -> Boxes:
        """Return the boxes cut at the edges of a picture; one that lies outside becomes empty."""
        limit = torch.tensor([width, height, width, height], dtype=torch.float32)
        return self.moved(torch.minimum(self.xyxy.clamp(min=0), limit))


def box_overlaps(some: Tensor, others: Tensor, crowd: Tensor | None = None) -> Tensor:
    """Return the intersection over the union of each box with each other one, [N, M].

    Args:
        some: [N, 4], left, top, right, bottom.
        others: [M, 4].
        crowd: bool [M]: of such a box, which holds many things, the intersection is divided by the area of `some`.

    Example:
        >>> box_overlaps(torch.tensor([[0.0, 0, 2, 2]]), torch.tensor([[1.0, 0, 3, 2], [5, 5, 6, 6]])).tolist()
        [[0.3333333432674408, 0.0]]
    """
    sides = torch.minimum(some[:, None, 2:], others[:, 2:]) - torch.maximum(some[:, None, :2], others[:, :2])
    common = sides.clamp(min=0).prod(-1)
    first, second = ((one[:, 2:] - one[:, :2]).clamp(min=0).prod(-1) for one in (some, others))
    whole = first[:, None] + second - common
    if crowd is not None:
        whole = torch.where(crowd, first[:, None].expand_as(whole), whole)
    return common / whole.clamp(min=1e-9)


def mend_boxes(boxes: Boxes, height: int, width: int) -> tuple[Boxes, Tensor, Counter[str]]:
    """Mend the boxes of a picture, or leave them out.

    In this order: a box with a coordinate that is no number is left out; sides that are exchanged are put right; a box
    is cut at the edges of the picture, and left out where nothing of it is inside; a box without width or height is
    left out; of boxes of one class with the same corners (to half a pixel) the first stays.

    Args:
        boxes: as they were written.
        height, width: of the picture.

    Returns:
        The boxes, the numbers [n] that they had, and how many had each fault: "no numbers", "reversed", "outside",
        "cut" (more than one pixel behind an edge), "empty", "doubled".

    Example:
        >>> written = Boxes.of([[9, 2, 1, 8], [2, 2, 30, 5], [4, 4, 4, 9], [1, 2, 9, 8], [50, 1, 60, 9]])
        >>> boxes, kept, faults = mend_boxes(written, 10, 20)
        >>> boxes.xyxy.tolist(), kept.tolist()
        ([[1.0, 2.0, 9.0, 8.0], [2.0, 2.0, 20.0, 5.0]], [0, 1])
        >>> dict(faults)
        {'reversed': 1, 'outside': 1, 'cut': 1, 'empty': 1, 'doubled': 1}
    """
    faults: Counter[str] = Counter()

    def count(name: str, found: Tensor) -> None:
        if number := int(found.sum()):
            faults[name] = number

    kept = torch.arange(len(boxes))
    if not len(boxes):
        return boxes, kept, faults
    finite = boxes.xyxy.isfinite().all(1)
    count("no numbers", ~finite)
    boxes, kept = boxes.select(finite), kept[finite]
    left_top = torch.minimum(boxes.xyxy[:, :2], boxes.xyxy[:, 2:])
    right_bottom = torch.maximum(boxes.xyxy[:, :2], boxes.xyxy[:, 2:])
    straight = torch.cat([left_top, right_bottom], 1)
    count("reversed", (straight != boxes.xyxy).any(1))
    cut = boxes.moved(straight).clipped(height, width)
    flat = ((straight[:, 2:] - straight[:, :2]) <= 0).any(1)
    gone = ((cut.xyxy[:, 2:] - cut.xyxy[:, :2]) <= 0).any(1)
    count("outside", gone & ~flat)
    count("cut", ((straight - cut.xyxy).abs() > _OUTSIDE).any(1) & ~gone)
    count("empty", flat)
    boxes, kept = cut.select(~gone), kept[~gone]
    first = _first_of_equal(boxes)
    count("doubled", ~first)
    return boxes.select(first), kept[first], faults


def _first_of_equal(boxes: Boxes) -> Tensor:
    """Return which boxes, bool [N], have no equal one before them."""
    seen: set[tuple[int, ...]] = set()
    first = torch.ones(len(boxes), dtype=torch.bool)
    corners: Sequence[Sequence[int]] = (boxes.xyxy * 2).round().to(torch.int64).tolist()
    for number, (corner, label) in enumerate(zip(corners, boxes.labels.tolist(), strict=True)):
        key = (*corner, label)
        first[number] = key not in seen
        seen.add(key)
    return first
