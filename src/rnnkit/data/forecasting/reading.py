"""The call that reads the user's own table of time series."""

from __future__ import annotations

import importlib
import inspect
import os
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ...errors import ConfigError, DataError, DataFinding, Place, Remedy, check_choice, suggest
from ..frames import is_frame
from ..readers import times
from ..readers.columns import is_text
from ..readers.numerals import convert
from ..readers.table import Table, need_pandas
from ..readers.tables import column_numbers, column_text
from ..reading import READERS, Options
from .columns import Named, SeriesColumns, resolve_columns
from .frequency import Frequency
from .irregular import Duplicates, Gaps, Rules, counted
from .number_dates import recognise_dates
from .regular import Regular, to_regular
from .series import TimeSeries
from .stamps import shown

if TYPE_CHECKING:
    import numpy.typing as npt
    import pandas as pd

_FORMAT = ("encoding", "delimiter", "decimal", "thousands", "comment", "missing_codes", "time_format", "header")
_TABLES = ("delimited", "parquet")


def read_time_series(
    path: str | os.PathLike[str] | pd.DataFrame,
    *,
    target: str | Sequence[str] | None = None,
    id_column: str | None = None,
    time_column: str | None = None,
    past: Sequence[str] | None = None,
    known: Sequence[str] = (),
    static: Sequence[str] | None = None,
    ignore_columns: Sequence[str] = (),
    frequency: str | None = None,
    time_zone: str | None = None,
    duplicates: Duplicates | None = None,
    gaps: Gaps = "insert",
    **format: Any,
) -> TimeSeries:
    """Read time series from a CSV or Parquet file, or from a DataFrame.

    A row is a time step. Several series are distinguished by a column of ids (long), or stand in a column each (wide:
    name all of them as targets). Columns by the names `unique_id`, `ds` and `y`, and other usual names, are found.
    Everything that was guessed or changed is reported in `TimeSeries.findings`, a sentence each, with its numbers.

    Rows are sorted by time. Rows of one step are joined as `duplicates` says. Steps without a row are inserted with
    missing values. Stamps that name a time zone become UTC; stamps that name none are taken as they are, or as local
    times of `time_zone`. Numbers from 1980 to 2100 are taken for dates: seconds since 1970, their thousandths to
    billionths, or days such as 20240131; a frequency of numbers keeps them as they are. Steps of days and longer are
    days of the zone. Missing values stay NaN here.

    Args:
        path: a file, or a DataFrame.
        target: the column to forecast. Several columns are several series.
        id_column: the column that names the series.
        time_column: the column of dates, or of whole numbers.
        past: covariates that are known for the past alone; None: all columns of numbers that have no other role.
        known: covariates that are known in advance. Rows to come may have them, and no target.
        static: columns with one value a series, numbers or texts; None: all that have one, if there are several series.
        ignore_columns: columns to leave out.
        frequency: such as "hour", "15 minutes", "day", "business day" or "month"; None: inferred. Rows of a step that
            is longer than theirs are joined.
        time_zone: such as "Europe/Berlin": the zone of the calendar, and of stamps that name no zone. None: the zone
            of the column, or UTC where stamps have a distance from UTC alone, such as +01:00.
        duplicates: treatment of rows of one series and one step: their "mean" or "sum" without missing values, the
            "first", the "last", or an "error". None: their mean, unless most rows share a time stamp.
        gaps: treatment of steps without a row: "insert", "ignore" (each row is a step, as for trading days) or
            "error".
        format: `encoding`, `delimiter`, `decimal`, `thousands`, `comment`, `missing_codes`, `header` and
            `time_format` of a file, as in `rnnkit.data.read_series`.

    Returns:
        The series. Their `read_options` are arguments with which a new file of the same kind is read alike.

    Raises:
        DataError: the file or a column is missing, there is no column of times, the target cannot be decided, the steps
            are not regular, or a cell holds no number.
        ConfigError: an argument does not exist or has no such value.
        MissingExtraError: pandas or pyarrow is needed (`pip install rnnkit[tables]`).

    Example:
        >>> import pandas as pd
        >>> days = pd.date_range("2024-01-01", periods=3)
        >>> table = pd.DataFrame({"unique_id": ["a", "a", "a", "b", "b"], "ds": [*days, *days[:2]], "y": range(5)})
        >>> series = read_time_series(table)
        >>> series.ids, series.targets[0].tolist(), series.frequency
        (('a', 'b'), [0.0, 1.0, 2.0], Frequency(daily))
        >>> print(series.findings[0])
        The column 'unique_id' names 2 series.
    """
    for name in format:
        if name not in (*_FORMAT, "usual_marks"):
            known_names = [*inspect.signature(read_time_series).parameters, *_FORMAT]
            raise ConfigError(f"read_time_series has no argument {name!r}{suggest(name, known_names)}")
    check_choice(duplicates, "duplicates", ("mean", "sum", "first", "last", "error", None))
    check_choice(gaps, "gaps", ("insert", "ignore", "error"))
    rhythm = None if frequency is None else Frequency.parse(frequency)
    named = Named(
        _names(target), id_column, time_column, _maybe(past), _names(known), _maybe(static), _names(ignore_columns)
    )
    options = Options(targets=None, id_column=id_column, time_column=time_column, **format)
    table = _open(path, options)
    columns = tuple(name for name in map(str, table.frame.columns) if name not in named.ignored)
    table = replace(table, ignored=named.ignored)
    numerals = convert(
        table.frame, [name for name in columns if name != id_column], table.numerals, table.whole, options
    )
    table = replace(table, numerals=numerals)
    found = resolve_columns(table, named)
    codes, names = _series(table, found, options)
    stamps = times.parse(
        table.frame[found.time],
        table.place,
        found.time,
        options.time_format,
        decimal=numerals.decimal,
        guesses=options.guesses,
    )
    times.say_midnight(stamps, codes, table.column(found.time), options.guesses)
    dates = recognise_dates(stamps, rhythm)
    if dates is not None:
        found.findings.append(dates.tell(found.time, stamps))
        stamps = dates.stamps(stamps)
    utc = dates.utc if dates is not None else times.has_zone(table.frame[found.time], options.time_format)
    own_zone = times.zone_of(table.frame[found.time]) if utc and dates is None else None
    values = np.stack([column_numbers(table, name) for name in (*found.targets, *found.past, *found.known)], 1)
    unnamed = utc and time_zone is None and own_zone is None
    rules = Rules(
        rhythm, duplicates, gaps, "UTC" if unnamed else time_zone or own_zone, utc, _possible_id(table, found)
    )
    regular = to_regular(codes, stamps, values, rules, table.whole)
    read_options = {
        "target": list(found.targets),
        "id_column": found.id,
        "time_column": found.time,
        "past": list(found.past),
        "known": list(found.known),
        "static": list(found.static),
        "ignore_columns": list(named.ignored),
        "frequency": regular.frequency.text,
        "time_zone": time_zone,
        "duplicates": duplicates,
        "gaps": gaps,
        **(format | numerals.stored()),
    }
    guessed = map(DataFinding, options.guesses.warnings())
    if unnamed:
        which = "no zone" if dates is not None else "a distance from UTC and no zone"
        remedy = Remedy("time_zone", "Europe/Berlin", "or your own zone for those of its clock")
        problem = f"The stamps have {which}, so hours and days are those of UTC"
        regular.findings.append(DataFinding.of(problem, remedy))
    series = _assemble(table, found, regular, codes, names, read_options)
    return replace(series, findings=(*guessed, *found.findings, *regular.findings, *_values_told(series)))


