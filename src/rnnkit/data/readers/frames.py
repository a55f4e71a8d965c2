"""A pandas DataFrame in memory, read as the same table in a file is."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ...errors import DataError, Place
from ..reading import Options
from ..series import SeriesSet
from .columns import check_names
from .tables import Table, to_series

if TYPE_CHECKING:
    import pandas as pd


def read(frame: pd.DataFrame, options: Options) -> SeriesSet:
    """Read a DataFrame; see :func:`rnnkit.data.read_series`."""
    import pandas as pd

    if isinstance(frame.index, pd.DatetimeIndex) and frame.index.name is None and "time" not in frame.columns:
        frame = frame.rename_axis("time")
    return to_series(to_table(frame, "DataFrame", "DataFrame"), options)


def to_table(frame: pd.DataFrame, source: str, name: str) -> Table:
    """Turn a DataFrame into a table: an index with a name is a column, and categories are their values.

    Args:
        frame: it stays as it is.
        source: the file it came from, for messages.
        name: the file's name, by which rows without an id are called.
    """
    import pandas as pd

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
    return Table(frame, source, name)
