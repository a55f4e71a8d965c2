"""Files without a header: the UCR archive's classic text, and one series of numbers alone."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from ...errors import ConfigError, DataError, Place, Remedy
from ..reading import Options
from ..series import SeriesSet, default_channels
from .numerals import Numerals, add_thousands, may_be_grouped, to_numbers
from .parsed_rows import ParsedRows
from .row_numbers import counts_rows, say_left_out


@dataclass(frozen=True)
class _Positions:
    """Which cells of a line are what; -1 is the last one."""

    id: int | None
    group: int | None
    ignored: tuple[int, ...]

    @staticmethod
    def of(cells: list[list[str]], options: Options, numerals: Numerals, place: Place) -> _Positions:
        """Find the columns that are named by "first", "last" or a number from 1; a first one may count the rows."""
        named = {name: getattr(options, name) for name in ("time_column", "value_columns")}
        for name, value in named.items():
            if value and not options.is_new:
                expected = (
                    "leave it out: the file has no header; header=True says that the first line names the columns"
                )
                raise ConfigError.of(name, value, expected)
        group, id_ = (
            None if name is None else _position(argument, name, cells, place)
            for argument, name in (("group_column", options.group_column), ("id_column", options.id_column))
        )
        ignored = tuple(_position("ignore_columns", name, cells, place) for name in options.ignore_columns)
        if options.is_new:
            return _Positions(id_, group, ignored)
        kept = [_position("keep_columns", name, cells, place) for name in options.keep_columns]
        if 0 in (group, id_, *ignored, *kept) or options.target_columns[:1] in (("first",), ("1",)):
            return _Positions(id_, group, ignored)
        numbers = np.array([numerals.number(row[0]) for row in cells])
        if (
            min(map(len, cells)) > 1 + bool(options.targets)
            and counts_rows(numbers, "")
            and ((np.abs(np.diff(numbers)) == 1).all() or _beside_text(cells, options, numerals))
        ):
            say_left_out(["first"], place, options)
            ignored = (0, *ignored)
        return _Positions(id_, group, ignored)

    @property
    def taken(self) -> bool:
        """Whether any column is named."""
        return self.id is not None or self.group is not None or bool(self.ignored)

    def kept(self, width: int, target: int | None) -> list[int]:
        """The indices of the values in a line of so many cells."""
        others = {index % width for index in (self.id, self.group, target, *self.ignored) if index is not None}
        return [index for index in range(width) if index not in others]


def _beside_text(cells: list[list[str]], options: Options, numerals: Numerals) -> bool:
    """Whether the last cell of each line is a label of text: then a first one that rises is no label, and has gaps."""
    return options.targets == "labels" and not any(numerals.is_number(row[-1]) for row in cells)


def _position(argument: str, name: str, cells: list[list[str]], place: Place) -> int:
    """The index of a column that is named "first", "last" or by its number."""
    places = {"first": 0, "last": -1}
    if name in places:
        return places[name]
    if str(name).isdigit() and 1 <= int(name) <= min(map(len, cells)):
        return int(name) - 1
    what = "target" if argument == "target_column" else argument

    def remedy(value: str) -> Remedy:
        return Remedy(argument, [value] if argument in ("ignore_columns", "keep_columns") else value)

    raise DataError(
        f"has no header, so the {what} {name!r} is not known",
        place,
        (
            remedy("first"),
            remedy("last"),
            Remedy(argument, purpose="with the column's number, from 1"),
            Remedy("header", True, "if the first line names the columns"),
        ),
    )


def read_lines(cells: list[list[str]], lines: list[int], path: Path, options: Options, numerals: Numerals) -> SeriesSet:
    """Read lines of numbers; in a wide file the label stands first or last, and empty cells at the end are padding.

    Args:
        cells: of each line.
        lines: the lines' numbers.
        path: the file.
        options: what the user named.
        numerals: how numbers are written, as far as that is known.
    """
    marked = (cell for row in cells if may_be_grouped(row, numerals.decimal) for cell in row)
    numerals = add_thousands(numerals, marked, Place(str(path)), options)
    roles = _Positions.of(cells, options, numerals, Place(str(path)))
    if options.layout == "long":
        return _one_series(cells, lines, path, options, numerals, roles)
    target = _target_index(cells, path, options, numerals, roles)
    widths = {len(row) for row in cells}
    rows, labels, ids, groups = ParsedRows(path), [], [], []
    positions: dict[int, list[int]] = {}  # by the number of cells: the values' indices
    columns: dict[int, list[str]] = {}  # and their columns' names
    for number, row in zip(lines, cells, strict=True):
        place = Place(str(path), number)
        if target is not None:
            if len(row) < 2:
                raise DataError(f"has {len(row)} cell; expected a label and at least one value", place)
            labels.append(row[target])
        ids += [] if roles.id is None else [row[roles.id]]
        groups += [] if roles.group is None else [row[roles.group]]
        if len(row) not in positions:
            positions[len(row)] = roles.kept(len(row), target)
            columns[len(row)] = [str(index + 1) for index in positions[len(row)]]
        kept, names = positions[len(row)], columns[len(row)]
        rows.values.append(to_numbers([row[index] for index in kept], place, names, numerals)[:, None])
        rows.lines.append(number)
    rows.ids, rows.groups = ids or None, groups or None
    rows.read_options = _stored("wide", options, roles.ignored, numerals)
    if target is not None:
        rows.cells = labels
        rows.read_options["target_column"] = "first" if target == 0 else "last" if target == -1 else str(target + 1)
        if len(widths) == 1:
            rows.read_options["cells"] = widths.pop()
    return rows.to_series(options, numerals)


def _target_index(
    cells: list[list[str]], path: Path, options: Options, numerals: Numerals, roles: _Positions
) -> int | None:
    """Where the label stands: 0, −1 or as named; None if there is none."""
    named, place = options.target_columns, Place(str(path))
    if len(named) > 1:
        raise DataError(f"{list(named)} arrived as targets; expected one in a file without a header", place)
    if named and options.targets is None and {len(row) + 1 for row in cells} == {options.cells}:
        return None  # data to predict on, without the column that training data has
    if named:
        return _position("target_column", named[0], cells, place)
    if options.targets is None:
        return None
    if roles.taken and roles.ignored != (0,):
        remedies = (Remedy("target_column", "first"), Remedy("target_column", "last"))
        raise DataError("has no header, and which column is the target cannot be told", place, remedies)
    first, last = [row[0] for row in cells], [row[-1] for row in cells]
    ranks = [_label_rank(first, numerals), _label_rank(last, numerals)]
    if 0 in roles.ignored and ranks[1] < 2:  # the first one counts the rows
        return -1
    if ranks[0] == ranks[1] or options.targets == "numbers":
        raise DataError(
            "has no header, and whether the label is first or last cannot be told",
            place,
            (Remedy("target_column", "first", "(as in the UCR archive)"), Remedy("target_column", "last")),
        )
    return 0 if ranks[0] < ranks[1] else -1


def _label_rank(cells: list[str], numerals: Numerals) -> int:
    """0: text, surely a label; 1: whole numbers that repeat, probably one; 2: measurements."""
    if not all(numerals.is_number(cell) for cell in cells):
        return 0
    numbers = {numerals.number(cell) for cell in cells if not numerals.missing(cell)}
    whole = all(number.is_integer() for number in numbers)
    return 1 if whole and len(numbers) <= max(2, len(cells) // 2) else 2


def _one_series(
    cells: list[list[str]], lines: list[int], path: Path, options: Options, numerals: Numerals, roles: _Positions
) -> SeriesSet:
    """A file of numbers alone that is one series: a line a step, a column a channel."""
    width = len(cells[0])
    for number, row in zip(lines, cells, strict=True):
        if len(row) != width:
            raise DataError(f"has {len(row)} cells; expected {width} as in line {lines[0]}", Place(str(path), number))
    places = [Place(str(path), number) for number in lines]
    kept = roles.kept(width, None)
    names = [str(index + 1) for index in kept]
    values = np.stack(
        [
            to_numbers([row[index] for index in kept], place, names, numerals)
            for place, row in zip(places, cells, strict=True)
        ]
    )
    if options.targets is not None:
        raise DataError(
            f"one series without a header has no {options.targets}", Place(str(path)), Remedy("targets", None)
        )
    return SeriesSet(
        [values],
        default_channels(len(kept)),
        None,
        (path.name,),
        source=str(path),
        read_options=_stored("long", options, roles.ignored, numerals),
    )


def _stored(layout: str, options: Options, ignored: tuple[int, ...], numerals: Numerals) -> dict[str, Any]:
    """The arguments that read a file without a header in the same way; JSON values."""
    kept = ("encoding", "delimiter", "decimal", "thousands", "comment", "id_column", "group_column")
    named: dict[str, Any] = {name: getattr(options, name) for name in kept}
    named["missing_codes"] = list(options.missing_codes)
    named["ignore_columns"] = [*options.ignore_columns, *(["first"] if 0 in ignored else [])]
    named |= numerals.stored()
    return {"header": False, "layout": layout, **{name: value for name, value in named.items() if value}}
