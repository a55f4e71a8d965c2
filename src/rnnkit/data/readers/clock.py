"""Times of day without a date, 12-hour clocks, and midnight as 24:00.

Times of day become stamps of 1900-01-01, as ``datetime.strptime`` makes them.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    import numpy.typing as npt
    import pandas as pd

_CLOCK = re.compile(r"(\d{1,3}):(\d{2})(?::(\d{2}))?(?:[.,](\d{1,9}))?(?:\s*([AP])M)?")
_HALF = re.compile(r"(?<=\d)\s*(?P<half>[AaPp])\.?\s?[Mm](?:\.(?=\s|$)|(?![A-Za-z]))")
_HALF_DAY = re.compile(r"(?<![\d:])(\d{1,2})((?::\d{2}){0,2}(?:[.,]\d+)?) ([AP])M\b")
_MIDNIGHT = r"(^|[\sT])24(?=:00(?::00(?:[.,]0+)?)?(?:$|[\sZz+-]))"
_DAY = np.datetime64("1900-01-01", "us")


@dataclass(frozen=True)
class Clock:
    """Times of day.

    Attributes:
        stamps: [N], on 1900-01-01 or, from 24:00 on, after it.
        wrong: [N], true where a cell is no time of day.
        in_minutes: whether two numbers were read as minutes and seconds.
    """

    stamps: npt.NDArray[np.datetime64]
    wrong: npt.NDArray[np.bool_]
    in_minutes: bool


def plain_halves(text: pd.Series[Any]) -> pd.Series[Any]:
    """Write ``11:00pm`` and ``11:00 p.m.`` as ``11:00 PM``."""
    if not any(map(_HALF.search, text.unique())):
        return text
    return text.str.replace(_HALF, lambda match: f" {match['half'].upper()}M", regex=True)


def without_halves(text: pd.Series[Any]) -> pd.Series[Any]:
    """Write ``11:00 PM`` behind a date as ``23:00``; cells without AM or PM, or with another hour, stay."""

    def whole_day(match: re.Match[str]) -> str:
        hour = int(match[1])
        if not 1 <= hour <= 12:
            return match[0]
        return f"{hour % 12 + (12 if match[3] == 'P' else 0):02}{match[2] or ':00'}"

    return text.str.replace(_HALF_DAY, whole_day, regex=True)


def is_clock(text: str) -> bool:
    """Whether a stamp is a time of day alone.

    Example:
        >>> is_clock("11:00 PM"), is_clock("24:00:00"), is_clock("05:12.3"), is_clock("2020-01-01 11:00")
        (True, True, True, False)
    """
    return _CLOCK.fullmatch(text) is not None


def parse_clock(cells: Sequence[str]) -> Clock:
    """Read times of day: ``23:10``, ``23:10:05.5``, ``11:10 PM``, ``24:00:00``, and minutes as in ``05:12.3``.

    Two numbers are minutes and seconds where any cell has a fraction behind two numbers, or begins with 25 or more.

    Example:
        >>> parse_clock(["11:00 PM", "12:10 AM"]).stamps.astype(str).tolist()
        ['1900-01-01T23:00:00.000000', '1900-01-01T00:10:00.000000']
        >>> parse_clock(["05:12.3", "4:00"]).stamps.astype(str).tolist()
        ['1900-01-01T00:05:12.300000', '1900-01-01T00:04:00.000000']
    """
    matches = [_CLOCK.fullmatch(cell) for cell in cells]
    found = [match for match in matches if match is not None]
    in_minutes = any(match[3] is None and (match[4] is not None or int(match[1]) > 24) for match in found)
    halves = any(match[5] is not None for match in found)
    microseconds = np.zeros(len(cells), np.int64)
    wrong = np.zeros(len(cells), np.bool_)
    for row, match in enumerate(matches):
        seconds = None if match is None else _seconds(match, in_minutes=in_minutes, halves=halves)
        if match is None or seconds is None:
            wrong[row] = True
        else:
            microseconds[row] = seconds * 1_000_000 + int((match[4] or "0").ljust(6, "0")[:6])
    return Clock(_DAY + microseconds.astype("timedelta64[us]"), wrong, in_minutes)


def without_midnight(text: pd.Series[Any]) -> tuple[pd.Series[Any], npt.NDArray[np.bool_]]:
    """Write 24:00 as 00:00, and say which stamps belong to the next day."""
    late = text.str.contains(_MIDNIGHT.replace("(^|", "(?:^|")).to_numpy(np.bool_)
    return (text.str.replace(_MIDNIGHT, r"\g<1>00", regex=True) if late.any() else text), late


def _seconds(match: re.Match[str], *, in_minutes: bool, halves: bool) -> int | None:
    """The whole seconds of a time of day; None where its numbers are out of range."""
    first, second, third = int(match[1]), int(match[2]), int(match[3] or 0)
    if second > 59 or third > 59 or (halves and (match[5] is None or not 1 <= first <= 12)):
        return None
    if match[3] is None and in_minutes:
        return first * 60 + second
    if halves:
        first = first % 12 + (12 if match[5] == "P" else 0)
    return first * 3600 + second * 60 + third
