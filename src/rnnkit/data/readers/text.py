"""Bytes to text and text to numbers, with file, line and remedy in every error."""

from __future__ import annotations

import codecs
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from ...errors import ConfigError, DataError, Place, Remedy
from ..row_checks import LARGEST, number_error, parse_number

if TYPE_CHECKING:
    import numpy.typing as npt

# A UTF-32 mark begins like a UTF-16 one, so it comes first.
_MARKS = {
    codecs.BOM_UTF8: "utf-8-sig",
    codecs.BOM_UTF32_LE: "utf-32",
    codecs.BOM_UTF32_BE: "utf-32",
    codecs.BOM_UTF16_LE: "utf-16",
    codecs.BOM_UTF16_BE: "utf-16",
}
MISSING = frozenset({"", "?", "na", "n/a", "nan", "null", "none", "-nan", "#n/a", "<na>"})  # of numbers, any case


def decode(path: Path, encoding: str | None = None) -> str:
    """Return the file's text with ``\\n`` ends: by its byte order mark, else as `encoding`, else as strict UTF-8.

    Raises:
        DataError: it is empty, or not text in that encoding.
    """
    try:
        raw = path.read_bytes()
    except OSError as error:
        raise DataError(f"cannot be read ({error.strerror})", Place(str(path))) from None
    if not raw.strip():
        raise DataError("the file is empty; expected at least one series", Place(str(path)))
    mark = next((name for mark, name in _MARKS.items() if raw.startswith(mark)), None)
    used = mark or encoding or "utf-8"
    try:
        text = raw.decode(used)
    except LookupError:
        raise ConfigError.of("encoding", encoding, 'expected a name such as "gb18030", "latin-1" or "utf-16"') from None
    except UnicodeDecodeError as error:
        line = raw.count(b"\n", 0, error.start) + 1
        remedies = (Remedy("encoding", "gb18030", "(Chinese)"), Remedy("encoding", "latin-1", "(Western Europe)"))
        raise DataError(
            f"byte 0x{raw[error.start]:02x} is not {used.upper()}",
            Place(str(path), line),
            Remedy("encoding", purpose="with another name") if encoding or mark else remedies,
        ) from None
    if "\0" in text:
        raise DataError(
            f"holds zero bytes, so it is no {used.upper()} text",
            Place(str(path), text.count("\n", 0, text.index("\0")) + 1),
            Remedy("encoding", "utf-16-le", "if it is UTF-16 without a mark"),
        )
    return text.replace("\r\n", "\n").replace("\r", "\n") if "\r" in text else text


def numbers(
    cells: Sequence[str], place: Place, columns: Sequence[str] | None = None, decimal: str = "."
) -> npt.NDArray[np.float64]:
    """Return the cells as numbers, NaN for what is missing.

    Args:
        cells: their text.
        place: of the line, for messages.
        columns: the names of the cells' columns, else they are counted from 1.
        decimal: the decimal mark.

    Raises:
        DataError: a cell is text, infinite, or beyond float32.
    """
    plain = cells if decimal == "." else [cell.replace(decimal, ".") for cell in cells]
    try:
        array = np.array(plain, np.float64)
    except ValueError:
        array = np.array([parse_number(cell) for cell in plain], np.float64)
    else:
        if "_" in "".join(plain):  # Python takes 1_000 for a number
            array = np.array([parse_number(cell) for cell in plain], np.float64)
    for index in np.flatnonzero(~(np.abs(array) <= LARGEST)).tolist():
        cell = cells[index].strip()
        if cell.lower() not in MISSING:
            raise number_error(cell, place.at(column=columns[index] if columns is not None else str(index + 1)))
    return array


def labels(cells: Sequence[str]) -> npt.NDArray[np.str_]:
    """Return labels without blanks around them; "1.0" and "1.0000000e+00" are the class "1", saved as a float."""
    names: dict[str, str] = {}
    for cell in set(cells):
        name = cell.strip()
        value = parse_number(name)
        if value.is_integer() and name[-1:].isdigit() and any(mark in name for mark in ".eE"):
            name = str(int(value))
        names[cell] = name
    return np.array([names[cell] for cell in cells], np.str_)
