"""How a file writes numbers: its decimal mark, its thousands mark, and its codes for missing values.

A mark between groups of three digits marks thousands for certain if it is a blank or an apostrophe, if it occurs twice
(``1.234.567``), or if the decimal mark follows (``1.234,5``). A single ``2.155`` beside decimal commas can be
either: it is refused until `thousands` says what it is.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from ...errors import DataError, Place, Remedy
from ..reading import Options
from ..row_checks import LARGEST, number_error, parse_number

if TYPE_CHECKING:
    import numpy.typing as npt
    import pandas as pd

MISSING = frozenset({"", "?", "na", "n/a", "nan", "null", "none", "-nan", "#n/a", "<na>"})  # of numbers, any case
_BLANKS = " \u00a0\u2009\u202f"
_APOSTROPHES = "'\u2019"
_GROUPS = {  # by the decimal mark
    decimal: re.compile(
        rf"[+-]?[1-9]\d{{0,2}}(?P<mark>[{re.escape(other)}{_BLANKS}{_APOSTROPHES}])\d{{3}}(?P<more>(?:(?P=mark)\d{{3}})*)"
        rf"(?P<rest>{re.escape(decimal)}\d*)?"
    )
    for decimal, other in ((".", ","), (",", "."))
}
_POSSIBLE = {decimal: frozenset(other + _BLANKS + _APOSTROPHES) for decimal, other in ((".", ","), (",", "."))}
_FRACTION = {mark: re.compile(rf"[+-]?\d*{re.escape(mark)}\d+(?:[eE][+-]?\d+)?") for mark in ".,"}


@dataclass(frozen=True)
class Numerals:
    """The marks and codes of a file.

    Attributes:
        decimal: the decimal mark.
        thousands: marks between groups of three digits that are known to mark thousands.
        words: the codes for missing values as text.
        codes: those of them that are numbers.
        comma_is_free: whether the comma could be the decimal mark of this file; for messages.

    Example:
        >>> german = Numerals(",", ".")
        >>> german.plain("1.250"), german.plain("19,47"), german.plain("1.25")
        ('1250', '19.47', None)
    """

    decimal: str = "."
    thousands: str = ""
    words: frozenset[str] = frozenset()
    codes: tuple[float, ...] = ()
    comma_is_free: bool = True

    @staticmethod
    def of(options: Options, decimal: str | None = None, *, comma_is_free: bool = True) -> Numerals:
        """Return what the user named, and the decimal mark that was found."""
        decimal = decimal or options.decimal or ("," if options.thousands == "." else ".")
        words = frozenset(str(code).strip() for code in options.missing_codes)
        codes = tuple(value for value in map(parse_number, words) if not np.isnan(value))
        usual = options.usual_marks[1] if options.usual_marks and options.usual_marks[0] == decimal else ""
        return Numerals(decimal, _alike(options.thousands or "") or usual, words, codes, comma_is_free)

    def stored(self) -> dict[str, list[str]]:
        """Return the marks by which a file that shows none is read alike, as `Options` takes them; JSON values."""
        return {"usual_marks": [self.decimal, self.thousands]} if self.decimal == "," or self.thousands else {}

    def missing(self, cell: str) -> bool:
        """Whether a cell says that its value is missing."""
        cell = cell.strip()
        return cell.lower() in MISSING or cell in self.words or (bool(self.codes) and self._is_code(cell))

    def plain(self, cell: str) -> str | None:
        """Return the cell as ``float`` reads it; None where it is no number with these marks."""
        cell = cell.strip().replace("\N{MINUS SIGN}", "-")
        grouped = _GROUPS[self.decimal].fullmatch(cell)
        if grouped is not None:
            if grouped["mark"] not in self.thousands:
                return None
            cell = cell.replace(grouped["mark"], "")
        elif self.decimal == "," and "." in cell:
            return None
        return cell.replace(self.decimal, ".")

    def number(self, cell: str) -> float:
        """Return the cell's number; NaN for what is missing or no number."""
        plain = None if self.missing(cell) else self.plain(cell)
        return float("nan") if plain is None else parse_number(plain)

    def is_number(self, cell: str) -> bool:
        """Whether the cell is missing, or a number with any thousands mark."""
        return self.missing(cell) or not np.isnan(replace(self, thousands=_ANY).number(cell))

    def mask(self, values: npt.NDArray[Any]) -> npt.NDArray[Any]:
        """Return the values with NaN in place of the codes."""
        if not self.codes:
            return values
        if values.dtype.kind != "f":
            values = values.astype(np.float64)
        hidden = np.isin(values, np.array(self.codes, values.dtype))
        return np.where(hidden, np.array(np.nan, values.dtype), values) if hidden.any() else values

    def error(self, cell: str, place: Place, ignore: Sequence[str] = (), *, is_text: bool = False) -> DataError:
        """Return the error about a cell that is no number with these marks.

        Args:
            cell: its text.
            place: where it stands.
            ignore: the value of `ignore_columns` that leaves the cell's column out; empty where that cannot be.
            is_text: whether most cells of the column are no numbers, so that this one does not mean a missing value.
        """
        cell = cell.strip()
        grouped = _GROUPS[self.decimal].fullmatch(cell)
        mark = grouped["mark"] if grouped is not None else ""
        name = {",": "comma", ".": "point"}.get(mark)
        if name is None:
            if self.decimal == "," and _FRACTION["."].fullmatch(cell):
                said = f"write {cell.replace('.', ',')} with a decimal comma"
                return DataError(f"{cell!r} has a decimal point, but the decimal mark is the comma", place, said)
            comma, codes = self.comma_is_free and self.decimal == ".", None if is_text else sorted(self.words)
            return number_error(cell, place, decimal_comma=comma, ignore=ignore, codes=codes)
        whole, fraction = cell.replace(mark, ""), cell.replace(mark, self.decimal)
        either: Remedy | str = f"write {fraction} if it is a decimal mark"
        if mark == "," and self.comma_is_free:
            either = Remedy("decimal", ",", f"if it is {cell.replace(',', '.')}")
        problem = f"whether the {name} in {cell!r} marks thousands or decimals cannot be told"
        return DataError(problem, place, (Remedy("thousands", mark, f"if it is {whole}"), either))

    def _is_code(self, cell: str) -> bool:
        plain = self.plain(cell)
        return plain is not None and parse_number(plain) in self.codes


