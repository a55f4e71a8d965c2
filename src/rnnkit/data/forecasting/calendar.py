"""The calendar as covariates: they are known for every step to come."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from ...errors import ConfigError, check_choice
from .frequency import Frequency
from .series import show_stamp

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


def local_times(stamps: npt.NDArray[Any], time_zone: str) -> npt.NDArray[Any]:
    """Return what clocks of a zone show at stamps in UTC.

    Raises:
        ConfigError: there is no such zone.

    Example:
        >>> local_times(np.array(["2024-07-01T12"], "datetime64[us]"), "Europe/Berlin").astype(str).tolist()
        ['2024-07-01T14:00:00.000000']
    """
    import pandas as pd

    zone = check_time_zone(time_zone)
    return pd.DatetimeIndex(stamps).tz_localize("UTC").tz_convert(zone).tz_localize(None).to_numpy("datetime64[us]")


def written_stamps(stamps: npt.NDArray[Any], time_zone: str | None = None) -> list[Any]:
    """Return stamps as a table has them: whole numbers, dates, or the clock of a zone with its distance from UTC.

    Args:
        stamps: of any shape; in UTC where there is a zone.
        time_zone: see `TimeSeries`.

    Example:
        >>> stamps = np.array(["2024-06-30T22", "2024-12-31T23"], "datetime64[us]")
        >>> written_stamps(stamps, "Europe/Berlin"), written_stamps(stamps)[0]
        (['2024-07-01 00:00+02:00', '2025-01-01 00:00+01:00'], '2024-06-30 22:00')
    """
    flat = np.asarray(stamps).ravel()
    if flat.dtype.kind != "M":
        return [int(one) for one in flat]
    if time_zone is None:
        return [show_stamp(one) for one in flat]
    local = local_times(flat, time_zone)
    minutes = ((local - flat) // np.timedelta64(1, "m")).astype(np.int64).tolist()
    shown = np.datetime_as_string(local.astype("datetime64[s]")).tolist()
    return [
        f"{text.replace('T', ' ').removesuffix(':00')}{'-' if off < 0 else '+'}{abs(off) // 60:02}:{abs(off) % 60:02}"
        for text, off in zip(shown, minutes, strict=True)
    ]


def to_utc(codes: npt.NDArray[np.int64], stamps: npt.NDArray[Any], time_zone: str) -> tuple[npt.NDArray[Any], int]:
    """Return what clocks of a zone showed in UTC, the inverse of `local_times`, and how many stamps no clock showed.

    Of an hour that a clock shows twice, the first row of a series is summer time, and the second is not. A time that
    was left out is moved to the time after the change.

    Args:
        codes: [N], the number of each row's series.
        stamps: [N], as clocks show them.
        time_zone: a zone that exists.

    Example:
        >>> stamps = np.array(["2024-07-01T14", "2024-03-31T02:30"], "datetime64[us]")
        >>> found, moved = to_utc(np.zeros(2, np.int64), stamps, "Europe/Berlin")
        >>> found.astype("datetime64[h]").astype(str).tolist(), moved
        (['2024-07-01T12', '2024-03-31T01'], 1)
    """
    import pandas as pd

    local = pd.DatetimeIndex(stamps)
    first = ~pd.DataFrame({"series": codes, "stamp": local}).duplicated().to_numpy()
    zoned = local.tz_localize(time_zone, ambiguous=first, nonexistent="shift_forward")
    moved = int((zoned.tz_localize(None) != local).sum())
    return zoned.tz_convert("UTC").tz_localize(None).to_numpy("datetime64[us]"), moved


def check_time_zone(name: str) -> str:
    """Return the name of a zone.

    Raises:
        ConfigError: there is no such zone.
    """
    from zoneinfo import ZoneInfo

    try:
        ZoneInfo(name)
    except (KeyError, ValueError, OSError, TypeError):
        raise ConfigError.of("time_zone", name, 'expected a name such as "Europe/Berlin" or "UTC"') from None
    return name
