"""From a table with known columns to a set of series; whole columns at a time, no loop over cells."""

from __future__ import annotations

import warnings
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from ...errors import DataError, DataWarning, Remedy
from ...spelling import composed, is_composed, merged
from ..reading import Options
from ..row_checks import (
    LARGEST,
    check_ids,
    check_labels,
    check_numbers,
    check_present,
    check_rows,
    is_missing_label,
    no_value_error,
)
from ..series import SeriesSet
from . import text, times
from .column_names import is_entity
from .columns import Roles, is_list, resolve
from .numerals import convert
from .series_columns import may_be_codes, series_remedies
from .table import Table

if TYPE_CHECKING:
    import numpy.typing as npt
    import pandas as pd


# Treatment of steps with the same time stamp, by the argument `duplicates`.
_DUPLICATES = {
    "keep": "all are kept in the file's order",
    "first": "the first is taken",
    "last": "the last is taken",
    "mean": "their mean is taken",
}


def to_series(table: Table, options: Options) -> SeriesSet:
    """Read the roles of the columns and build the series."""
    if not len(table.frame):
        raise DataError("has a header but no rows; expected at least one", table.whole)
    table = replace(table, ignored=options.ignore_columns)
    roles = resolve(table.frame, options, table.whole)
    table = _with_text(table, roles, options)
    numbers = [name for _, steps in roles.channels for name in steps]
    numbers += roles.targets if options.targets == "numbers" else ()
    table = replace(table, numerals=convert(table.frame, numbers, table.numerals, table.whole, options))
    return _long(table, roles, options) if roles.layout == "long" else _wide(table, roles, options)


def _with_text(table: Table, roles: Roles, options: Options) -> Table:
    """The table with ids, groups, labels and times as their text stands in the file, also where it reads as numbers."""
    if table.reread is None:
        return replace(table, frame=table.frame.copy(deep=False))
    labels = roles.targets if options.targets == "labels" else ()
    names = [name for name in dict.fromkeys((roles.id, roles.group, roles.time, *labels)) if name is not None]
    # Of a column whose name says nothing, "NA" or "None" was taken for an empty cell.
    changed = [name for name in names if table.frame[name].dtype.kind in "biuf" or table.frame[name].isna().any()]
    return replace(table, frame=table.frame.assign(**table.reread(changed))) if changed else table


def _long(table: Table, roles: Roles, options: Options) -> SeriesSet:
    import pandas as pd

    count = len(table.frame)
    values = np.stack([column_numbers(table, name) for name, _ in roles.channels], 1)
    codes, names = np.zeros(count, np.int64), [table.name]
    if roles.id is not None:
        codes, unique = pd.factorize(column_text(table, roles.id, "id", options))
        names = [str(name) for name in unique]
    clock = None
    if roles.time is not None:
        clock = _times(table, roles.time, options)
        times.say_midnight(clock, codes, table.column(roles.time), options.guesses)
    # One row index per step, series after series, each in order of time; ties keep the file's order.
    order = np.lexsort((codes,) if clock is None else (clock, codes))
    starts = np.flatnonzero(np.diff(codes[order], prepend=-1))
    firsts = order[starts]
    targets = _one_each(table, roles, options, _targets(table, roles, options), codes, firsts, "the target")
    groups = _one_each(table, roles, options, _groups(table, roles, options), codes, firsts, "the group")
    if clock is not None:
        values, clock, order = _duplicates(table, roles, values[order], clock[order], codes[order], order, options)
        starts = np.flatnonzero(np.diff(codes[order], prepend=-1))
    else:
        values = values[order]
    seen = np.logical_or.reduceat(~np.isnan(values).all(1), starts)
    if not seen.all():
        raise no_value_error(table.place(int(order[starts[int(seen.argmin())]])))
    return SeriesSet(
        values=np.split(values, starts[1:]),
        channels=tuple(name for name, _ in roles.channels),
        targets=targets,
        ids=tuple(names),
        groups=groups,
        times=None if clock is None else clock[starts],
        step_times=None if clock is None else np.split(clock, starts[1:]),
        source=table.source,
        read_options=_stored(roles, options, table),
    )


