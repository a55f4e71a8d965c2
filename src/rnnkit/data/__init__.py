"""Data sources, the user's own series, splits and scaling. Importing this package loads neither torch nor numpy."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from . import mnist, problems

if TYPE_CHECKING:
    from .series import SeriesSet, read_series

_NAMES = {
    "SeriesSet": "series",
    "read_series": "series",
}

__all__ = ["SeriesSet", "mnist", "problems", "read_series"]


def __getattr__(name: str) -> Any:
    if name in _NAMES:
        value = getattr(importlib.import_module(f".{_NAMES[name]}", __name__), name)
        globals()[name] = value
        return value
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
