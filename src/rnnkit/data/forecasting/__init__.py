"""Time series for forecasting: reading, calendar, parts by time, scaling and windows.

Legend: B windows of a batch, L lookback steps, H horizon steps, C channels, S series, T steps of a series.

Importing this package loads neither torch nor numpy.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..._lazy import lazy_names

if TYPE_CHECKING:
    from .layout import WindowLayout

_NAMES = {
    "WindowLayout": "layout",
}

__all__ = [
    "WindowLayout",
]

__getattr__, __dir__ = lazy_names(__name__, _NAMES)
