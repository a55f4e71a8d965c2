"""Time series for forecasting: reading, calendar, parts by time, scaling and windows.

Legend: B windows of a batch, L lookback steps, H horizon steps, C channels, S series, T steps of a series.

Importing this package loads neither torch nor numpy.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..._lazy import lazy_names

if TYPE_CHECKING:
    from ...types import WindowLayout as WindowLayout
    from .calendar import calendar_columns, calendar_features
    from .frequency import Frequency, infer_frequency
    from .parts import TimeParts, divide_time
    from .preparation import ForecastPreprocessing
    from .reading import read_time_series
    from .scaling import Scaling
    from .series import TimeSeries
    from .windows import ForecastWindows, WindowSource

_NAMES = {
    "ForecastPreprocessing": "preparation",
    "ForecastWindows": "windows",
    "Frequency": "frequency",
    "Scaling": "scaling",
    "TimeParts": "parts",
    "TimeSeries": "series",
    "WindowLayout": "..types",
    "WindowSource": "windows",
    "calendar_columns": "calendar",
    "calendar_features": "calendar",
    "divide_time": "parts",
    "infer_frequency": "frequency",
    "read_time_series": "reading",
}

__all__ = [
    "ForecastPreprocessing",
    "ForecastWindows",
    "Frequency",
    "Scaling",
    "TimeParts",
    "TimeSeries",
    "WindowLayout",
    "WindowSource",
    "calendar_columns",
    "calendar_features",
    "divide_time",
    "infer_frequency",
    "read_time_series",
]

__getattr__, __dir__ = lazy_names(__name__, _NAMES)
