"""The pictures of a run of reading: read, divided, and what is found in them."""

from __future__ import annotations

import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar, Literal, NamedTuple

from rnnkit.data.sentences import sentence
from rnnkit.errors import DataError
from rnnkit.recipes.picture_data import PictureData
from rnnkit.recipes.recognition import fitting
from rnnkit.tasks.ranges import Settings

if TYPE_CHECKING:
    from rnnkit.data.images import PictureSet
    from rnnkit.data.text.tokenizer import Tokenizer
    from rnnkit.tasks.reading_batches import HeldLines


@dataclass(frozen=True)
class LineData(Settings):
    """Pictures of lines of text.

    Attributes:
        path: a folder or a table of pictures with what is written in each; see ``rnnkit.data.images.read_pictures``. A
            name that is not here is looked for in the folder RNNKIT_DATA.
    """

    group_name: ClassVar[str] = "data"

    path: str | None = None

    def read(self, path: str | Path, *, new: bool = False) -> PictureSet:
        """Return the pictures of a path.

        Args:
            path: it.
            new: whether the run is trained already.
        """
        from rnnkit.data.images import read_pictures

        return read_pictures(path)

    def written(self, text: str) -> str:
        """Return a text as the network is to write it: composed characters, one space between words.

        Example:
            >>> LineData().written("  Total   12.50 ")
            'Total 12.50'
        """
        return " ".join(unicodedata.normalize("NFC", text).split())


@dataclass(frozen=True)
class ReadData(LineData, PictureData):
    """Pictures of lines of text, and how they are divided.

    Attributes:
        layout: how the pictures lie: a text file next to each (texts), or a table; auto looks.
        text_column: of a table, the column of what is written.
        lowercase: whether texts are written in small letters.
    """

    columns: ClassVar[tuple[str, ...]] = ("path_column", "text_column", "group_column", "part_column")

    layout: Literal["auto", "texts", "table"] = "auto"
    text_column: str | None = None
    lowercase: bool = False

    def read(self, path: str | Path, *, new: bool = False) -> PictureSet:
        """Return the pictures of a path, as `PictureData` does."""
        return PictureData.read(self, path, new=new)

    def written(self, text: str) -> str:
        """Return a text as the network is to write it."""
        found = super().written(text)
        return found.lower() if self.lowercase else found


class Written(NamedTuple):
    """Pictures with what is written in them, in memory.

    Attributes:
        names: of the files.
        lines: the pictures.
        findings: sentences about those that were left out.
    """

    names: list[str]
    lines: HeldLines
    findings: list[str]


def with_texts(pictures: PictureSet, data: LineData) -> tuple[PictureSet, list[str]]:
    """Return the pictures whose texts are known, and sentences about the others.

    Args:
        pictures: them.
        data: how texts are written.

    Raises:
        DataError: none is left.
    """
    texts = [None if one.text is None else data.written(one.text) for one in pictures]
    lacking = (
        (("has no text", "have no text"), None),
        (("has a text without a character", "have a text without a character"), ""),
    )
    findings = []
    for phrase, value in lacking:
        names = [one.id for one, text in zip(pictures, texts, strict=True) if text == value]
        if names:
            findings.append(sentence(phrase, names, len(pictures), "pictures") + " Left out.")
    kept = pictures.subset(index for index, text in enumerate(texts) if text)
    if not len(kept):
        told = " ".join((*pictures.findings, *findings))
        raise DataError(
            f"{pictures.source}: no picture with a text is left. {told} Put a .txt file beside each, or "
            "name a table with the columns path and text"
        )
    return kept, findings


def hold_lines(pictures: PictureSet, data: LineData, height: int, *, part: str = "") -> Written:
    """Read pictures whose texts are known.

    Args:
        pictures: them.
        data: how texts are written.
        height: rows that they are scaled to.
        part: for sentences.

    Raises:
        DataError: none is left.
    """
    from rnnkit.data.line_pictures import read_line
    from rnnkit.tasks.reading_batches import HeldLines

    pictures, findings = with_texts(pictures, data)
    lines, kept, damaged = [], [], []
    for picture in pictures:
        try:
            lines.append(read_line(picture.path, height).ink)
            kept.append(picture)
        except DataError:
            damaged.append(picture.id)
    if damaged:
        before = f"{part}: " if part else ""
        told = sentence(("cannot be read", "cannot be read"), damaged, len(pictures), "pictures")
        findings.append(f"{before}{told} Left out.")
    if not kept:
        raise DataError(f"{pictures.source}: no picture can be read. {' '.join(findings)}")
    return Written([one.id for one in kept], HeldLines(lines, [data.written(str(one.text)) for one in kept]), findings)


def equal_lines(parts: Mapping[str, Written]) -> list[str]:
    """Return sentences about pictures that are the same, in one part or in several.

    Args:
        parts: pictures by the name of their part.
    """
    from rnnkit.data.images.doubtful_pictures import Seen, digest_of, equal_findings

    return equal_findings(
        [
            Seen(name, part, digest_of(written.lines.picture(row)), written.lines.texts[row])
            for part, written in parts.items()
            for row, name in enumerate(written.names)
        ]
    )


def without_narrow(written: Written, tokenizer: Tokenizer, stride: int) -> Written:
    """Return the pictures that have a step for each character, and one between equal ones, and name the others.

    Args:
        written: them.
        tokenizer: of their texts.
        stride: columns that become a step.

    Raises:
        DataError: none is left.
    """
    from rnnkit.data.line_pictures import steps_of

    lines = written.lines
    kept, narrow = fitting(lines.texts, tokenizer, [steps_of(width, stride) for width in lines.widths.tolist()])
    if not narrow:
        return written
    names = [written.names[index] for index in narrow]
    remedy = "take --set model.stride=2" if stride > 2 else "take a larger --set model.height"
    if not kept:
        raise DataError(
            f"all {len(lines):,} pictures are too narrow for their texts, such as {names[0]} with {lines.widths[0]} "
            f"columns for {lines.texts[0]!r}; expected a step of {stride} columns for each character, and one between "
            f"equal ones: look at the texts, or {remedy}"
        )
    phrase = ("is too narrow for its text", "are too narrow for their texts")
    told = sentence(phrase, names, len(lines), "pictures") + f" Left out: look at the texts, or {remedy}."
    return Written([written.names[index] for index in kept], lines.subset(kept), [*written.findings, told])
