"""The steps of a time series: how far apart they are, what people call them, and the steps to come."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from ...errors import ConfigError

if TYPE_CHECKING:
    import numpy.typing as npt

Unit = Literal["number", "second", "minute", "hour", "day", "business day", "week", "month"]

_SECONDS = {"second": 1, "minute": 60, "hour": 3_600, "day": 86_400, "week": 604_800}
_MICRO = 1_000_000
_DAY = 86_400 * _MICRO
_WEEKDAYS = ("Mondays", "Tuesdays", "Wednesdays", "Thursdays", "Fridays", "Saturdays", "Sundays")
_WORDS = {"second": "every second", "minute": "every minute", "hour": "hourly", "day": "daily", "week": "weekly"}
_SINGLE = {**_WORDS, "business day": "on business days (Monday to Friday)", "month": "monthly"}
# As people write them, and as pandas does; in small letters, without what follows a hyphen.
_ALIASES: Mapping[str, tuple[int, Unit]] = {
    **dict.fromkeys(("s", "sec", "second", "seconds"), (1, "second")),
    **dict.fromkeys(("min", "t", "minute", "minutes"), (1, "minute")),
    **dict.fromkeys(("h", "hour", "hours", "hourly"), (1, "hour")),
    **dict.fromkeys(("d", "day", "days", "daily"), (1, "day")),
    **dict.fromkeys(("b", "bd", "business day", "business days"), (1, "business day")),
    **dict.fromkeys(("w", "week", "weeks", "weekly"), (1, "week")),
    **dict.fromkeys(("m", "ms", "me", "month", "months", "monthly"), (1, "month")),
    **dict.fromkeys(("q", "qs", "qe", "quarter", "quarters", "quarterly"), (3, "month")),
    **dict.fromkeys(("y", "ys", "ye", "a", "year", "years", "yearly"), (12, "month")),
    **dict.fromkeys(("number", "numbers", "step", "steps"), (1, "number")),
}


@dataclass(frozen=True)
class Frequency:
    """The distance between two steps.

    Attributes:
        unit: what is counted; "number" for steps that are whole numbers and no dates.
        count: how many units a step has.
        at_end: of months, whether steps are at the last day of each.
        day: of months, 29 or 30 where steps are at this day, or at the last one of a shorter month; None: the day of
            the stamp from which steps are counted. Frequencies that differ in it alone are equal.

    Raises:
        ConfigError: no such unit, or a count below 1.

    Example:
        >>> hourly = Frequency("hour")
        >>> hourly.after(np.datetime64("2024-02-28T22:00"), 2).astype("datetime64[h]").astype(str).tolist()
        ['2024-02-28T23', '2024-02-29T00']
        >>> Frequency.parse("15 minutes"), Frequency.parse("15 minutes").period
        (Frequency(every 15 minutes), 96)
    """

    unit: Unit
    count: int = 1
    at_end: bool = False
    day: int | None = field(default=None, compare=False)

    def __post_init__(self) -> None:
        if self.unit not in {unit for _, unit in _ALIASES.values()}:
            raise ConfigError.of("unit", self.unit, f"expected one of {', '.join((*_SECONDS, 'month', 'number'))}")
        if not isinstance(self.count, int) or self.count < 1 or (self.unit == "business day" and self.count > 1):
            raise ConfigError.of("count", self.count, "expected a whole number of at least 1")

    @staticmethod
    def parse(text: str) -> Frequency:
        """Return the frequency of a text such as "hour", "15 minutes", "week", or of pandas' names, "h" and "15min".

        Raises:
            ConfigError: no such frequency.
        """
        match = re.fullmatch(r"\s*(\d*)\s*([A-Za-z ]+?)\s*(?:-[A-Za-z]{3})?\s*", str(text))
        found = None if match is None else _ALIASES.get(match[2].lower().removeprefix("every "))
        if match is None or found is None or match[1] == "0":
            raise ConfigError.of("frequency", text, 'expected a text such as "hour", "15 minutes", "day" or "month"')
        try:
            return Frequency(found[1], found[0] * int(match[1] or 1), match[2].lower() in ("me", "qe", "ye"))
        except ConfigError:
            raise ConfigError.of("frequency", text, "expected business days one by one") from None

    @property
    def is_date(self) -> bool:
        """Whether steps are dates; else they are whole numbers."""
        return self.unit != "number"

    @property
    def microseconds(self) -> int | None:
        """The length of a step where all are as long; None for months, business days and numbers."""
        return self.count * _SECONDS[self.unit] * _MICRO if self.unit in _SECONDS else None

    @property
    def whole_days(self) -> bool:
        """Whether a step is a date of a day or longer, which no clock divides."""
        size = self.microseconds
        return self.is_date and (size is None or size >= _DAY)

    @property
    def period(self) -> int:
        """The usual season in steps: a day, a week of days, a year of weeks or months; 1 where there is none.

        Steps shorter than a minute have the season of an hour.
        """
        size = self.microseconds
        if size is None:
            return {"business day": 5, "month": max(1, 12 // self.count)}.get(self.unit, 1)
        for season in (3_600 * _MICRO if size < 60 * _MICRO else _DAY, 7 * _DAY, 52 * 7 * _DAY):
            if size < season:
                return season // size if season % size == 0 else 1
        return 1

    @property
    def text(self) -> str:
        """What `parse` reads as this frequency.

        Example:
            >>> Frequency("minute", 15).text, Frequency("month", at_end=True).text
            ('15 minutes', '1 ME')
        """
        if self.at_end:
            return f"{self.count} ME"
        return self.unit if self.count == 1 else f"{self.count} {self.unit}s"

    @property
    def approximate_seconds(self) -> float:
        """The length of a step; of months and numbers about, to distinguish a longer frequency from a shorter one."""
        days = {"business day": 1.0, "month": 30.44 * self.count, "number": self.count / 86_400}
        size = self.microseconds
        return 86_400 * days[self.unit] if size is None else size / _MICRO

    @property
    def seasons(self) -> tuple[int, ...]:
        """The usual seasons in steps, the shortest first: of steps below a day also the week; empty without any.

        Example:
            >>> Frequency("hour").seasons, Frequency("month").seasons, Frequency("number").seasons
            ((24, 168), (12,), ())
        """
        size, period = self.microseconds, self.period
        week = 0 if size is None or size >= _DAY or (7 * _DAY) % size else 7 * _DAY // size
        return tuple(one for one in (period, week) if one > 1)

    @property
    def words(self) -> str:
        """What people call it: "hourly", "every 15 minutes", "monthly"."""
        if self.unit == "number":
            return "whole numbers" if self.count == 1 else f"whole numbers in steps of {self.count}"
        if self.unit == "month" and self.count in (3, 12):
            return "quarterly" if self.count == 3 else "yearly"
        return _SINGLE[self.unit] if self.count == 1 else f"every {self.count} {self.unit}s"

    def describe(self, stamp: npt.ArrayLike | None = None) -> str:
        """Return `words`, with the weekday of a step of weeks.

        Args:
            stamp: any step.

        Example:
            >>> Frequency("week").describe(np.datetime64("2024-01-01"))
            'weekly on Mondays'
        """
        if self.unit != "week" or stamp is None:
            return self.words
        days = int(np.asarray(stamp).astype("datetime64[D]").astype(np.int64))
        return f"{self.words} on {_WEEKDAYS[(days + 3) % 7]}"  # 1970 began on a Thursday

    def __repr__(self) -> str:
        return f"Frequency({self.words}{', at the end' if self.at_end else ''})"

    def positions(self, stamps: npt.NDArray[Any], origin: Any) -> npt.NDArray[np.float64]:
        """Return how many steps after `origin` stamps are; a fraction where a stamp is between two steps.

        Args:
            stamps: [N] datetime64, or numbers where the frequency is one of numbers.
            origin: a stamp.
        """
        if self.unit == "number":
            return (np.asarray(stamps, np.float64) - float(origin)) / self.count
        times, start = _micro(stamps), _micro(origin)
        size = self.microseconds
        if size is not None:
            whole, rest = np.divmod((times - start).astype(np.int64), size)
            found: npt.NDArray[np.float64] = whole + rest / size
            return found
        days, first = times.astype("datetime64[D]"), start.astype("datetime64[D]")
        if self.unit == "business day":
            counted = np.busday_count(first, days).astype(np.float64)
            between = ~np.is_busday(days) | ((times - days) != (start - first))
            return np.where(between, counted - 0.5, counted)
        months, months_origin = times.astype("datetime64[M]"), start.astype("datetime64[M]")
        wanted = _in_month(months, self._day(first))
        counted = (months - months_origin).astype(np.int64) / self.count
        within = (times - wanted).astype(np.int64) - int((start - first).astype(np.int64))
        steps: npt.NDArray[np.float64] = counted + within / (31 * _DAY * self.count)
        return steps

    def stamps(self, origin: Any, positions: npt.NDArray[np.int64]) -> npt.NDArray[Any]:
        """Return the stamps of steps, counted from `origin`: datetime64[us], or int64."""
        if self.unit == "number":
            return np.asarray(int(origin) + np.asarray(positions, np.int64) * self.count)
        start = _micro(origin)
        size = self.microseconds
        if size is not None:
            return np.asarray(start + (np.asarray(positions, np.int64) * size).astype("timedelta64[us]"))
        first = start.astype("datetime64[D]")
        if self.unit == "business day":
            days = np.busday_offset(first, positions, roll="forward")
        else:
            months = first.astype("datetime64[M]") + np.asarray(positions, np.int64) * self.count
            days = _in_month(months, self._day(first))
        moved: npt.NDArray[Any] = days.astype("datetime64[us]") + (start - first)
        return moved

    def _day(self, like: Any) -> int:
        """The day of the month of steps that are counted from the day `like`."""
        if self.at_end:
            return 31
        return self.day or int((like - like.astype("datetime64[M]").astype("datetime64[D]")).astype(np.int64)) + 1

    def after(self, last: Any, steps: int) -> npt.NDArray[Any]:
        """Return the stamps of the steps that follow a stamp."""
        return self.stamps(last, np.arange(1, steps + 1))

    def to_json(self) -> dict[str, Any]:
        """Return the attributes as JSON values."""
        return {"unit": self.unit, "count": self.count, "at_end": self.at_end, "day": self.day}

    @staticmethod
    def from_json(stored: Mapping[str, Any]) -> Frequency:
        """Return the frequency that `to_json` stored."""
        return Frequency(**stored)


def infer_frequency(clocks: list[npt.NDArray[Any]]) -> Frequency | None:
    """Return the frequency of series; None where no two stamps differ, or their distances have no rule.

    The most frequent distance counts. Days without a weekend are business days. Distances of whole months are months.

    Args:
        clocks: the stamps of each series, sorted, each once: datetime64, or whole numbers.

    Example:
        >>> infer_frequency([np.array(["2024-01-31", "2024-02-29", "2024-03-31"], "datetime64[us]")])
        Frequency(monthly, at the end)
        >>> infer_frequency([np.array([3, 5, 9, 11])])
        Frequency(whole numbers in steps of 2)
    """
    gaps = np.concatenate([np.diff(clock) for clock in clocks]) if clocks else np.zeros(0)
    if not len(gaps):
        return None
    if gaps.dtype.kind != "m":
        return Frequency("number", max(1, int(_mode(gaps.astype(np.int64)))))
    stamps = np.concatenate([_micro(clock) for clock in clocks])
    micro = gaps.astype("timedelta64[us]").astype(np.int64)
    common = _mode(micro)
    if common >= 28 * _DAY and (found := _months(clocks, stamps)) is not None:
        return found
    if common == _DAY and len(stamps) >= 10:
        weekdays = (stamps.astype("datetime64[D]").astype(np.int64) + 3) % 7
        if (weekdays < 5).all() and (micro == 3 * _DAY).any():
            return Frequency("business day")
    for unit in ("week", "day", "hour", "minute", "second"):
        if common % (_SECONDS[unit] * _MICRO) == 0:
            return Frequency(unit, common // (_SECONDS[unit] * _MICRO))
    return None


def _months(clocks: list[npt.NDArray[Any]], stamps: npt.NDArray[Any]) -> Frequency | None:
    """The frequency in months, where nearly all stamps are the same day of a month, or the last one."""
    months = stamps.astype("datetime64[M]")
    days = stamps.astype("datetime64[D]")
    length = ((months + 1).astype("datetime64[D]") - months.astype("datetime64[D]")).astype(np.int64)
    day = (days - months.astype("datetime64[D]")).astype(np.int64) + 1
    latest = int(day.max())
    at_end = bool((day == length).all()) and latest > 28
    if not at_end and not (day == np.minimum(latest, length)).all():
        return None
    gaps = np.concatenate([np.diff(_micro(clock).astype("datetime64[M]")) for clock in clocks]).astype(np.int64)
    gaps = gaps[gaps > 0]
    kept = latest if 28 < latest < 31 and not at_end else None
    return Frequency("month", int(_mode(gaps)), at_end, kept) if len(gaps) else None


def _in_month(months: npt.NDArray[Any], day: int) -> npt.NDArray[Any]:
    """A day of each month, from 1; the last one of a month that is shorter."""
    first = months.astype("datetime64[D]")
    length = ((months + 1).astype("datetime64[D]") - first).astype(np.int64)
    return np.asarray(first + (np.minimum(day, length) - 1).astype("timedelta64[D]"))


def _micro(stamps: Any) -> npt.NDArray[Any]:
    return np.asarray(stamps, "datetime64[us]")


def _mode(values: npt.NDArray[np.int64]) -> int:
    """The most frequent value; of several the smallest."""
    found, counts = np.unique(values, return_counts=True)
    return int(found[counts.argmax()])
