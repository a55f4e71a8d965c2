"""From rows with time stamps to series of regular steps: sorted, one row a step, gaps as NaN; each rule is reported.

Legend: N rows, V columns of values, S series, T steps of a series.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from ...errors import DataError, DataFinding, Place, Remedy
from .frequency import Frequency, infer_frequency
from .irregular import (
    MOST_INSERTED,
    Duplicates,
    GapCount,
    Rules,
    at_clock_changes,
    counted,
    duplicate,
    irregular,
    say_gaps,
    say_repeated,
    say_steps,
    sparse,
)
from .stamps import check_time_zone, local_times, shown, to_utc

if TYPE_CHECKING:
    import numpy.typing as npt

_MOST_BETWEEN = 0.1  # of the rows; more are no regular steps
_CLOSE = 1e-6  # of a step


@dataclass
class Regular:
    """Series of regular steps.

    Attributes:
        times: [T] for each series.
        values: [T, V] for each series, NaN where missing.
        frequency: of the steps.
        time_zone: see `TimeSeries`; None where the steps are days or longer.
        findings: what was found and done, a sentence each.
        joined: the one of them that reports rows of a shorter step, which were joined; "" where there are none.
    """

    times: list[npt.NDArray[Any]]
    values: list[npt.NDArray[np.float64]]
    frequency: Frequency
    time_zone: str | None
    findings: list[str] = field(default_factory=list)
    joined: str = ""


def to_regular(
    codes: npt.NDArray[np.int64], stamps: npt.NDArray[Any], values: npt.NDArray[np.float64], rules: Rules, place: Place
) -> Regular:
    """Return the series of rows.

    Args:
        codes: [N], the number of each row's series, 0 … S − 1.
        stamps: [N] datetime64, or whole numbers.
        values: [N, V].
        rules: see `Rules`.
        place: the file, for messages.

    Raises:
        DataError: no regular steps, or what `rules` refuse.

    Example:
        >>> hours = np.array(["2024-01-01T00", "2024-01-01T03", "2024-01-01T01", "2024-01-01T01"], "datetime64[us]")
        >>> found = to_regular(np.zeros(4, np.int64), hours, np.array([[1.0], [5], [2], [4]]), Rules(), Place("a.csv"))
        >>> found.values[0].ravel().tolist()
        [1.0, 3.0, nan, 5.0]
        >>> for sentence in found.findings:
        ...     print(sentence)
        The steps are hourly.
        2 of 4 rows are out of order in time; the rows are sorted.
        2 rows share a time stamp with another row of their series, 1 stamp in all; the mean of their values is taken.
        1 step has no row, in 1 gap of up to 1 step; it is inserted without values.
    """
    findings: list[str] = []
    stamps = _whole(stamps, place)
    backward = _backward(codes, stamps)
    time_zone = rules.time_zone if stamps.dtype.kind == "M" else None
    if rules.frequency is not None and rules.frequency.is_date != (stamps.dtype.kind == "M"):
        kind = "dates" if stamps.dtype.kind == "M" else "numbers"
        numbers = "write dates, or seconds since 1970 from 1980 on" if rules.frequency.is_date else None
        raise DataError(f"the time stamps are {kind}; the frequency is {rules.frequency.words}", place, numbers)
    inferred = _inferred(codes, stamps)
    frequency = _frequency(inferred, rules, place)
    if time_zone is not None:
        check_time_zone(time_zone)
        if frequency.whole_days:
            if rules.utc:  # days have 23 to 25 hours in a zone; its own days count
                stamps = local_times(stamps, time_zone)
                inferred = _inferred(codes, stamps)
                frequency = _frequency(inferred, rules, place)
            time_zone = None
        elif not rules.utc:
            stamps, shifted = to_utc(codes, stamps, time_zone)
            if shifted:
                findings.append(
                    f"{counted(shifted, 'stamp')} {'does' if shifted == 1 else 'do'} not exist in {time_zone}, where "
                    "clocks are put forward; each is moved to the time after the change."
                )
            findings.append(f"The stamps are read as local times of {time_zone}.")
    order = np.lexsort((stamps, codes))
    codes, stamps, values = codes[order], stamps[order], values[order]
    bounds = np.flatnonzero(np.diff(codes, prepend=-1, append=codes[-1] + 1))
    coarser = inferred is not None and frequency.approximate_seconds > inferred.approximate_seconds
    found = [
        _place_rows(stamps[begin:end], frequency, coarser=coarser)
        for begin, end in zip(bounds[:-1].tolist(), bounds[1:].tolist(), strict=True)
    ]
    between = sum(one.between for one in found)
    findings.append(say_steps(frequency, stamps[0], given=rules.frequency is not None))
    if backward:
        are = "is" if backward == 1 else "are"
        findings.append(f"{backward:,} of {len(codes):,} rows {are} out of order in time; the rows are sorted.")
    if between and not coarser:
        if between > _MOST_BETWEEN * len(codes) and rules.gaps != "ignore":
            raise irregular(frequency, between, len(codes), rules, place)
        if rules.gaps != "ignore":
            findings.append(
                f"{between:,} of {len(codes):,} rows {'lies' if between == 1 else 'lie'} between two steps; each such "
                "row is moved to the nearest step."
            )
    times, rows, repeated, distinct, gaps = [], [], 0, 0, GapCount()
    rule: Duplicates = rules.duplicates or "mean"
    joined = ""
    for begin, one in zip(bounds[:-1].tolist(), found, strict=True):
        block = values[begin : begin + len(one.positions)]
        steps = one.positions
        if rules.gaps == "ignore" and not coarser:
            clock = stamps[begin : begin + len(block)]
            steps = np.cumsum(np.diff(clock.astype(np.int64), prepend=0) != 0)
        unique, first, counts = np.unique(steps, return_index=True, return_counts=True)
        repeated, distinct = repeated + int(counts[counts > 1].sum()), distinct + int((counts > 1).sum())
        if len(unique) < len(steps):
            if rule == "error":
                row = begin + int(first[counts > 1][0])
                raise duplicate(shown(stamps[row], time_zone), int(counts.max()), place)
            block = _joined(block, steps, unique, rule)
        if rules.gaps == "ignore":
            times.append(stamps[begin + first])
            rows.append(block)
            continue
        gaps.add(unique, one.origin, frequency)
        length = int(unique[-1]) + 1
        if length > MOST_INSERTED * len(unique) + 1_000:
            raise sparse(frequency, length, len(unique), place)
        whole = np.full((length, values.shape[1]), np.nan)
        whole[unique] = block
        times.append(frequency.stamps(one.origin, np.arange(length)))
        rows.append(whole)
    if repeated:
        joined = say_repeated(repeated, distinct, len(codes), rules, coarser=coarser, place=place)
        findings.append(joined)
    if gaps.steps:
        findings.append(say_gaps(gaps, rules, time_zone, place))
    if time_zone is None and frequency.microseconds is not None and distinct and at_clock_changes(gaps, rules):
        problem = (
            "The gaps and the repeated stamps are where clocks change: the stamps seem to be local times, and the two "
            "hours of a repeated stamp are joined"
        )
        findings.append(DataFinding.of(problem, Remedy("time_zone", "America/New_York", "or your own zone")))
    return Regular(times, rows, frequency, time_zone, findings, joined if coarser else "")


@dataclass
class _Rows:
    """Where the rows of one series are: their steps, counted from `origin`, and how many lie between two steps."""

    positions: npt.NDArray[np.int64]
    origin: Any
    between: int


def _whole(stamps: npt.NDArray[Any], place: Place) -> npt.NDArray[Any]:
    """Stamps as datetime64[us], or as whole numbers."""
    if stamps.dtype.kind == "M":
        return stamps.astype("datetime64[us]")
    wrong = stamps % 1 != 0
    if wrong.any():
        row = int(wrong.argmax())
        raise DataError(
            f"the time {stamps[row]} is no whole number; expected dates or whole numbers",
            place.at(row=row + 1),
            "multiply the times by a number that makes them whole",
        )
    return stamps.astype(np.int64)


def _backward(codes: npt.NDArray[np.int64], stamps: npt.NDArray[Any]) -> int:
    """The number of rows before which a later row of their series stands."""
    order = np.argsort(codes, kind="stable")
    codes, stamps = codes[order], stamps[order].astype(np.int64)
    starts = np.flatnonzero(np.diff(codes, prepend=-1, append=codes[-1] + 1))
    return sum(
        int((stamps[begin:end] < np.maximum.accumulate(stamps[begin:end])).sum())
        for begin, end in zip(starts[:-1].tolist(), starts[1:].tolist(), strict=True)
    )


def _inferred(codes: npt.NDArray[np.int64], stamps: npt.NDArray[Any]) -> Frequency | None:
    order = np.lexsort((stamps, codes))
    bounds = np.flatnonzero(np.diff(codes[order]))
    return infer_frequency([np.unique(one) for one in np.split(stamps[order], bounds + 1)])


def _frequency(inferred: Frequency | None, rules: Rules, place: Place) -> Frequency:
    """The frequency of the rules, else the one that was inferred."""
    given = rules.frequency
    if given is not None:
        alike = inferred is not None and (given.unit, given.count) == (inferred.unit, inferred.count)
        return inferred if alike and inferred is not None else given  # the end of months is in the stamps
    if inferred is None:
        raise DataError(
            "the frequency cannot be told from the time stamps: no distance between two steps has a rule",
            place,
            Remedy("frequency", purpose='such as "hour"'),
        )
    return inferred


def _place_rows(stamps: npt.NDArray[Any], frequency: Frequency, *, coarser: bool) -> _Rows:
    """The steps of the sorted stamps of one series."""
    origin = _floor(stamps[0], frequency) if coarser else stamps[0]
    found = frequency.positions(stamps, origin)
    if coarser:
        return _Rows(np.floor(found + _CLOSE).astype(np.int64), origin, 0)
    nearest = np.rint(found)
    off = np.abs(found - nearest) > _CLOSE
    if off[len(off) // 2 :].mean() > 0.5:  # the first stamp may be the one that is off
        for start in stamps[1:6]:
            again = frequency.positions(stamps, start)
            away = np.abs(again - np.rint(again)) > _CLOSE
            if away.sum() < off.sum():
                steps = np.rint(again).astype(np.int64)
                first = frequency.stamps(start, steps[:1])[0]
                return _Rows(steps - steps[0], first, int(away.sum()))
    return _Rows(nearest.astype(np.int64), origin, int(off.sum()))


def _floor(stamp: Any, frequency: Frequency) -> Any:
    """The begin of the hour, day or month in which a stamp is."""
    size = frequency.microseconds
    if frequency.unit == "month":
        return stamp.astype("datetime64[M]").astype("datetime64[us]")
    if not frequency.is_date:
        return stamp - stamp % frequency.count
    if size is None or frequency.unit == "week":
        day = stamp.astype("datetime64[D]")
        if frequency.unit == "week":
            return day.astype("datetime64[us]")
        return np.busday_offset(day, 0, roll="backward").astype("datetime64[us]")
    return stamp - (stamp.astype(np.int64) % size).astype("timedelta64[us]")


def _joined(
    block: npt.NDArray[np.float64],
    steps: npt.NDArray[np.int64],
    unique: npt.NDArray[np.int64],
    rule: Duplicates,
) -> npt.NDArray[np.float64]:
    """One row a step; missing values do not count in a mean or a sum."""
    slots = np.searchsorted(unique, steps)
    if rule in ("first", "last"):
        rows = np.zeros(len(unique), np.int64)
        order = np.arange(len(steps))
        order = order[::-1] if rule == "first" else order
        rows[slots[order]] = order  # of equal places the last that is written stays
        return block[rows]
    seen = ~np.isnan(block)
    total, count = np.zeros((len(unique), block.shape[1])), np.zeros((len(unique), block.shape[1]))
    np.add.at(total, slots, np.where(seen, block, 0.0))
    np.add.at(count, slots, seen)
    divided = total / np.maximum(count, 1) if rule == "mean" else total
    return np.where(count > 0, divided, np.nan)
