"""``.arff``: Weka's format, as the UCR/UEA archive uses it.

One channel: numeric attributes are the steps and the last attribute, or the one called class or target, is the label.
Several: one relational attribute whose cell holds a channel a line (``\\n`` inside quotes), and the label.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from ...errors import DataError, Place, Remedy
from ..reading import Options
from ..row_checks import trim
from ..series import SeriesSet
from . import text
from .parsed_rows import ParsedRows

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
    lines = text.decode(path, options.encoding).split("\n")
    attributes, start = _head(lines, path)
    target = _target(attributes, options, path)
    relational = [attribute for attribute in attributes if attribute.type == "relational"]
    for index, attribute in enumerate(attributes):
        if index != target and attribute.type == "text":
            raise DataError(
                f"attribute {attribute.name!r} is not numeric",
                Place(str(path)),
                Remedy("target_column", attribute.name, "if it is the label"),
            )
    if len(relational) > 1 or (relational and len(attributes) - (target is not None) > 1):
        raise DataError(
            "expected one relational attribute, or numeric attributes alone, beside the label", Place(str(path))
        )
    names = [attribute.name for index, attribute in enumerate(attributes) if index != target]
    rows = ParsedRows(path)
    cells: list[str] = []
    for number, line in enumerate(lines[start:], start + 1):
        if not line.strip() or line.lstrip().startswith("%"):
            continue
        place = Place(str(path), number)
        if line.lstrip().startswith("{"):
            raise DataError("sparse rows {index value, ...} are not read", place, "save the file with full rows")
        parts = _cells(line)
        if len(parts) != len(attributes):
            raise DataError(f"has {len(parts)} cells; expected {len(attributes)}, one an attribute", place)
        if target is not None:
            cells.append(parts.pop(target))
        rows.values.append(
            trim(_channels(parts[0], place) if relational else text.numbers(parts, place, names)[:, None])
        )
        rows.lines.append(number)
    if target is not None:
        rows.cells, rows.declared = cells, attributes[target].choices or ()
    return rows.to_series(options)


def _head(lines: list[str], path: Path) -> tuple[list[_Attribute], int]:
    """Return the attributes, and the index of the line after ``@data``."""
    attributes: list[_Attribute] = []
    inside: str | None = None  # the relational attribute whose own attributes are being listed
    for index, raw in enumerate(lines):
        line = raw.strip()
        lower = line.lower()
        if not line or line.startswith("%") or lower.startswith("@relation"):
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
            attributes.append(_Attribute(name, "numeric" if declared.split()[0].lower() in _NUMERIC else "text"))
    raise DataError("has no line @data; expected the .arff format", Place(str(path)))


def _target(attributes: list[_Attribute], options: Options, path: Path) -> int | None:
    """Return the index of the label's attribute; None without."""
    names, place = [attribute.name for attribute in attributes], Place(str(path))
    if len(options.target_columns) > 1:
        raise DataError(f"{list(options.target_columns)} arrived as targets; expected one attribute", place)
    if options.target_columns:
        named = options.target_columns[0]
        if named in names:
            return names.index(named)
        if named in ("first", "last"):
            return 0 if named == "first" else len(names) - 1
        if options.targets is not None:
            raise DataError(f"there is no attribute {named!r}", place, note=f"Attributes: {names[:3]} to {names[-1]!r}")
    called = [index for index, name in enumerate(names) if name.lower() in _TARGETS]
    texts = [index for index, attribute in enumerate(attributes) if attribute.type == "text"]
    for found in (called, texts):
        if len(found) == 1:
            return found[0]
    if options.targets is None:
        return None
    last = Remedy("target_column", "last", f"to take {names[-1]!r}")
    raise DataError("which attribute is the target cannot be told", place, (last, Remedy("target_column")))


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


def _channels(cell: str, place: Place) -> npt.NDArray[np.float64]:
    """Return [T, channels] of a relational cell: a channel a line."""
    channels = [
        text.numbers(line.split(","), place.at(part=f"channel {index}"))
        for index, line in enumerate(part for part in re.split(r"\\n|\n", cell) if part.strip())
    ]
    if not channels or len({len(channel) for channel in channels}) > 1:
        sizes = sorted({len(channel) for channel in channels})
        raise DataError(f"the channels have {sizes} values; expected the same number in each", place)
    return np.stack(channels, 1)
