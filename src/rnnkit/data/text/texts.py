"""Texts from files, folders and lists, one after the other in constant memory; each with its place."""

from __future__ import annotations

import hashlib
import os
import warnings
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, NamedTuple

from ...errors import ConfigError, DataError, Place, check_choice
from .decoding import LONGEST, OnBytes, cut, lines_of, too_long
from .files import Paths, TextFiles, check_reading, check_use, find_files, left_out_sentence
from .tokenizer import check_text

UNITS = ("file", "line", "paragraph")


class Piece(NamedTuple):
    """A text, or a part of a text that is too long to be held.

    Attributes:
        text: the characters.
        place: where it begins.
        ends: whether the text ends with it.
    """

    text: str
    place: Place
    ends: bool = True


class Texts:
    """Texts with their places, which can be read again and again: a loop yields (text, Place).

    `read_texts` makes it of files. No more than one text is in memory.

    Example:
        >>> import pathlib, tempfile
        >>> file = pathlib.Path(tempfile.mkdtemp()) / "poems.jsonl"
        >>> _ = file.write_text('{"id": 1, "text": "千山鸟飞绝"}\\n{"id": 2, "text": "Zwei Wörter"}\\n', "utf-8")
        >>> texts = read_texts(file, field="text")
        >>> [(text, place.line) for text, place in texts]
        [('千山鸟飞绝', 1), ('Zwei Wörter', 2)]
    """

    source: str = ""

    def __iter__(self) -> Iterator[tuple[str, Place]]:
        """Yield each text and its place.

        Raises:
            DataError: a file, line or cell holds no text; see `read_texts`.
        """
        parts: list[str] = []
        size, begin = 0, None
        for piece in self.pieces():
            begin = begin or piece.place
            size += len(piece.text)
            parts.append(piece.text)
            if size > LONGEST:
                raise too_long(begin, "text")
            if piece.ends:
                yield "".join(parts), begin
                parts, size, begin = [], 0, None

    def pieces(self, on_bytes: OnBytes | None = None) -> Iterator[Piece]:
        """Yield the texts in pieces of limited length, for those that are longer than memory.

        Args:
            on_bytes: called with the number of bytes that were read since the last call.
        """
        raise NotImplementedError

    def fingerprint(self) -> str:
        """Return a digest of the texts' content and of how it is read."""
        raise NotImplementedError

    @property
    def size(self) -> int | None:
        """The number of bytes on the disk, where the texts are files."""
        return None

    @property
    def once(self) -> bool:
        """Whether the texts can be read only once."""
        return False


TextSource = Texts | str | os.PathLike[str] | Iterable[Any]


@dataclass(frozen=True, eq=False, repr=False)
class FileTexts(TextFiles, Texts):
    """The texts of files; see `read_texts` for the arguments."""

    field: str | int | None = None
    unit: str = "file"

    def pieces(self, on_bytes: OnBytes | None = None) -> Iterator[Piece]:
        """Yield the texts of all files in pieces."""
        yield from self.read_files(self._file, on_bytes)

    def of_empty(self, file: Path) -> Iterator[Piece]:
        """Yield the empty text that an empty file is where each file is a text."""
        if self.empty == "keep" and self.format == "txt" and self.unit == "file":
            yield Piece("", Place(str(file)))

    def how(self) -> list[Any]:
        """Return all that changes what is read of the same bytes."""
        format, *rest = super().how()
        return [format, self.field, self.unit, *rest]

    def _file(self, file: Path, chunks: Iterator[str]) -> Iterator[Piece]:
        place = Place(str(file))
        if self.format != "txt":
            from .records import record_texts

            for text, where in record_texts(chunks, file, self):
                yield from whole(text, where)
        elif self.unit == "file":
            held: Piece | None = None
            for text, line in cut(chunks):
                if held is not None:
                    yield held
                held = Piece(text, place.at(line=line), False)
            if held is not None:
                yield held._replace(ends=True)
        else:
            yield from self._lines(lines_of(chunks, file), place)

    def _lines(self, lines: Iterator[tuple[str, int]], place: Place) -> Iterator[Piece]:
        """Yield lines, or paragraphs: lines between empty ones. Empty lines are no texts."""
        held: list[str] = []
        begin, size = 1, 0
        for line, number in lines:
            filled = bool(line.strip())
            if filled and self.unit == "line":
                yield from whole(line.removesuffix("\n"), place.at(line=number))
            elif filled:
                begin = begin if held else number
                held.append(line)
                size += len(line)
                if size > LONGEST:
                    raise too_long(place.at(line=begin), "paragraph")
            elif held:
                yield from whole("".join(held).removesuffix("\n"), place.at(line=begin))
                held, size = [], 0
        if held:
            yield from whole("".join(held).removesuffix("\n"), place.at(line=begin))


