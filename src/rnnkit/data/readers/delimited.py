"""CSV and its kin: long or wide tables with a header, and the UCR archive's classic text without one."""

from __future__ import annotations

import csv
import io
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ...errors import DataError, Place, Remedy
from ..reading import Options
from ..row_checks import trim
from ..series import SeriesSet
from . import text
from .columns import check_names, is_unnamed, may_be_text
from .parsed_rows import ParsedRows
from .tables import Table, need_pandas, to_series

if TYPE_CHECKING:
    import numpy.typing as npt
    import pandas as pd

_LOOKED_AT = 50  # lines, to find delimiter and header
_DECIMAL_COMMA = re.compile(r"\s*[+-]?\d+,\d+(?:[eE][+-]?\d+)?\s*")
_EXCEL = re.compile(r"sep=([,;|\t])(?=\n)", re.IGNORECASE)
_BLANKS = r"\s+"


def read(path: Path, options: Options) -> SeriesSet:
    """Read a delimited file; see :func:`rnnkit.data.read_series`."""
    content = text.decode(path, options.encoding)
    separator_line = _EXCEL.match(content)
    if separator_line:  # the line stays, empty, so that the others keep their numbers
        content = content[separator_line.end() :]
    first = [line for line in content.split("\n", _LOOKED_AT * 2)[:-1] or [content] if line.strip()][:_LOOKED_AT]
    if not first:
        raise DataError("the file is empty; expected at least one series", Place(str(path)))
    guessed = separator_line[1] if separator_line else _delimiter(first)
    delimiter = options.delimiter or guessed
    other = guessed not in (_BLANKS, options.decimal)
    if other and len(_cells(first[0], delimiter)) == 1 < len(_cells(first[0], guessed)):
        raise DataError(f"no line holds the delimiter {delimiter!r}", Place(str(path)), Remedy("delimiter", guessed))
    decimal = options.decimal or _decimal(first, delimiter)
    if decimal == delimiter:
        raise DataError(
            "the comma cannot be both delimiter and decimal mark",
            Place(str(path)),
            (Remedy("decimal", "."), Remedy("delimiter", purpose="with another mark")),
        )
    rows = [_cells(line, delimiter) for line in first[:5]]
    header = options.header
    if header is None:
        header = _has_header(rows, decimal)
    if header:
        return to_series(_table(content, path, options, delimiter, decimal), options)
    return _headerless(content, path, options, delimiter, decimal)


def _delimiter(lines: list[str]) -> str:
    """Return the mark that cuts every line into equally many cells, the comma last: it may be the decimal mark."""
    best = None
    for mark in ("\t", ";", "|", ","):
        counts = {len(_cells(line, mark)) for line in lines}
        if min(counts) > 1 and len(counts) == 1:
            return mark
        if min(counts) > 1:
            best = best or mark
    if best is None:
        ragged = max((",", ";", "\t"), key=lambda mark: sum(mark in line for line in lines))
        if sum(ragged in line for line in lines) > len(lines) / 2:
            return ragged
        if all(len(line.split()) > 1 for line in lines) and _is_number(lines[0].split()[0], "."):
            return _BLANKS
    return best or ","


def _decimal(lines: list[str], delimiter: str) -> str:
    """Return a comma where cells look like 1,5 and none like 1.5."""
    if delimiter == ",":
        return "."
    cells = [cell for line in lines for cell in _cells(line, delimiter)]
    commas = any(_DECIMAL_COMMA.fullmatch(cell) for cell in cells)
    points = any("." in cell and _is_number(cell, ".") for cell in cells)
    return "," if commas and not points else "."


def _cells(line: str, delimiter: str) -> list[str]:
    if delimiter == _BLANKS:
        return line.split()
    return next(csv.reader([line], delimiter=delimiter, skipinitialspace=True))


def _is_number(cell: str, decimal: str) -> bool:
    cell = cell.strip()
    if cell.lower() in text.MISSING:
        return True
    try:
        float(cell.replace(decimal, "."))
    except ValueError:
        return False
    return True


def _has_header(rows: list[list[str]], decimal: str) -> bool:
    """Return whether the first line names columns.

    Text between the first and the last cell does, since a label is at an end; so does the name of a role there,
    such as "label". So do numbers that count the columns, as pandas writes them.
    """
    head = rows[0]
    plain = [_is_number(cell, decimal) and bool(cell.strip()) for cell in head]
    if len(head) == 1:
        return not plain[0]
    if not all(plain[1:-1]) or not (plain[0] or plain[-1]) or any(may_be_text(cell, Options()) for cell in head):
        return True
    count = [int(cell) for cell in head if cell.strip().isdigit()]
    counts = len(count) >= max(3, len(head) - 1) and count == list(range(count[0], count[0] + len(count)))
    return counts and count[0] in (0, 1) and len(rows) > 1 and head[1:-1] != rows[1][1:-1]


