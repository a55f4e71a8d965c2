"""``.arff``: Weka's format, as the UCR/UEA archive uses it.

One channel: numeric attributes are the steps and the last attribute, or the one called class or target, is the label.
Several: one relational attribute whose cell holds a channel a line (``\\n`` inside quotes), and the label.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ...errors import DataError, Place, Remedy, suggest
from ..reading import Options
from ..sentences import quoted
from ..series import SeriesSet
from . import text
from .column_names import is_id, numbered
from .numerals import Numerals, to_numbers
from .parsed_rows import ParsedRows
from .row_numbers import counts_rows, is_counter_name, say_left_out

if TYPE_CHECKING:
    import numpy.typing as npt

_ATTRIBUTE = re.compile(r"""@attribute\s+('(?:[^'\\]|\\.)*'|"(?:[^"\\]|\\.)*"|\S+)\s+(.+)""", re.IGNORECASE)
_CELL = re.compile(r"""\s*('(?:[^'\\]|\\.)*'|"(?:[^"\\]|\\.)*"|[^,]*?)\s*(?:,|$)""")
_NUMERIC = {"numeric", "real", "integer"}
_TARGETS = {"class", "target", "label", "classlabel", "targetlabel"}


@dataclass(frozen=True)
class _Attribute:
    name: str
    type: str  # "numeric", "relational", or "text"
    choices: frozenset[str] | None = None


def read(path: Path, options: Options) -> SeriesSet:
    """Read an ``.arff`` file; see :func:`rnnkit.data.read_series`."""
    lines = text.decode(path, options).split("\n")
    attributes, start = _head(lines, path)
    roles = _roles(attributes, options, path)
    numerals = Numerals.of(options)
    relational = [attributes[index] for index in roles.values if attributes[index].type == "relational"]
    for index in roles.values:
        if attributes[index].type == "text":
            name = attributes[index].name
            remedies = [
                Remedy("target_column", name, "if it is the label"),
                Remedy("ignore_columns", [*options.ignore_columns, name], "to leave it out"),
            ]
            raise DataError(f"attribute {name!r} is not numeric", Place(str(path)), remedies)
    if len(relational) > 1 or (relational and len(roles.values) > 1):
        raise DataError(
            "expected one relational attribute, or numeric attributes alone, beside the label", Place(str(path))
        )
    rows = ParsedRows(path)
    names = [attributes[index].name for index in roles.values]
    table: list[list[str]] = []
    arrays: list[npt.NDArray[np.float64]] = []
    for number, raw in enumerate(lines[start:], start + 1):
        line = _without_comment(raw)
        if not line.strip():
            continue
        place = Place(str(path), number)
        if line.lstrip().startswith("{"):
            raise DataError("sparse rows {index value, ...} are not read", place, "save the file with full rows")
        parts = _cells(line)
        if len(parts) != len(attributes):
            raise DataError(f"has {len(parts)} cells; expected {len(attributes)}, one an attribute", place)
        table.append(parts)
        rows.lines.append(number)
        if relational:
            arrays.append(_channels(parts[roles.values[0]], place, numerals))
        else:
            arrays.append(to_numbers([parts[index] for index in roles.values], place, names, numerals)[:, None])
    kept = list(names) if relational else _without_counters(names, arrays, options, path)
    if len(kept) < len(names):
        steps = [names.index(name) for name in kept]
        arrays = [array[steps] for array in arrays]
    rows.values = arrays
    if roles.target is not None:
        rows.cells = [parts[roles.target] for parts in table]
        rows.declared = attributes[roles.target].choices or ()
    rows.ids = None if roles.id is None else [parts[roles.id] for parts in table]
    rows.groups = None if roles.group is None else [parts[roles.group] for parts in table]
    rows.read_options = _stored(options, [name for name in names if name not in kept], kept)
    return rows.to_series(options)


def _without_counters(names: list[str], rows: list[npt.NDArray[np.float64]], options: Options, path: Path) -> list[str]:
    """The attributes that are steps; one that only counts the rows is left out, and a line says so."""
    if options.value_columns is not None or not rows:
        return names
    numbers = np.concatenate(rows, 1)
    steps, others = numbered(names)
    found = [
        name
        for name in (others if steps else names)
        if name not in options.keep_columns and counts_rows(numbers[names.index(name)], name)
    ]
    counters = [name for name in found if is_counter_name(name)]
    if not counters and len(found) == 1:
        counters = found
    if counters and len(counters) < len(names):
        say_left_out(counters, Place(str(path)), options)
        return [name for name in names if name not in counters]
    return names


def _stored(options: Options, left_out: list[str], kept: list[str]) -> dict[str, Any]:
    """The arguments that read a file of the same form in the same way; JSON values."""
    found: dict[str, Any] = {
        name: getattr(options, name) for name in ("id_column", "group_column", "target_column", "encoding")
    }
    found["value_columns"] = None if options.value_columns is None else list(options.value_columns)
    found |= {"ignore_columns": [*options.ignore_columns, *left_out], "missing_codes": list(options.missing_codes)}
    if left_out or options.keep_columns:
        found["keep_columns"] = kept
    return {name: value for name, value in found.items() if value}


