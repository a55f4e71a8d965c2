"""Parts of time series by time: training, then validation, then test.

Legend: S series, P parts.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from ...errors import ConfigError, DataError, Place, check_choice
from .series import TimeSeries
from .stamps import shown, to_utc

if TYPE_CHECKING:
    import numpy.typing as npt

_NAMES = {2: ("train", "test"), 3: ("train", "validation", "test")}


@dataclass(frozen=True)
class TimeParts:
    """Series, and where their parts begin and end.

    The targets of a part's windows are all inside the part. Their lookback may reach into the part before, as it does
    when a model is used. So no target is in two parts, and no model is trained on a target of a later part.

    Attributes:
        series: all of them, whole.
        names: of the parts, [P].
        cuts: [S, P + 1]: the steps t of part p of series s have cuts[s, p] ≤ t < cuts[s, p + 1].
        findings: where the parts are, a sentence each.

    Example:
        >>> series = TimeSeries.from_arrays([np.arange(10.0)], start="2024-01-01", frequency="day")
        >>> parts = divide_time(series, (0.6, 0.2, 0.2))
        >>> parts.cuts.tolist(), parts.span("test").tolist()
        ([[0, 6, 8, 10]], [[8, 10]])
        >>> parts.findings[0]
        'train: 6 steps, from 2024-01-01 to 2024-01-06.'
    """

    series: TimeSeries
    names: tuple[str, ...]
    cuts: npt.NDArray[np.int64]
    findings: tuple[str, ...] = ()

    def span(self, name: str) -> npt.NDArray[np.int64]:
        """Return [S, 2]: the first step of a part in each series, and the step behind its last.

        Raises:
            ConfigError: there is no such part.
        """
        check_choice(name, "part", self.names)
        at = self.names.index(name)
        return self.cuts[:, at : at + 2]

    def targets(self, name: str) -> list[npt.NDArray[np.float64]]:
        """Return the targets of a part, an array for each series; it may be empty."""
        return [
            target[begin:end]
            for target, (begin, end) in zip(self.series.targets, self.span(name).tolist(), strict=True)
        ]

    def last_stamps(self, name: str) -> dict[str, str | int]:
        """Return the last time stamp of a part in each series that has steps in it, as JSON values.

        Example:
            >>> series = TimeSeries.from_arrays([np.arange(10.0)], start="2024-01-01", frequency="day", ids=["load"])
            >>> divide_time(series, (0.6, 0.2, 0.2)).last_stamps("train")
            {'load': '2024-01-06T00:00:00.000000'}
        """
        series = self.series
        lasts = [
            (row, series.times[row][end - 1])
            for row, (begin, end) in enumerate(self.span(name).tolist())
            if end > begin
        ]
        return {series.ids[row]: str(last) if series.frequency.is_date else int(last) for row, last in lasts}


def divide_time(
    series: TimeSeries,
    parts: Sequence[Any] = (0.7, 0.1, 0.2),
    *,
    by: Literal["time", "series"] = "time",
    names: Sequence[str] | None = None,
) -> TimeParts:
    """Divide series by time.

    Args:
        series: all of them.
        parts: two (train, test) or three (train, validation, test): shares whose sum is 1 (0.7, 0.1, 0.2), or numbers
            of steps (8640, 2880, 2880), what is left behind them stays unused. Or the dates at which the second and the
            third part begin, ("2014-01-01", "2015-01-01").
        by: "time": parts begin at the same time in all series, so that no series shows the future of another.
            "series": each series is divided by its own length.
        names: of the parts; None: train and test, or train, validation and test.

    Raises:
        ConfigError: no such shares, steps or dates.
        DataError: a part would be empty in all series.

    Example:
        >>> series = TimeSeries.from_arrays([np.arange(9.0)], start="2024-01-01", frequency="day")
        >>> divide_time(series, ("2024-01-05", "2024-01-08")).cuts.tolist()
        [[0, 4, 7, 9]]
    """
    check_choice(by, "by", ("time", "series"))
    ends = series.ends
    if parts and all(isinstance(one, str | np.datetime64) for one in parts):
        called, cuts = _at_dates(series, list(parts))
    else:
        called = _NAMES.get(len(parts), ())
        _check_amounts(parts, called)
        if by == "series":
            cuts = np.stack([_cuts(parts, int(end)) for end in ends])
        else:
            clock = np.unique(np.concatenate([time[:end] for time, end in zip(series.times, ends, strict=True)]))
            found = _cuts(parts, len(clock))
            cuts = np.stack([_steps(time, clock, found) for time in series.times])
    if names is not None and len(names) != len(called):
        raise ConfigError.of("names", tuple(names), f"expected {len(called)} of them, one for each part")
    names = called if names is None else tuple(names)
    cuts = np.minimum(cuts, ends[:, None])
    findings = []
    for at, name in enumerate(names):
        sizes = cuts[:, at + 1] - cuts[:, at]
        if not sizes.any():
            raise DataError(
                f"the part {name!r} of {tuple(parts)} has no step in any series; the series have up to "
                f"{int(ends.max()):,} steps",
                Place(series.source),
                "give the part a larger share",
            )
        findings.append(_told(series, name, cuts[:, at], cuts[:, at + 1]))
    without = int((cuts[:, 1] == cuts[:, 0]).sum())
    if without:
        some = "1 series has" if without == 1 else f"{without:,} series have"
        findings.append(
            f'{some} no step in {names[0]}; by="series" divides each series by its own length instead of by time.'
        )
    unused = int((ends - cuts[:, -1]).sum())
    if unused:
        findings.append(f"{unused:,} steps behind the last part are not used.")
    return TimeParts(series, names, cuts.astype(np.int64), tuple(findings))


def _check_amounts(parts: Sequence[Any], names: Sequence[str]) -> None:
    expected = "expected two or three shares whose sum is 1, numbers of steps, or one or two dates"
    if not names or not all(isinstance(one, int | float | np.integer) and one > 0 for one in parts):
        raise ConfigError.of("parts", tuple(parts), expected)
    whole = all(float(one).is_integer() for one in parts) and min(parts) >= 1
    if not whole and abs(float(sum(parts)) - 1) > 1e-6:
        raise ConfigError.of("parts", tuple(parts), expected)


def _cuts(parts: Sequence[Any], count: int) -> npt.NDArray[np.int64]:
    """Where the parts of a series of `count` steps begin, and the end of the last one."""
    edges = np.concatenate([[0.0], np.cumsum([float(one) for one in parts])])
    if edges[-1] < 1.5:  # shares
        edges = np.rint(edges * count)
    return np.asarray(np.minimum(edges, count), np.int64)


def _steps(time: npt.NDArray[Any], clock: npt.NDArray[Any], found: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
    """The steps of a series at which the stamps of the cuts are."""
    inside = np.searchsorted(time, clock[np.minimum(found, len(clock) - 1)], "left")
    return np.where(found >= len(clock), len(time), inside)


def _at_dates(series: TimeSeries, dates: list[Any]) -> tuple[tuple[str, ...], npt.NDArray[np.int64]]:
    names = _NAMES.get(len(dates) + 1, ())
    if not names or not series.frequency.is_date:
        raise ConfigError.of("parts", tuple(dates), "expected shares whose sum is 1, or numbers of steps")
    try:
        stamps = np.array([np.datetime64(one, "us") for one in dates])
    except ValueError:
        raise ConfigError.of("parts", tuple(dates), 'expected dates such as "2024-01-31"') from None
    if (np.diff(stamps) <= np.timedelta64(0, "us")).any():
        raise ConfigError.of("parts", tuple(dates), "expected the earlier date first")
    if series.time_zone is not None:  # dates are those of the zone's clock
        stamps, _ = to_utc(np.zeros(len(stamps), np.int64), stamps, series.time_zone)
    inner = [np.searchsorted(time, stamps, "left") for time in series.times]
    return names, np.stack(
        [np.concatenate([[0], at, [len(time)]]) for at, time in zip(inner, series.times, strict=True)]
    )


def _told(series: TimeSeries, name: str, begins: npt.NDArray[np.int64], ends: npt.NDArray[np.int64]) -> str:
    rows = np.flatnonzero(ends > begins).tolist()
    first = min(series.times[row][begins[row]] for row in rows)
    last = max(series.times[row][ends[row] - 1] for row in rows)
    of = f" of {len(rows):,} series" if len(series) > 1 else ""
    span = f"from {shown(first, series.time_zone)} to {shown(last, series.time_zone)}"
    return f"{name}: {int((ends - begins).sum()):,} steps{of}, {span}."
