"""What the pixels and labels of pictures show: doubled pictures, leaks between parts, doubtful labels; as sentences."""

from __future__ import annotations

import hashlib
from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor

from ...errors import DataError
from ..sentences import Phrase, listed, sentence
from .colours import gray_of
from .moves import resize_image
from .picture_files import Mode, to_float
from .pictures import Picture, PictureSet

if TYPE_CHECKING:
    import numpy.typing as npt

_SIDE = 32  # of the small gray picture by which pictures are compared
_ALIKE = 0.995  # correlation of two small pictures from which on they are nearly the same
_FLAT = 0.004  # standard deviation below which a picture shows nothing: one step of 8 bits
_DARK = 0.1  # a picture of 16 bits whose largest value is below that uses few of its values
_FEW = 10  # examples of a class
_TINY = 4.0  # pixels of a box's side
_USUAL = 3  # boxes in the middle picture, from which on a picture without any is doubtful
_UNREADABLE = ("cannot be read", "cannot be read")
_EMPTY = ("shows one colour alone", "show one colour alone")
_DIM = (
    "has more than 8 bits and uses the lowest tenth of its values; multiply them first, or type white= in read_picture",
    "have more than 8 bits and use the lowest tenth of their values; multiply them first, or type white= in "
    "read_picture",
)


@dataclass
class Seen:
    """A picture or a clip that was looked at.

    Attributes:
        name: of it.
        part: of the data set in which it is.
        digest: of its pixels.
        known: its label, or what else is known of it.
        small: a small gray picture, to find those that are nearly the same; None: it is compared by its digest alone.
    """

    name: str
    part: str | None
    digest: bytes
    known: object = None
    small: npt.NDArray[np.float32] | None = None