def _wide(table: Table, roles: Roles, options: Options) -> SeriesSet:
    count = len(table.frame)
    if is_list(table.frame[roles.channels[0][1][0]]):
        rows, steps = _lists(table, roles), roles.steps[:0]
    else:
        columns = [[column_numbers(table, step) for step in steps] for _, steps in roles.channels]
        cube = np.asarray(columns, np.float64).transpose(2, 1, 0)  # [channels, T, N] to [N, T, channels]
        rows, steps = list(cube), roles.steps
    check_rows(rows, table.place, [name for name, _ in roles.channels])
    ids = [table.called(row) for row in range(count)]
    if roles.id is not None:
        ids = column_text(table, roles.id, "id", options).tolist()
        check_ids(ids, table.place)
    clock = None
    if roles.time is not None:
        clock = _times(table, roles.time, options)
    return SeriesSet(
        values=rows,
        channels=tuple(name for name, _ in roles.channels),
        targets=_plain(_targets(table, roles, options)),
        ids=tuple(ids),
        groups=_plain(_groups(table, roles, options)),
        times=clock,
        source=table.source,
        steps=steps,
        read_options=_stored(roles, options, table),
    )


def _times(table: Table, name: str, options: Options) -> npt.NDArray[Any]:
    decimal = table.numerals.decimal
    return times.parse(
        table.frame[name],
        table.place,
        name,
        options.time_format,
        decimal=decimal,
        guesses=options.guesses,
        date_numbers=True,
    )


def column_numbers(table: Table, name: str, *, of_target: bool = False) -> npt.NDArray[np.float64]:
    """Return a column as float64, NaN where missing; text, infinity and what float32 cannot hold are refused."""
    import pandas as pd

    column = table.frame[name]
    if pd.api.types.is_datetime64_any_dtype(column):
        raise DataError(
            "the values are dates",
            table.whole.at(column=name),
            (Remedy("time_column", name), Remedy("ignore_columns", [*table.ignored, name])),
        )
    if column.dtype.kind == "c":
        raise DataError(
            "the values are complex numbers", table.whole.at(column=name), "give real and imaginary part a column each"
        )
    numbers = pd.to_numeric(column, errors="coerce").to_numpy(np.float64, na_value=np.nan)
    if table.numerals.decimal == "," and column.map(lambda cell: isinstance(cell, str)).any():
        numbers = np.full(len(column), np.nan)  # `convert` has read what has no point
    numbers = table.numerals.mask(numbers)
    wrong = ~(np.abs(numbers) <= LARGEST)
    if not wrong.any():
        return numbers
    suspects = column[wrong].dropna()
    suspects = suspects[~suspects.astype(str).map(table.numerals.missing)]
    if of_target and len(suspects) and not table.numerals.is_number(str(suspects.iloc[0])):
        raise DataError(
            f"{str(suspects.iloc[0]).strip()[:40]!r} is no finite number, and a target is one",
            table.column(name)(int(suspects.index[0])),
            (
                Remedy("target_column", purpose="with another column"),
                Remedy("targets", "labels", "to read classes"),
            ),
        )
    if len(suspects):
        cells = suspects.astype(str)
        texts = cells[[not table.numerals.is_number(cell) for cell in cells]]  # of these the message is plainer
        row = (texts if len(texts) else cells).index[0]
        ignored = [*table.ignored, name]
        is_text = 2 * len(texts) > len(column)
        raise table.numerals.error(cells[row], table.column(name)(int(row)), ignored, is_text=is_text)
    return numbers


