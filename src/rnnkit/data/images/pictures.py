"""Pictures with what is known of them: labels, texts, boxes and masks."""

from __future__ import annotations

import hashlib
import os
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import ClassVar, overload

import torch
from torch import Tensor

from ...errors import ConfigError, suggest
from ...ordering import sorted_names
from ...types import Field
from ..sharding import as_share, shard_indices
from .boxes import Boxes
from .masks import MaskSource
from .picture_files import Mode, read_pixels, to_float
from .samples import PixelCache, Sample


@dataclass(frozen=True, eq=False)
class Picture:
    """A picture file, and what is known of it.

    Attributes:
        path: the file.
        width, height: in pixels, upright.
        text: what is written in it; None where it is unknown.
        label: the class of the whole picture; None where there is none.
        group: the patient, slide, video or photo that it comes from; None where it is unknown.
        part: the part that the data set's own lists give it: "train", "validation", "test"; None: none.
        boxes: the boxes of what is in it, in upright pixels; None: it has no annotation. No boxes: it is known that
            nothing is there.
        masks: where its masks come from; None: there are none.
        id: a name that no other picture of the set has.

    Example:
        >>> Picture("a.png", 40, 30, label="cat").label
        'cat'
    """

    path: str
    width: int = 0
    height: int = 0
    text: str | None = None
    label: str | None = None
    group: str | None = None
    part: str | None = None
    boxes: Boxes | None = None
    masks: MaskSource | None = None
    id: str = ""