def _head(lines: list[str], path: Path) -> tuple[list[_Attribute], int]:
    """Return the attributes, and the index of the line after ``@data``."""
    attributes: list[_Attribute] = []
    inside: str | None = None  # the relational attribute whose own attributes are being listed
    for index, raw in enumerate(lines):
        line = _without_comment(raw).strip()
        lower = line.lower()
        if not line or lower.startswith("@relation"):
            continue
        if lower.startswith("@data"):
            if not attributes:
                raise DataError("has no @attribute before @data", Place(str(path)))
            return attributes, index + 1
        if lower.startswith("@end"):
            inside = None
            continue
        match = _ATTRIBUTE.match(line)
        if match is None:
            raise DataError(f"{line[:40]!r}; expected @attribute name type, or @data", Place(str(path), index + 1))
        if inside is not None:
            continue  # the attributes of a relational one are its steps, all numeric
        name, declared = _plain(match[1]), match[2].strip()
        if declared.lower() == "relational":
            inside = name
            attributes.append(_Attribute(name, "relational"))
        elif declared.startswith("{"):
            choices = frozenset(_cells(declared.strip("{} \t")))
            attributes.append(_Attribute(name, "text", choices))
        else:
            attributes.append(
                _Attribute(name, "numeric" if declared.split()[0].partition("%")[0].lower() in _NUMERIC else "text")
            )
    raise DataError("has no line @data; expected the .arff format", Place(str(path)))


@dataclass(frozen=True)
class _Roles:
    """The indices of attributes by what they are."""

    values: list[int]
    target: int | None
    id: int | None
    group: int | None


def _roles(attributes: list[_Attribute], options: Options, path: Path) -> _Roles:
    """What each attribute is: named by the user, else the label and the id by their names."""
    names, place = [attribute.name for attribute in attributes], Place(str(path))
    named = [(name, options.is_new) for name in (*options.ignore_columns, *options.keep_columns)]
    named += [(name, options.targets is None) for name in (options.group_column,) if name is not None]
    named += [(name, False) for name in (options.id_column, *(options.value_columns or ())) if name is not None]
    for name, may_be_absent in named:
        if name not in names and not may_be_absent:
            raise DataError(f"there is no attribute {name!r}{_near(name, names)}", place, note=_listed(names))
    free = [index for index, name in enumerate(names) if name not in options.ignore_columns]
    id_ = None if options.id_column is None else names.index(options.id_column)
    group = names.index(options.group_column) if options.group_column in names else None
    free = [index for index in free if index not in (id_, group)]
    if id_ is None and options.value_columns is None:
        called = [index for index in free if is_id(names[index]) and names[index] not in options.keep_columns]
        if len(called) == 1 and len(free) > 1 and [names[called[0]]] != list(options.target_columns):
            id_ = called[0]
            free.remove(id_)
            keep = Remedy("keep_columns", [*options.keep_columns, names[id_]], "to keep it as a step")
            options.guesses.add(f"the attribute {names[id_]!r} is taken for the id", place, keep)
    target = _target(attributes, free, options, place)
    values = [index for index in free if index != target]
    if options.value_columns is not None:
        values = [names.index(name) for name in options.value_columns]
    if not values:
        raise DataError("no attribute of values is left", place, note=_listed(names))
    return _Roles(values, target, id_, group)


def _near(name: str, names: list[str]) -> str:
    found = suggest(name, names)
    return found if found.endswith("?") else ""


def _listed(names: list[str]) -> str:
    return f"Attributes: {quoted(names, 20)}"


def _target(attributes: list[_Attribute], free: list[int], options: Options, place: Place) -> int | None:
    """The index of the label's attribute; None without."""
    names = [attribute.name for attribute in attributes]
    if len(options.target_columns) > 1:
        raise DataError(f"{list(options.target_columns)} arrived as targets; expected one attribute", place)
    if options.target_columns:
        named = options.target_columns[0]
        if named in names:
            return names.index(named)
        if named in ("first", "last"):
            return free[0] if named == "first" else free[-1]
        if options.targets is not None:
            raise DataError(f"there is no attribute {named!r}{_near(named, names)}", place, note=_listed(names))
    called = [index for index in free if names[index].lower() in _TARGETS]
    texts = [index for index in free if attributes[index].type == "text"]
    for found in (called, texts):
        if len(found) == 1:
            return found[0]
    if options.targets is None:
        return None
    last = Remedy("target_column", "last", f"to take {names[free[-1]]!r}") if free else Remedy("target_column")
    raise DataError("which attribute is the target cannot be told", place, (last, Remedy("target_column")))


def _without_comment(line: str) -> str:
    """A line without the comment at its end: a % after a blank, outside of quotation marks."""
    if "%" not in line:
        return line
    quote, before = "", " "
    for index, mark in enumerate(line):
        if quote:
            if mark == quote and before != "\\":
                quote = ""
        elif mark in "'\"" and before in " \t,{":
            quote = mark
        elif mark == "%" and (before in " \t}"):
            return line[:index]
        before = mark
    return line


def _cells(line: str) -> list[str]:
    if "'" not in line and '"' not in line:
        return [cell.strip() for cell in line.split(",")]
    found, at = [], 0
    while at <= len(line):
        match = _CELL.match(line, at)
        if match is None:
            break
        found.append(_plain(match[1]))
        if match.end() == len(line) and not match[0].endswith(","):
            break
        at = match.end()
    return found


def _plain(cell: str) -> str:
    """Remove quotes and backslashes; the character after a backslash stays, but ``\\n`` stays for `_channels`."""
    if len(cell) > 1 and cell[0] == cell[-1] and cell[0] in "'\"":
        return re.sub(r"\\([^n])", r"\1", cell[1:-1])
    return cell


def _channels(cell: str, place: Place, numerals: Numerals) -> npt.NDArray[np.float64]:
    """[T, channels] of a relational cell: a channel a line."""
    channels = [
        to_numbers(line.split(","), place.at(part=f"channel {index}"), None, numerals)
        for index, line in enumerate(part for part in re.split(r"\\n|\n", cell) if part.strip())
    ]
    if not channels or len({len(channel) for channel in channels}) > 1:
        sizes = sorted({len(channel) for channel in channels})
        raise DataError(f"the channels have {sizes} values; expected the same number in each", place)
    return np.stack(channels, 1)