@dataclass(frozen=True, eq=False)
class GivenTexts(Texts):
    """Texts that are in memory already, or that an iterator makes."""

    texts: Iterable[Any]
    source: str = ""

    def pieces(self, on_bytes: OnBytes | None = None) -> Iterator[Piece]:
        """Yield the texts in pieces."""
        for number, item in enumerate(self.texts, 1):
            place = Place(self.source, part=f"text {number:,}")
            text = item
            if isinstance(item, tuple) and len(item) == 2 and isinstance(item[1], Place):
                text, place = item
            if isinstance(text, os.PathLike):
                raise DataError("a path arrived; expected a text (str)", place, "read files by read_texts(paths)")
            check_text(text, place)
            if on_bytes is not None:
                on_bytes(len(text))
            yield from whole(text, place)

    def fingerprint(self) -> str:
        """Return a digest of the texts."""
        digest = hashlib.sha256()
        for piece in self.pieces():
            raw = piece.text.encode()
            digest.update(f"{len(raw)} {piece.ends} ".encode() + raw)
        return digest.hexdigest()

    @property
    def once(self) -> bool:
        """Whether the texts are an iterator."""
        return isinstance(self.texts, Iterator)


def read_texts(
    path: Paths,
    *,
    field: str | int | None = None,
    unit: Literal["file", "line", "paragraph"] | None = None,
    format: Literal["txt", "jsonl", "json", "csv", "tsv"] | None = None,
    encoding: str | None = None,
    delimiter: str | None = None,
    header: bool | None = None,
    quotes: bool | None = None,
    empty: Literal["error", "skip", "keep"] = "error",
) -> Texts:
    """Read texts from a file, several files or a folder; the suffix says the format.

    ===================  ==========================================================================================
    ``.txt``             plain text: a file is one text, or each line, or each paragraph
    ``.jsonl .ndjson``   a JSON object a line, of which a field is the text; or a JSON string a line
    ``.json``            a JSON array of such objects or strings, which is read as a whole
    ``.csv .tsv``        a table with a header, of which a column holds the texts
    ``.gz``              one of these, packed: ``reviews.csv.gz``
    a folder             the files of one of these formats in it and in its folders, in the natural order of names;
                         ``.json`` beside other texts describes them, and is left out; a warning names others
    ===================  ==========================================================================================

    A file is decoded by its byte order mark, else as `encoding` says, else as UTF-8. Line ends become ``\\n``.
    Texts come as they are written; the tokenizer writes them in a Unicode form (NFC).

    Args:
        path: a file, a folder, or several of them.
        field: the name of the field or column with the text; ``a.b`` is field b of the object in field a. A list of
            texts in a field of JSON is one text, its lines. A number is a column, from 0. None: the field "text", or
            the only one that holds text.
        unit: of plain text, what one text is: "file" (also None), "line" or "paragraph" (lines between empty ones).
        format: where the suffix does not say it.
        encoding: such as "gb18030" or "latin-1".
        delimiter: of a table; else the tab for ``.tsv``, and for ``.csv`` that of ``, ; tab |`` which the header holds.
        header: False if the first line of a table is data; then `field` is a number.
        quotes: False if quotation marks in a table are plain characters; then a cell cannot hold line breaks.
        empty: treatment of an empty file, field or cell: "error", "skip", or "keep" as an empty text, so that texts
            stay beside their labels. Empty lines of plain text are no texts.

    Returns:
        The texts. Files are opened when the texts are read.

    Raises:
        DataError: there is no file, or, while it is read: a file, line or cell is empty, is no text, is not in that
            encoding, or is longer than 67,108,864 characters (2 ** 26); the message names the file and the line.
        ConfigError: an argument has no such value, or the format has no use for it.

    Example:
        >>> import pathlib, tempfile
        >>> file = pathlib.Path(tempfile.mkdtemp()) / "lines.txt"
        >>> _ = file.write_text("Grüße\\n\\n你好\\n", "utf-8")
        >>> [(text, place.line) for text, place in read_texts(file, unit="line")]
        [('Grüße', 1), ('你好', 3)]
    """
    check_choice(unit, "unit", (*UNITS, None))
    check_reading(format=format, encoding=encoding, delimiter=delimiter, header=header, quotes=quotes, empty=empty)
    if field is not None and (isinstance(field, bool) or not isinstance(field, str | int)):
        raise ConfigError.of("field", field, "expected a name, or a number")
    files, kind, source = find_files(path, format)
    if format is None and (told := left_out_sentence(path, files)) is not None:
        warnings.warn(told, stacklevel=2)
    check_use(kind, field=field, unit=unit, delimiter=delimiter, header=header, quotes=quotes)
    if header is False and isinstance(field, str):
        raise ConfigError.of("field", field, "expected a number, from 0: a table without a header has no names")
    return FileTexts(
        files,
        kind,
        source,
        encoding,
        delimiter,
        header is not False,
        quotes is not False,
        empty,
        field,
        unit or "file",
    )


def as_texts(source: TextSource) -> Texts:
    """Return texts of what users hand over: `Texts`, a path, texts, or (text, Place) pairs."""
    if isinstance(source, Texts):
        return source
    if isinstance(source, str | os.PathLike):
        if isinstance(source, str) and not os.path.exists(source[:4096]):
            shown = source if len(source) <= 60 else f"{source[:60]}…"
            raise DataError(
                f"there is no file or folder {shown!r}", remedy="put it in a list, [text], if it is a text itself"
            )
        return read_texts(source)
    if not isinstance(source, Iterable):
        raise DataError(f"a {type(source).__name__} arrived; expected texts, or a path")
    return GivenTexts(source)


def whole(text: str, place: Place) -> Iterator[Piece]:
    """Yield one text in pieces."""
    pieces = [Piece(part, place, False) for part, _ in cut([text])] or [Piece("", place)]
    yield from pieces[:-1]
    yield pieces[-1]._replace(ends=True)
