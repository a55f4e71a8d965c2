"""Bytes to text and text to numbers, with the file, the line and the remedy in every refusal."""

from __future__ import annotations

import codecs
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from ...errors import ConfigError, DataError

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
    """The file's text with ``\\n`` ends: by its byte order mark, else as `encoding`, else as strict UTF-8.

    Raises:
        DataError: it is empty, or not text in that encoding.
    """
    try:
        raw = path.read_bytes()
    except OSError as error:
        raise DataError(f"{path}: cannot be read ({error.strerror})") from None
    if not raw.strip():
        raise DataError(f"{path}: the file is empty; expected at least one series")
    mark = next((name for mark, name in _MARKS.items() if raw.startswith(mark)), None)
    used = mark or encoding or "utf-8"
    try:
        text = raw.decode(used)
    except LookupError:
        raise ConfigError(f'encoding={encoding!r} is not known; such as "gb18030", "latin-1" or "utf-16"') from None
    except UnicodeDecodeError as error:
        line = raw.count(b"\n", 0, error.start) + 1
        other = "" if encoding or mark else "; if it was saved elsewhere, type encoding="
        other += '"gb18030" (Chinese) or "latin-1" (Western Europe)' if other else "; type another encoding="
        raise DataError(f"{path}:{line}: byte 0x{raw[error.start]:02x} is not {used.upper()}{other}") from None
    if "\0" in text:
        line = text.count("\n", 0, text.index("\0")) + 1
        raise DataError(
            f'{path}:{line}: holds zero bytes, so it is no {used.upper()} text; type encoding="utf-16-le" if it is '
            "UTF-16 without a mark"
        )
    return text.replace("\r\n", "\n").replace("\r", "\n") if "\r" in text else text


def numbers(
    cells: Sequence[str], place: str, columns: Sequence[str] | None = None, decimal: str = "."
) -> npt.NDArray[np.float64]:
    """The cells as numbers, NaN for what is missing.

    Args:
        cells: their text.
        place: ``file:line``, for messages.
        columns: the names of the cells' columns, else they are counted from 1.
        decimal: the decimal mark.

    Raises:
        DataError: a cell is text, infinite, or beyond float32.
    """
    plain = cells if decimal == "." else [cell.replace(decimal, ".") for cell in cells]
    try:
        array = np.array(plain, np.float64)
    except ValueError:
        array = np.array([_number(cell) for cell in plain], np.float64)
    else:
        if "_" in "".join(plain):  # Python takes 1_000 for a number
            array = np.array([_number(cell) for cell in plain], np.float64)
    for index in np.flatnonzero(~np.isfinite(array)).tolist():
        cell = cells[index].strip()
        if cell.lower() in MISSING:
            continue
        column = columns[index] if columns is not None else f"{index + 1}"
        raise DataError(f"{place}: column {column}: {refusal(cell)}")
    large = np.abs(array) > np.finfo(np.float32).max
    if large.any():
        index = int(large.argmax())
        column = columns[index] if columns is not None else f"{index + 1}"
        raise DataError(f"{place}: column {column}: {refusal(cells[index])}")
    return array


def _number(cell: str) -> float:
    """NaN for anything that is not plainly a number; the caller looks at what it was."""
    try:
        return float("nan" if "_" in cell else cell)
    except ValueError:
        return float("nan")


def refusal(cell: str) -> str:
    """What is wrong with a value that is not a finite number, and what to do."""
    cell = cell.strip()
    value = _number(cell)
    if np.isinf(value) or abs(value) > float(np.finfo(np.float32).max):
        return f"{cell} is infinite or beyond float32; expected a finite number, or an empty cell if it is missing"
    hint = ""
    if cell.count(",") == 1 and not np.isnan(_number(cell.replace(",", "."))):
        hint = '; if the comma is the decimal mark, type decimal=","'
    return f"{cell[:40]!r} is not a number; expected one, or an empty cell if it is missing{hint}"


def labels(cells: Sequence[str]) -> npt.NDArray[np.str_]:
    """Labels without blanks around them; "1.0" and "1.0000000e+00" are the class "1" (its file was saved as floats)."""
    names: dict[str, str] = {}
    for cell in set(cells):
        name = cell.strip()
        value = _number(name)
        if value.is_integer() and name[-1:].isdigit() and any(mark in name for mark in ".eE"):
            name = str(int(value))
        names[cell] = name
    return np.array([names[cell] for cell in cells], np.str_)


def is_missing_label(label: str) -> bool:
    """Whether a label's text says that there is none; "none" and "na" are labels like others."""
    return label.strip().lower() in {"", "?", "nan"}


def check_label(label: str, place: str) -> None:
    """Raises if a label is missing."""
    if is_missing_label(label):
        raise DataError(
            f"{place}: the label is missing; give it or drop the line, or read without labels: targets=None"
        )