def find_decimal(cells: Iterable[str]) -> str | None:
    """Return the decimal mark that cells of one file show; None where they show none, or both.

    Example:
        >>> find_decimal(["2.155", "19,47"]), find_decimal(["1,5", "1.5"]), find_decimal(["1,234"])
        (',', None, None)
    """
    shown = shown_marks(cells)
    return shown.pop() if len(shown) == 1 else None


def shown_marks(cells: Iterable[str]) -> set[str]:
    """Return the decimal marks that cells show: none, one, or both."""
    return {mark for cell in map(str.strip, cells) for mark in ".," if _shows(cell, mark)}


def may_be_grouped(cells: Sequence[str], decimal: str) -> bool:
    """Whether any of the cells holds a mark that may mark thousands: a quick look, cell by cell comes after it."""
    text = "".join(cells)
    return any(mark in text for mark in _POSSIBLE[decimal])


def is_ambiguous(cell: str) -> bool:
    """Whether a mark in the cell may mark thousands or decimals, as in 2.155."""
    cell = cell.strip()
    grouped = [match for groups in _GROUPS.values() if (match := groups.fullmatch(cell))]
    return any(match["mark"] in ".," and not _certain(match) for match in grouped)


def find_thousands(cells: Iterable[str], decimal: str) -> dict[str, str]:
    """Return the marks that certainly mark thousands in one of the cells, each with the first such cell."""
    found: dict[str, str] = {}
    for cell in map(str.strip, cells):
        match = _GROUPS[decimal].fullmatch(cell)
        if match is not None and _certain(match):
            found.setdefault(match["mark"], cell)
    return found


