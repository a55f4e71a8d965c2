"""Time stamps that are numbers and mean dates: seconds since 1970 and their fractions, and dates such as 20240131."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from ...errors import DataFinding, Remedy
from .frequency import Frequency, infer_frequency
from .stamps import show_stamp

if TYPE_CHECKING:
    import numpy.typing as npt

# Name → how many make a second.
_UNITS = {"seconds": 1, "milliseconds": 1_000, "microseconds": 1_000_000, "nanoseconds": 1_000_000_000}
_PLAUSIBLE = (315_532_800, 4_102_444_800)  # seconds, from 1980 to 2100; of the units above no two ranges overlap
_DAYS = (19_000_101, 21_001_231)
# Name → by how much the digits of the day are shifted: 20240131, 202401311530 and 20240131153059.
_CALENDAR = {"days": 1, "days with minutes": 10_000, "days with seconds": 1_000_000}
_MICRO = 1_000_000


@dataclass(frozen=True)
class NumberDates:
    """What numbers mean that are dates.

    Attributes:
        unit: "seconds", "milliseconds", "microseconds" or "nanoseconds" since 1970 (UTC), or of the stamps' own clock
            "days" such as 20240131, "days with minutes" or "days with seconds" such as 20240131153059.

    Example:
        >>> kind = NumberDates.recognise(np.array([1704067200.0, 1704070800.0]))
        >>> kind, kind.stamps(np.array([1704070800.0])).astype("datetime64[m]").astype(str).tolist()
        (NumberDates(unit='seconds'), ['2024-01-01T01:00'])
        >>> NumberDates.recognise(np.array([0.0, 1.0])) is None
        True
    """

    unit: str

    @property
    def utc(self) -> bool:
        """Whether the numbers count from a moment, and so are in UTC."""
        return self.unit in _UNITS

    @staticmethod
    def recognise(numbers: npt.NDArray[Any]) -> NumberDates | None:
        """Return what numbers mean if all of them are dates from 1980 to 2100; None if they are steps.

        Args:
            numbers: [N], finite.
        """
        values = np.asarray(numbers, np.float64)
        if not len(values):
            return None
        low, high = float(values.min()), float(values.max())
        for unit, count in _UNITS.items():
            if _PLAUSIBLE[0] * count <= low and high < _PLAUSIBLE[1] * count:
                return NumberDates(unit)
        for unit, shift in _CALENDAR.items():
            if _DAYS[0] * shift <= low and high < (_DAYS[1] + 1) * shift and _are_dates(values, shift):
                return NumberDates(unit)
        return None

    def stamps(self, numbers: npt.NDArray[Any]) -> npt.NDArray[Any]:
        """Return the dates of numbers, datetime64[us]; of numbers since 1970 in UTC."""
        values = np.asarray(numbers, np.float64)
        if not self.utc:
            shift = _CALENDAR[self.unit]
            days, clock = np.divmod(values.astype(np.int64), shift)
            day = _day(days // 10_000, days // 100 % 100, days % 100).astype("datetime64[us]")
            seconds: npt.NDArray[np.int64] = _seconds(clock, shift)
            return np.asarray(day + seconds.astype("timedelta64[s]"))
        found: npt.NDArray[Any] = np.rint(values * (_MICRO / _UNITS[self.unit])).astype("datetime64[us]")
        return found

    def numbers(self, stamps: npt.NDArray[Any]) -> npt.NDArray[np.int64]:
        """Return the numbers of dates, the inverse of `stamps`; fractions are cut."""
        times = np.asarray(stamps, "datetime64[us]")
        if not self.utc:
            text = np.datetime_as_string(times.astype("datetime64[s]")).ravel()
            digits = [int("".join(filter(str.isdigit, one))) for one in text]
            return np.array(digits, np.int64).reshape(times.shape) // (
                _CALENDAR["days with seconds"] // _CALENDAR[self.unit]
            )
        micro, count = times.astype(np.int64), _UNITS[self.unit]
        return micro * (count // _MICRO) if count >= _MICRO else micro // (_MICRO // count)

    def tell(self, column: str, numbers: npt.NDArray[np.float64]) -> str:
        """Return the sentence that says what was guessed, and how to keep the numbers.

        Args:
            column: its name.
            numbers: [N].

        Example:
            >>> print(NumberDates("days").tell("day", np.array([20240130.0, 20240131.0])))
            The numbers of the column 'day' are taken for dates such as 20240130, from 2024-01-30 to 2024-01-31; \
type frequency="number" to keep them as numbers.
        """
        first, last = (show_stamp(one) for one in self.stamps(np.array([numbers.min(), numbers.max()])))
        what = f"{self.unit} since 1970 (UTC)" if self.utc else f"dates such as {numbers.min():.0f}"
        steps = infer_frequency([np.unique(numbers).astype(np.int64)])
        text = "number" if steps is None else steps.text
        problem = f"The numbers of the column {column!r} are taken for {what}, from {first} to {last}"
        return DataFinding.of(problem, Remedy("frequency", text, "to keep them as numbers"))


def recognise_dates(stamps: npt.NDArray[Any], frequency: Frequency | None) -> NumberDates | None:
    """Return what the stamps of a table mean where they are numbers, and dates; None where they stay as they are.

    Args:
        stamps: [N], dates or numbers.
        frequency: that a user named: one of numbers keeps numbers.
    """
    if stamps.dtype.kind == "M" or (frequency is not None and not frequency.is_date):
        return None
    return NumberDates.recognise(stamps)


def _are_dates(values: npt.NDArray[np.float64], shift: int) -> bool:
    whole, clock = np.divmod(values.astype(np.int64), shift)
    year, month, day = whole // 10_000, whole // 100 % 100, whole % 100
    if (
        (_seconds(clock, shift) < 0).any()
        or (values % 1 != 0).any()
        or not ((month >= 1) & (month <= 12) & (day >= 1) & (day <= 31)).all()
    ):
        return False
    return bool((_day(year, month, day).astype("datetime64[M]") == _month(year, month)).all())


def _seconds(clock: npt.NDArray[np.int64], shift: int) -> npt.NDArray[np.int64]:
    """Seconds of the day of digits such as 1530 or 153059, which are below `shift`; -1 where they are no time."""
    full = clock * (_CALENDAR["days with seconds"] // shift) if shift > 1 else clock
    hour, minute, second = full // 10_000, full // 100 % 100, full % 100
    return np.where((hour < 24) & (minute < 60) & (second < 60), hour * 3600 + minute * 60 + second, -1)


def _month(year: npt.NDArray[np.int64], month: npt.NDArray[np.int64]) -> npt.NDArray[Any]:
    return ((year - 1970) * 12 + month - 1).astype("datetime64[M]")


def _day(year: npt.NDArray[np.int64], month: npt.NDArray[np.int64], day: npt.NDArray[np.int64]) -> npt.NDArray[Any]:
    found: npt.NDArray[Any] = _month(year, month).astype("datetime64[D]") + (day - 1)
    return found
