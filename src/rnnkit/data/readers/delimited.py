"""CSV and its kin: their marks, long or wide tables with a header, and the way to files without one."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ...errors import DataError, Place, Remedy
from ..reading import Options
from ..series import SeriesSet
from . import text
from .column_names import check_names, is_unnamed, may_be_text
from .headerless import read_lines
from .numerals import MISSING, Numerals, find_decimal, is_ambiguous, shown_marks
from .table import Table, need_pandas
from .tables import to_series

if TYPE_CHECKING:
    import numpy.typing as npt
    import pandas as pd

_LOOKED_AT = 50  # lines, to find delimiter and header
_LONGEST = 2**31 - 1  # characters of a cell
_EXCEL = re.compile(r"sep=([,;|\t])(?=\n)", re.IGNORECASE)
_BLANKS = r"\s+"
_NO_OPTIONS = Options()


def read(path: Path, options: Options) -> SeriesSet:
    """Read a delimited file; see :func:`rnnkit.data.read_series`."""
    content, delimiter, numerals, header = _opened(path, options)
    if header:
        return to_series(_table(content, path, options, delimiter, numerals), options)
    lines = [(number, line) for number, line in enumerate(content.split("\n"), 1) if line.strip()]
    cells = [_cells(line, delimiter) for _, line in lines]
    return read_lines(cells, [number for number, _ in lines], path, options, numerals)


def read_table(path: Path, options: Options) -> Table:
    """Read a delimited file whose first line names the columns, as a table.

    Raises:
        DataError: the first line names no columns, or the file cannot be read.
    """
    content, delimiter, numerals, header = _opened(path, options)
    if not header:
        problem = "the first line holds numbers; expected the names of the columns"
        raise DataError(problem, Place(str(path)), Remedy("header", True, "if they are names"))
    return _table(content, path, options, delimiter, numerals)


def _opened(path: Path, options: Options) -> tuple[str, str, Numerals, bool]:
    """The text of a file, its delimiter, how it writes numbers, and whether its first line is a header."""
    content = text.decode(path, options)
    separator_line = _EXCEL.match(content)
    if separator_line:  # the line stays, empty, so that the others keep their numbers
        content = content[separator_line.end() :]
    first = [line for line in content.split("\n", _LOOKED_AT * 2)[:-1] or [content] if line.strip()][:_LOOKED_AT]
    if not first:
        raise DataError("the file is empty; expected at least one series", Place(str(path)))
    guessed = separator_line[1] if separator_line else _delimiter(first)
    delimiter = options.delimiter or guessed
    if delimiter != _BLANKS and (len(delimiter) != 1 or not delimiter.isascii() or delimiter in '"\n\r'):
        problem = f"the delimiter {delimiter!r} arrived; expected one character"
        raise DataError(problem, Place(str(path)), Remedy("delimiter", guessed))
    other = guessed not in (_BLANKS, options.decimal)
    if other and len(_cells(first[0], delimiter)) == 1 < len(_cells(first[0], guessed)):
        raise DataError(f"no line holds the delimiter {delimiter!r}", Place(str(path)), Remedy("delimiter", guessed))
    decimal = options.decimal or _decimal(first, delimiter, options)
    if decimal == delimiter and '"' not in content:
        raise DataError(
            "the comma cannot be both delimiter and decimal mark",
            Place(str(path)),
            (Remedy("decimal", "."), Remedy("delimiter", purpose="with another mark")),
        )
    rows = [_cells(line, delimiter) for line in first[:5]]
    is_free = delimiter != "," or ('"' in content and "." not in shown_marks(_all_cells(first, delimiter)))
    numerals = Numerals.of(options, decimal, comma_is_free=is_free)
    header = options.header
    if header is None:
        header = _has_header(rows, numerals) and not _recurs([_cells(line, delimiter) for line in first], numerals)
    _say_marks(path, options, first, delimiter, decimal, is_guess=separator_line is None)
    return content, delimiter, numerals, header


def _say_marks(path: Path, options: Options, lines: list[str], delimiter: str, decimal: str, *, is_guess: bool) -> None:
    """Note the delimiter where the suffix does not say it, and a decimal mark that is not the point or not certain."""
    parts: dict[str, str] = {}
    usual = {".csv": ",", ".tsv": "\t"}.get(path.suffix.lower())
    if is_guess and options.delimiter is None and delimiter != usual and len(_cells(lines[0], delimiter)) > 1:
        shown = {"\t": "the tab", _BLANKS: "blanks"}.get(delimiter, repr(delimiter))
        parts["delimiter"] = f"{shown} as the delimiter"
    if options.decimal is None and options.thousands is None and (delimiter != "," or decimal == ","):
        cells = [cell for line in lines[1:] for cell in _cells(line, delimiter)]
        if decimal == "," or (find_decimal(cells) is None and any(is_ambiguous(cell) for cell in cells if "." in cell)):
            parts["decimal"] = f"{decimal!r} as the decimal mark"
    if parts:
        remedies = [Remedy(name, purpose="if that is wrong" if name == [*parts][-1] else "") for name in parts]
        options.guesses.add(f"read with {' and '.join(parts.values())}", Place(str(path)), remedies)


def _delimiter(lines: list[str]) -> str:
    """Return the mark that cuts every line into equally many cells, the comma last: it may be the decimal mark."""
    best = None
    for mark in ("\t", ";", "|", ","):
        counts = {len(_cells(line, mark)) for line in lines}
        if min(counts) > 1 and len(counts) == 1:
            return _BLANKS if mark == "," and _is_between_blanks(lines) else mark
        if min(counts) > 1:
            best = best or mark
    if best is None:
        ragged = max((",", ";", "\t"), key=lambda mark: sum(mark in line for line in lines))
        if sum(ragged in line for line in lines) > len(lines) / 2:
            return ragged
        if all(len(line.split()) > 1 for line in lines) and _is_number(lines[0].split()[0]):
            return _BLANKS
    return best or ","


def _is_between_blanks(lines: list[str]) -> bool:
    """Whether blanks stand between numbers with decimal commas: the commas cut every line alike, too."""
    german = Numerals(",")
    rows = [line.split() for line in lines]
    if len({len(row) for row in rows}) > 1 or len(rows[0]) < 2 or all(map(_is_number, _cells(lines[0], ","))):
        return False
    return all(german.is_number(cell) for row in rows for cell in row)


def _decimal(lines: list[str], delimiter: str, options: Options) -> str:
    """The mark that cells show, such as 1,5; a comma between groups of three digits alone shows nothing.

    Beside commas as delimiters the comma of a number stands in quotation marks, as spreadsheets write it.
    """
    if options.thousands in (".", ","):
        return "," if options.thousands == "." else "."
    shown = _marks(lines, delimiter)
    if not shown and options.usual_marks:
        return options.usual_marks[0]
    return shown.pop() if len(shown) == 1 else "."


def _marks(lines: list[str], delimiter: str) -> set[str]:
    """The decimal marks that cells show."""
    if delimiter == "," and not any('"' in line for line in lines):
        return {"."}
    return shown_marks(_all_cells(lines, delimiter))


def _all_cells(lines: list[str], delimiter: str) -> Iterator[str]:
    return (cell for line in lines for cell in _cells(line, delimiter))


def _cells(line: str, delimiter: str) -> list[str]:
    if delimiter == _BLANKS:
        return line.split()
    if '"' not in line:
        return [cell.lstrip(" ") for cell in line.split(delimiter)]
    return _first_record([line], delimiter)


def _first_record(lines: Iterable[str], delimiter: str) -> list[str]:
    """The cells of the first record, however long they are: Python's reader has a limit for the whole process."""
    limit = csv.field_size_limit(_LONGEST)
    try:
        return next(csv.reader(lines, delimiter=delimiter, skipinitialspace=True))
    finally:
        csv.field_size_limit(limit)


