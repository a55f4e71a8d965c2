"""Time stamps as people write them, and the clocks of zones."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from ...errors import ConfigError

if TYPE_CHECKING:
    import numpy.typing as npt


def show_stamp(stamp: Any) -> str:
    """Return a stamp as people write it: without a time of day at midnight.

    Example:
        >>> show_stamp(np.datetime64("2024-01-01T00:00", "us")), show_stamp(np.datetime64("2024-01-01T06:30", "us"))
        ('2024-01-01', '2024-01-01 06:30')
    """
    if np.asarray(stamp).dtype.kind != "M":
        return f"{stamp}"
    day, _, clock = str(np.asarray(stamp).astype("datetime64[s]")).partition("T")
    clock = clock.removesuffix(":00")
    return day if clock in ("00:00", "") else f"{day} {clock}"


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


def shown(stamp: Any, time_zone: str | None = None) -> str:
    """Return one stamp as `written_stamps` has it.

    Args:
        stamp: in UTC where there is a zone.
        time_zone: see `TimeSeries`.

    Example:
        >>> shown(np.datetime64("2024-06-30T22", "us"), "Europe/Berlin"), shown(7)
        ('2024-07-01 00:00+02:00', '7')
    """
    return str(written_stamps(np.array([stamp]), time_zone)[0])


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