def _headerless(content: str, path: Path, options: Options, delimiter: str, decimal: str) -> SeriesSet:
    """Read lines of numbers; in a wide file the label is first or last, and empty cells at the end are padding."""
    lines = [(number, line) for number, line in enumerate(content.split("\n"), 1) if line.strip()]
    cells = [_cells(line, delimiter) for _, line in lines]
    if options.layout == "long":
        return _one_series(cells, [number for number, _ in lines], path, options, decimal)
    target = _target_index(cells, path, options, decimal)
    widths = {len(row) for row in cells}
    rows, labels = ParsedRows(path), []
    for (number, _), row in zip(lines, cells, strict=True):
        place = Place(str(path), number)
        names = [str(index) for index in range(1, len(row) + 1)]
        if target is not None:
            if len(row) < 2:
                raise DataError(f"has {len(row)} cell; expected a label and at least one value", place)
            labels.append(row.pop(target))
            names.pop(target)
        rows.values.append(trim(text.numbers(row, place, names, decimal)[:, None]))
        rows.lines.append(number)
    rows.read_options = _stored("wide", options)
    if target is not None:
        rows.cells = labels
        rows.read_options["target_column"] = "first" if target == 0 else "last" if target == -1 else str(target + 1)
        if len(widths) == 1:
            rows.read_options["cells"] = widths.pop()
    return rows.to_series(options)


def _target_index(cells: list[list[str]], path: Path, options: Options, decimal: str) -> int | None:
    """Return where the label is: 0, −1 or as named; None if there is none."""
    named, place = options.target_columns, Place(str(path))
    if len(named) > 1:
        raise DataError(f"{list(named)} arrived as targets; expected one in a file without a header", place)
    if named and options.targets is None and {len(row) + 1 for row in cells} == {options.cells}:
        return None  # data to predict on, without the column that training data has
    if named:
        places = {"first": 0, "last": -1}
        if named[0] in places:
            return places[named[0]]
        if str(named[0]).isdigit() and 1 <= int(named[0]) <= min(map(len, cells)):
            return int(named[0]) - 1
        raise DataError(
            f"has no header, so the target {named[0]!r} is not known",
            place,
            (
                Remedy("target_column", "first"),
                Remedy("target_column", "last"),
                Remedy("target_column", purpose="with the column's number, from 1"),
                Remedy("header", True, "if the first line names the columns"),
            ),
        )
    if options.targets is None:
        return None
    first, last = [row[0] for row in cells], [row[-1] for row in cells]
    ranks = [_label_rank(first, decimal), _label_rank(last, decimal)]
    if ranks[0] == ranks[1] or options.targets == "numbers":
        raise DataError(
            "has no header, and whether the label is first or last cannot be told",
            place,
            (Remedy("target_column", "first", "(as in the UCR archive)"), Remedy("target_column", "last")),
        )
    return 0 if ranks[0] < ranks[1] else -1