def picture_findings(*sets: PictureSet, most: int | None = 2000, mode: Mode = "RGB") -> list[str]:
    """Look at pictures and their labels, and name what is doubtful.

    Args:
        *sets: one set, or the parts that it was split into: (train, test).
        most: so many pictures are read, spread evenly over the sets; None: all. Labels and boxes are looked at in all.
        mode: how they are read: "RGB", or "L" in gray.

    Returns:
        Sentences about pictures that are the same or nearly so, in one part or in several; that are the same and have
        unlike labels; that are damaged, of one colour, or dark; pictures without boxes beside full ones; classes with
        few examples, or with names that differ by small and capital letters alone; tiny boxes. [] where there is
        nothing to say. What headers and annotations say is in ``pictures.findings``.

    Example:
        >>> import pathlib, tempfile
        >>> from PIL import Image
        >>> from rnnkit.data.images import read_pictures
        >>> folder = pathlib.Path(tempfile.mkdtemp())
        >>> for name, value in {"cat/1": 10, "cat/2": 90, "Cat/1": 200}.items():
        ...     (folder / name).parent.mkdir(exist_ok=True)
        ...     Image.radial_gradient("L").point(lambda one: one * value // 255).save(folder / f"{name}.png")
        >>> for said in picture_findings(read_pictures(folder)):
        ...     print(said)
        3 pictures are nearly the same as another one: Cat/1 = cat/1 = cat/2. Keep them in one part of a split.
        1 such picture has different labels: Cat/1 = cat/1 = cat/2.
        2 of 2 classes have fewer than 10 examples: Cat (1), cat (2).
        Some names of classes differ by small and capital letters, spaces or marks alone: Cat = cat. Are they the same?
    """
    names = _part_names(sets)
    rows = [(part, number) for part, pictures in enumerate(sets) for number in range(len(pictures))]
    count = len(rows) if most is None else min(most, len(rows))
    chosen = [rows[place * len(rows) // count] for place in range(count)] if count else []
    found: dict[Phrase, list[str]] = defaultdict(list)
    seen = []
    for part, number in chosen:
        picture = sets[part][number]
        try:
            pixels = sets[part].pixels(number, mode)
        except DataError as error:
            found[_UNREADABLE].append(f"{picture.id} ({error.problem})")
            continue
        gray = gray_of(to_float(pixels))
        small = resize_image(gray, _SIDE, _SIDE).numpy().ravel()
        flat = float(gray.std(correction=0)) < _FLAT
        if flat:
            found[_EMPTY].append(picture.id)
        elif pixels.dtype != torch.uint8 and float(pixels.max()) < _DARK:
            found[_DIM].append(picture.id)
        shown = None if flat else small
        seen.append(Seen(picture.id, names[part] or picture.part, digest_of(pixels), _known(picture), shown))
    said = [sentence(phrase, ids, count, "pictures") for phrase, ids in found.items()]
    return said + equal_findings(seen) + _of_labels(sets) + _of_boxes(sets)


def _part_names(sets: Sequence[PictureSet]) -> list[str | None]:
    return [None] if len(sets) == 1 else [f"part {number}" for number in range(1, len(sets) + 1)]


def digest_of(pixels: Tensor) -> bytes:
    """Return a digest of the pixels of a picture or a clip, of any shape."""
    return hashlib.sha256(repr(tuple(pixels.shape)).encode() + pixels.numpy().tobytes()).digest()


def equal_findings(seen: Sequence[Seen], nouns: str = "pictures") -> list[str]:
    """Return sentences about pictures or clips that are the same, and nearly so: doubled, leaks, unlike labels.

    Args:
        seen: them.
        nouns: what several of them are called.

    Example:
        >>> for said in equal_findings([Seen("a", "train", b"1", "cat"), Seen("b", "test", b"1", "dog")]):
        ...     print(said)
        2 pictures are the same as another one: a = b. Keep them in one part of a split.
        1 such picture is in different parts, so a test knows what was trained on: a = b.
        1 such picture has different labels: a = b.
    """
    same: dict[bytes, list[int]] = defaultdict(list)
    for number, one in enumerate(seen):
        same[one.digest].append(number)
    exact = [numbers for numbers in same.values() if len(numbers) > 1]
    said = _tell([[seen[number] for number in numbers] for numbers in exact], "the same as another one", nouns)
    first = [numbers[0] for numbers in same.values() if seen[numbers[0]].small is not None]
    near = [[seen[first[place]] for place in group] for group in _near([seen[number].small for number in first])]
    return said + _tell(near, "nearly the same as another one", nouns)


def _near(smalls: Sequence[npt.NDArray[np.float32] | None]) -> list[list[int]]:
    """Return groups of small pictures that correlate; each group grows from its pairs."""
    if len(smalls) < 2:
        return []
    values = np.stack([one for one in smalls if one is not None]).astype(np.float32)
    values -= values.mean(1, keepdims=True)
    values /= np.linalg.norm(values, axis=1, keepdims=True) + 1e-9
    parent = list(range(len(values)))

    def root(one: int) -> int:
        while parent[one] != one:
            parent[one] = parent[parent[one]]
            one = parent[one]
        return one

    for begin in range(0, len(values), 512):
        alike = values[begin : begin + 512] @ values.T > _ALIKE
        for row, column in zip(*np.nonzero(alike), strict=True):
            if begin + row < column:
                parent[root(int(column))] = root(begin + int(row))
    groups: dict[int, list[int]] = defaultdict(list)
    for one in range(len(values)):
        groups[root(one)].append(one)
    return [group for group in groups.values() if len(group) > 1]


def _tell(groups: Sequence[Sequence[Seen]], what: str, nouns: str) -> list[str]:
    if not groups:
        return []
    names = [" = ".join(one.name for one in group[:3]) for group in groups]
    total = sum(map(len, groups))
    said = [f"{total:,} {nouns} are {what}: {listed(names)}. Keep them in one part of a split."]
    leaks = [name for name, group in zip(names, groups, strict=True) if len({one.part for one in group}) > 1]
    if leaks:
        said.append(
            f"{_such(len(leaks), nouns)} in different parts, so a test knows what was trained on: {listed(leaks)}."
        )
    unlike = [name for name, group in zip(names, groups, strict=True) if len({one.known for one in group}) > 1]
    if unlike:
        has = "has" if len(unlike) == 1 else "have"
        noun = nouns.removesuffix("s") if len(unlike) == 1 else nouns
        said.append(f"{len(unlike):,} such {noun} {has} different labels: {listed(unlike)}.")
    return said


def _such(count: int, nouns: str) -> str:
    return f"1 such {nouns.removesuffix('s')} is" if count == 1 else f"{count:,} such {nouns} are"


def _known(picture: Picture) -> tuple[object, ...]:
    boxes = None if picture.boxes is None else tuple(sorted(picture.boxes.labels.tolist()))
    return picture.label, picture.text, boxes


def _of_labels(sets: Sequence[PictureSet]) -> list[str]:
    """Return sentences about classes."""
    classes = list(dict.fromkeys(name for pictures in sets for name in pictures.classes))
    counts: Counter[str] = Counter()
    for pictures in sets:
        counts.update(picture.label for picture in pictures if picture.label is not None)
        counts.update({name: count for name, count in pictures.box_counts.items() if count})
    said = []
    if counts:
        few = [f"{name} ({counts[name]})" for name in classes if counts[name] < _FEW]
        if few:
            phrase = (f"has fewer than {_FEW} examples", f"have fewer than {_FEW} examples")
            said.append(sentence(phrase, few, len(classes), "classes"))
    plain: dict[str, list[str]] = defaultdict(list)
    for name in classes:
        plain["".join(sign for sign in name.casefold() if sign.isalnum()) or name].append(name)
    alike = [" = ".join(names) for names in plain.values() if len(names) > 1]
    if alike:
        said.append(
            "Some names of classes differ by small and capital letters, spaces or marks alone: "
            f"{listed(alike)}. Are they the same?"
        )
    return said


def _of_boxes(sets: Sequence[PictureSet]) -> list[str]:
    """Return sentences about boxes."""
    pictures = [picture for one in sets for picture in one]
    boxed = [picture for picture in pictures if picture.boxes is not None]
    if not boxed:
        return []
    said = []
    bare = [picture.id for picture in pictures if picture.boxes is None]
    if bare:
        phrase = ("has no annotation, while others have boxes", "have no annotation, while others have boxes")
        said.append(sentence(phrase, bare, len(pictures), "pictures"))
    counts = [len(picture.boxes) for picture in boxed if picture.boxes is not None]
    middle = int(np.median(counts))
    empty = [picture.id for picture in boxed if picture.boxes is not None and not len(picture.boxes)]
    if empty and middle >= _USUAL:
        beside = f"while others have {middle} in the middle. Were they looked at?"
        said.append(sentence(("has no boxes", "have no boxes"), empty, len(boxed), "pictures")[:-1] + f", {beside}")
    tiny = [
        picture.id
        for picture in boxed
        if picture.boxes is not None
        for _ in range(int(((picture.boxes.widths < _TINY) | (picture.boxes.heights < _TINY)).sum()))
    ]
    if tiny:
        phrase = (f"has a side below {_TINY:g} pixels", f"have a side below {_TINY:g} pixels")
        said.append(sentence(phrase, tiny, sum(counts), "boxes"))
    return said
