"""The pictures of a run of detection: read, divided, and with what is true of them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING, Any, Literal

from rnnkit.data.sentences import sentence
from rnnkit.errors import DataError
from rnnkit.recipes.picture_data import TAUGHT, PictureData

if TYPE_CHECKING:
    from torch import Tensor

    from rnnkit.data.images import Boxes, PictureSet
    from rnnkit.tasks.found_things import TrueThings


@dataclass(frozen=True)
class DetectData(PictureData):
    """Pictures with boxes, and how they are divided.

    Attributes:
        path: a folder, table or archive of pictures with boxes, in any layout of
            ``rnnkit.data.images.read_pictures``. A name that is not here is looked for in the folder RNNKIT_DATA.
        layout: how the pictures and their boxes lie; auto looks.
    """

    layout: Literal["auto", "coco", "voc", "yolo", "table", "masks"] = "auto"

    def reader(self) -> Callable[..., PictureSet]:
        """Return the function that finds what lies at a path; the numbers in masks are those of things."""
        from rnnkit.data.images import read_pictures

        return partial(read_pictures, mask_values="instances")


class DetectItems:
    """Pictures with what is true of them, in the numbers of a detector's classes.

    Args:
        pictures: the set; its class n is that of the same number of the detector.
    """

    def __init__(self, pictures: PictureSet) -> None:
        from rnnkit.tasks.found_things import true_things

        self.pictures = pictures
        self.truth: list[TrueThings] = true_things(pictures)

    def __len__(self) -> int:
        return len(self.pictures)

    @property
    def names(self) -> list[str]:
        """The id of each picture."""
        return [one.id for one in self.pictures]

    def image(self, index: int) -> Tensor:
        """Return a picture, [3, H, W] in [0, 1], maybe scaled down."""
        return self.pictures.image(index)

    def subset(self, rows: Sequence[int]) -> DetectItems:
        """Return some of the pictures."""
        found = DetectItems.__new__(DetectItems)
        found.pictures = self.pictures.subset(rows)
        found.truth = [self.truth[row] for row in rows]
        return found

    def fingerprint(self) -> str:
        """Return a digest of all items."""
        return self.pictures.fingerprint()


def with_boxes(pictures: PictureSet) -> tuple[PictureSet, list[str]]:
    """Return the pictures of which it is known what is in them, and sentences about the others.

    Raises:
        DataError: none is left, or there is no box in any.
    """
    lacking = [one.id for one in pictures if one.boxes is None]
    findings = []
    if lacking:
        told = sentence(("has no annotation", "have no annotation"), lacking, len(pictures), "pictures")
        findings.append(f"{told} Left out; what shows nothing needs an annotation that says so.")
    kept = pictures.subset(lambda one: one.boxes is not None)
    if not any(bool((~one.boxes.crowd).any()) for one in kept if one.boxes is not None):
        if any(len(one.boxes) for one in kept if one.boxes is not None):
            findings.append("All boxes are marked as crowds or as difficult, which are neither learnt nor counted.")
        told = " ".join(("no picture with a box is left.", *pictures.findings, *findings))
        raise DataError(
            f"{pictures.source}: {told} Put boxes beside the pictures, as COCO's JSON, XML files of Pascal VOC, text "
            "files of YOLO, or a table with the columns file, xmin, ymin, xmax, ymax and class"
        )
    return kept, findings


def in_classes(pictures: PictureSet, classes: Sequence[str], instead: str = TAUGHT) -> PictureSet:
    """Return the same pictures with their boxes in the numbers of other classes.

    Args:
        pictures: with boxes.
        classes: names of a detector.
        instead: what to do where it lacks one.

    Raises:
        DataError: boxes of a class that the detector has not.
    """
    if tuple(pictures.classes) == tuple(classes):
        return pictures
    counts = pictures.box_counts
    unknown = [name for name in pictures.classes if name not in classes and counts[name]]
    if unknown:
        raise DataError(
            f"{pictures.source} has boxes of the class {unknown[0]!r}, which the detector does not know; its classes "
            f"are {', '.join(classes)}. {instead}"
        )
    numbers = [classes.index(name) if name in classes else 0 for name in pictures.classes]
    return replace(
        pictures,
        pictures=tuple(replace(one, boxes=_renumbered(one.boxes, numbers)) for one in pictures),
        classes=tuple(classes),
    )


def most_in_a_cell(pictures: PictureSet, size: int, stride: int) -> int:
    """Return the most boxes whose middles lie in one cell of the grid over a picture.

    Args:
        pictures: with boxes.
        size: pixels of the longer side, to which pictures are scaled.
        stride: the side of a cell in pixels of the scaled picture.
    """
    import torch

    most = 0
    for one in pictures:
        if one.boxes is None:
            continue
        factor = size / max(one.height, one.width) / stride
        corners = one.boxes.xyxy[~one.boxes.crowd]
        middles = ((corners[:, :2] + corners[:, 2:]) / 2 * factor).floor().long()
        if not len(middles):
            continue
        most = max(most, int(torch.unique(middles, dim=0, return_counts=True)[1].max()))
    return most


def without_judging(pictures: PictureSet, labels: Sequence[int]) -> PictureSet:
    """Return the same pictures, in which some classes are neither learned nor counted, because they were not labelled.

    Args:
        pictures: with boxes.
        labels: numbers of the classes.
    """
    import torch

    from rnnkit.data.images import Boxes

    if not labels:
        return pictures

    def more(boxes: Boxes | None, width: int, height: int) -> Boxes:
        known = Boxes.of([]) if boxes is None else boxes
        whole = Boxes.of([[0, 0, width, height]] * len(labels), list(labels), [True] * len(labels))
        return Boxes(
            *(torch.cat([getattr(one, name) for one in (known, whole)]) for name in ("xyxy", "labels", "crowd"))
        )

    return replace(
        pictures,
        pictures=tuple(replace(one, boxes=more(one.boxes, one.width, one.height)) for one in pictures),
    )


def _renumbered(boxes: Boxes | None, numbers: list[int]) -> Any:
    import torch

    return None if boxes is None else replace(boxes, labels=torch.tensor(numbers, dtype=torch.int64)[boxes.labels])