def _is_number(cell: str) -> bool:
    return Numerals().is_number(cell)


def _has_header(rows: list[list[str]], numerals: Numerals) -> bool:
    """Whether the first line names columns.

    Text between the first and the last cell does, since a label is at an end; so does the name of a role there,
    such as "label". So do numbers that count the columns, as pandas writes them.
    """
    head = rows[0]
    plain = [numerals.is_number(cell) and bool(cell.strip()) for cell in head]
    if len(head) == 1:
        return not plain[0]
    if not all(plain[1:-1]) or not (plain[0] or plain[-1]) or any(may_be_text(cell, _NO_OPTIONS) for cell in head):
        return True
    count = [int(cell) for cell in head if cell.strip().isdigit()]
    counts = len(count) >= max(3, len(head) - 1) and count == list(range(count[0], count[0] + len(count)))
    return counts and count[0] in (0, 1) and len(rows) > 1 and head[1:-1] != rows[1][1:-1]


def _recurs(rows: list[list[str]], numerals: Numerals) -> bool:
    """Whether the first line is data though it holds text: decimals beside a label that occurs again below it."""
    head, *below = rows
    if not any("." in cell or "," in cell for cell in head if numerals.is_number(cell)):
        return False
    texts = [index for index, cell in enumerate(head) if cell.strip() and not numerals.is_number(cell)]
    return any(row[index : index + 1] == [head[index]] for index in texts for row in below)


