"""Data sets of pictures with masks in files beside them: a file a thing, or a file in which pixels have numbers."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import numpy as np

from ...errors import DataError, DataFinding, Place, Remedy
from ..sentences import listed, sentence
from .outlines import ClassFile, MaskFile
from .picture_entries import Drawn, Entry, Found
from .picture_files import COLOUR, read_values
from .picture_names import entry_id, part_of

if TYPE_CHECKING:
    import numpy.typing as npt

MaskValues = Literal["auto", "instances", "classes"]
_OF_THINGS = {"instances", "instance", "instance_masks", "segmentationobject"}
_OF_CLASSES = {"segmentationclass", "segmentationclassraw", "semantic", "semantic_masks", "class_masks"}
_EITHER = {"masks", "mask", "labels", "label", "annotations", "annotation", "gt", "groundtruth", "ground_truth", "seg",
           "segmentation", "segmentations", "labelled", "targets"}  # fmt: skip
_FOLDERS = _OF_THINGS | _OF_CLASSES | _EITHER
_ENDING = re.compile(
    r"[ _.-]+(mask|masks|seg|segmentation|label|labels|gt|instance|instances|annotation|groundtruth)([ _-]?\d+)?$", re.I
)
FOREGROUND = "foreground"  # the name of the only class of masks that hold 1, or 255, alone
_NOT_JUDGED = 255  # in a file of classes, as the void of Pascal VOC
_LEVEL = 128  # from which on a pixel of a mask saved as JPEG counts


def is_mask(file: Path, root: Path) -> bool:
    """Return whether a file is a mask, by its name or its folder's.

    Example:
        >>> [is_mask(Path(f"s/{name}"), Path("s")) for name in ("masks/a.png", "a_mask.png", "images/a.png")]
        [True, True, False]
    """
    folders = file.relative_to(root).parts[:-1]
    return any(name.lower() in _FOLDERS for name in folders) or _ENDING.search(file.stem) is not None


def match_masks(root: Path, files: Sequence[Path]) -> tuple[dict[Path, list[Path]], list[Path]]:
    """Return the masks of each picture, and masks that belong to none.

    A mask belongs to the picture of its own name, or of its name without an ending such as ``_mask``; else to the one
    whose name its folder has, or begins its name; else to the only picture beside its folder.
    """
    pictures = [file for file in files if not is_mask(file, root)]
    found: dict[Path, list[Path]] = {picture: [] for picture in pictures}
    scopes: dict[tuple[str, ...], dict[str, Path]] = defaultdict(dict)
    for picture in pictures:
        scopes[_scope(picture, root)][picture.stem] = picture
    lost: list[Path] = []
    for mask in (file for file in files if is_mask(file, root)):
        scope: tuple[str, ...] | None = _scope(mask, root)
        names: dict[str, Path] = {}
        while not names and scope is not None:  # the nearest folder that holds pictures, from the mask's own outwards
            names = scopes.get(scope, {})
            scope = scope[:-1] if scope else None
        owner = _picture_of(mask, names)
        if owner is None:
            lost.append(mask)
        else:
            found[owner].append(mask)
    return found, lost


def read_masks(root: Path, files: Sequence[Path], values: MaskValues, classes: Sequence[str] | None) -> Found:
    """Read pictures with masks beside them.

    Several masks of a picture are a thing each: all pixels that are not 0. In one mask, the pixels have the numbers of
    things ("instances"), or of classes ("classes"), and 0 where nothing is; 255 among classes is not judged. Where
    masks are in colours, each colour but black is a thing or a class, white too.

    Args:
        root: the folder.
        files: all pictures and masks in it.
        values: what the numbers in single masks mean; "auto": by the names of folders, else by the numbers.
        classes: their names, if the user gave them.

    Raises:
        DataError: a mask cannot be read.
    """
    masks, lost = match_masks(root, files)
    alone: dict[Path, Path] = {}  # the only mask of a picture -> the picture
    entries = {}
    for picture, own in masks.items():
        entries[picture] = Entry(picture, part=part_of(picture, root), id=entry_id(picture, root))
        things = [mask for mask in own if _kind(mask, root) != "classes"]
        of_classes = [mask for mask in own if _kind(mask, root) == "classes"]
        if own:
            entries[picture].drawn = Drawn()
        if len(things) > 1:
            for mask in things:
                _drawn(entries[picture]).add(_name(classes), None, MaskFile(mask))
        for mask in (*(things if len(things) == 1 else ()), *of_classes[:1]):
            alone[mask] = picture
    numbers: dict[Path, set[int]] = {}
    unreadable = set()
    for mask in alone:
        try:
            numbers[mask] = set(np.unique(mask_values(mask)).tolist())
        except DataError:
            numbers[mask] = set()
            unreadable.add(mask)
    told: list[str] = []
    by_name = {mask: _kind(mask, root) for mask in alone}
    guessed = _guess([numbers[mask] for mask, kind in by_name.items() if kind == "either"])
    if values == "auto" and "either" in by_name.values():
        told.append(_told(guessed))
    kinds: dict[Path, str] = {
        mask: values if values != "auto" else guessed if kind == "either" else kind for mask, kind in by_name.items()
    }
    of_classes = [mask for mask, kind in kinds.items() if kind == "classes"]
    there = sorted(set().union(*(numbers[mask] for mask in of_classes)) - {0})
    coloured = any(number >= COLOUR for number in there)
    judged = [number for number in there if number != _NOT_JUDGED or coloured or len(there) == 1]
    names = _class_names(judged, classes, root)
    if coloured and classes is None:
        problem = f"The masks are in colours, and each colour but black is taken for a class: {listed(names)}"
        told.append(DataFinding.of(problem, Remedy("classes", purpose="to name them, in this order")))
    for mask, picture in alone.items():
        drawn = _drawn(entries[picture])
        if kinds[mask] == "classes":
            drawn.class_file = ClassFile(mask, tuple((number, place) for place, number in enumerate((0, *judged))))
        else:
            # A mask that cannot be read is reported where it is read again.
            for number in sorted(numbers[mask] - {0}) if mask not in unreadable else [1]:
                drawn.add(_name(classes), None, MaskFile(mask, number))
    if lost:
        phrase = ("belongs to no picture, and is left out", "belong to no picture, and are left out")
        told.append(sentence(phrase, [mask.name for mask in lost], len(lost) + sum(map(len, masks.values())), "masks"))
    known = tuple(names) if of_classes else (_name(classes),)
    return Found("masks", list(entries.values()), known, told)


def mask_values(file: Path) -> npt.NDArray[np.int64]:
    """Return the numbers of a mask's pixels, int64 [H, W]; of a JPEG, whose values are blurred, 0 and 1."""
    found = read_values(file)
    if file.suffix.lower() in (".jpg", ".jpeg", ".jfif"):
        gray = np.maximum.reduce([found & 255, found >> 8 & 255, found >> 16 & 255])
        marked: npt.NDArray[np.int64] = (gray >= _LEVEL).astype(np.int64)
        return marked
    return found


