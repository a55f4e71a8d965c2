"""A pandas DataFrame in memory, read as the same table in a file is."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ...errors import DataError, Place
from ..reading import Options
from ..series import SeriesSet
from .column_names import check_names, is_id
from .numerals import Numerals
from .row_numbers import is_written_index
from .table import Table
from .tables import to_series

if TYPE_CHECKING:
    import pandas as pd


def read(frame: pd.DataFrame, options: Options) -> SeriesSet:
    """Read a DataFrame; see :func:`rnnkit.data.read_series`."""
    return to_series(read_table(frame, options), options)


def read_table(frame: pd.DataFrame, options: Options) -> Table:
    """Return a DataFrame as a table."""
    return to_table(frame, "DataFrame", "DataFrame", options)


def to_table(frame: pd.DataFrame, source: str, name: str, options: Options) -> Table:
    """A DataFrame as a table: an index with a name, or of text, is a column, and categories are their values.

    An index of dates without a name is the column "time", also of a Parquet file that pandas wrote.
    Durations become seconds, periods the time stamps of their begins, and bytes text.

    Args:
        frame: it stays as it is.
        source: the file it came from, for messages.
        name: the file's name, by which rows without an id are called.
        options: what the user named.
    """
    import pandas as pd

    if isinstance(frame.index, pd.MultiIndex) and None in frame.index.names:
        problem = f"the index has {frame.index.nlevels} levels, and not all have names"
        names = ["id", "time"] if frame.index.nlevels == 2 else [f"level {at}" for at in range(frame.index.nlevels)]
        raise DataError(problem, Place(source), f"name them, as in frame.rename_axis({names})")
    dates = (pd.DatetimeIndex, pd.PeriodIndex, pd.TimedeltaIndex)
    if isinstance(frame.index, dates) and frame.index.name is None and "time" not in frame.columns:
        frame = frame.rename_axis("time")
    if _index_is_id(frame, options):  # a CSV of the frame has it as a first column without a name
        frame = frame.rename_axis(options.id_column or "")
    if any(level is not None for level in frame.index.names):
        double = [name for name in frame.index.names if name in frame.columns]
        if double:
            problem = f"{double[0]!r} is the name of the index and of a column"
            raise DataError(problem, Place(source), "rename one")
        frame = frame.reset_index()
    frame = frame.reset_index(drop=True)
    frame.columns = pd.Index(check_names([str(column) for column in frame.columns], Place(source)))
    for column in frame.columns:
        if isinstance(frame[column].dtype, pd.CategoricalDtype):
            frame[column] = frame[column].astype(object)
        if frame[column].dtype == object:
            frame[column] = _decoded(frame[column])
        elif frame[column].dtype.kind == "m":
            frame[column] = frame[column].dt.total_seconds()
        elif isinstance(frame[column].dtype, pd.PeriodDtype):
            frame[column] = frame[column].dt.to_timestamp()
    return Table(frame, source, name, numerals=Numerals.of(options))


def _decoded(column: pd.Series[Any]) -> pd.Series[Any]:
    """A column whose cells are bytes, as some programs write text into Parquet files, as text."""
    first = column.first_valid_index()
    if first is None or not isinstance(column[first], bytes):
        return column
    return column.map(lambda cell: cell.decode(errors="replace") if isinstance(cell, bytes) else cell)


def _index_is_id(frame: pd.DataFrame, options: Options) -> bool:
    """Whether the index has no name, holds text, and no column is the id."""
    import pandas as pd

    if list(frame.index.names) != [None] or pd.api.types.infer_dtype(frame.index) != "string":
        return False
    if options.id_column is not None:
        return is_written_index(options.id_column) and options.id_column not in frame.columns
    return not any(is_id(str(name)) or str(name).strip() == "" for name in frame.columns)
