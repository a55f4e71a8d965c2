"""Texts from files, folders and lists, one after the other in constant memory; each with its place."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, NamedTuple

from ...errors import ConfigError, DataError, Place, Remedy, check_choice
from ...ordering import natural_key
from ..reading import check_encoding
from .decoding import LONGEST, OnBytes, cut, decode_file, empty_file, lines_of, too_long
from .tokenizer import check_text

FORMATS = {"txt": "txt", "jsonl": "jsonl", "ndjson": "jsonl", "csv": "csv", "tsv": "tsv"}
UNITS = ("file", "line", "paragraph")
EMPTY = ("error", "skip", "keep")
# Suffixes of what is no plain text, and what to do with it.
_OTHER: dict[str, tuple[str, str | tuple[Remedy, ...]]] = {
    ".json": (
        "expected JSON lines, a record a line",
        (Remedy("format", "jsonl", "if each line is a record"), Remedy("format", "txt", "if it is one plain text")),
    ),
    ".parquet": ("a table of this format is not read", "save it as .csv or .jsonl"),
    ".xlsx": ("a spreadsheet is not read", "save it as .csv"),
    ".zip": ("an archive is not read", "unpack it, and give the folder"),
    ".tar": ("an archive is not read", "unpack it, and give the folder"),
    ".tgz": ("an archive is not read", "unpack it, and give the folder"),
    ".pdf": ("a document of this format is not read", "save it as plain text (.txt)"),
    ".docx": ("a document of this format is not read", "save it as plain text (.txt)"),
}
_LITTER = {"thumbs.db", "desktop.ini"}


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


@dataclass(frozen=True, eq=False)
class FileTexts(Texts):
    """The texts of files; see `read_texts` for the arguments."""

    files: tuple[Path, ...]
    format: str
    source: str = ""
    field: str | int | None = None
    unit: str = "file"
    encoding: str | None = None
    delimiter: str | None = None
    header: bool = True
    quotes: bool = True
    empty: str = "error"

    def pieces(self, on_bytes: OnBytes | None = None) -> Iterator[Piece]:
        """Yield the texts of all files in pieces."""
        for file in self.files:
            if file.stat().st_size == 0 and self.empty == "error":
                raise self._is_empty(file)
            try:
                yield from self._file(file, decode_file(file, self.encoding, on_bytes))
            except DataError as error:
                if error.problem == empty_file(file).problem:
                    if self.empty == "error":
                        raise self._is_empty(file) from None
                    if self.empty == "keep" and self.format == "txt" and self.unit == "file":
                        yield Piece("", Place(str(file)))
                    continue
                raise

    def fingerprint(self) -> str:
        """Return a digest of the files' bytes and of how they are read; their names do not count."""
        how = [self.format, self.field, self.unit, self.encoding, self.delimiter, self.header, self.quotes, self.empty]
        digest = hashlib.sha256(repr(how).encode())
        for file in self.files:
            try:
                with file.open("rb") as stream:
                    digest.update(hashlib.file_digest(stream, "sha256").digest())
            except OSError as error:
                raise DataError(f"cannot be read ({error.strerror})", Place(str(file))) from None
        return digest.hexdigest()

    @property
    def size(self) -> int:
        """The number of bytes of all files, as they lie on the disk."""
        return sum(file.stat().st_size for file in self.files)

    def __repr__(self) -> str:
        count = f"{len(self.files):,} files" if len(self.files) > 1 else Path(self.files[0]).name
        return f"Texts({count}, {self.format})"

    def _is_empty(self, file: Path) -> DataError:
        error = empty_file(file)
        remedy = Remedy("empty", "skip", "to leave such files out") if len(self.files) > 1 else "take another file"
        return DataError(error.problem, error.place, remedy)

    def _file(self, file: Path, chunks: Iterator[str]) -> Iterator[Piece]:
        place = Place(str(file))
        if self.format != "txt":
            from . import records

            fields = records.json_texts if self.format == "jsonl" else records.table_texts
            for text, where in fields(lines_of(chunks, file), place, self):
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
    path: str | os.PathLike[str] | Iterable[str | os.PathLike[str]],
    *,
    field: str | int | None = None,
    unit: Literal["file", "line", "paragraph"] | None = None,
    format: Literal["txt", "jsonl", "csv", "tsv"] | None = None,
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
    ``.csv .tsv``        a table with a header, of which a column holds the texts
    ``.gz``              one of these, packed: ``reviews.csv.gz``
    a folder             the files of one of these formats in it and in its folders, in the natural order of their names
    ===================  ==========================================================================================

    A file is decoded by its byte order mark, else as `encoding` says, else as UTF-8. Line ends become ``\\n``.
    Texts come as they are written; the tokenizer writes them in a Unicode form (NFC).

    Args:
        path: a file, a folder, or several of them.
        field: the name of the field or column with the text; ``a.b`` is field b of the object in field a. A number is a
            column, from 0. None: the field "text", or the only one that holds text.
        unit: of plain text, what one text is: "file" (also None), "line" or "paragraph" (lines between empty ones).
        format: where the suffix does not say it.
        encoding: such as "gb18030" or "latin-1".
        delimiter: of a table; else the tab for ``.tsv``, and for ``.csv`` that of ``, ; tab |`` which the header holds.
        header: False if the first line of a table is data; then `field` is a number.
        quotes: False if quotation marks in a table are plain characters; then a cell cannot hold line breaks.
        empty: what becomes of an empty file, field or cell: "error", "skip", or "keep" as an empty text, so that texts
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
    check_choice(format, "format", (*dict.fromkeys(FORMATS.values()), None))
    check_choice(empty, "empty", EMPTY)
    check_choice(header, "header", (True, False, None))
    check_choice(quotes, "quotes", (True, False, None))
    check_encoding(encoding)
    if delimiter is not None and (not isinstance(delimiter, str) or len(delimiter) != 1 or delimiter in '"\n'):
        raise ConfigError.of("delimiter", delimiter, "expected one character")
    if field is not None and (isinstance(field, bool) or not isinstance(field, str | int)):
        raise ConfigError.of("field", field, "expected a name, or a number")
    single = isinstance(path, str | os.PathLike)
    given: list[Path] = [Path(path)] if single else [Path(one) for one in path]  # type: ignore[arg-type,union-attr]
    files = tuple(file for one in given for file in _files(one, format))
    if not files:
        raise DataError("no path arrived; expected at least one")
    found = {_format(file) or "txt" for file in files} if format is None else {format}
    source = str(given[0]) if len(given) == 1 else ""
    if len(found) > 1:
        remedies = tuple(Remedy("format", name) for name in sorted(found))
        raise DataError(f"holds files of several formats: {', '.join(sorted(found))}", Place(source), remedies)
    (kind,) = found
    _check_use(kind, field=field, unit=unit, delimiter=delimiter, header=header, quotes=quotes)
    if header is False and isinstance(field, str):
        raise ConfigError.of("field", field, "expected a number, from 0: a table without a header has no names")
    return FileTexts(
        files,
        kind,
        source,
        field,
        unit or "file",
        encoding,
        delimiter,
        header is not False,
        quotes is not False,
        empty,
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


def _files(path: Path, format: str | None) -> list[Path]:
    """Return a file, or those of a folder that hold texts."""
    place = Place(str(path))
    if not path.exists():
        raise DataError("there is no such file or folder", place)
    if not path.is_dir():
        suffix = Path(path.name.lower().removesuffix(".gz")).suffix
        if format is None and suffix in _OTHER:
            raise DataError(_OTHER[suffix][0], place, _OTHER[suffix][1])
        return [path]
    found = [
        file
        for file in path.rglob("*")
        if file.is_file()
        and not any(part.startswith(".") for part in file.relative_to(path).parts)
        and file.name.lower() not in _LITTER
    ]
    known = found if format is not None else [file for file in found if _format(file)]
    if not known:
        suffixes = sorted({file.suffix or "no suffix" for file in found})
        holds = f"holds files of formats that are not read ({', '.join(suffixes)})" if found else "holds no files"
        expected = f"{holds}; expected .{', .'.join(FORMATS)}, or one of them with .gz"
        remedy = Remedy("format", "txt", "if they are plain text") if found else None
        raise DataError(expected, place, remedy)
    return sorted(known, key=lambda file: natural_key(file.relative_to(path).as_posix()))


def _format(file: Path) -> str | None:
    """Return the format that a file's suffix says, or None."""
    name = file.name.lower().removesuffix(".gz")
    return FORMATS.get(name.rpartition(".")[2]) if "." in name else None


def _check_use(kind: str, **arguments: Any) -> None:
    """Raise ConfigError for an argument that a format has no use for."""
    taken = {"txt": {"unit"}, "jsonl": {"field"}}.get(kind, {"field", "delimiter", "header", "quotes"})
    for name, value in arguments.items():
        if value is not None and name not in taken:
            what = {"txt": "plain text", "jsonl": "JSON lines"}.get(kind, "a table")
            raise ConfigError.of(name, value, f"leave it out: {what} has no use for it")
