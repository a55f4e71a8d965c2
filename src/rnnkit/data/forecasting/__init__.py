"""Time series for forecasting: reading, calendar, parts by time, scaling and windows.

Legend: B windows of a batch, L lookback steps, H horizon steps, C channels, S series, T steps of a series.

Importing this package loads neither torch nor numpy.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..._lazy import lazy_names

if TYPE_CHECKING:
    from .layout import WindowLayout
    from .reading import read_time_series
    from .series import TimeSeries

_NAMES = {
    "TimeSeries": "series",
    "WindowLayout": "layout",
    "read_time_series": "reading",
}

__all__ = [
    "TimeSeries",
    "WindowLayout",
    "read_time_series",
]

__getattr__, __dir__ = lazy_names(__name__, _NAMES)
