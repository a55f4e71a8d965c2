"""A picture before its file is read: what the layouts of data sets yield."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from .outlines import ClassFile, Outline


@dataclass
class Drawn:
    """What is drawn in a picture, as an annotation writes it.

    Attributes:
        boxes: left, top, right, bottom of each, in pixels, or in shares of the picture; None for a box that follows
            from its outline.
        names: the class of each.
        crowd: whether each stands for many, or is too hard to judge.
        outlines: the outline or the mask of each; None where there is a box alone.
        size: (width, height) that the annotation gives; None: none.
        shares: whether boxes and outlines are shares of the picture's width and height.
        class_file: a file in which each pixel has the number of its class.
    """

    boxes: list[tuple[float, float, float, float] | None] = field(default_factory=list)
    names: list[str] = field(default_factory=list)
    crowd: list[bool] = field(default_factory=list)
    outlines: list[Outline | None] = field(default_factory=list)
    size: tuple[int, int] | None = None
    shares: bool = False
    class_file: ClassFile | None = None

    def add(
        self,
        name: str,
        box: tuple[float, float, float, float] | None,
        outline: Outline | None = None,
        *,
        crowd: bool = False,
    ) -> None:
        """Add a thing."""
        self.names.append(name)
        self.boxes.append(box)
        self.outlines.append(outline)
        self.crowd.append(crowd)


@dataclass
class Entry:
    """A picture before its file is read.

    Attributes:
        path, text, label, group, part, id: as of a picture.
        drawn: the boxes and outlines; None: the picture has no annotation.
    """

    path: Path
    text: str | None = None
    label: str | None = None
    group: str | None = None
    part: str | None = None
    id: str = ""
    drawn: Drawn | None = None


@dataclass
class Found:
    """The entries of a data set.

    Attributes:
        layout: how they lay there.
        entries: the pictures.
        classes: their names in order, where the data set lists them; (): as they occur.
        findings: what is to be known, as sentences.
    """

    layout: str
    entries: list[Entry]
    classes: tuple[str, ...] = ()
    findings: list[str] = field(default_factory=list)
