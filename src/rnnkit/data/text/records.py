"""Records in files: JSON lines, JSON arrays, the rows of tables; and the text in a field of each."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from ...errors import ConfigError, DataError, Place, Remedy, nearest, suggest
from ..sentences import quoted
from .decoding import LONGEST, lines_of
from .tokenizer import check_text

if TYPE_CHECKING:
    from .files import TextFiles
    from .texts import FileTexts

_NAMES = ("text", "sentence", "content", "review", "document", "文本", "内容", "正文", "句子")
_MARKS = ",;\t|"
_SHOWN = 12  # names in a message

Lines = Iterator[tuple[str, int]]


def record_texts(chunks: Iterator[str], file: Path, texts: FileTexts) -> Iterator[tuple[str, Place]]:
    """Yield the text of each record of a file, and its place."""
    if texts.format in ("json", "jsonl"):
        return _json_texts(json_records(chunks, file, texts), texts)
    return _table_texts(Table(lines_of(chunks, file), Place(str(file)), texts), texts)


def json_records(chunks: Iterator[str], file: Path, files: TextFiles) -> Iterator[tuple[Any, Place]]:
    """Yield the value of each line, or of each entry of an array, and its place."""
    if files.format == "json":
        return _array_records(chunks, Place(str(file)), files)
    return _line_records(lines_of(chunks, file), Place(str(file)))


def _line_records(lines: Lines, place: Place) -> Iterator[tuple[Any, Place]]:
    for line, number in lines:
        if not line.strip():
            continue
        where = place.at(line=number)
        try:
            record = json.loads(line)
        except RecursionError:
            raise DataError("the JSON is nested too deep", where) from None
        except ValueError as error:
            remedies: list[Remedy | str] = []
            if number == 1:
                remedies.append(Remedy("format", "txt", "if the lines are plain text"))
            if number == 1 and line.lstrip()[0] in "[{":
                remedies.append(Remedy("format", "json", "if the file is one JSON array"))
            if number > 1:
                remedies.append("correct the line, or take it out of the file")
            raise DataError(f"the line is not JSON ({json_problem(error)})", where, remedies) from None
        yield record, where


def _array_records(chunks: Iterator[str], place: Place, files: TextFiles) -> Iterator[tuple[Any, Place]]:
    """Yield the entries of the array in a file. The text is in memory, the entries are not."""
    text = _whole_text(chunks, place)
    decoder = json.JSONDecoder()
    at = _skip(text, 0)
    if text[at] != "[":
        found = "an object" if text[at] == "{" else "no array"
        remedies = (
            Remedy("format", "jsonl", "if each line is a record"),
            Remedy("format", "txt", "if it is one plain text"),
        )
        raise DataError(f"holds {found}; expected a JSON array of records, [{{…}}, {{…}}]", place, remedies)
    at = _skip(text, at + 1)
    number, line, counted = 0, 1, 0
    while text[at : at + 1] != "]" or number:
        number += 1
        line, counted = line + text.count("\n", counted, at), at
        where = place.at(line=line, part=f"record {number:,}")
        try:
            record, at = decoder.raw_decode(text, at)
        except RecursionError:
            raise DataError("the JSON is nested too deep", where) from None
        except json.JSONDecodeError as error:
            raise DataError(f"the file is not JSON ({error.msg})", where.at(line=error.lineno)) from None
        yield record, where
        at = _skip(text, at)
        mark = text[at : at + 1]
        if mark not in (",", "]"):
            found = f"{mark!r} follows the record" if mark else "the file ends"
            raise DataError(f"the file is not JSON ({found}; expected ',' or ']')", where)
        if mark == "]":
            break
        at = _skip(text, at + 1)
    rest = text[at + 1 :].strip()
    if rest:
        where = place.at(line=1 + text.count("\n", 0, _skip(text, at + 1)))
        raise DataError(f"{rest[0]!r} follows the array; expected one array and nothing else", where)
    if not number and files.empty == "error":
        raise DataError("the array holds no records; expected at least one", place)


def _whole_text(chunks: Iterator[str], place: Place) -> str:
    parts: list[str] = []
    size = 0
    for chunk in chunks:
        parts.append(chunk)
        size += len(chunk)
        if size > LONGEST:
            raise DataError(
                f"has more than {LONGEST:,} characters, which is the longest JSON array that is read",
                place,
                "save it as JSON lines (.jsonl), a record a line, which are read one by one",
            )
    return "".join(parts)


def _skip(text: str, at: int) -> int:
    """Return where the next character stands that is no white space of JSON."""
    while text[at : at + 1] in (" ", "\n", "\t", "\r"):
        at += 1
    return at


def _json_texts(records: Iterator[tuple[Any, Place]], texts: FileTexts) -> Iterator[tuple[str, Place]]:
    field = texts.field
    if isinstance(field, int):
        raise ConfigError.of("field", field, "expected the name of a field")
    for record, where in records:
        if isinstance(record, str) and field is None:
            value: Any = record
        else:
            check_object(record, where, "text" if isinstance(record, str) else None)
            field = _guess(record, where) if field is None else field
            value = field_value(record, field, where, Remedy("field"))
            where = at_field(where, field)
        if isinstance(value, list) and _all_text(value):
            value = "\n".join(value)
        if not is_filled(value, where, texts.empty):
            if texts.empty == "keep":
                yield "", where
            continue
        if not isinstance(value, str):
            raise DataError(f"holds {json_name(value)}; expected text in quotation marks", where, "correct it")
        yield check_text(value, where), where


def _table_texts(table: Table, texts: FileTexts) -> Iterator[tuple[str, Place]]:
    column: int | None = None
    name = ""
    for row, where in table:
        if column is None:
            column = _text_column(row, texts, where, table.delimiter)
            name = (row[column].strip() if texts.header else "") or str(column)
            if texts.header:
                continue
        where = where.at(column=name)
        if is_filled(row[column], where, texts.empty):
            yield check_text(row[column], where), where
        elif texts.empty == "keep":
            yield "", where


class Table:
    """The rows of a table, with the header as the first where it has one, each with its place; all have one width.

    Attributes:
        delimiter: the mark between the cells.
    """

    def __init__(self, lines: Lines, place: Place, files: TextFiles) -> None:
        first = next(((line, number) for line, number in lines if line.strip()), None)
        self._position = None if first is None else _Lines(first, lines)
        self._place, self._files = place, files
        self.delimiter = files.delimiter or ("" if first is None else _delimiter(first[0], files.format))

    def __iter__(self) -> Iterator[tuple[list[str], Place]]:
        position, files = self._position, self._files
        if position is None:
            return
        # The limit holds for all readers of the process; a text may be longer than its first value, 131,072 characters.
        csv.field_size_limit(max(csv.field_size_limit(), LONGEST))
        quoting: Literal[0, 3] = csv.QUOTE_MINIMAL if files.quotes else csv.QUOTE_NONE
        reader = csv.reader(position, delimiter=self.delimiter, quoting=quoting, strict=True)
        width = 0
        while True:
            where = self._place.at(line=position.next_line)
            try:
                row = next(reader)
            except StopIteration:
                return
            except csv.Error as error:
                remedies = (Remedy("quotes", False, "if quotation marks are plain characters"), Remedy("delimiter"))
                problem = f"the row is not a table's ({error}); is a quotation mark out of place?"
                raise DataError(problem, where, remedies) from None
            if not row or (len(row) == 1 and not row[0].strip() and width > 1):
                continue
            begins, width = not width, width or len(row)
            if len(row) != width:
                marks = (Remedy("delimiter"), Remedy("quotes", not files.quotes))
                raise DataError(f"has {len(row)} cells; expected {width} as in the first row", where, marks)
            yield row, where
            if begins and files.header and position.ended:
                raise DataError("has a header but no rows; expected at least one", self._place)


class _Lines:
    """The lines for the reader of tables.

    Attributes:
        next_line: the number of the line that comes next.
        ended: whether there is none.
    """

    def __init__(self, first: tuple[str, int], lines: Lines) -> None:
        self._next: tuple[str, int] | None = first
        self._lines, self._last = lines, first[1]

    @property
    def next_line(self) -> int:
        return self._next[1] if self._next else self._last + 1

    @property
    def ended(self) -> bool:
        return self._next is None

    def __iter__(self) -> _Lines:
        return self

    def __next__(self) -> str:
        if self._next is None:
            raise StopIteration
        line, self._last = self._next
        self._next = next(self._lines, None)
        return line


def is_filled(value: Any, where: Place, empty: str) -> bool:
    """Return whether a value is more than null, spaces or an empty list.

    Raises:
        DataError: it is not, and `empty` is "error".
    """
    if value is not None and value != [] and not (isinstance(value, str) and not value.strip()):
        return True
    if empty == "error":
        remedies = (Remedy("empty", "skip", "to leave it out"), Remedy("empty", "keep", "to keep an empty text"))
        found = "null" if value is None else "no text"
        raise DataError(f"holds {found}; expected text", where, remedies)
    return False


def check_object(record: Any, where: Place, kind: str | None = None) -> None:
    """Raise DataError for a record that is no JSON object."""
    if not isinstance(record, dict):
        unit = "record" if where.part else "line"
        raise DataError(f"the {unit} holds {kind or json_name(record)}; expected an object with a text in it", where)


def field_value(record: dict[str, Any], field: str, where: Place, remedy: Remedy) -> Any:
    """Return the value of a field; a name with dots goes into objects.

    Raises:
        DataError: the record has no such field.
    """
    if field in record:
        return record[field]
    value: Any = record
    for name in field.split("."):
        if not isinstance(value, dict) or name not in value:
            raise DataError(f"has no field {field!r}{suggest(field, list(record))}", where, remedy)
        value = value[name]
    return value


def at_field(where: Place, field: str) -> Place:
    """Return the place of a field of a record."""
    return where.at(part=f"{where.part}, field {field}" if where.part else f"field {field}")


def column_number(
    field: str | int | None,
    row: Sequence[str],
    header: bool,
    where: Place,
    delimiter: str,
    remedy: Callable[[Any], Remedy],
) -> int:
    """Return the number of a column.

    Args:
        field: its name or number.
        row: the first row.
        header: whether that holds the names.
        where: the place of that row.
        delimiter: the mark between the cells.
        remedy: returns the argument that names another column.

    Raises:
        DataError: there is no such column, or several.
    """
    if isinstance(field, int):
        if not 0 <= field < len(row):
            raise DataError(f"field={field} arrived; the table has the columns 0 to {len(row) - 1}", where)
        return field
    if not header or field is None:
        raise DataError(f"the table has {len(row)} columns and no header", where, remedy(0))
    names = [cell.strip() for cell in row]
    if field not in names:
        remedies = [remedy(nearest(field, names) or name) for name in names[:1]]
        if len(names) == 1:
            remedies.append(Remedy("delimiter", purpose=f"if {delimiter!r} is not what stands between the cells"))
        raise DataError(f"has no column {field!r}{suggest(field, names)}", where, remedies)
    if names.count(field) > 1:
        by_number = remedy(names.index(field))
        purposeful = Remedy(by_number.argument, by_number.value, "to take one by its number")
        raise DataError(f"has {names.count(field)} columns {field!r}", where, purposeful)
    return names.index(field)


def _text_column(row: Sequence[str], texts: FileTexts, where: Place, delimiter: str) -> int:
    """Return the number of the column with the text."""
    field = texts.field
    if field is None and len(row) == 1:
        return 0
    if field is None and texts.header:
        names = [cell.strip() for cell in row]
        folded = [name.casefold() for name in names]
        field = next((names[folded.index(name)] for name in _NAMES if name in folded), None)
        if field is None:
            remedies = [Remedy("field", name) for name in names[:3]]
            raise DataError(f"which column holds the text? The columns are {quoted(names, _SHOWN)}", where, remedies)
    return column_number(field, row, texts.header, where, delimiter, lambda name: Remedy("field", name))


def _guess(record: dict[str, Any], where: Place) -> str:
    """Return the field of the text, where the user named none."""
    named = [name for name in _NAMES if name in record and (record[name] is None or _holds_text(record[name]))]
    texts = [name for name, value in record.items() if isinstance(value, str)]
    found = [name for name, value in record.items() if _holds_text(value)]
    if named or len(texts) == 1 or (len(found) == 1 and not texts):
        return (named or texts or found)[0]
    which = (
        f"several fields hold text: {quoted(found, _SHOWN)}"
        if found
        else f"no field holds text: {quoted(list(record), _SHOWN)}"
    )
    objects = [(name, value) for name, value in record.items() if isinstance(value, dict)]
    inner = [f"{name}.{part}" for name, value in objects for part in value if _holds_text(value[part])]
    raise DataError(which, where, [Remedy("field", name) for name in (found or inner)[:3]] or None)


def _holds_text(value: Any) -> bool:
    return isinstance(value, str) or (isinstance(value, list) and value != [] and _all_text(value))


def _all_text(values: list[Any]) -> bool:
    return all(isinstance(value, str) for value in values)


def _delimiter(line: str, format: str) -> str:
    """Return the mark between the cells, by the first line."""
    if format == "tsv":
        return "\t"
    outside = "".join(line.split('"')[::2])
    return max(_MARKS, key=outside.count) if any(mark in outside for mark in _MARKS) else ","


def json_problem(error: ValueError) -> str:
    """Return what is wrong with a line of JSON; the library calls every line the first one."""
    if isinstance(error, json.JSONDecodeError):
        return f"{error.msg.removesuffix(' at')} at character {error.pos + 1}"
    return str(error)


def json_name(value: Any) -> str:
    """Return what a JSON value is, for messages."""
    if value is None or isinstance(value, bool):
        return json.dumps(value)
    if isinstance(value, int | float):
        return f"the number {value!r}"[:60]
    if isinstance(value, list):
        return "a list"
    return "text" if isinstance(value, str) else "an object"
