"""What is irregular in rows with time stamps: how it is treated, counted, reported and refused."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from ...errors import DataError, Place, Remedy
from .frequency import Frequency
from .stamps import shown

if TYPE_CHECKING:
    import numpy.typing as npt

Duplicates = Literal["mean", "sum", "first", "last", "error"]
Gaps = Literal["insert", "ignore", "error"]
_DUPLICATES = {
    "mean": "the mean of their values is taken",
    "sum": "the sum of their values is taken",
    "first": "the first row is taken",
    "last": "the last row is taken",
}
MOST_INSERTED = 20  # steps for each row


@dataclass(frozen=True)
class Rules:
    """How rows that are not regular steps are treated.

    Attributes:
        frequency: of the steps; None: inferred.
        duplicates: treatment of rows of one series and one step; None: their mean, unless most rows share a stamp.
        gaps: treatment of steps without a row: "insert" (a step without values), "ignore" (rows are steps, whatever
            lies between them) or "error".
        time_zone: of the calendar and of days, and of stamps that name no zone.
        utc: whether the stamps are in UTC already.
        possible_id: a column that the user did not choose, and that could name the series.
    """

    frequency: Frequency | None = None
    duplicates: Duplicates | None = None
    gaps: Gaps = "insert"
    time_zone: str | None = None
    utc: bool = False
    possible_id: str | None = None

    def name_ids(self) -> Remedy:
        """Return the remedy of rows that share a stamp because they are of several series."""
        purpose = "if the rows are of several series"
        return (
            Remedy("id_column", purpose=purpose)
            if self.possible_id is None
            else Remedy("id_column", self.possible_id, purpose)
        )


@dataclass
class GapCount:
    """What is counted of the steps that have no row."""

    steps: int = 0
    count: int = 0
    longest: int = 0
    first: Any = None
    spring: int = 0

    def add(self, positions: npt.NDArray[np.int64], origin: Any, frequency: Frequency) -> None:
        """Count the gaps between the steps of a series, in order."""
        missing = np.diff(positions) - 1
        wide = np.flatnonzero(missing > 0)
        if not len(wide):
            return
        if self.first is None:
            self.first = frequency.stamps(origin, positions[wide[:1]])[0]
        self.steps += int(missing.sum())
        self.count += len(wide)
        self.longest = max(self.longest, int(missing.max()))
        if frequency.is_date:
            lost = frequency.stamps(origin, positions[wide] + 1).astype("datetime64[h]")
            days = lost.astype("datetime64[D]")
            sunday = (days.astype(np.int64) + 3) % 7 == 6
            month = lost.astype("datetime64[M]").astype(np.int64) % 12
            early = (lost - days).astype(np.int64) <= 3
            self.spring += int((sunday & early & np.isin(month, (2, 3, 8, 9))).sum())  # of both hemispheres


def at_clock_changes(gaps: GapCount, rules: Rules) -> bool:
    """Whether at least half of the gaps are early on Sundays of the months in which clocks change."""
    return not rules.utc and gaps.spring > 0 and 2 * gaps.spring >= gaps.count


def say_repeated(repeated: int, distinct: int, rows: int, rules: Rules, *, coarser: bool, place: Place) -> str:
    """Report rows that share their step with others.

    Raises:
        DataError: most rows do, and no rule was given.
    """
    rule = _DUPLICATES[rules.duplicates or "mean"]
    if coarser:
        return f"{repeated:,} of {rows:,} rows are joined to {counted(distinct, 'step')}; {rule}."
    if rules.duplicates is None and 2 * repeated > rows:
        raise DataError(
            f"{repeated:,} of {rows:,} rows share a time stamp with another row of their series",
            place,
            (rules.name_ids(), Remedy("duplicates", "mean")),
        )
    what = f"{repeated:,} rows share a time stamp with another row of their series"
    return f"{what}, {counted(distinct, 'stamp')} in all; {rule}."


def say_gaps(gaps: GapCount, rules: Rules, time_zone: str | None, place: Place) -> str:
    """Report steps without a row.

    Raises:
        DataError: the rules refuse them.
    """
    steps, count = counted(gaps.steps, "step"), counted(gaps.count, "gap")
    if rules.gaps == "error":
        first = shown(gaps.first, time_zone)
        raise DataError(
            f"{steps} of {count} have no row, the first after {first}; expected a row for each step",
            place,
            (Remedy("gaps", "insert", "to insert them without values"), Remedy("gaps", "ignore")),
        )
    have, are = ("has", "it is") if gaps.steps == 1 else ("have", "they are")
    return f"{steps} {have} no row, in {count} of up to {counted(gaps.longest, 'step')}; {are} inserted without values."


def say_steps(frequency: Frequency, stamp: Any, *, given: bool) -> str:
    """Report how far apart the steps are, and whether a user said so."""
    words = frequency.describe(stamp)
    return f"The steps are {words}, as asked for." if given else f"The steps are {words}."


def counted(number: int, noun: str) -> str:
    """Return a number with its noun, in the plural unless it is 1."""
    return f"{number:,} {noun}{'' if number == 1 else 's'}"


def irregular(frequency: Frequency, between: int, rows: int, rules: Rules, place: Place) -> DataError:
    """Return the error of rows of which too many lie between two steps."""
    days = rules.utc and rules.time_zone == "UTC" and frequency.whole_days
    zone = (Remedy("time_zone", "Europe/Berlin", "or another, if the steps are days of a zone"),) if days else ()
    return DataError(
        f"the steps are not regular: most often they are {frequency.words}, but {between:,} of {rows:,} rows "
        f"({between / rows:.0%}) lie between",
        place,
        (
            *zone,
            Remedy("frequency", purpose='with a longer step, such as "day", to join the rows of each'),
            Remedy("gaps", "ignore", "to take each row for a step"),
        ),
    )


def duplicate(stamp: str, count: int, place: Place) -> DataError:
    """Return the error of rows that share a stamp, where the rules refuse them."""
    return DataError(
        f"{count} rows of one series have the time stamp {stamp}; expected one",
        place,
        (
            Remedy("duplicates", "mean"),
            Remedy("duplicates", "first"),
            Remedy("id_column", purpose="if the rows are of several series"),
        ),
    )


def sparse(frequency: Frequency, length: int, rows: int, place: Place) -> DataError:
    """Return the error of a series that would have many more steps than rows."""
    return DataError(
        f"a series of {rows:,} rows would have {length:,} steps, {frequency.words}; at most {MOST_INSERTED} steps a "
        "row are inserted",
        place,
        (Remedy("frequency", purpose="with a longer step"), Remedy("gaps", "ignore", "to take each row for a step")),
    )
