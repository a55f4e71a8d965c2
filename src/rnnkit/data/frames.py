"""DataFrames in memory as arrays: their columns are the steps of a table, or the channels of a list of series."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, TypeGuard

import numpy as np

from ..errors import DataError, Place
from .sentences import quoted

if TYPE_CHECKING:
    import numpy.typing as npt
    import pandas as pd


def is_frame(data: Any) -> TypeGuard[pd.DataFrame]:
    """Whether the data is a DataFrame; pandas is not imported for it."""
    pandas = sys.modules.get("pandas")
    return pandas is not None and isinstance(data, pandas.DataFrame)


def has_channel_names(series: Any) -> bool:
    """Whether series [T_i, channels] are DataFrames, whose columns name the channels."""
    return not is_frame(series) and any(is_frame(row) for row in series)


def columns_of(frame: pd.DataFrame) -> tuple[str, ...]:
    """The names of the columns, as text."""
    return tuple(map(str, frame.columns))


def frame_values(frame: pd.DataFrame, place: Place) -> npt.NDArray[np.float64]:
    """The cells as float64, NaN where one is missing.

    Raises:
        DataError: a column holds something that is not a number.
    """
    try:
        return frame.to_numpy(np.float64, na_value=np.nan)
    except (TypeError, ValueError):
        found = [str(name) for name, kind in frame.dtypes.items() if not _is_numeric(kind)]
        raise DataError(
            f"the columns {', '.join(map(repr, found[:4]))} of the DataFrame hold no numbers",
            place,
            f"leave them out: frame.drop(columns={found[:4]})",
        ) from None


def unpack_frames(
    rows: Sequence[Any], channels: Sequence[str] | None, where: Callable[[int], Place]
) -> tuple[list[Any], Sequence[str] | None]:
    """Return series as arrays and the names of their channels, those that are DataFrames in one order of columns.

    Args:
        rows: series, some of them or all DataFrames [T_i, channels].
        channels: the names that were asked for; None: those of the first DataFrame, if there is one.
        where: the place of a row, by its index.

    Raises:
        DataError: two DataFrames have other columns, or cells that are no numbers.
    """
    frames = [row for row in rows if is_frame(row)]
    if not frames:
        return list(rows), channels
    names = columns_of(frames[0])
    found = []
    for index, row in enumerate(rows):
        if is_frame(row):
            given = columns_of(row)
            if sorted(given) != sorted(names):
                raise DataError(f"has the columns {quoted(given, 12)}; expected {quoted(names, 12)}", where(index))
            row = frame_values(row.iloc[:, [given.index(name) for name in names]], where(index))
        found.append(row)
    return found, names if channels is None else channels


def _is_numeric(kind: Any) -> bool:
    import pandas as pd

    return bool(pd.api.types.is_numeric_dtype(kind))