def _open(path: Any, options: Options) -> Table:
    """The table of a file or a DataFrame; all its columns may be changed."""
    if is_frame(path):
        from ..readers.frames import read_table

        table = read_table(path, options)
    else:
        table = _open_file(path, options)
    if not len(table.frame):
        raise DataError("has a header but no rows; expected at least one", table.whole)
    return replace(table, frame=table.frame.copy(deep=False))


def _open_file(path: Any, options: Options) -> Table:
    if not isinstance(path, str | os.PathLike):
        raise DataError(
            f"a {type(path).__name__} arrived; expected a path or a DataFrame",
            remedy="for arrays use TimeSeries.from_arrays(targets, start=..., frequency=...)",
        )
    file, place = Path(path), Place(str(path))
    if not file.is_file():
        raise DataError("there is no such file", place)
    reader = READERS.get(file.suffix.removeprefix(".").lower())
    if reader not in _TABLES:
        raise DataError(
            "a file of this format is not read as a table of time series; expected .csv, .tsv, .txt or .parquet",
            place,
            "save it as CSV",
        )
    need_pandas(str(path))
    table: Table = importlib.import_module(f"..readers.{reader}", __package__).read_table(file, options)
    return table


def _series(table: Table, found: SeriesColumns, options: Options) -> tuple[npt.NDArray[np.int64], list[str]]:
    """The number of each row's series, and the names of the series, in the order of the file."""
    import pandas as pd

    if found.id is None:
        return np.zeros(len(table.frame), np.int64), []
    if table.reread is not None and table.frame[found.id].dtype.kind in "biuf":
        table = replace(table, frame=table.frame.assign(**table.reread([found.id])))
    codes, unique = pd.factorize(column_text(table, found.id, "id", options))
    return codes.astype(np.int64), [str(name) for name in unique]


