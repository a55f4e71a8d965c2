"""The pictures of a run that names pixels or separates things: read, divided, and with what is true of them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING, ClassVar, Literal

from rnnkit.data.sentences import sentence
from rnnkit.errors import DataError
from rnnkit.recipes.picture_data import TAUGHT, PictureData

if TYPE_CHECKING:
    from torch import Tensor

    from rnnkit.data.images import Boxes, Picture, PictureSet, Sample
    from rnnkit.data.images.picture_files import Mode
    from rnnkit.tasks.found_things import TrueThings

_MOST = 255  # classes


@dataclass(frozen=True)
class SegmentData(PictureData):
    """Pictures with masks, and how they are divided.

    Attributes:
        path: a folder or an archive of pictures with their masks, or COCO's JSON with outlines; see
            ``rnnkit.data.images.read_pictures``. A name that is not here is looked for in the folder RNNKIT_DATA.
        layout: how the pictures and their masks lie; auto looks.
        mask_values: what the numbers in a mask file mean: classes, things (instances); auto takes the folders' names,
            else guesses, and says so.
    """

    arguments: ClassVar[tuple[str, ...]] = ("layout", "group", "mask_values")

    layout: Literal["auto", "masks", "coco", "yolo"] = "auto"
    mask_values: Literal["auto", "instances", "classes"] = "auto"

    def reader(self) -> Callable[..., PictureSet]:
        """Return the function that finds what lies at a path."""
        from rnnkit.data.images import read_pictures

        return partial(read_pictures, mask_values=self.mask_values)


@dataclass(frozen=True)
class InstancesData(SegmentData):
    """Pictures with masks of things, and how they are divided."""

    mask_values: Literal["auto", "instances", "classes"] = "instances"


@dataclass(frozen=True)
class PixelItems:
    """Pictures with what is true of them, in the numbers of a network's classes.

    Attributes:
        pictures: the set.
        classes: names without the background.
        numbers: the number in `classes` of each class of the set.
    """

    pictures: PictureSet
    classes: tuple[str, ...]
    numbers: tuple[int, ...]

    def __len__(self) -> int:
        return len(self.pictures)

    @property
    def names(self) -> list[str]:
        """The id of each picture."""
        return [one.id for one in self.pictures]

    def image(self, index: int, mode: Mode) -> Tensor:
        """Return a picture as its file has it, [I, H, W] in [0, 1]."""
        from rnnkit.data.images.picture_files import read_pixels, to_float

        return to_float(read_pixels(self.pictures[index].path, mode=mode))

    @property
    def source(self) -> str:
        """Where the pictures came from."""
        return self.pictures.source

    def sample(self, index: int, mode: Mode) -> Sample:
        """Return a picture with what is true of it, as it is learned from."""
        from rnnkit.tasks.segmentation_batches import renumbered

        found = self.pictures.sample(index, mode)
        class_map = None if found.class_map is None else renumbered(found.class_map, self.numbers)
        return replace(found, boxes=self._renumbered(found.boxes), class_map=class_map)

    def class_map(self, index: int) -> Tensor:
        """Return the class of each pixel, int64 [H, W]; below 0 where it is not judged."""
        from rnnkit.tasks.segmentation_batches import renumbered, true_class_map

        return renumbered(true_class_map(self.pictures[index]), self.numbers)

    def things(self, index: int) -> TrueThings:
        """Return the things of a picture with their masks."""
        from rnnkit.tasks.found_things import true_things

        [found] = true_things(self.pictures[index : index + 1], masks=True)
        boxes = self._renumbered(found.boxes)
        assert boxes is not None
        return found._replace(boxes=boxes)

    def _renumbered(self, boxes: Boxes | None) -> Boxes | None:
        import torch

        if boxes is None or not len(boxes):
            return boxes
        return replace(boxes, labels=torch.tensor(self.numbers)[boxes.labels])

    def subset(self, rows: Iterable[int]) -> PixelItems:
        """Return some of the pictures."""
        return replace(self, pictures=self.pictures.subset(rows))

    def fingerprint(self) -> str:
        """Return a digest of all items."""
        return f"{self.pictures.fingerprint()} {self.numbers}"


def with_masks(pictures: PictureSet, *, things: bool) -> tuple[PictureSet, list[str]]:
    """Return the pictures of which it is known what is in them, and sentences about the others.

    A picture whose annotation says that nothing is there is kept.

    Args:
        pictures: them.
        things: whether things have to be separated.

    Raises:
        DataError: none is left.
    """
    lacking, of_classes = [], []
    kept = []
    for number, picture in enumerate(pictures):
        if not _known(picture):
            lacking.append(picture.id)
        elif things and picture.masks is not None and picture.masks.things is None and not picture.masks.outlines:
            of_classes.append(picture.id)
        else:
            kept.append(number)
    findings = []
    for phrase, names in (
        (("has no mask", "have no mask"), lacking),
        (("has a mask of classes, which separates no things", "have masks of classes"), of_classes),
    ):
        if names:
            findings.append(sentence(phrase, names, len(pictures), "pictures") + " Left out.")
    if not kept:
        told = " ".join((*pictures.findings, *findings))
        remedy = (
            "give each thing a number of its own in the mask, or a mask file of its own"
            if of_classes
            else "put the mask of a.png into masks/a.png, or name COCO's JSON with outlines"
        )
        raise DataError(f"{pictures.source}: no picture with a mask is left. {told} {remedy[0].upper()}{remedy[1:]}")
    return pictures.subset(kept), findings


def check_classes(pictures: PictureSet) -> tuple[str, ...]:
    """Return the classes of the pictures to learn from.

    Raises:
        DataError: there is none, or there are more than a mask of bytes can hold.
    """
    classes = pictures.classes
    nothing = all(one.boxes is not None and not len(one.boxes) for one in pictures)
    if not classes or nothing:
        raise DataError(f"{pictures.source}: the masks are empty; expected pixels above 0 where something is")
    if len(classes) > _MOST:
        raise DataError(
            f"{pictures.source}: the masks hold {len(classes):,} classes; expected at most {_MOST}. If their "
            "numbers are those of things, type --set data.mask_values=instances"
        )
    return classes


def in_names_of(pictures: PictureSet, classes: Sequence[str]) -> PictureSet:
    """Return pictures with masks whose class 1 has the name that it has among a network's classes, and report that.

    Masks that hold the number 1 alone call it "foreground", others "1": so the same class may have two names.

    Args:
        pictures: with masks.
        classes: names of the network.
    """
    from rnnkit.data.images.mask_folders import FOREGROUND

    for name, other in ((FOREGROUND, "1"), ("1", FOREGROUND)):
        if pictures.layout == "masks" and name in pictures.classes and name not in classes and other in classes:
            told = f"The class {name} of the masks is taken for the class {other} of the network."
            names = tuple(other if one == name else one for one in pictures.classes)
            return replace(pictures, classes=names, findings=(*pictures.findings, told))
    return pictures


def items_of(pictures: PictureSet, classes: Sequence[str], instead: str = TAUGHT) -> PixelItems:
    """Return pictures in the numbers of a network's classes.

    Args:
        pictures: with masks.
        classes: names of the network.
        instead: what to do where it lacks one.

    Raises:
        DataError: the pictures hold a class that the network has not.
    """
    pictures = in_names_of(pictures, classes)
    lacking = [name for name in pictures.classes if name not in classes and _occurs(pictures, name)]
    if lacking:
        known = ", ".join(classes)
        raise DataError(
            f"{pictures.source} holds the class {lacking[0]!r}, which the network does not know; its classes are: "
            f"{known}. {instead}"
        )
    numbers = tuple(classes.index(name) if name in classes else 0 for name in pictures.classes)
    return PixelItems(pictures, tuple(classes), numbers)


def _known(picture: Picture) -> bool:
    """Return whether it is known which pixels of a picture belong to what."""
    return picture.masks is not None or (picture.boxes is not None and not len(picture.boxes))


def _occurs(pictures: PictureSet, name: str) -> bool:
    """Return whether a class is drawn in a picture; of class maps, which are not unpacked, it is taken for granted."""
    number = pictures.classes.index(name)
    return any(
        (one.masks is not None and one.masks.class_map is not None)
        or (one.boxes is not None and bool((one.boxes.labels == number).any()))
        for one in pictures
    )