def _lists(table: Table, roles: Roles) -> list[npt.NDArray[np.float64]]:
    """Rows of a table whose cells hold a channel's steps each."""
    rows = []
    columns = [table.frame[name].tolist() for name, _ in roles.channels]
    for index, cells in enumerate(zip(*columns, strict=True)):
        try:
            arrays = [np.asarray(cell if cell is not None else (), np.float64) for cell in cells]
            arrays = [table.numerals.mask(array) for array in arrays]
        except (TypeError, ValueError):
            raise DataError("a list holds something that is not a number", table.place(index)) from None
        if any(array.ndim != 1 or len(array) != len(arrays[0]) for array in arrays):
            sizes = ", ".join(f"{name} {array.shape}" for (name, _), array in zip(roles.channels, arrays, strict=True))
            raise DataError(f"the lists have different sizes ({sizes}); expected the same in each", table.place(index))
        rows.append(np.stack(arrays, 1))
    return rows


def column_text(table: Table, name: str, what: str, options: Options) -> pd.Series[Any]:
    """A column as text without blanks around it; whole numbers without ".0". Raises where it is missing."""
    import pandas as pd

    column = table.frame[name]
    if pd.api.types.is_float_dtype(column) and (column.dropna() % 1 == 0).all():
        column = column.astype("Int64")  # pandas turns integers beside gaps into floats
    plain = column.astype(str).str.strip().fillna("")  # what is missing is refused below
    unique = plain.unique().tolist()
    if not is_composed("\n".join(unique)):
        text.say_merged(merged(unique), table.whole, options)
        plain = plain.map(composed)
    check_present(column.isna().to_numpy() | (plain == "").to_numpy(), table.column(name), what)
    return plain


def _targets(table: Table, roles: Roles, options: Options) -> npt.NDArray[Any] | None:
    """Return labels or numbers of every row of the table, None where they are not wanted."""
    if options.targets is None or not roles.targets:
        return None
    if options.targets == "labels":
        if len(roles.targets) > 1:
            raise DataError(f"{list(roles.targets)} arrived as labels; expected one column", table.whole)
        name = roles.targets[0]
        codes, unique = table.frame[name].factorize()
        names = [str(label) for label in unique]
        words = table.numerals.words
        absent = [-1, *(code for code, label in enumerate(names) if is_missing_label(label) or label.strip() in words)]
        gone = np.isin(codes, absent)
        if gone.any():
            row = int(gone.argmax())
            check_labels([""], lambda _: table.column(name)(row))
        text.say_merged(merged(map(str.strip, names)), table.whole, options)
        decimal = table.numerals.decimal
        labels: npt.NDArray[Any] = text.labels(names, decimal).astype(object)[codes]  # objects compare fast
        return labels
    numbers = np.stack([column_numbers(table, name, of_target=True) for name in roles.targets], 1)
    check_numbers(numbers, table.place, roles.targets)
    return numbers[:, 0] if len(roles.targets) == 1 else numbers


def _groups(table: Table, roles: Roles, options: Options) -> npt.NDArray[Any] | None:
    return None if roles.group is None else column_text(table, roles.group, "group", options).to_numpy(object)


def _plain(column: npt.NDArray[Any] | None) -> npt.NDArray[Any] | None:
    return column.astype(np.str_) if column is not None and column.dtype == object else column


def _one_each(
    table: Table,
    roles: Roles,
    options: Options,
    column: npt.NDArray[Any] | None,
    codes: npt.NDArray[np.int64],
    firsts: npt.NDArray[np.int64],
    what: str,
) -> npt.NDArray[Any] | None:
    """Return the value of a long table's column for each series; raises if it changes within one."""
    if column is None:
        return None
    each = column[firsts]
    differs = column != each[codes]
    differs = differs.any(1) if differs.ndim == 2 else differs
    if differs.any():
        row = int(differs.argmax())
        first = int(firsts[codes[row]])
        names = (roles.group or "",) if what == "the group" else roles.targets
        apart = _apart(table, roles, options)
        apart = apart or [Remedy("id_column", purpose="with the column that names the series")]
        raise DataError(
            f"{what} ({', '.join(names)}) is {column[row]}, but {each[codes[row]]} in the same series "
            f"({table.place(first)}); expected one a series",
            table.place(row),
            [*_as_wide(roles, options), *apart],
        )
    return _plain(each)


