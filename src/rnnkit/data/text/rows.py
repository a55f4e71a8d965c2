"""Several fields of each record of a file, and parallel files, whose lines are texts of one meaning."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import zip_longest
from pathlib import Path
from typing import Any, Literal

from ...errors import ConfigError, DataError, Place, Remedy, check_choice
from ..reading import check_encoding
from .decoding import decode_file, lines_of
from .files import EMPTY, Paths, TextFiles, check_reading, check_use, digest_files, find_files
from .records import Table, at_field, check_object, column_number, field_value, is_filled, json_records
from .tokenizer import check_text

Row = dict[str | int, Any]


@dataclass(frozen=True, eq=False, repr=False)
class TextRows(TextFiles):
    """Records of files, which can be read again and again: a loop yields (values by field, Place).

    `read_text_rows` makes it. No more than one record is in memory.

    Attributes:
        fields: the names or numbers of the fields; None: all of each record.

    Example:
        >>> import pathlib, tempfile
        >>> file = pathlib.Path(tempfile.mkdtemp()) / "pairs.tsv"
        >>> _ = file.write_text("en\\tzh\\nGood morning\\t早上好\\n", "utf-8")
        >>> rows = read_text_rows(file, ["zh", "en"])
        >>> for row, place in rows:
        ...     print(row, place.line)
        {'zh': '早上好', 'en': 'Good morning'} 2
    """

    fields: tuple[str | int, ...] | None = None

    def __iter__(self) -> Iterator[tuple[Row, Place]]:
        """Yield the values of each record by its fields, and its place.

        Raises:
            DataError: a record is damaged, lacks a field, or holds no text in it; see `read_text_rows`.
        """
        return self.read_files(self._file, None)

    def how(self) -> list[Any]:
        """Return all that changes what is read of the same bytes."""
        return ["rows", self.fields, *super().how()]

    def _file(self, file: Path, chunks: Iterator[str]) -> Iterator[tuple[Row, Place]]:
        if self.format in ("json", "jsonl"):
            for record, where in json_records(chunks, file, self):
                check_object(record, where)
                named = self._named(record, where)
                if (row := self._checked((name, value, at_field(where, name)) for name, value in named)) is not None:
                    yield row, where
            return
        columns: list[tuple[str | int, int]] | None = None
        table = Table(lines_of(chunks, file), Place(str(file)), self)
        for cells, where in table:
            if columns is None:
                columns = self._columns(cells, where, table.delimiter)
                if self.header:
                    continue
            found = ((name, cells[column], where.at(column=str(name))) for name, column in columns)
            if (row := self._checked(found)) is not None:
                yield row, where

    def _named(self, record: dict[str, Any], where: Place) -> Iterator[tuple[str, Any]]:
        """Yield the fields of a JSON object that are wanted."""
        if self.fields is None:
            yield from _flat(record)
            return
        for name in self.fields:
            yield str(name), field_value(record, str(name), where, _remedy(name))

    def _columns(self, first: list[str], where: Place, delimiter: str) -> list[tuple[str | int, int]]:
        """Return the name and the number of each column that is wanted."""
        names = [cell.strip() for cell in first]
        if self.fields is None and not self.header:
            return [(column, column) for column in range(len(first))]
        wanted = self.fields if self.fields is not None else [name or column for column, name in enumerate(names)]
        return [(name, column_number(name, first, self.header, where, delimiter, _remedy)) for name in wanted]

    def _checked(self, found: Iterator[tuple[str | int, Any, Place]]) -> Row | None:
        """Return a row of values that are texts or lists; None where it is left out."""
        row: Row = {}
        for name, value, where in found:
            if not is_filled(value, where, self.empty):
                if self.empty == "skip":
                    return None
                row[name] = [] if isinstance(value, list) else ""
            else:
                row[name] = _value(value, where, name)
        return row


def read_text_rows(
    source: Paths,
    fields: Sequence[str | int] | None = None,
    *,
    format: Literal["jsonl", "json", "csv", "tsv"] | None = None,
    encoding: str | None = None,
    delimiter: str | None = None,
    header: bool | None = None,
    quotes: bool | None = None,
    empty: Literal["error", "skip", "keep"] = "error",
) -> TextRows:
    """Read several fields of each record: a text and its label, a text in two languages, tokens and their tags.

    It reads the files that `read_texts` reads, plain text aside: ``.jsonl``, ``.ndjson``, ``.json`` with an array of
    objects, ``.csv``, ``.tsv``, each also as ``.gz``, and folders of one of these.

    Args:
        source: a file, a folder, or several of them.
        fields: the names of the fields or columns; ``a.b`` is field b of the object in field a. A number is a column
            of a table, from 0. None: all fields that a record has; those of an object in it are named ``a.b``.
        format: where the suffix does not say it.
        encoding: such as "gb18030"; None: by the byte order mark, else UTF-8.
        delimiter: of a table; else the tab for ``.tsv``, and for ``.csv`` that of ``, ; tab |`` which the header holds.
        header: False if the first line of a table is data; then the fields are numbers.
        quotes: False if quotation marks in a table are plain characters.
        empty: treatment of a field without text, with null, or with an empty list: "error", "skip" to leave the
            whole record out, or "keep" for an empty text.

    Returns:
        The rows: a loop yields a dict and the place of the record. Its keys are the fields as they were named. Values
        are texts; a number and a truth value of JSON are written as in JSON; a list stays a list. `fingerprint()` is a
        digest of the files and of how they are read.

    Raises:
        DataError: there is no file, or, while it is read: a file is empty or in another encoding, a record is damaged,
            a field is missing or empty. The message names the file, the line, and in an array the record.
        ConfigError: an argument has no such value, or the format has no use for it.

    Example:
        >>> import pathlib, tempfile
        >>> file = pathlib.Path(tempfile.mkdtemp()) / "poems.json"
        >>> _ = file.write_text('[{"title": "江雪", "lines": ["千山鸟飞绝", "万径人踪灭"], "year": 805}]', "utf-8")
        >>> [(row, str(place.part)) for row, place in read_text_rows(file, ["lines", "year"])]
        [({'lines': ['千山鸟飞绝', '万径人踪灭'], 'year': '805'}, 'record 1')]
    """
    check_reading(format=format, encoding=encoding, delimiter=delimiter, header=header, quotes=quotes, empty=empty)
    named = _check_fields(fields)
    files, kind, place = find_files(source, format)
    if kind == "txt":
        remedies = (
            Remedy("format", "tsv", "if tabs stand between the fields"),
            Remedy("format", "jsonl", "if each line is a JSON object"),
            "read plain text by read_texts(path), and two parallel files by read_parallel_texts((file, file))",
        )
        raise DataError(
            "is plain text, which has no fields; expected .jsonl, .json, .csv or .tsv", Place(str(files[0])), remedies
        )
    check_use(kind, delimiter=delimiter, header=header, quotes=quotes)
    for name in named or ():
        if isinstance(name, int) and kind in ("json", "jsonl"):
            raise ConfigError.of("fields", [name], "expected the names of fields")
        if isinstance(name, str) and header is False:
            raise ConfigError.of("fields", [name], "expected numbers, from 0: a table without a header has no names")
    return TextRows(files, kind, place, encoding, delimiter, header is not False, quotes is not False, empty, named)


@dataclass(frozen=True, eq=False)
class ParallelTexts:
    """The lines of parallel files, which can be read again and again: a loop yields (texts, Place).

    `read_parallel_texts` makes it.

    Attributes:
        files: one of each language.
        encoding: of files without a byte order mark.
        empty: treatment of a line that is empty in one file alone.
    """

    files: tuple[Path, ...]
    encoding: str | None = None
    empty: str = "error"

    def __iter__(self) -> Iterator[tuple[tuple[str, ...], Place]]:
        """Yield the texts of each line, one of each file, and the place in the first file.

        Raises:
            DataError: see `read_parallel_texts`.
        """
        lines = [_Counted(file, self.encoding) for file in self.files]
        for number, texts in enumerate(zip_longest(*lines, fillvalue=None), 1):
            filled = [text for text in texts if text is not None and text.strip()]
            if not filled:
                continue
            if None in texts:
                raise self._unequal(lines)
            place = Place(str(self.files[0]), number)
            if len(filled) < len(texts) and self.empty != "keep":
                if self.empty == "skip":
                    continue
                file = next(file for file, text in zip(self.files, texts, strict=True) if not (text or "").strip())
                others = ", ".join(str(one) for one in self.files if one != file)
                raise DataError(
                    f"the line is empty, and not in {others}; expected a text in each",
                    Place(str(file), number),
                    (Remedy("empty", "skip", "to leave such lines out"), Remedy("empty", "keep", "to keep them")),
                )
            yield tuple(text or "" for text in texts), place

    def fingerprint(self) -> str:
        """Return a digest of the files' bytes and of how they are read; their names do not count."""
        return digest_files(self.files, ["parallel", self.encoding, self.empty])

    @property
    def size(self) -> int:
        """The number of bytes of all files, as they lie on the disk."""
        return sum(file.stat().st_size for file in self.files)

    def _unequal(self, lines: Sequence[_Counted]) -> DataError:
        """Return the error about files of different lengths; the rest of each is read to count it."""
        for one in lines:
            for _ in one:
                pass
        counts = "; ".join(f"{one.file} has {one.filled:,} lines" for one in lines)
        return DataError(
            f"the files are not parallel: {counts}; expected as many lines in each",
            None,
            "check that line N of one file is the translation of line N of the other",
        )


