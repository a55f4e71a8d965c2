"""``.parquet``: long or wide tables, and tables whose cells hold lists."""

from __future__ import annotations

from pathlib import Path

from ...errors import DataError, MissingExtraError, Place
from ..reading import Options
from ..series import SeriesSet
from .frames import to_table
from .table import Table, need_pandas
from .tables import to_series


def read(path: Path, options: Options) -> SeriesSet:
    """Read a ``.parquet`` file; see :func:`rnnkit.data.read_series`."""
    return to_series(read_table(path, options), options)


def read_table(path: Path, options: Options) -> Table:
    """Read a ``.parquet`` file as a table."""
    need_pandas(str(path))
    place = Place(str(path))
    try:
        import pyarrow as pa
        import pyarrow.parquet as pq
    except ImportError:
        raise MissingExtraError(
            ".parquet is read with pyarrow, which is not installed", place, "type pip install 'rnnkit[tables]'"
        ) from None
    try:
        frame = pq.read_table(path).to_pandas()
    except (pa.ArrowException, OSError, ValueError) as error:
        raise DataError(f"cannot be read as a .parquet file ({error})", place) from None
    return to_table(frame, str(path), path.name, options)
