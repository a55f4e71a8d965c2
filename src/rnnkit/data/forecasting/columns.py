"""Which column of a table of time series is what: named by the user, else guessed and reported, else an error."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from ...errors import DataError, DataFinding, Remedy, suggest
from ..readers.column_names import CALENDAR, ENTITIES, IDS, TIMES, WEAK_TIMES
from ..readers.columns import is_text
from ..readers.row_numbers import counts_rows, is_counter_name, is_written_index, plain_name
from ..readers.table import Table
from ..sentences import quoted
from .number_dates import NumberDates

if TYPE_CHECKING:
    import pandas as pd

_TARGETS = {"y", "target", "targets", "value", "values", "目标", "数值"}
_CLOCKS = frozenset(["unix", "epoch", "ts", "time", "date", "timestamp", "datetime", "utc"])
_FEWEST = 12  # rows that a column without a telling name has to count
_DATE = r"\s*(\d{4}[-/.年]\d{1,2}|\d{1,2}[-/.]\d{1,2}[-/.]\d{2,4}|[A-Za-z]{3,9} \d{1,2},? \d{4})"


@dataclass(frozen=True)
class Named:
    """The columns that a user named; see `read_time_series`."""

    target: tuple[str, ...] = ()
    id: str | None = None
    time: str | None = None
    past: tuple[str, ...] | None = None
    known: tuple[str, ...] = ()
    static: tuple[str, ...] | None = None
    ignored: tuple[str, ...] = ()


@dataclass(frozen=True)
class SeriesColumns:
    """What each column of a table of time series is.

    Attributes:
        time: the column of the time stamps.
        id: the column that names the series; None: there is one series, or one a target.
        targets: one or several columns; each is a series, or one for each id.
        past, known, static: covariates.
        findings: what was guessed, a sentence each.
    """

    time: str
    id: str | None
    targets: tuple[str, ...]
    past: tuple[str, ...]
    known: tuple[str, ...]
    static: tuple[str, ...]
    findings: list[str] = field(default_factory=list)


def resolve_columns(table: Table, named: Named) -> SeriesColumns:
    """Return what each column is.

    Args:
        table: its columns of numbers are converted.
        named: what the user named.

    Raises:
        DataError: a column does not exist or is named twice, there is no column of times, or the target cannot be
            decided.
    """
    frame, findings = table.frame, list[str]()
    names = [str(name) for name in frame.columns]
    _check_named(table, named, names)
    free = [name for name in names if name not in named.ignored]
    counters = [name for name in free if is_written_index(name) and name not in _named(named)]
    for name in counters:
        free.remove(name)
        findings.append(f"The column {name!r} only counts the rows and is left out.")
    time = named.time or _time(table, free, named)
    free.remove(time)
    if named.time is None and plain_name(time) not in TIMES:
        findings.append(f"The column {time!r} holds dates and is taken for the time.")
    id_ = named.id or _id(frame, free, named)
    if id_ is not None:
        free.remove(id_)
        count = frame[id_].nunique()
        findings.append(f"The column {id_!r} names {count:,} series." if count > 1 else "")
    _leave_counters_out(frame, free, [one for one in free if is_counter_name(one)], named, findings)
    targets = named.target or _target(table, free, named, findings)
    _leave_counters_out(frame, free, [one for one in free if one not in targets], named, findings)
    known, static = named.known, named.static
    rest = [name for name in free if name not in (*targets, *known, *(named.past or ()), *(static or ()))]
    if static is None:
        static = tuple(name for name in rest if id_ is not None and _is_static(frame, id_, name))
        if static:
            findings.append(
                f"{_listed(static)} {_is(static)} the same in all rows of a series, so a number of the series."
            )
    rest = [name for name in rest if name not in static]
    left = [name for name in rest if is_text(frame[name]) or frame[name].nunique() < 2]
    if left:
        findings.append(f"{_listed(left)} {_is(left)} left out: text, or the same value in all rows.")
    for name in left:
        if named.past is None and (odd := _odd_cell(table, name)) is not None:
            problem = f"In the column {name!r} {odd.problem}, but most cells are"
            findings.append(DataFinding.of(problem, Remedy("missing_codes", purpose="with what means a missing value")))
    past = named.past
    if past is None:
        past = tuple(name for name in rest if name not in left)
        if past:
            what = "a covariate" if len(past) == 1 else "covariates"
            problem = f"{_listed(past)} {_is(past)} taken for {what} of the past alone"
            findings.append(DataFinding.of(problem, Remedy("known", purpose="with what is known in advance")))
    _check_numbers(table, (*targets, *past, *known))
    return SeriesColumns(time, id_, tuple(targets), tuple(past), known, tuple(static), [one for one in findings if one])


def _named(named: Named) -> set[str | None]:
    """The columns that the user named."""
    return {*named.target, named.time, named.id, *(named.past or ()), *named.known, *(named.static or ())}


def _leave_counters_out(
    frame: pd.DataFrame, free: list[str], names: list[str], named: Named, findings: list[str]
) -> None:
    """Take columns that only count rows out of the free ones, and report each; one column of numbers stays."""
    for name in names:
        others = [other for other in free if other != name and frame[other].dtype.kind in "iuf"]
        if named.past is None and name not in _named(named) and others and _counts(frame[name], name):
            free.remove(name)
            problem = f"The column {name!r} only counts the rows and is left out"
            findings.append(
                DataFinding.of(problem, Remedy("past", purpose=f"with {name!r} among the names to keep it"))
            )


def _counts(column: pd.Series[Any], name: str) -> bool:
    """Whether a column only counts the rows, by its name and values, or by 1 with every row."""
    if column.dtype.kind not in "iuf":
        return False
    numbers = column.to_numpy(np.float64, na_value=np.nan)
    if is_counter_name(name):
        return counts_rows(numbers, name)
    steps = np.diff(numbers)
    return len(numbers) >= _FEWEST and bool((steps == 1).all() or (steps == -1).all())


def columns_note(names: Sequence[str]) -> str:
    """Return the list of columns for the end of a message."""
    return f"Columns: {quoted(names, 20)}"


def _check_named(table: Table, named: Named, names: list[str]) -> None:
    """Raise where a named column does not exist, or has two roles."""
    roles: dict[str, str] = {}
    asked = {
        "target": named.target,
        "id_column": (named.id,),
        "time_column": (named.time,),
        "past": named.past or (),
        "known": named.known,
        "static": named.static or (),
        "ignore_columns": named.ignored,
    }
    for role, columns in asked.items():
        for name in columns:
            if name is None:
                continue
            if name not in names:
                near = suggest(name, names)
                raise DataError(
                    f"there is no column {name!r}, which {role} names{near if near.endswith('?') else ''}",
                    table.whole,
                    note=columns_note(names),
                )
            if name in roles:
                raise DataError(f"the column {name!r} is named by {roles[name]} and by {role}", table.whole)
            roles[name] = role


def _time(table: Table, free: list[str], named: Named) -> str:
    taken = {*named.target, named.id, *(named.past or ()), *named.known, *(named.static or ())}
    open_ = [name for name in free if name not in taken]
    frame = table.frame
    dated = [name for name in open_ if _holds_dates(frame[name])]
    calendar = [name for name in open_ if plain_name(name) in CALENDAR and is_text(frame[name])]
    weak = [name for name in open_ if plain_name(name) in WEAK_TIMES and not is_text(frame[name])]
    counted = [name for name in open_ if _counts_time(frame[name], plain_name(name))]
    for found in ([name for name in open_ if plain_name(name) in TIMES], dated, calendar, counted, weak):
        if len(found) == 1:
            return found[0]
        if found:
            remedies = [Remedy("time_column", name) for name in found[:3]]
            raise DataError(f"{_listed(found)} may each be the time", table.whole, remedies)
    raise DataError(
        "no column of time stamps was found",
        table.whole,
        Remedy("time_column", purpose="with its name"),
        note=columns_note([str(name) for name in frame.columns]),
    )


def _holds_dates(column: pd.Series[Any]) -> bool:
    import pandas as pd

    if pd.api.types.is_datetime64_any_dtype(column):
        return True
    if not is_text(column):
        return False
    seen = column.dropna().head(50).astype(str)
    return len(seen) > 0 and bool(seen.str.match(_DATE).all())


def _counts_time(column: pd.Series[Any], name: str) -> bool:
    """Whether numbers are dates from their first to their last, in a column whose name speaks of time."""
    if column.dtype.kind not in "iuf" or _CLOCKS.isdisjoint(name.split("_")):
        return False
    numbers = column.dropna().to_numpy()
    return NumberDates.recognise(numbers) is not None if len(numbers) else False


def _id(frame: pd.DataFrame, free: list[str], named: Named) -> str | None:
    """The column that names the series, by its own name; one whose values differ in all rows is none."""
    taken = {*named.target, *(named.past or ()), *named.known, *(named.static or ())}
    for group in (IDS, ENTITIES):
        found = [name for name in free if plain_name(name) in group and name not in taken]
        found = [name for name in found if frame[name].duplicated().any()]
        if len(found) == 1:
            return found[0]
    return None


def _target(table: Table, free: list[str], named: Named, findings: list[str]) -> tuple[str, ...]:
    taken = {*(named.past or ()), *named.known, *(named.static or ())}
    open_ = [name for name in free if name not in taken]
    numbers = [name for name in open_ if not is_text(table.frame[name]) and not _holds_dates(table.frame[name])]
    if len(numbers) == 1:
        return (numbers[0],)
    by_name = [name for name in numbers if plain_name(name) in _TARGETS]
    if len(by_name) == 1:
        findings.append(f"The column {by_name[0]!r} is taken for the target.")
        return (by_name[0],)
    if not numbers:
        for name in open_:
            if not _holds_dates(table.frame[name]) and (odd := _odd_cell(table, name)) is not None:
                raise odd
        raise DataError(
            "no column of numbers is left for the target",
            table.whole,
            note=columns_note([str(name) for name in table.frame.columns]),
        )
    raise DataError(
        f"{len(numbers)} columns hold numbers, and which of them is to be forecast cannot be told",
        table.whole,
        (
            Remedy("target", numbers[0], "for one of them"),
            Remedy("target", numbers[:20], "if each is a series") if len(numbers) <= 20 else Remedy("target"),
        ),
        note=columns_note(numbers),
    )


def _odd_cell(table: Table, name: str) -> DataError | None:
    """The error about a cell of a column that is no number, where most of its cells are numbers."""
    cells = table.frame[name].dropna().astype(str)
    odd = [at for at, cell in enumerate(cells) if not table.numerals.is_number(cell)]
    if not odd or 2 * len(odd) > len(cells):
        return None
    place = table.column(name)(int(str(cells.index[odd[0]])))
    return table.numerals.error(cells.iloc[odd[0]], place, [*table.ignored, name])


def _is_static(frame: pd.DataFrame, id_: str, name: str) -> bool:
    """Whether a column has one value in each series, and not the same one in all."""
    if frame[name].nunique() < 2 or frame[id_].nunique() < 2:
        return False
    return bool((frame.groupby(id_, sort=False)[name].nunique(dropna=False) == 1).all())


def _check_numbers(table: Table, names: Sequence[str]) -> None:
    """Raise for text where numbers are needed."""
    for name in names:
        if is_text(table.frame[name]):
            cells = table.frame[name].dropna().astype(str)
            at = next(at for at, cell in enumerate(cells) if not table.numerals.is_number(cell))
            raise table.numerals.error(
                cells.iloc[at], table.column(name)(int(str(cells.index[at]))), [*table.ignored, name]
            )


def _is(names: Sequence[str]) -> str:
    return "is" if len(names) == 1 else "are"


def _listed(names: Sequence[str], most: int = 6) -> str:
    return f"The column{'' if len(names) == 1 else 's'} {quoted(names, most)}"
