"""What was found in a picture: boxes with classes and scores, maybe masks, and COCO's form of it.

COCO's results are a list, an entry a thing:

    {"image_id": 7, "category_id": 1, "bbox": [left, top, width, height], "score": 0.93,
     "segmentation": {"size": [H, W], "counts": "…"}}

The number of a category is that of the class plus 1. Coordinates are pixels of the picture's own file, upright; edges
count from 0.

Legend: N things, H height, W width, C classes.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import torch
from torch import Tensor

from ..data.images.boxes import Boxes
from ..data.images.masks import Masks, fill_outlines
from ..data.images.outlines import read_runs, runs_of, write_runs
from ..data.images.pictures import PictureSet
from ..errors import DataError, ShapeError


@dataclass(frozen=True, eq=False, repr=False)
class FoundThings:
    """What was found in one picture.

    Attributes:
        size: (H, W) of the picture.
        boxes: float32 [N, 4]: left, top, right, bottom, in pixels.
        labels: int64 [N], the number of each thing's class.
        scores: float32 [N] in [0, 1].
        masks: the pixels of each thing; None: boxes alone were looked for.

    Raises:
        ShapeError: the parts have not these shapes.

    Example:
        >>> found = FoundThings.of((60, 80), [[1, 2, 11, 22], [30, 30, 40, 44]], [0, 1], [0.4, 0.9])
        >>> found, found.above(0.5).labels.tolist(), found.counts(3)
        (FoundThings(2 in 60 × 80), [1], [1, 1, 0])
        >>> found.to_coco(7, ("cat", "dog"))[0]
        {'image_id': 7, 'category_id': 1, 'category': 'cat', 'bbox': [1.0, 2.0, 10.0, 20.0], 'score': 0.4}
    """

    size: tuple[int, int]
    boxes: Tensor
    labels: Tensor
    scores: Tensor
    masks: Masks | None = None

    def __post_init__(self) -> None:
        if self.boxes.ndim != 2 or self.boxes.shape[1] != 4:
            raise ShapeError.of("boxes", list(self.boxes.shape), "; expected [N, 4]")
        for name in ("labels", "scores"):
            found = getattr(self, name)
            if found.shape != self.boxes.shape[:1]:
                raise ShapeError.of(name, list(found.shape), f"; expected [{len(self.boxes)}], one a box")
        if self.masks is not None:
            shape = self.masks.values.shape[-2:]
            if len(self.masks) != len(self.boxes) or tuple(shape) != tuple(self.size):
                raise ShapeError(
                    f"{len(self.masks)} masks of {list(shape)} arrived for {len(self.boxes)} boxes in a picture of "
                    f"{list(self.size)}; expected one a box, of the picture's size"
                )

    @classmethod
    def of(
        cls, size: tuple[int, int], boxes: Any, labels: Any = None, scores: Any = None, masks: Masks | None = None
    ) -> FoundThings:
        """Return things of lists, arrays or tensors; without labels all are of class 0, without scores all have 1."""
        corners = torch.as_tensor(boxes, dtype=torch.float32).reshape(-1, 4)
        count = len(corners)
        numbers = torch.zeros(count) if labels is None else torch.as_tensor(labels)
        sure = torch.ones(count) if scores is None else torch.as_tensor(scores)
        return cls(size, corners, numbers.reshape(-1).long(), sure.reshape(-1).float(), masks)

    @classmethod
    def of_masks(cls, masks: Masks, labels: Any = None, scores: Any = None) -> FoundThings:
        """Return things whose boxes are the smallest ones around their masks.

        Example:
            >>> found = FoundThings.of_masks(Masks(torch.tensor([[0, 1], [0, 1]], dtype=torch.int32), 1))
            >>> found.boxes.tolist(), found.size
            ([[1.0, 0.0, 2.0, 2.0]], (2, 2))
        """
        height, width = masks.values.shape[-2:]
        return cls.of((height, width), masks.boxes(), labels, scores, masks)

    def __len__(self) -> int:
        return len(self.boxes)

    def __repr__(self) -> str:
        height, width = self.size
        masked = "" if self.masks is None else ", with masks"
        return f"FoundThings({len(self)} in {height} × {width}{masked})"

    def select(self, index: Any) -> FoundThings:
        """Return the things of numbers, or of a mask bool [N]."""
        index = torch.as_tensor(index) if len(index) else torch.zeros(0, dtype=torch.int64)
        masks = None if self.masks is None else self.masks.select(index)
        return FoundThings(self.size, self.boxes[index], self.labels[index], self.scores[index], masks)

    def above(self, least: float | Sequence[float]) -> FoundThings:
        """Return the things whose scores are at least a number, or at least that of their class."""
        if isinstance(least, int | float):
            return self.select(self.scores >= least)
        return self.select(self.scores >= torch.tensor(least)[self.labels])

    def surest_first(self) -> FoundThings:
        """Return the things in the order of their scores, the highest first."""
        return self.select(self.scores.argsort(descending=True, stable=True))

    def counts(self, classes: int) -> list[int]:
        """Return how many things of each class there are."""
        found: list[int] = torch.bincount(self.labels, minlength=classes).tolist()
        return found

    def to_coco(self, image_id: Any, classes: Sequence[str] | None = None) -> list[dict[str, Any]]:
        """Return the things as entries of COCO's results.

        Args:
            image_id: the picture's number or name.
            classes: names, written as "category" beside the number; None: none are.
        """
        entries = []
        for number, (corners, label, score) in enumerate(
            zip(self.boxes.tolist(), self.labels.tolist(), self.scores.tolist(), strict=True)
        ):
            entry: dict[str, Any] = {"image_id": image_id, "category_id": label + 1}
            if classes is not None:
                entry["category"] = classes[label]
            entry |= {"bbox": _bbox(corners), "score": round(score, 4)}
            if self.masks is not None:
                entry["segmentation"] = rle_of(self.masks, number)
            entries.append(entry)
        return entries


class TrueThings(NamedTuple):
    """What is there in one picture.

    Attributes:
        size: (H, W) of the picture.
        boxes: of the things; those of ``boxes.crowd`` are not judged.
        masks: the pixels of each thing; None: they are unknown.

    Example:
        >>> TrueThings((60, 80), Boxes.of([[1, 2, 11, 22]])).boxes
        Boxes(1 of 1 classes)
    """

    size: tuple[int, int]
    boxes: Boxes
    masks: Masks | None = None


def true_things(pictures: PictureSet, *, masks: bool = False) -> list[TrueThings]:
    """Return what is there in each picture of a set; nothing in one without annotation.

    Args:
        pictures: the set.
        masks: whether masks are filled, too.

    Raises:
        DataError: masks are wanted, and a picture has none.
    """
    found = []
    for picture in pictures:
        size = (picture.height, picture.width)
        own = None
        if masks and picture.masks is not None:
            own, _ = picture.masks.read(*size)
        if masks and own is None:
            if picture.boxes is not None and len(picture.boxes):
                raise DataError(f"the picture {picture.id} has boxes without masks; expected a mask for each thing")
            own = Masks(torch.zeros(size, dtype=torch.int32), 0)
        found.append(TrueThings(size, Boxes.of([]) if picture.boxes is None else picture.boxes, own))
    return found


def coco_dataset(
    things: Sequence[TrueThings], classes: Sequence[str], *, names: Sequence[str] | None = None
) -> dict[str, Any]:
    """Return what is there as COCO's data sets have it: "images", "annotations", "categories".

    Pictures are numbered from 0 in their order, categories from 1, annotations from 1.

    Args:
        things: of each picture.
        classes: names.
        names: of the pictures' files.

    Example:
        >>> made = coco_dataset([TrueThings((60, 80), Boxes.of([[1, 2, 11, 22]]))], ("cat",))
        >>> made["annotations"][0]["bbox"], made["categories"]
        ([1.0, 2.0, 10.0, 20.0], [{'id': 1, 'name': 'cat'}])
    """
    images: list[dict[str, Any]] = []
    annotations: list[dict[str, Any]] = []
    for number, one in enumerate(things):
        image: dict[str, Any] = {"id": number, "height": one.size[0], "width": one.size[1]}
        images.append(image if names is None else image | {"file_name": names[number]})
        areas = one.boxes.areas if one.masks is None else one.masks.areas
        for place, (corners, label, crowd, area) in enumerate(
            zip(
                one.boxes.xyxy.tolist(), one.boxes.labels.tolist(), one.boxes.crowd.tolist(), areas.tolist(),
                strict=True,
            )
        ):  # fmt: skip
            entry = {
                "id": len(annotations) + 1,
                "image_id": number,
                "category_id": label + 1,
                "bbox": _bbox(corners),
                "area": float(area),
                "iscrowd": int(crowd),
            }
            if one.masks is not None:
                entry["segmentation"] = rle_of(one.masks, place)
            annotations.append(entry)
    categories = [{"id": number, "name": name} for number, name in enumerate(classes, 1)]
    return {"images": images, "annotations": annotations, "categories": categories}


def coco_results(found: Sequence[FoundThings]) -> list[dict[str, Any]]:
    """Return what was found in pictures as COCO's results; pictures are numbered as `coco_dataset` does.

    Example:
        >>> coco_results([FoundThings.of((60, 80), []), FoundThings.of((60, 80), [[0, 0, 8, 9]])])
        [{'image_id': 1, 'category_id': 1, 'bbox': [0.0, 0.0, 8.0, 9.0], 'score': 1.0}]
    """
    return [entry for number, one in enumerate(found) for entry in one.to_coco(number)]


def from_coco(entries: Sequence[Mapping[str, Any]], size: tuple[int, int]) -> FoundThings:
    """Return the things of one picture from entries of COCO's results.

    Args:
        entries: them.
        size: (H, W) of the picture.

    Raises:
        DataError: an entry lacks a field, or some have masks and others none.

    Example:
        >>> entries = FoundThings.of((6, 8), [[1, 1, 5, 4]], scores=[0.25]).to_coco(3)
        >>> found = from_coco(entries, (6, 8))
        >>> found.boxes.tolist(), found.scores.tolist()
        ([[1.0, 1.0, 5.0, 4.0]], [0.25])
    """
    lacking = Counter(name for one in entries for name in ("category_id", "bbox", "score") if name not in one)
    masked = sum("segmentation" in one for one in entries)
    if lacking or masked not in (0, len(entries)):
        what = f"{next(iter(lacking))!r} is missing" if lacking else f"{masked} of {len(entries)} have a segmentation"
        raise DataError(f"results arrived in which {what}; expected category_id, bbox and score of each thing")
    corners = torch.tensor([one["bbox"] for one in entries], dtype=torch.float32).reshape(-1, 4)
    corners[:, 2:] += corners[:, :2]
    masks = None
    if masked:
        runs = [read_runs(one["segmentation"]["counts"], one["segmentation"]["size"]) for one in entries]
        masks = Masks.of_stack(torch.from_numpy(fill_outlines(runs, *size)))
    labels = [int(one["category_id"]) - 1 for one in entries]
    return FoundThings.of(size, corners, labels, [float(one["score"]) for one in entries], masks)


def rle_of(masks: Masks, number: int) -> dict[str, Any]:
    """Return the mask of one thing as COCO's packed runs of pixels (RLE).

    Example:
        >>> rle_of(Masks(torch.tensor([[0, 1], [0, 1]], dtype=torch.int32), 1), 0)
        {'size': [2, 2], 'counts': '22'}
    """
    values = masks.values
    mask = values[number] if masks.is_stack else values == number + 1
    return {"size": list(mask.shape), "counts": write_runs(runs_of(mask.numpy()))}


def _bbox(corners: Sequence[float]) -> list[float]:
    left, top, right, bottom = corners
    return [round(value, 2) for value in (left, top, right - left, bottom - top)]
