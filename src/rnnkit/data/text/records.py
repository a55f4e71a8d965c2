"""The text of each record: a field of JSON lines, a column of a table."""

from __future__ import annotations

import csv
import json
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any, Literal

from ...errors import ConfigError, DataError, Place, Remedy, suggest
from .decoding import LONGEST
from .tokenizer import check_text

if TYPE_CHECKING:
    from .texts import FileTexts

_NAMES = ("text", "sentence", "content", "review", "document", "文本", "内容", "正文", "句子")
_MARKS = ",;\t|"
_SHOWN = 12  # names in a message

Lines = Iterator[tuple[str, int]]


def json_texts(lines: Lines, place: Place, texts: FileTexts) -> Iterator[tuple[str, Place]]:
    """Yield the text of each line's JSON object, and its place."""
    field = texts.field
    if isinstance(field, int):
        raise ConfigError.of("field", field, "expected the name of a field")
    for line, number in lines:
        if not line.strip():
            continue
        where = place.at(line=number)
        try:
            record = json.loads(line)
        except RecursionError:
            raise DataError("the JSON is nested too deep", where) from None
        except ValueError as error:
            remedy = Remedy("format", "txt", "if the lines are plain text") if number == 1 else None
            raise DataError(f"the line is not JSON ({error})", where, remedy) from None
        if isinstance(record, str) and field is None:
            value: Any = record
        elif isinstance(record, dict):
            field = _guess(record, where) if field is None else field
            value = _value(record, field, where)
            where = where.at(part=f"field {field}")
        else:
            kind = "text" if isinstance(record, str) else _json_name(record)
            raise DataError(f"the line holds {kind}; expected an object with a text in it", where)
        yield from _checked(value, where, texts)


def table_texts(lines: Lines, place: Place, texts: FileTexts) -> Iterator[tuple[str, Place]]:
    """Yield the text of each row's cell, and its place."""
    first = next(((line, number) for line, number in lines if line.strip()), None)
    if first is None:
        return
    delimiter = texts.delimiter or _delimiter(first[0], texts.format)
    position = _Lines(first, lines)
    # The limit holds for all readers of the process; a text may be longer than its first value, 131,072 characters.
    csv.field_size_limit(max(csv.field_size_limit(), LONGEST))
    quoting: Literal[0, 3] = csv.QUOTE_MINIMAL if texts.quotes else csv.QUOTE_NONE
    reader = csv.reader(position, delimiter=delimiter, quoting=quoting, strict=True)
    column: int | None = None
    width = 0
    while True:
        where = place.at(line=position.next_line)
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
        if column is None:
            width = len(row)
            column = _column(row, texts, where, delimiter)
            if texts.header:
                if position.ended:
                    raise DataError("has a header but no rows; expected at least one", place)
                name = row[column].strip() or str(column)
                continue
            name = str(column)
        if len(row) != width:
            marks = (Remedy("delimiter"), Remedy("quotes", not texts.quotes))
            raise DataError(f"has {len(row)} cells; expected {width} as in the first row", where, marks)
        yield from _checked(row[column], where.at(column=name), texts)


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


def _checked(value: Any, where: Place, texts: FileTexts) -> Iterator[tuple[str, Place]]:
    """Yield a text that is one, as the user wants empty ones."""
    if value is None or (isinstance(value, str) and not value.strip()):
        if texts.empty == "error":
            remedies = (Remedy("empty", "skip", "to leave it out"), Remedy("empty", "keep", "to keep an empty text"))
            found = "null" if value is None else "no text"
            raise DataError(f"holds {found}; expected text", where, remedies)
        if texts.empty == "keep":
            yield "", where
        return
    if not isinstance(value, str):
        raise DataError(f"holds {_json_name(value)}; expected text in quotation marks", where, Remedy("field"))
    yield check_text(value, where), where


def _guess(record: dict[str, Any], where: Place) -> str:
    """Return the field of the text, where the user named none."""
    found = [name for name in _NAMES if isinstance(record.get(name, 0), str | None)]
    found = found or [name for name, value in record.items() if isinstance(value, str)]
    if found and (found[0] in _NAMES or len(found) == 1):
        return found[0]
    which = f"several fields hold text: {_listed(found)}" if found else f"no field holds text: {_listed(list(record))}"
    raise DataError(which, where, [Remedy("field", name) for name in found[:3]] or None)


def _value(record: dict[str, Any], field: str, where: Place) -> Any:
    if field in record:
        return record[field]
    value: Any = record
    for name in field.split("."):
        if not isinstance(value, dict) or name not in value:
            raise DataError(f"has no field {field!r}{suggest(field, list(record))}", where, Remedy("field"))
        value = value[name]
    return value


def _column(row: Sequence[str], texts: FileTexts, where: Place, delimiter: str) -> int:
    """Return the number of the column with the text."""
    field, names = texts.field, [cell.strip() for cell in row]
    if isinstance(field, int):
        if not 0 <= field < len(row):
            raise DataError(f"field={field} arrived; the table has the columns 0 to {len(row) - 1}", where)
        return field
    if not texts.header:
        if len(row) == 1:
            return 0
        raise DataError(f"the table has {len(row)} columns and no header", where, Remedy("field", 0))
    if field is None:
        folded = [name.casefold() for name in names]
        field = next((names[folded.index(name)] for name in _NAMES if name in folded), None)
        if field is None and len(names) > 1:
            remedies = [Remedy("field", name) for name in names[:3]]
            raise DataError(f"which column holds the text? The columns are {_listed(names)}", where, remedies)
        field = names[0] if field is None else field
    if field not in names:
        remedies = [Remedy("field", name) for name in names[:1]]
        if len(names) == 1:
            remedies.append(Remedy("delimiter", purpose=f"if {delimiter!r} is not what stands between the cells"))
        raise DataError(f"has no column {field!r}{suggest(field, names)}", where, remedies)
    if names.count(field) > 1:
        problem = f"has {names.count(field)} columns {field!r}"
        raise DataError(problem, where, Remedy("field", names.index(field), "to take one by its number"))
    return names.index(field)


def _delimiter(line: str, format: str) -> str:
    """Return the mark between the cells, by the first line."""
    if format == "tsv":
        return "\t"
    outside = "".join(line.split('"')[::2])
    return max(_MARKS, key=outside.count) if any(mark in outside for mark in _MARKS) else ","


def _json_name(value: Any) -> str:
    if value is None or isinstance(value, bool):
        return json.dumps(value)
    if isinstance(value, int | float):
        return f"the number {value!r}"[:60]
    return "a list" if isinstance(value, list) else "an object"


def _listed(names: Sequence[str]) -> str:
    shown = ", ".join(map(repr, names[:_SHOWN]))
    return shown + (f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else "")