def read_parallel_texts(
    files: Sequence[str | os.PathLike[str]],
    *,
    encoding: str | None = None,
    empty: Literal["error", "skip", "keep"] = "error",
) -> ParallelTexts:
    """Read parallel files, such as ``train.en`` and ``train.de``: line N of each has the same meaning.

    Args:
        files: two or more files of plain text, a text a line; packed ones (``.gz``), too.
        encoding: such as "gb18030"; None: by the byte order mark, else UTF-8.
        empty: treatment of a line that is empty in one file and not in another: "error", "skip", or "keep" for an
            empty text. Lines that are empty in all files are no texts.

    Returns:
        The texts: a loop yields a tuple of the texts of a line, one of each file, and the place in the first file.
        `fingerprint()` is a digest of the files.

    Raises:
        DataError: there is no such file, or, while they are read: a file is empty or in another encoding, a line is
            empty in one file alone, or the files have different numbers of lines.
        ConfigError: an argument has no such value.

    Example:
        >>> import pathlib, tempfile
        >>> folder = pathlib.Path(tempfile.mkdtemp())
        >>> _ = (folder / "train.en").write_text("A dog runs.\\nTwo men talk.\\n")
        >>> _ = (folder / "train.de").write_text("Ein Hund rennt.\\nZwei Männer reden.\\n", "utf-8")
        >>> for (english, german), place in read_parallel_texts((folder / "train.en", folder / "train.de")):
        ...     print(place.line, english, "=", german)
        1 A dog runs. = Ein Hund rennt.
        2 Two men talk. = Zwei Männer reden.
    """
    check_encoding(encoding)
    check_choice(empty, "empty", EMPTY)
    if isinstance(files, str | os.PathLike) or len(files) < 2:
        one = [str(files)] if isinstance(files, str | os.PathLike) else [str(file) for file in files]
        raise ConfigError.of("files", one, 'expected two files or more, such as ("train.en", "train.de")')
    paths = tuple(Path(file) for file in files)
    for path in paths:
        if not path.exists():
            raise DataError("there is no such file", Place(str(path)))
        if path.is_dir():
            raise DataError("is a folder; expected a file, a text a line", Place(str(path)))
    return ParallelTexts(paths, encoding, empty)


