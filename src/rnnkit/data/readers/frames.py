"""A pandas DataFrame in memory, read as the same table in a file is."""

from __future__ import annotations

from typing import TYPE_CHECKING

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
    """Return a DataFrame as a table; an index of dates without a name is the column "time"."""
    import pandas as pd

    if isinstance(frame.index, pd.DatetimeIndex) and frame.index.name is None and "time" not in frame.columns:
        frame = frame.rename_axis("time")
    return to_table(frame, "DataFrame", "DataFrame", options)


def to_table(frame: pd.DataFrame, source: str, name: str, options: Options) -> Table:
    """A DataFrame as a table: an index with a name, or of text, is a column, and categories are their values.

    Args:
        frame: it stays as it is.
        source: the file it came from, for messages.
        name: the file's name, by which rows without an id are called.
        options: what the user named.
    """
    import pandas as pd

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
    return Table(frame, source, name, numerals=Numerals.of(options))


def _index_is_id(frame: pd.DataFrame, options: Options) -> bool:
    """Whether the index has no name, holds text, and no column is the id."""
    import pandas as pd

    if list(frame.index.names) != [None] or pd.api.types.infer_dtype(frame.index) != "string":
        return False
    if options.id_column is not None:
        return is_written_index(options.id_column) and options.id_column not in frame.columns
    return not any(is_id(str(name)) or str(name).strip() == "" for name in frame.columns)
