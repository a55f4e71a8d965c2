"""The pictures of a run that learns classes: read, divided, held in memory, and what is found in them."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar, Literal, NamedTuple

from rnnkit.data.sentences import UNREADABLE, sentence
from rnnkit.errors import DataError
from rnnkit.recipes.picture_data import PictureData, divide_pictures, of_classes
from rnnkit.recipes.wording import warn_of

if TYPE_CHECKING:
    from rnnkit.data.images import PictureSet
    from rnnkit.data.images.held import HeldPictures
    from rnnkit.tasks.picture_classes import PictureNamer
    from rnnkit.tasks.picture_settings import PictureNetwork

_CACHE = 512  # megabytes of decoded pictures while a run is prepared
_LONGEST = 4  # times the network's size: larger pictures are scaled down before they are kept


@dataclass(frozen=True)
class ClassData(PictureData):
    """Pictures with classes, and how they are divided.

    Attributes:
        layout: how the pictures lie: a folder for each class (labels), or a table; auto looks.
        label_column: of a table, the column of the class.
    """

    columns: ClassVar[tuple[str, ...]] = ("path_column", "label_column", "group_column", "part_column")

    layout: Literal["auto", "labels", "table"] = "auto"
    label_column: str | None = None


class ClassParts(NamedTuple):
    """The pictures of a run, in memory.

    Attributes:
        train, validation, test: the parts; None for one that there is not.
        classes: of the training part.
        findings: sentences about the files, pictures and labels.
        division: a sentence about how the parts were made.
        digests: of each path as it was read.
    """

    train: HeldPictures
    validation: HeldPictures | None
    test: HeldPictures | None
    classes: tuple[str, ...]
    findings: list[str]
    division: str
    digests: dict[str, str]


def divide(data: ClassData, model: PictureNetwork) -> ClassParts:
    """Read, divide and hold the pictures of a run.

    Args:
        data: the settings.
        model: whose size and colours the pictures get.

    Raises:
        ConfigError: no path. DataError: pictures that cannot be read or divided, or no classes.
    """
    from rnnkit.data.images import picture_findings
    from rnnkit.data.images.held import hold_pictures
    from rnnkit.data.labels import sorted_classes

    parts = divide_pictures(data, "classify-images", with_labels)
    sets = {"train": parts.train, "validation": parts.validation, "test": parts.test}
    read = {name: one.cached(_CACHE, longest=_LONGEST * model.size) for name, one in sets.items() if one is not None}
    classes = sorted_classes([picture.label for picture in read["train"]])
    check_classes(classes, data.path)
    findings = [*parts.findings, *picture_findings(*read.values())]
    held: dict[str, HeldPictures] = {}
    for name, pictures in read.items():
        pictures, told = of_classes(pictures, classes, name)
        findings += told
        found, damaged = hold_pictures(
            pictures, classes, (model.size, model.size), mode="RGB" if model.mode == "rgb" else "L"
        )
        if damaged:
            unread = sentence(UNREADABLE, damaged, len(pictures), "pictures")
            findings.append(f"{name}: {unread}")
        if found is None:
            raise DataError(f"{pictures.source}: no picture of the part {name} can be read. {' '.join(findings)}")
        held[name] = found
    return ClassParts(
        held["train"], held.get("validation"), held.get("test"), classes, findings, parts.division, parts.digests
    )


def with_labels(pictures: PictureSet) -> tuple[PictureSet, list[str]]:
    """Return the pictures whose classes are known, and sentences about the others.

    Args:
        pictures: them.

    Raises:
        DataError: none is left.
    """
    lacking = [one.id for one in pictures if one.label is None]
    if not lacking:
        return pictures, []
    told = sentence(("has no class", "have no class"), lacking, len(pictures), "pictures") + " Left out."
    kept = pictures.subset(lambda one: one.label is not None)
    if not len(kept):
        folders = {one.id.split("/")[0] for one in pictures if "/" in one.id}
        if len(folders) == 1:
            told += f" All of them lie in the folder {folders.pop()}; expected two or more folders with pictures."
        raise DataError(
            f"{pictures.source}: no picture with a class is left. {' '.join((*pictures.findings, told))} Put them "
            "into a folder for each class, such as cat/1.jpg, or name a table with the columns path and label"
        )
    return kept, [told]


def check_classes(classes: tuple[str, ...], source: str | Path | None) -> None:
    """Raise DataError for fewer than two classes."""
    if len(classes) < 2:
        raise DataError(f"{source}: all pictures are of the class {classes[0]!r}; expected two classes or more")


def hold_new(pictures: PictureSet, namer: PictureNamer, *, known: bool) -> tuple[HeldPictures, list[str]]:
    """Return the pictures that a trained run is given, as its network takes them, and the names of all classes.

    Args:
        pictures: them.
        namer: of the run.
        known: whether a class that the network lacks is an error; else it joins the classes after them.

    Raises:
        DataError: an unknown class, or no picture that can be read.
    """
    import torch

    from rnnkit.data.images.held import HeldPictures
    from rnnkit.data.labels import sorted_classes

    pictures, told = with_labels(pictures)
    found = sorted_classes([one.label for one in pictures])
    new = [name for name in found if name not in namer.classes]
    if new and known:
        shown = ", ".join(namer.classes[:10]) + (" …" if len(namer.classes) > 10 else "")
        raise DataError(
            f"{pictures.source} has pictures of {', '.join(map(repr, new[:5]))}, which the model does not know; it "
            f"knows {shown}"
        )
    classes = [*namer.classes, *new]
    numbers = {name: number for number, name in enumerate(classes)}
    kept, labels, names, damaged = [], [], [], []
    for one in pictures:
        try:
            kept.append(namer.pixels(one.path))
        except DataError:
            damaged.append(one.id)
            continue
        labels.append(numbers[str(one.label)])
        names.append(one.id)
    if not kept:
        raise DataError(f"{pictures.source}: no picture can be read, such as {damaged[0]}")
    if damaged:
        told.append(sentence(UNREADABLE, damaged, len(pictures), "pictures"))
    warn_of(pictures, told)
    return HeldPictures(torch.stack(kept), torch.tensor(labels), names), classes