def _as_wide(roles: Roles, options: Options) -> list[Remedy]:
    """Return the remedy that reads a long table with a row a series, where its id can be left out."""
    purpose = "if each row is a series of its own"
    if options.id_column is not None:
        return []
    if roles.id is None or is_entity(roles.id):  # in a wide table that is a group
        return [Remedy("layout", "wide", purpose)]
    return [Remedy("layout", "wide", purpose, Remedy("ignore_columns", [*options.ignore_columns, roles.id]))]


def _apart(table: Table, roles: Roles, options: Options) -> list[Remedy]:
    """Return the remedies that take a channel of whole numbers, or what was taken for the target, for the id."""
    if roles.id is not None or roles.time is None:
        return []
    names = [name for name, _ in roles.channels if may_be_codes(table.frame[name])]
    names += [] if options.target_column else roles.targets
    return series_remedies(table.frame, names, roles.time)


def _duplicates(
    table: Table,
    roles: Roles,
    values: npt.NDArray[np.float64],
    clock: npt.NDArray[Any],
    codes: npt.NDArray[np.int64],
    order: npt.NDArray[np.int64],
    options: Options,
) -> tuple[npt.NDArray[np.float64], npt.NDArray[Any], npt.NDArray[np.int64]]:
    """Keep, thin or average steps of one series with the same time, as `duplicates` says; a warning repeats it."""
    rule = options.duplicates
    again = np.zeros(len(clock), np.bool_)
    again[1:] = (clock[1:] == clock[:-1]) & (codes[1:] == codes[:-1])
    if not again.any():
        return values, clock, order
    row = int(again.argmax())
    problem = f"the time {str(clock[row]).removesuffix('.000000')} occurs again in its series"
    problem += f" ({int(again.sum()):,} such rows in all)" if again.sum() > 1 else ""
    place = table.place(int(order[row]))
    others = [*_apart(table, roles, options), *(Remedy("duplicates", other) for other in _DUPLICATES if other != rule)]
    if rule == "error":
        raise DataError(problem, place, ["mend it", *others])
    warnings.warn(DataWarning(f"{problem}; {_DUPLICATES[rule]}", place, others), stacklevel=6)
    if rule == "keep":
        return values, clock, order
    starts = np.flatnonzero(~again)
    if rule == "last":
        starts = np.append(starts[1:], len(clock)) - 1
    if rule == "mean":
        seen = ~np.isnan(values)
        total = np.add.reduceat(np.where(seen, values, 0), starts, 0)
        number = np.add.reduceat(seen.astype(np.float64), starts, 0)
        values = np.divide(total, number, out=np.full_like(total, np.nan), where=number > 0)
        return values, clock[starts], order[starts]
    return values[starts], clock[starts], order[starts]


def _stored(roles: Roles, options: Options, table: Table) -> dict[str, Any]:
    """Return the arguments that read a file of the same form in the same way; JSON values."""
    found: dict[str, Any] = {
        "layout": roles.layout,
        "id_column": roles.id,
        "time_column": roles.time,
        "group_column": roles.group,
        "target_column": list(roles.targets) or None,
    }
    found["value_columns"] = list(options.value_columns or ())
    found["ignore_columns"] = [*options.ignore_columns, *roles.left_out]
    found["keep_columns"] = [name for name, _ in roles.channels] if roles.layout == "long" else list(roles.steps)
    found["missing_codes"] = list(options.missing_codes)
    for name in ("encoding", "delimiter", "decimal", "thousands", "comment", "time_format"):
        found[name] = getattr(options, name)
    if options.duplicates != "keep":
        found["duplicates"] = options.duplicates
    return {name: value for name, value in found.items() if value} | table.numerals.stored()