class _Counted:
    """The lines of a file.

    Attributes:
        file: its name.
        filled: the number of the last line that holds text, of those that were read.
    """

    def __init__(self, file: Path, encoding: str | None) -> None:
        self.file, self.filled = file, 0
        self._lines = lines_of(decode_file(file, encoding), file)

    def __iter__(self) -> _Counted:
        return self

    def __next__(self) -> str:
        line, number = next(self._lines)
        if line.strip():
            self.filled = number
        return check_text(line.removesuffix("\n"))


def _check_fields(fields: Any) -> tuple[str | int, ...] | None:
    if fields is None:
        return None
    if isinstance(fields, str):
        raise ConfigError.of("fields", fields, f"expected a list of names: [{fields!r}]")
    if isinstance(fields, int) or not all(isinstance(one, str | int) and not isinstance(one, bool) for one in fields):
        raise ConfigError.of("fields", fields, "expected a list of names, or of the numbers of columns")
    named = tuple(fields)
    if not named or len(set(named)) < len(named):
        raise ConfigError.of("fields", list(named), "expected at least one name, and each once")
    return named


def _remedy(name: Any) -> Remedy:
    return Remedy("fields", [name])


def _flat(record: dict[str, Any], before: str = "") -> Iterator[tuple[str, Any]]:
    """Yield the fields of an object, those of objects in it by names with dots."""
    for name, value in record.items():
        if isinstance(value, dict):
            yield from _flat(value, f"{before}{name}.")
        else:
            yield before + name, value


def _value(value: Any, where: Place, name: str | int) -> Any:
    """Return a value as a text or a list."""
    if isinstance(value, str):
        return check_text(value, where)
    if isinstance(value, dict):
        inner = [f"{name}.{one}" for one in value][:3]
        raise DataError("holds an object; expected text or a list", where, [_remedy(one) for one in inner] or None)
    if isinstance(value, list):
        for one in value:
            if isinstance(one, str):
                check_text(one, where)
        return value
    return json.dumps(value)
