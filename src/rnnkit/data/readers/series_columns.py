"""Which column of a long table may name the series of each row, where none has a known name: for remedies."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from ...errors import DataError, Place, Remedy
from .written_times import plain_time

if TYPE_CHECKING:
    import pandas as pd

_MOST = 3  # columns that a message names


def series_remedies(table: pd.DataFrame, names: Sequence[str], time: str | None) -> list[Remedy]:
    """Return the remedies that name a column as the id: one a column for whose values the time begins again.

    Args:
        table: all rows.
        names: the columns that may be the id.
        time: the column of the times. None: one of dates, or that rises within each value, is looked for.

    Example:
        >>> import pandas as pd
        >>> table = pd.DataFrame({"country": ["Peru", "Peru", "Iran", "Iran"], "year": [2000, 2001, 2000, 2001]})
        >>> [str(one) for one in series_remedies(table, ["country"], None)]
        ['type id_column="country" and time_column="year"']
    """
    remedies = []
    for name in names:
        if time is not None:
            if _begins_again(table[name], table[time]):
                remedies.append(Remedy("id_column", name))
            continue
        others = [other for other in map(str, table.columns) if other != name]
        found = next((other for other in others if _rises_within(table[name], table[other])), None)
        if found is not None:
            remedies.append(Remedy("id_column", name, also=Remedy("time_column", found)))
    return remedies[:_MOST]


def refuse_names(
    table: pd.DataFrame, texts: Sequence[str], time: str | None, place: Place, ignored: Sequence[str]
) -> None:
    """Raise DataError for a column of text that would be a channel, if the time begins again for its values.

    Args:
        table, time: as in `series_remedies`.
        texts: the columns of text among the channels.
        place: the file.
        ignored: columns that the user leaves out already.
    """
    for name in texts:
        remedies = series_remedies(table, [name], time)
        if remedies:
            raise DataError(
                f"{str(table[name].iloc[0]).strip()[:40]!r} is not a number, but the column may name the series of "
                f"each row: the column {time or remedies[0].arguments['time_column']!r} begins again for its values",
                place.at(column=name),
                [*remedies, Remedy("ignore_columns", [*ignored, name], "if the column is no channel")],
            )


def may_be_codes(column: pd.Series[Any]) -> bool:
    """Whether a column holds whole numbers, each of which occurs twice or more on average."""
    numbers = column.to_numpy(np.float64, na_value=np.nan) if column.dtype.kind in "iuf" else np.array([np.nan])
    return bool(np.isfinite(numbers).all() and (numbers % 1 == 0).all()) and 2 * column.nunique() <= len(column)


def _begins_again(names: pd.Series[Any], times: pd.Series[Any]) -> bool:
    """Whether times occur several times, but once for each name, or the rows of each name are adjacent."""
    import pandas as pd

    if names.isna().any() or not 1 < names.nunique() < len(names):
        return False
    pairs = len(pd.DataFrame({"name": names, "time": times}).drop_duplicates())
    if pairs == len(names):
        return bool(times.duplicated().any())
    runs = int((names != names.shift()).sum())
    return runs == names.nunique() and 2 * pairs >= 3 * times.nunique()  # a few times of a series may occur twice


def _rises_within(names: pd.Series[Any], times: pd.Series[Any]) -> bool:
    """Whether a column holds dates or numbers that rise with the rows of each name, of which most have several."""
    import pandas as pd

    if 2 * names.nunique() > len(names):
        return False
    if _holds_dates(times):
        return _begins_again(names, times)
    times = pd.to_numeric(times, errors="coerce") if times.dtype.kind in "iufO" else times
    if times.dtype.kind not in "iuf" or times.isna().any() or not _begins_again(names, times):
        return False
    return bool((times.groupby(names, sort=False).diff().dropna() > 0).all())


def _holds_dates(column: pd.Series[Any]) -> bool:
    """Whether the first value of a column is a date, or text that is one."""
    from pandas.tseries.api import guess_datetime_format

    first = column.iloc[0]
    return hasattr(first, "isoformat") or (isinstance(first, str) and bool(guess_datetime_format(plain_time(first))))