def _possible_id(table: Table, found: SeriesColumns) -> str | None:
    """The column of text, of no role, whose values and the stamps together differ in nearly all rows."""
    if found.id is not None:
        return None
    frame = table.frame
    free = [name for name in frame.columns if is_text(frame[name]) and name != found.time]
    shared = [float(frame.duplicated([name, found.time]).mean()) for name in free]
    return free[shared.index(min(shared))] if shared and min(shared) < 0.1 else None


def _assemble(
    table: Table,
    found: SeriesColumns,
    regular: Regular,
    codes: npt.NDArray[np.int64],
    names: list[str],
    read_options: dict[str, Any],
) -> TimeSeries:
    """The series of each id and target, from the first observed target on."""
    count, covariates = len(found.targets), len(found.past)
    firsts = [int((codes == code).argmax()) for code in range(len(regular.values))]
    parts: dict[str, list[Any]] = {"ids": [], "times": [], "targets": [], "past": [], "known": []}
    owners = []
    for code, (clock, values) in enumerate(zip(regular.times, regular.values, strict=True)):
        for number, column in enumerate(found.targets):
            seen = ~np.isnan(values[:, number])
            name = (names[code] if count == 1 else f"{names[code]} {column}") if names else column
            if not seen.any():
                raise DataError(
                    f"the series {name!r} has no target in {len(values):,} steps; expected at least one",
                    table.whole.at(column=column),
                    Remedy("target", purpose="with other columns") if count > 1 else "leave the series out",
                )
            begin = int(seen.argmax())
            parts["ids"].append(name)
            parts["times"].append(clock[begin:])
            parts["targets"].append(np.ascontiguousarray(values[begin:, number]))
            parts["past"].append(np.ascontiguousarray(values[begin:, count : count + covariates]))
            parts["known"].append(np.ascontiguousarray(values[begin:, count + covariates :]))
            owners.append(firsts[code])
    static = {name: table.frame[name].to_numpy()[owners] for name in found.static}
    static = {name: column if column.dtype.kind in "iuf" else column.astype(str) for name, column in static.items()}
    return TimeSeries(
        frequency=regular.frequency,
        past_names=found.past,
        known_names=found.known,
        static=static,
        time_zone=regular.time_zone,
        source=table.source,
        read_options=read_options,
        joined=regular.joined,
        **{name: tuple(rows) for name, rows in parts.items()},
    )


def _values_told(series: TimeSeries) -> list[str]:
    """Report missing targets, of series that are constant, and how many series there are."""
    said = []
    first, last = min(one[0] for one in series.times), max(one[-1] for one in series.times)
    low, high = int(series.lengths.min()), int(series.lengths.max())
    steps = f"{low:,}" if low == high else f"{low:,} to {high:,}"
    many = "1 series" if len(series) == 1 else f"{len(series):,} series"
    span = f"from {shown(first, series.time_zone)} to {shown(last, series.time_zone)}"
    said.append(f"{many} of {steps} steps, {span}.")
    observed = [one[:end] for one, end in zip(series.targets, series.ends.tolist(), strict=True)]
    missing, whole = sum(int(np.isnan(one).sum()) for one in observed), sum(map(len, observed))
    if missing:
        share = f"{missing / whole:.1%}" if missing >= 0.001 * whole else "under 0.1%"
        said.append(
            f"{missing:,} of {whole:,} targets ({share}) are missing; inputs repeat the last value "
            "before, and scores leave them out."
        )
    constant = [name for name, one in zip(series.ids, observed, strict=True) if np.nanmin(one) == np.nanmax(one)]
    if constant and len(constant) == len(series):
        raise DataError(
            f"every target is {np.nanmax(observed[0]):g}, in {whole:,} steps; there is nothing to forecast"
            if len(series) == 1
            else f"the targets of all {len(series):,} series are constant; there is nothing to forecast",
            Place(series.source),
        )
    if constant:
        listed = ", ".join(map(repr, constant[:5])) + (" …" if constant[5:] else "")
        said.append(
            f"{len(constant):,} of {len(series):,} series {'is' if len(constant) == 1 else 'are'} constant: {listed}."
        )
    to_come = int((series.lengths - series.ends).max())
    if to_come:
        have = "has" if to_come == 1 else "have"
        said.append(f"Up to {counted(to_come, 'step')} behind the last target {have} covariates alone.")
    return said


def _names(given: str | Sequence[str] | None) -> tuple[str, ...]:
    return () if given is None else (given,) if isinstance(given, str) else tuple(given)


def _maybe(given: Sequence[str] | None) -> tuple[str, ...] | None:
    return None if given is None else _names(given)