def add_thousands(numerals: Numerals, cells: Iterable[str], place: Place, options: Options) -> Numerals:
    """Return the numerals with the thousands marks that cells show for certain, and note each that is new."""
    found = find_thousands(cells, numerals.decimal)
    for mark, cell in found.items():
        if mark not in numerals.thousands:
            numerals = replace(numerals, thousands=numerals.thousands + _alike(mark))
            name = {",": "comma", ".": "point"}.get(mark, "apostrophe" if mark in _APOSTROPHES else "blank")
            said = f"the {name} is read as a thousands mark: {cell} is {numerals.number(cell):.15g}"
            options.guesses.add(said, place)
    return numerals


def to_numbers(
    cells: Sequence[str], place: Place, columns: Sequence[str] | None = None, numerals: Numerals | None = None
) -> npt.NDArray[np.float64]:
    """The cells as numbers, NaN for what is missing.

    Args:
        cells: their text.
        place: of the line, for messages.
        columns: the names of the cells' columns, else they are counted from 1.
        numerals: how they are written.

    Raises:
        DataError: a cell is text, infinite, or beyond float32.
    """
    numerals = numerals or PLAIN
    try:
        if numerals.decimal != "." and any("." in cell for cell in cells):
            raise ValueError
        array = np.array([cell.replace(",", ".") for cell in cells] if numerals.decimal == "," else cells, np.float64)
        array = numerals.mask(array)
    except ValueError:
        array = np.array([numerals.number(cell) for cell in cells], np.float64)
    else:
        if "_" in "".join(cells):  # Python takes 1_000 for a number
            array = np.array([numerals.number(cell) for cell in cells], np.float64)
    for index in np.flatnonzero(~(np.abs(array) <= LARGEST)).tolist():
        if not numerals.missing(cells[index]):
            name = columns[index] if columns is not None else str(index + 1)
            raise numerals.error(cells[index], place.at(column=name))
    return array


def convert(frame: pd.DataFrame, names: Iterable[str], numerals: Numerals, place: Place, options: Options) -> Numerals:
    """Turn text columns of numbers into float64, in place; columns that hold other text stay as they are.

    Args:
        frame: the table.
        names: the columns to try.
        numerals: how its numbers are written, as far as that is known.
        place: the file, for messages.
        options: takes what was guessed.

    Returns:
        The numerals with the thousands marks that were found.
    """
    import pandas as pd

    texts: dict[str, list[str]] = {}
    for name in names:
        column = frame[name]
        if pd.api.types.is_object_dtype(column) or pd.api.types.is_string_dtype(column):
            cells = column.dropna()
            if len(cells) and all(isinstance(cell, str) for cell in cells):
                texts[name] = cells.unique().tolist()
    texts = {name: unique for name, unique in texts.items() if all(map(numerals.is_number, unique))}
    numerals = add_thousands(numerals, (cell for unique in texts.values() for cell in unique), place, options)
    for name, unique in texts.items():
        values = {cell: numerals.number(cell) for cell in unique}
        if all(not np.isnan(value) or numerals.missing(cell) for cell, value in values.items()):
            frame[name] = frame[name].map(values).astype(np.float64)
    return numerals


def _shows(cell: str, decimal: str) -> bool:
    """Whether a cell shows that `decimal` is the decimal mark."""
    grouped = _GROUPS[decimal].fullmatch(cell)
    if grouped is not None:
        return bool(grouped["rest"]) or (grouped["mark"] in ".," and bool(grouped["more"]))
    other = _GROUPS["," if decimal == "." else "."].fullmatch(cell)
    return other is None and _FRACTION[decimal].fullmatch(cell) is not None


def _certain(grouped: re.Match[str]) -> bool:
    return bool(grouped["mark"] not in ".," or grouped["more"] or grouped["rest"])


def _alike(mark: str) -> str:
    """All characters that are the same mark to a reader."""
    return next((marks for marks in (_BLANKS, _APOSTROPHES) if mark and mark in marks), mark)


_ANY = ".," + _BLANKS + _APOSTROPHES
PLAIN = Numerals()
