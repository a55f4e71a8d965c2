"""``.parquet``: long or wide tables, and tables whose cells hold lists."""

from __future__ import annotations

from pathlib import Path

from ...errors import DataError, MissingExtraError
from ..series import Options, SeriesSet
from .columns import check_names
from .tables import Table, need_pandas, to_series


def read(path: Path, options: Options) -> SeriesSet:
    """Reads a ``.parquet`` file; see :func:`rnnkit.data.read_series`."""
    need_pandas(path)
    try:
        import pyarrow as pa
        import pyarrow.parquet as pq
    except ImportError:
        raise MissingExtraError(
            f"{path}: .parquet is read with pyarrow, which is not installed; type pip install 'rnnkit[tables]'"
        ) from None
    import pandas as pd

    try:
        frame: pd.DataFrame = pq.read_table(path).to_pandas()
    except (pa.ArrowException, OSError, ValueError) as error:
        raise DataError(f"{path}: cannot be read as a .parquet file ({error})") from None
    if any(name is not None for name in frame.index.names):
        frame = frame.reset_index()
    frame = frame.reset_index(drop=True)
    frame.columns = pd.Index(check_names([str(name) for name in frame.columns], str(path)))
    for name in frame.columns:
        if isinstance(frame[name].dtype, pd.CategoricalDtype):
            frame[name] = frame[name].astype(object)
    return to_series(Table(frame, path), options)
