"""Time stamps: numbers, or dates in one format, in UTC if they name their zones."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import numpy as np

from ...errors import DataError, Place, Remedy
from ..guesses import Guesses
from ..row_checks import Where, check_present
from .clock import is_clock, parse_clock, plain_halves, without_halves, without_midnight
from .numerals import MISSING
from .written_times import half_named, plain_times

if TYPE_CHECKING:
    import numpy.typing as npt
    import pandas as pd

# A zone follows a time of day: "2020-01-01" ends in -01, which is none.
_ZONE = re.compile(r"\d{1,2}:\d{2}(?::\d{2}(?:[.,]\d+)?)?\s*(?:[Zz]|UTC|GMT|[+-]\d{2}(?::?\d{2})?)$")
_NAMED_ZONE = re.compile(r":\d{2}\s*(?!(?:AM|PM|UTC|GMT)$)[A-Z]{2,5}$")
_NUMERIC_DATE = r"^\s*(\d{1,2})[/.\-](\d{1,2})[/.\-]\d{2,4}\b"
# Stamps of digits alone by their length. Ten of them are seconds since 1970 more often than an hour of a day.
_DIGIT_DATES = {8: "%Y%m%d", 12: "%Y%m%d%H%M", 14: "%Y%m%d%H%M%S"}
_COMMA = re.compile(r"(?<=\d:\d\d),(?=\d)")  # before a fraction of a second, as Python's logs have it
_DIGITS = str.maketrans("123456789", "0" * 9)


def parse(
    column: pd.Series[Any],
    where: Where,
    name: str,
    time_format: str | None = None,
    *,
    decimal: str = ".",
    guesses: Guesses | None = None,
    date_numbers: bool = False,
) -> npt.NDArray[Any]:
    """A column of time stamps as datetime64[us] (UTC if they have zones) or float64.

    Args:
        column: numbers, text or dates.
        where: the place of a row by its index.
        name: the column's, for messages.
        time_format: of text, as in ``strftime``.
        decimal: the decimal mark of numbers.
        guesses: takes what was guessed.
        date_numbers: whether numbers such as 20240131 are dates; in text they are.

    Raises:
        DataError: a time is missing, unreadable, ambiguous (day or month first), or only some name a zone.
    """
    import pandas as pd

    text = _text(column)
    gone = text.isna().to_numpy() if text is not None else column.isna().to_numpy()

    def place(row: int) -> Place:
        return where(row).at(column=name)

    check_present(gone, place, "time")
    if text is not None and time_format is None and not text.map(str.isascii).all():
        _refuse_mixed(text.map(half_named), text, place, "上午 or 下午")
        text = plain_times(text)
    if pd.api.types.is_datetime64_any_dtype(column):
        return _utc(column)
    if text is None:
        digits = _digits(column) if date_numbers and time_format is None else None
        if digits is not None and (stamps := _dates_of_digits(digits, place, guesses)) is not None:
            return stamps
        return _finite(column.to_numpy(np.float64), place)
    plain = text.str.replace(",", ".", regex=False) if decimal == "," else text
    if time_format is None and _is_number(str(plain.iloc[0])):
        if (stamps := _dates_of_digits(text, place, guesses)) is not None:
            return stamps
        numbers = pd.to_numeric(plain, errors="coerce")
        if not numbers.isna().any():
            return _finite(numbers.to_numpy(np.float64), place)
    text = plain_halves(text)
    if time_format is None and text.str.contains(",", regex=False).any():
        text = text.str.replace(_COMMA, ".", regex=True)
    if time_format is None and is_clock(str(text.iloc[0])):
        return _times_of_day(text, place, guesses or Guesses())
    if time_format is None:
        halves = text.str.endswith(("AM", "PM"))
        _refuse_mixed(halves, text, place, "AM or PM")
        text = without_halves(text) if halves.any() else text
    return _dates(text, place, time_format)


def has_zone(column: pd.Series[Any], time_format: str | None = None) -> bool:
    """Whether the stamps of a column name their time zones, so that `parse` returns them in UTC.

    Example:
        >>> import pandas as pd
        >>> has_zone(pd.Series(["2024-01-01 12:00+01:00"])), has_zone(pd.Series(["2024-01-01 12:00"]))
        (True, False)
    """
    text = _text(column)
    if text is None:
        return getattr(column.dt, "tz", None) is not None if column.dtype.kind == "M" else False
    return "%z" in (time_format or "") or any(_ZONE.search(str(cell)) is not None for cell in text.head(1))


def zone_of(column: pd.Series[Any]) -> str | None:
    """Return the name of the zone of a column of stamps; None where it has none, or one without a name, as in text.

    Example:
        >>> import pandas as pd
        >>> zone_of(pd.Series(pd.date_range("2024-01-01", periods=2, tz="Europe/Berlin")))
        'Europe/Berlin'
        >>> zone_of(pd.Series(["2024-01-01 12:00+01:00"])) is None
        True
    """
    from zoneinfo import ZoneInfo

    name = str(getattr(column.dtype, "tz", None))
    try:
        return str(ZoneInfo(name))
    except (KeyError, ValueError, OSError):
        return None


def say_midnight(clock: npt.NDArray[Any], codes: npt.NDArray[np.int64], where: Where, guesses: Guesses) -> None:
    """Note times of day that fall by more than half a day within a series, as they do at midnight.

    Args:
        clock: [N] stamps in the file's order.
        codes: [N], the series of each row.
        where: the place of a row by its index.
        guesses: takes the note.
    """
    first = np.datetime64("1900-01-01", "us")
    if clock.dtype.kind != "M" or not ((clock >= first) & (clock < first + np.timedelta64(2, "D"))).all():
        return
    order = np.argsort(codes, kind="stable")
    falls = (np.diff(clock[order]) < -np.timedelta64(12, "h")) & (np.diff(codes[order]) == 0)
    if falls.any():
        row = int(order[int(falls.argmax()) + 1])
        problem = "times of day fall within a series, as at midnight; the rows are sorted by the time of day"
        guesses.add(problem, where(row), "write the dates, too, if a series goes on after midnight")


def _refuse_mixed(halves: pd.Series[Any], text: pd.Series[Any], place: Where, words: str) -> None:
    """Raise DataError where some times of a 12-hour clock lack the word that says which half of the day is meant."""
    found = halves.to_numpy(np.bool_)
    if found.any() and not found.all():
        row = int((~found).argmax())
        problem = f"{text.iloc[row]!r} has no {words}, but {text.iloc[int(found.argmax())]!r} has one"
        raise DataError(problem, place(row), "write all of them in one way")


def _times_of_day(text: pd.Series[Any], place: Where, guesses: Guesses) -> npt.NDArray[Any]:
    clock = parse_clock(text.tolist())
    if clock.wrong.any():
        row = int(clock.wrong.argmax())
        raise DataError(
            f"{text.iloc[row]!r} is not the time expected (a time of day like {text.iloc[0]!r})",
            place(row),
            ("mend it", Remedy("time_format", purpose='such as "%H:%M"')),
        )
    if clock.in_minutes:
        row = int(text.str.fullmatch(r"\d+:\d+(?:[.,]\d+)?").to_numpy(np.bool_).argmax())
        guesses.add(
            f"times such as {text.iloc[row]!r} are read as minutes and seconds",
            place(row).at(line=None, row=None),
            Remedy("time_format", purpose="if they are not"),
        )
    return clock.stamps


def _text(column: pd.Series[Any]) -> pd.Series[Any] | None:
    """Return the column as text, missing where it says so; None if it holds numbers or dates."""
    import pandas as pd

    if not (pd.api.types.is_object_dtype(column) or pd.api.types.is_string_dtype(column)):
        return None
    text = column.astype(str).str.strip().where(column.notna())
    return text.mask(text.str.lower().isin(MISSING))


def _digits(column: pd.Series[Any]) -> pd.Series[Any] | None:
    """Whole numbers as text, as a file has them; None for other numbers."""
    numbers = column.to_numpy(np.float64)
    if not np.isfinite(numbers).all() or (numbers % 1 != 0).any() or (np.abs(numbers) >= 2**53).any():
        return None
    return column.astype("int64").astype(str)


def _dates_of_digits(text: pd.Series[Any], place: Where, guesses: Guesses | None) -> npt.NDArray[Any] | None:
    """Stamps such as 20240131 or 20240131153000, which are no numbers; None where they are."""
    pattern = _DIGIT_DATES.get(len(str(text.iloc[0])))
    if pattern is None or not text.str.fullmatch(rf"(?:19|20)\d{{{len(str(text.iloc[0])) - 2}}}").all():
        return None
    import pandas as pd

    read = pd.to_datetime(text, format=pattern, errors="coerce").notna()
    if 2 * read.sum() <= len(text):
        return None
    stamps = _dates(text, place, pattern)
    if guesses is not None:
        advice = f"write them as {text.iloc[0]}.0 if they are numbers"
        guesses.add(f"times such as {text.iloc[0]} are read as dates", place(0).at(line=None, row=None), advice)
    return stamps


def _dates(text: pd.Series[Any], place: Where, time_format: str | None) -> npt.NDArray[Any]:
    import pandas as pd

    # The stamps' shapes, digits as 0, are few; whatever their zones are is asked of these.
    shapes = "\n".join(text.tolist()).translate(_DIGITS).split("\n")
    aware = {shape: _ZONE.search(shape) is not None for shape in set(shapes)}
    for shape in aware:
        if _NAMED_ZONE.search(shape):
            row = shapes.index(shape)
            raise DataError(
                f"the time zone of {text.iloc[row]!r} has more than one meaning",
                place(row),
                "write its offset, such as +01:00",
            )
    if len(set(aware.values())) > 1:
        first, other = (next(row for row, shape in enumerate(shapes) if aware[shape] is zone) for zone in (True, False))
        raise DataError(
            f"{text.iloc[other]!r} has no time zone, but {text.iloc[first]!r} ({place(first).at(column=None)}) has one",
            place(other),
            "give all of them a time zone or none",
        )
    text, late = without_midnight(text)
    formats = [time_format] if time_format is not None else _formats(text, place)
    utc = any(aware.values()) or "%z" in (time_format or "")
    best: npt.NDArray[np.bool_] | None = None
    for pattern in formats:
        dates = pd.to_datetime(text, format=pattern, utc=utc, errors="coerce")
        wrong = dates.isna().to_numpy()
        if not wrong.any():
            stamps: npt.NDArray[Any] = _utc(dates) + late.astype("timedelta64[D]")
            return stamps
        if best is None or wrong.argmax() > best.argmax():
            best = wrong
    row = int(best.argmax()) if best is not None else 0
    expected = f"{time_format!r}" if time_format is not None else "a date such as 2020-01-31 12:00, one format in all"
    raise DataError(
        f"{text.iloc[row]!r} is not the time expected ({expected})",
        place(row),
        ("mend it", Remedy("time_format", purpose='such as "%d.%m.%Y %H:%M"')),
    )


def _formats(text: pd.Series[Any], place: Where) -> list[str]:
    """Return the formats to try, the likeliest first."""
    from pandas.tseries.api import guess_datetime_format

    first = str(text.iloc[0])
    day_first = _day_first(text, place) if re.match(_NUMERIC_DATE, first) else False
    guessed = guess_datetime_format(first, dayfirst=day_first)
    return [*(["ISO8601"] if re.match(r"\d{4}", first) else []), *([guessed] if guessed else [])]


def _day_first(text: pd.Series[Any], place: Where) -> bool:
    """Return whether 10/1/2004 is in January, judged by numbers above 12; raise if there are none."""
    parts = text.str.extract(_NUMERIC_DATE).astype(float)
    first, second = (parts[index].to_numpy() > 12 for index in (0, 1))
    if first.any() and second.any():
        row = max(int(first.argmax()), int(second.argmax()))
        raise DataError(f"{text.iloc[row]!r} has day and month in another order than lines before it", place(row))
    if not first.any() and not second.any():
        from pandas.tseries.api import guess_datetime_format

        guesses = {"day": True, "month": False}
        formats = {what: guess_datetime_format(str(text.iloc[0]), dayfirst=day) for what, day in guesses.items()}
        remedies = [
            Remedy("time_format", found, f"if the {what} comes first") for what, found in formats.items() if found
        ]
        raise DataError(
            f"whether day or month comes first in {text.iloc[0]!r} cannot be told",
            place(0),
            remedies or Remedy("time_format", purpose='such as "%d/%m/%Y"'),
        )
    return bool(first.any())


def _utc(dates: pd.Series[Any]) -> npt.NDArray[Any]:
    if dates.dt.tz is not None:
        dates = dates.dt.tz_convert("UTC").dt.tz_localize(None)
    return dates.to_numpy("datetime64[us]")


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True


def _finite(numbers: npt.NDArray[np.float64], place: Where) -> npt.NDArray[np.float64]:
    wrong = ~np.isfinite(numbers)
    if wrong.any():
        row = int(wrong.argmax())
        raise DataError(f"the time {numbers[row]} is no finite number", place(row))
    return numbers