def _label_rank(cells: list[str], decimal: str) -> int:
    """Return 0: text, surely a label; 1: whole numbers that repeat, probably one; 2: measurements."""
    if not all(_is_number(cell, decimal) for cell in cells):
        return 0
    numbers = {float(cell.replace(decimal, ".")) for cell in cells if cell.strip().lower() not in text.MISSING}
    whole = all(number.is_integer() for number in numbers)
    return 1 if whole and len(numbers) <= max(2, len(cells) // 2) else 2


def _one_series(cells: list[list[str]], lines: list[int], path: Path, options: Options, decimal: str) -> SeriesSet:
    """Read a file of numbers alone that is one series: a line a step, a column a channel."""
    width = len(cells[0])
    for number, row in zip(lines, cells, strict=True):
        if len(row) != width:
            raise DataError(f"has {len(row)} cells; expected {width} as in line {lines[0]}", Place(str(path), number))
    places = [Place(str(path), number) for number in lines]
    values = np.stack([text.numbers(row, place, None, decimal) for place, row in zip(places, cells, strict=True)])
    channels = ["value"] if width == 1 else [f"channel {index}" for index in range(width)]
    if options.targets is not None:
        raise DataError(
            f"one series without a header has no {options.targets}", Place(str(path)), Remedy("targets", None)
        )
    return SeriesSet(
        [values.astype(np.float32)],
        tuple(channels),
        None,
        (path.name,),
        source=str(path),
        read_options=_stored("long", options),
    )


def _stored(layout: str, options: Options) -> dict[str, Any]:
    """Return the arguments that read a file without a header in the same way; JSON values."""
    named = {name: getattr(options, name) for name in ("encoding", "delimiter", "decimal")}
    return {"header": False, "layout": layout, **{name: value for name, value in named.items() if value}}


def _table(content: str, path: Path, options: Options, delimiter: str, decimal: str) -> Table:
    need_pandas(str(path))
    import pandas as pd

    place = Place(str(path))
    if delimiter == _BLANKS:
        raise DataError("blanks between named columns are not read", place, "save the file with commas or tabs")
    if len(delimiter) != 1 or not delimiter.isascii():
        raise DataError(f"the delimiter {delimiter!r} arrived; expected one character", place, Remedy("delimiter"))
    raw = content.encode()
    lines, fields = scan(raw, delimiter, path)
    names = check_names(
        next(
            csv.reader(
                io.StringIO(content.lstrip("\n \t") if lines[0] > 1 else content),
                delimiter=delimiter,
                skipinitialspace=True,
            )
        ),
        place.at(line=int(lines[0])),
    )
    names = _without_last(names)
    uneven = np.flatnonzero(fields != fields[0])
    if len(uneven):
        raise DataError(
            f"has {fields[uneven[0]]} cells; expected {fields[0]} as in the header (line {lines[0]})",
            place.at(line=int(lines[uneven[0]])),
            "leave a cell that is missing empty between its delimiters",
        )
    if len(lines) == 1:
        raise DataError("has a header but no rows; expected at least one", place)
    as_text = {name: str for name in names if may_be_text(name, options)}
    absent = [cell for plain in text.MISSING for cell in {plain, plain.upper(), plain.title(), "NaN"}]
    try:
        frame = pd.read_csv(
            io.BytesIO(raw),
            sep=delimiter,
            decimal=decimal,
            names=names,
            header=0,
            index_col=False,
            usecols=range(len(names)),
            dtype=as_text,
            na_values={name: absent for name in names if name not in as_text},
            keep_default_na=False,
            skipinitialspace=True,
            low_memory=False,
            encoding="utf-8",
        )
    except (pd.errors.ParserError, ValueError) as error:
        raise DataError(f"cannot be read as a table ({error}); is a quotation mark out of place?", place) from None
    if len(frame) != len(lines) - 1:
        raise DataError(f"has {len(lines) - 1} lines but {len(frame)} rows; is a quotation mark out of place?", place)
    if decimal == ",":
        frame = _mend_text_columns(frame, as_text)
    return Table(frame, str(path), path.name, lines[1:], decimal_comma=delimiter != ",")


def _mend_text_columns(frame: pd.DataFrame, as_text: dict[str, Any]) -> pd.DataFrame:
    """Read numbers with decimal commas in columns that were read as text in case they are labels or times."""
    for name in as_text:
        if bool(frame[name].str.fullmatch(_DECIMAL_COMMA.pattern).all()):
            frame[name] = frame[name].str.replace(",", ".", regex=False)
    return frame


def _without_last(names: list[str]) -> list[str]:
    """A delimiter at the end of every line makes a last column without a name, which is none."""
    return names[:-1] if len(names) > 2 and is_unnamed(names[-1]) else names


def scan(raw: bytes, delimiter: str, path: Path) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """Return the line number at which each record begins, and how many cells it has; empty lines are no records.

    Delimiters and line ends inside quotation marks do not count.
    """
    data = np.frombuffer(raw if raw.endswith(b"\n") else raw + b"\n", np.uint8)
    marks, ends = data == ord(delimiter), data == ord("\n")
    breaks = np.flatnonzero(ends)
    quotes = data == ord('"')
    if quotes.any():
        inside = np.cumsum(quotes, dtype=np.uint8) & 1 == 1  # the sum may wrap around: it stays odd or even
        if inside[-1]:
            opened = int(np.flatnonzero(quotes)[-1])
            line = int(np.searchsorted(breaks, opened)) + 1
            raise DataError("a quotation mark is opened and not closed; expected pairs of them", Place(str(path), line))
        marks &= ~inside
        ends &= ~inside
    stops = np.flatnonzero(ends)
    starts = np.concatenate([[0], stops[:-1] + 1])
    fields = np.diff(np.searchsorted(np.flatnonzero(marks), stops), prepend=0) + 1
    lines = np.searchsorted(breaks, starts) + 1
    filled = stops > starts
    for index in np.flatnonzero((fields == 1) & np.isin(data[starts], [ord(" "), ord("\t")])).tolist():
        filled[index] = bool(data[starts[index] : stops[index]].tobytes().strip())
    return lines[filled], fields[filled]
