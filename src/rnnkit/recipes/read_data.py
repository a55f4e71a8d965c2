"""The pictures of a run of reading: read, divided, and what is found in them."""

from __future__ import annotations

import unicodedata
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar, Literal, NamedTuple

from rnnkit.data.sentences import sentence
from rnnkit.errors import ConfigError, DataError
from rnnkit.recipes.divided_data import check_shares
from rnnkit.recipes.recognition import fitting
from rnnkit.recipes.wording import in_data_settings
from rnnkit.tasks.ranges import NotNegative, Seed, Settings

if TYPE_CHECKING:
    from rnnkit.data.images import PictureSet
    from rnnkit.data.text.tokenizer import Tokenizer
    from rnnkit.tasks.reading_batches import HeldLines

_GROUPS = 5  # so many have to be there to be kept together unless asked for
_COLUMNS = ("path_column", "text_column", "group_column", "part_column")


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
class ReadData(LineData):
    """Pictures of lines of text, and how they are divided.

    Attributes:
        test: what to judge by, as `path`; none holds `test_share` back.
        test_share: share of the pictures held back to judge by.
        validation: share of the pictures to choose the epoch by.
        by: whether the pictures of a group, such as a page or a writer, are in one part alone (group), pictures are
            drawn at random, or follow from their names alone (hash), so that later ones move no others; auto takes
            group where each picture has one and there are five or more.
        split_seed: of the division; it does not follow `seed`, so that seeds are judged on the same pictures.
        layout: how the pictures lie: a text file beside each (texts), or a table; auto looks.
        group: a regular expression whose first group, found in a picture's id, is the page, writer or photo that it
            comes from.
        path_column: of a table, the column of the files, where its name does not tell; the next ones are alike.
        text_column: what is written.
        group_column: the page, writer or photo.
        part_column: train, validation or test.
        lowercase: whether texts are written in small letters.
    """

    test: str | None = None
    test_share: NotNegative = 0.1
    validation: NotNegative = 0.1
    by: Literal["auto", "group", "random", "hash"] = "auto"
    split_seed: Seed = 0
    layout: Literal["auto", "texts", "table"] = "auto"
    group: str | None = None
    path_column: str | None = None
    text_column: str | None = None
    group_column: str | None = None
    part_column: str | None = None
    lowercase: bool = False

    def __post_init__(self) -> None:
        super().__post_init__()
        check_shares(self.test_share, self.validation)

    def read(self, path: str | Path, *, new: bool = False) -> PictureSet:
        """Return the pictures of a path.

        Args:
            path: it.
            new: whether the run is trained already.
        """
        from rnnkit.data.images import read_pictures

        with in_data_settings(("layout", "group", *_COLUMNS), new=new):
            if new:  # pictures of another source may have other columns
                return read_pictures(path, **{name: getattr(self, name) for name in _COLUMNS if _is_table(path)})
            columns = {name: getattr(self, name) for name in _COLUMNS}
            return read_pictures(path, layout=self.layout, group=self.group, **columns)

    def written(self, text: str) -> str:
        """Return a text as the network is to write it."""
        found = super().written(text)
        return found.lower() if self.lowercase else found


class ReadParts(NamedTuple):
    """The pictures of a run.

    Attributes:
        train, validation, test: the parts; None for one that there is not.
        findings: sentences about the files.
        division: a sentence about how the parts were made.
        digests: of each path as it was read.
    """

    train: PictureSet
    validation: PictureSet | None
    test: PictureSet | None
    findings: list[str]
    division: str
    digests: dict[str, str]


def divide_pictures(data: ReadData, command: str) -> ReadParts:
    """Read and divide the pictures of a run.

    Parts that the data set itself names are kept. What is missing is drawn as `data.by` says.

    Args:
        data: the settings.
        command: the recipe's name, for the message where there is no path.

    Raises:
        ConfigError: no path. DataError: a file cannot be read, or too few pictures.
    """
    if data.path is None:
        raise ConfigError(
            f"data.path is missing; name the pictures to learn from, as in `rnnkit train {command} FOLDER`"
        )
    pictures = data.read(data.path)
    findings, digests = list(pictures.findings), {str(data.path): pictures.fingerprint()}
    pictures, told_of_texts = with_texts(pictures, data)
    findings += told_of_texts
    parts: dict[str, PictureSet] = {}
    told = []
    if data.test is not None:
        test = data.read(data.test)
        findings += [one for one in test.findings if one not in findings]
        digests[str(data.test)] = test.fingerprint()
        parts["test"], told_of_texts = with_texts(test, data)
        findings += told_of_texts
        told.append(f"test: {data.test}")
    own = set(pictures.parts) & {"train", "validation", "test"}
    for part in ("test", "validation"):
        if part in own and part not in parts:
            parts[part] = pictures.part(part)
            told.append(f"{part}: {len(parts[part]):,} pictures, as the data set itself divides them")
    rest = pictures.subset(lambda one: one.part not in ("test", "validation")) if own else pictures
    if not len(rest):
        raise DataError(f"{pictures.source}: no picture is left to train on; expected some of the part train")
    wanted = {"test": data.test_share, "validation": data.validation}
    amounts = {part: share for part, share in wanted.items() if share and part not in parts}
    if amounts:
        by = _division(data, rest)
        split = _split(rest, amounts, by, data)
        how = {"group": "of groups that no other part has", "random": "at random", "hash": "by their names"}[by]
        told += [
            f"{part}: {len(split[part]):,} of {len(rest):,} pictures {how} (split_seed {data.split_seed})"
            for part in amounts
        ]
        rest = split.pop("train")
        parts |= split
    return ReadParts(rest, parts.get("validation"), parts.get("test"), findings, "; ".join(told), digests)


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


def _is_table(path: str | Path) -> bool:
    from rnnkit.data.images.picture_tables import TABLES

    return Path(path).suffix.lower() in TABLES


def _division(data: ReadData, pictures: PictureSet) -> Literal["group", "random", "hash"]:
    if data.by != "auto":
        return data.by
    known = all(one.group is not None for one in pictures)
    return "group" if known and len(pictures.groups) >= _GROUPS else "random"


def _split(
    pictures: PictureSet, amounts: dict[str, float], by: Literal["group", "random", "hash"], data: ReadData
) -> dict[str, PictureSet]:
    from rnnkit.data.images import split_pictures

    try:
        found = split_pictures(pictures, (1 - sum(amounts.values()), *amounts.values()), by=by, seed=data.split_seed)
    except DataError as error:
        instead = "" if by == "random" else "--set data.by=random, or "
        raise DataError(
            f"{error}; add pictures, or {instead}--set data.validation=0 and --set data.test_share=0"
        ) from None
    return dict(zip(("train", *amounts), found, strict=True))