def _scope(file: Path, root: Path) -> tuple[str, ...]:
    """Return the folders that a picture and its masks have in common: those around ``images`` and ``masks``."""
    folders = file.relative_to(root).parts[:-1]
    kept = []
    for name in folders:
        if name.lower() in _FOLDERS:
            break
        kept.append(name)
    return tuple(name for name in kept if name.lower() not in ("images", "image", "imgs", "jpegimages", "pictures"))


def _picture_of(mask: Path, names: dict[str, Path]) -> Path | None:
    plain = _ENDING.sub("", mask.stem)
    for stem in (mask.stem, plain, mask.parent.name):
        if stem in names:
            return names[stem]
    begins = [stem for stem in names if mask.stem.startswith(stem) and mask.stem[len(stem) : len(stem) + 1] in "_-. "]
    if begins:
        return names[max(begins, key=len)]
    return next(iter(names.values())) if len(names) == 1 else None


def _kind(mask: Path, root: Path) -> str:
    """Return what the numbers in a mask mean, by the names of its folders: "instances", "classes" or "either"."""
    folders = {name.lower() for name in mask.relative_to(root).parts[:-1]}
    return "instances" if folders & _OF_THINGS else "classes" if folders & _OF_CLASSES else "either"


def _drawn(entry: Entry) -> Drawn:
    assert entry.drawn is not None
    return entry.drawn


def _name(classes: Sequence[str] | None) -> str:
    return classes[0] if classes else "object"


def _guess(numbers: Sequence[set[int]]) -> str:
    """Return what the numbers of single masks mean: things are numbered from 1 on, another count in each picture."""
    found = [one - {0} for one in numbers]
    counts = [len(one) for one in found]
    many = [one for one in found if len(one) > 1]
    if not many:
        return "classes"
    from_one = sum(one == set(range(1, len(one) + 1)) for one in many)
    highest = max(max(one) for one in many)
    if from_one >= 0.9 * len(many) and len(set(counts)) > 1 and highest > 5:
        return "instances"
    return "instances" if len(set().union(*found)) > 64 else "classes"


def _told(kind: str) -> DataFinding:
    what, other = ("things", "classes") if kind == "instances" else ("classes", "instances")
    problem = f"The numbers in the masks are taken for those of {what}"
    return DataFinding.of(problem, Remedy("mask_values", other, "if they are not"))


def _class_names(numbers: Sequence[int], classes: Sequence[str] | None, root: Path) -> list[str]:
    """Return the names of classes by rising numbers."""
    if classes is None:
        if len(numbers) == 1 and numbers[0] in (1, _NOT_JUDGED):
            return [FOREGROUND]
        return _numbers_as_names(numbers)
    if len(classes) < len(numbers):
        raise DataError(
            f"the masks hold {len(numbers)} classes ({listed(_numbers_as_names(numbers))}), and classes="
            f"{list(classes)} names {len(classes)}; expected a name for each number but 0, in rising order",
            Place(str(root)),
            Remedy("classes"),
        )
    return list(classes)


def _numbers_as_names(numbers: Sequence[int]) -> list[str]:
    """Return the numbers as they are, or where some are colours all as colours.

    Example:
        >>> _numbers_as_names([1, 2]), _numbers_as_names([255, COLOUR + 255])
        (['1', '2'], ['#ffffff', '#0000ff'])
    """
    if not any(number >= COLOUR for number in numbers):
        return [str(number) for number in numbers]
    return [f"#{number - COLOUR if number >= COLOUR else 0x010101 * number:06x}" for number in numbers]