def _table(content: str, path: Path, options: Options, delimiter: str, numerals: Numerals) -> Table:
    need_pandas(str(path))
    import pandas as pd

    place = Place(str(path))
    if delimiter == _BLANKS:
        raise DataError("blanks between named columns are not read", place, "save the file with commas or tabs")
    raw = content.encode()
    lines, fields = scan(raw, delimiter, path)
    names = check_names(
        _first_record(io.StringIO(content.lstrip("\n \t") if lines[0] > 1 else content), delimiter),
        place.at(line=int(lines[0])),
    )
    if names[0].startswith("#") and names[0].strip("# "):
        names[0] = names[0].strip("# ")
        options.guesses.add("the first line begins with '#' and is read as the names of the columns", place)
    if len(names) == 1 and options.delimiter is None:
        _refuse_other_delimiter(content, place)
    uneven = np.flatnonzero(fields != fields[0])
    if len(uneven):
        raise DataError(
            f"has {fields[uneven[0]]} cells; expected {fields[0]} as in the header (line {lines[0]})",
            place.at(line=int(lines[uneven[0]])),
            _uneven_advice(content, int(lines[uneven[0]]), has_title=fields[0] == 1),
        )
    if len(lines) == 1:
        raise DataError("has a header but no rows; expected at least one", place)
    as_text = {name: str for name in names if may_be_text(name, options)}
    is_quoted = numerals.decimal == delimiter
    # Beside decimal commas pandas takes 2.155 for 2.155, too.
    if numerals.decimal == "," and (is_quoted or "." in content):
        as_text = dict.fromkeys(names, str)
    absent = [cell for plain in MISSING for cell in {plain, plain.upper(), plain.title(), "NaN"}]
    absent += sorted(numerals.words)

    def parse(columns: list[str], text_columns: dict[str, Any]) -> pd.DataFrame:
        frame = pd.read_csv(
            io.BytesIO(raw),
            sep=delimiter,
            decimal="." if is_quoted else numerals.decimal,
            names=names,
            header=0,
            index_col=False,
            usecols=columns,
            dtype=text_columns,
            na_values={name: absent for name in names if name not in text_columns},
            keep_default_na=False,
            skipinitialspace=True,
            low_memory=False,
            encoding="utf-8",
        )
        assert isinstance(frame, pd.DataFrame)
        return frame

    try:
        frame = parse(names, as_text)
    except (pd.errors.ParserError, ValueError) as error:
        raise DataError(f"cannot be read as a table ({error}); is a quotation mark out of place?", place) from None
    if len(frame) != len(lines) - 1:
        raise DataError(f"has {len(lines) - 1} lines but {len(frame)} rows; is a quotation mark out of place?", place)
    return Table(
        _without_last(frame),
        str(path),
        path.name,
        lines[1:],
        numerals,
        lambda columns: parse(columns, dict.fromkeys(columns, str)),
    )


def _refuse_other_delimiter(content: str, place: Place) -> None:
    """Raise DataError for a table of one column whose lines another mark cuts into equally many cells."""
    lines = [line for line in content.split("\n", _LOOKED_AT) if line.strip()][:_LOOKED_AT]
    for mark in ": ~^&":
        if len({line.strip().count(mark) for line in lines}) == 1 and mark in lines[0].strip():
            problem = f"has one column alone, {lines[0].strip()[:40]!r}"
            shown = "a blank" if mark == " " else repr(mark)
            raise DataError(problem, place, Remedy("delimiter", mark, f"if {shown} stands between the cells"))
    if len({len(line.split()) for line in lines}) == 1 < len(lines[0].split()):
        raise DataError("several blanks between named columns are not read", place, "save the file with commas or tabs")


def _uneven_advice(content: str, line: int, *, has_title: bool) -> tuple[Remedy | str, ...]:
    """What to do about a line with too few or too many cells; `has_title`: the first line has one cell alone."""
    advice: tuple[Remedy | str, ...] = ("leave a cell that is missing empty between its delimiters",)
    for number in (1, line):
        found = content.split("\n", number)[number - 1].lstrip()
        if found[:1] in ("#", "%") or found[:2] == "//":
            mark = "//" if found[:2] == "//" else found[0]
            return (Remedy("comment", mark, "if lines that begin with it are comments"), *advice)
    if has_title:
        begin = content.split(maxsplit=1)[0].strip('"')
        return (Remedy("comment", begin, "to skip that line if it names no columns"), *advice)
    return advice


def _without_last(frame: pd.DataFrame) -> pd.DataFrame:
    """Delimiters at the end of every line make last columns without a name and without cells, which are none."""
    while len(frame.columns) > 2 and is_unnamed(str(frame.columns[-1])):
        cells = frame.iloc[:, -1]
        if not bool((cells.isna() | (cells.astype(str).str.strip() == "")).all()):
            break
        frame = frame.iloc[:, :-1].copy(deep=False)
    return frame


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
