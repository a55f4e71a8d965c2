"""The calendar as covariates: they are known for every step to come."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from ...errors import check_choice
from .frequency import Frequency
from .stamps import local_times

if TYPE_CHECKING:
    import numpy.typing as npt

FEATURES = ("hour", "weekday", "day_of_year", "month")
_DAY = 86_400 * 1_000_000


def calendar_features(frequency: Frequency) -> tuple[str, ...]:
    """Return the features whose value differs from step to step: what a frequency can use.

    Steps below a day have the hour. Steps up to a day have the weekday. Steps up to a week have the day of the year.
    Months and quarters have the month. Years and numbers have none.

    Example:
        >>> calendar_features(Frequency("hour")), calendar_features(Frequency("month"))
        (('hour', 'weekday', 'day_of_year'), ('month',))
    """
    size = frequency.microseconds
    if size is None:
        if frequency.unit == "month":
            return ("month",) if frequency.count % 12 else ()
        return ("weekday", "day_of_year") if frequency.unit == "business day" else ()
    found = [("hour", size < _DAY), ("weekday", size < 7 * _DAY), ("day_of_year", size < 100 * _DAY)]
    return tuple(name for name, has in found if has)


def calendar_names(features: Sequence[str]) -> tuple[str, ...]:
    """Return the names of the columns that `calendar_columns` makes: a sine and a cosine a feature.

    Raises:
        ConfigError: there is no such feature.

    Example:
        >>> calendar_names(["hour"])
        ('hour_sin', 'hour_cos')
    """
    for name in features:
        check_choice(name, "calendar", FEATURES)
    return tuple(f"{name}_{wave}" for name in features for wave in ("sin", "cos"))


def calendar_columns(
    stamps: npt.NDArray[Any], features: Sequence[str], time_zone: str | None = None
) -> npt.NDArray[np.float64]:
    """Return sine and cosine of each feature, [T, 2 × features].

    The angle is 2π times the share of the day, week or year that is over, so that the last hour is beside the first.

    Args:
        stamps: [T] datetime64.
        features: of `FEATURES`.
        time_zone: the zone whose clock counts, such as "Europe/Berlin", for stamps in UTC; None: the stamps' own clock.

    Raises:
        ConfigError: there is no such feature or zone.

    Example:
        >>> stamps = np.array(["2024-01-01T00", "2024-01-01T06"], "datetime64[us]")
        >>> calendar_columns(stamps, ["hour"]).round(3).tolist()
        [[0.0, 1.0], [1.0, 0.0]]
    """
    calendar_names(features)
    if not features:
        return np.zeros((len(stamps), 0))
    times = np.asarray(stamps if time_zone is None else local_times(stamps, time_zone), "datetime64[us]")
    days, months, years = (times.astype(f"datetime64[{unit}]") for unit in "DMY")
    clock = (times - days).astype(np.int64) / _DAY
    new_year = years.astype("datetime64[D]")
    length = ((years + 1).astype("datetime64[D]") - new_year).astype(np.int64)
    shares = {
        "hour": clock,
        "weekday": ((days.astype(np.int64) + 3) % 7) / 7,
        "day_of_year": (days - new_year).astype(np.int64) / length,
        "month": (months - years.astype("datetime64[M]")).astype(np.int64) / 12,
    }
    angles = 2 * np.pi * np.stack([shares[name] for name in features], 1)
    return np.stack([np.sin(angles), np.cos(angles)], 2).reshape(len(times), -1)
