"""Data sources, the user's own series, splits and scaling. Importing this package loads neither torch nor numpy."""

from __future__ import annotations

from typing import TYPE_CHECKING

from .._lazy import lazy_names
from . import mnist, problems

if TYPE_CHECKING:
    from .arrays import ArrayDataset, IndexedBatches
    from .checks import check_columns
    from .preprocessing import Preprocessing
    from .reading import read_like, read_series
    from .series import SeriesSet
    from .splits import split
    from .streams import StreamedBatches
    from .tokens import TokenArray, TokenBatches

_NAMES = {
    "ArrayDataset": "arrays",
    "IndexedBatches": "arrays",
    "StreamedBatches": "streams",
    "TokenArray": "tokens",
    "TokenBatches": "tokens",
    "Preprocessing": "preprocessing",
    "SeriesSet": "series",
    "check_columns": "checks",
    "read_like": "reading",
    "read_series": "reading",
    "split": "splits",
}

__all__ = [
    "ArrayDataset",
    "IndexedBatches",
    "Preprocessing",
    "SeriesSet",
    "StreamedBatches",
    "TokenArray",
    "TokenBatches",
    "check_columns",
    "mnist",
    "problems",
    "read_like",
    "read_series",
    "split",
]

__getattr__, __dir__ = lazy_names(__name__, _NAMES)