@dataclass(frozen=True, eq=False, repr=False)
class PictureSet(Sequence[Picture]):
    """A list of pictures; `read_pictures` makes it.

    Attributes:
        pictures: the pictures.
        classes: the names of the classes of pictures, boxes or pixels; a label's number is its place here.
        source: where they came from.
        layout: how they lay there.
        findings: what is to be known about the files, as sentences; `picture_findings` looks at the pixels.
        cache: keeps decoded pixels, maybe scaled down; `cached` makes it.
        nouns: what several of them are called in sentences.

    Example:
        >>> pictures = PictureSet((Picture("a.png", label="cat"), Picture("b.png", label="dog")), ("cat", "dog"))
        >>> pictures, pictures.subset([1])[0].path, pictures.label_numbers
        (PictureSet(2 pictures, 2 classes), 'b.png', (0, 1))
    """

    nouns: ClassVar[str] = "pictures"

    pictures: tuple[Picture, ...]
    classes: tuple[str, ...] = ()
    source: str = ""
    layout: str = ""
    findings: tuple[str, ...] = ()
    cache: PixelCache | None = field(default=None, compare=False)

    def __len__(self) -> int:
        return len(self.pictures)

    @overload
    def __getitem__(self, index: int) -> Picture: ...

    @overload
    def __getitem__(self, index: slice) -> PictureSet: ...

    def __getitem__(self, index: int | slice) -> Picture | PictureSet:
        return replace(self, pictures=self.pictures[index]) if isinstance(index, slice) else self.pictures[index]

    def __iter__(self) -> Iterator[Picture]:
        return iter(self.pictures)

    def subset(self, which: Iterable[int] | Callable[[Picture], bool]) -> PictureSet:
        """Return some of the pictures: those of the given numbers, or those for which a function returns True."""
        if callable(which):
            return replace(self, pictures=tuple(picture for picture in self.pictures if which(picture)))
        return replace(self, pictures=tuple(self.pictures[int(index)] for index in which))

    def part(self, name: str) -> PictureSet:
        """Return the pictures of a part that the data set's own lists name, such as "train".

        Raises:
            ConfigError: there is no such part.
        """
        if name not in self.parts:
            known = suggest(name, self.parts).removeprefix("; ") if self.parts else "the set names no parts"
            raise ConfigError.of("part", name, known)
        return self.subset(lambda picture: picture.part == name)

    def pixels(self, index: int, mode: Mode = "RGB") -> Tensor:
        """Return the pixels of a picture, upright: uint8 [C, H, W], or float32 in [0, 1] where it has more than 8 bits.

        Raises:
            DataError: the file is damaged; see `read_picture`.
        """
        path = self.pictures[index].path
        if self.cache is None:
            return read_pixels(path, mode=mode)
        return self.cache.get(path, mode)

    def image(self, index: int, mode: Mode = "RGB") -> Tensor:
        """Return a picture, upright, float32 [C, H, W] in [0, 1]."""
        return to_float(self.pixels(index, mode))

    def sample(self, index: int, mode: Mode = "RGB") -> Sample:
        """Return a picture with its boxes and masks, as networks and augmentation take them.

        Raises:
            DataError: a file is damaged.
        """
        picture = self.pictures[index]
        image = self.image(index, mode)
        height, width = image.shape[1], image.shape[2]
        boxes = picture.boxes
        if boxes is not None and (height, width) != (picture.height, picture.width):
            boxes = boxes.moved(boxes.xyxy * torch.tensor([width / picture.width, height / picture.height] * 2))
        masks = class_map = None
        if picture.masks is not None:
            masks, class_map = picture.masks.read(height, width)
        label = None if picture.label is None else self._number(picture.label)
        size = (picture.height, picture.width)
        return Sample(image, boxes, masks, class_map, label, picture.text, picture.id, size)

    def cached(self, megabytes: float = 1024, *, longest: int | None = None) -> PictureSet:
        """Return the same pictures; those that were read stay in memory, as bytes.

        Args:
            megabytes: the most that is kept. Pictures that do not fit any more are read again each time.
            longest: pixels of the longer side above which pictures are scaled down where they are read, with their
                boxes and masks; None: never.

        Raises:
            ConfigError: a number out of its range.
        """
        return replace(self, cache=PixelCache(megabytes, longest))

    @property
    def label_numbers(self) -> tuple[int | None, ...]:
        """The number of each picture's label; None where it has none."""
        return tuple(None if one.label is None else self._number(one.label) for one in self.pictures)

    @property
    def parts(self) -> tuple[str, ...]:
        """The names of the parts that the data set's own lists give."""
        return sorted_names({picture.part for picture in self.pictures if picture.part is not None})

    @property
    def groups(self) -> tuple[str, ...]:
        """The distinct groups in order."""
        return sorted_names({picture.group for picture in self.pictures if picture.group is not None})

    @property
    def box_counts(self) -> dict[str, int]:
        """The number of boxes of each class."""
        counts = torch.zeros(len(self.classes), dtype=torch.int64)
        for picture in self.pictures:
            if picture.boxes is not None:
                counts += torch.bincount(picture.boxes.labels, minlength=len(counts))
        return dict(zip(self.classes, counts.tolist(), strict=True))

    @property
    def schema(self) -> tuple[Field, ...]:
        """Name, dtype and shape of what a picture has."""
        fields = [Field("image", "float32", (None, None, None), "input")]
        if any(picture.boxes is not None for picture in self.pictures):
            fields += [Field("boxes", "float32", (None, 4), "target"), Field("labels", "int64", (None,), "target")]
        if any(picture.masks is not None for picture in self.pictures):
            fields.append(Field("masks", "int32", (None, None), "target"))
        if any(picture.label is not None for picture in self.pictures):
            fields.append(Field("label", "int64", (), "target"))
        return tuple(fields)

    def fingerprint(self) -> str:
        """Return a digest of the pictures: sizes and first bytes of their files, and what is known of each.

        The names of folders do not count, so that a set may be moved.
        """
        digest = hashlib.sha256(repr(self.classes).encode())
        for picture in self.pictures:
            with open(picture.path, "rb") as file:
                digest.update(f"{os.fstat(file.fileno()).st_size}".encode() + file.read(1 << 14))
            digest.update(repr((picture.text, picture.label, picture.group, picture.part)).encode())
            if picture.boxes is not None:
                boxes = picture.boxes
                for tensor in (boxes.xyxy, boxes.labels, boxes.crowd):
                    digest.update(tensor.numpy().tobytes())
            if picture.masks is not None:
                digest.update(picture.masks.digest())
        return digest.hexdigest()

    def shard(self, rank: int, world: int, *, even: bool = True) -> PictureSet:
        """Return every `world`-th picture from number `rank` on: the share of one process.

        Args:
            rank: the process's number, from 0.
            world: the number of processes.
            even: whether the last pictures that cannot be divided evenly are left out.

        Raises:
            ConfigError: rank or world out of range.
            DataError: `even`, and there are fewer pictures than processes.
        """
        return as_share(self[shard_indices(len(self), rank, world, even=even)], world)

    def __repr__(self) -> str:
        parts = [f"{len(self):,} {self.nouns}"]
        parts += [f"{len(self.classes):,} classes"] if self.classes else []
        boxes = sum(len(one.boxes) for one in self.pictures if one.boxes is not None)
        texts = sum(one.text is not None for one in self.pictures)
        masked = sum(one.masks is not None for one in self.pictures)
        for count, what in ((boxes, "boxes"), (masked, "with masks"), (texts, "texts"), (len(self.groups), "groups")):
            parts += [f"{count:,} {what}"] if count else []
        names = Counter(one.part for one in self.pictures if one.part is not None)
        parts += [f"{name} {count:,}" for name, count in names.items()]
        return f"{type(self).__name__}({', '.join(parts)})"

    def _number(self, label: str) -> int:
        return self.classes.index(label)
