"""ONNX files: rnnkit's models as graphs that are written operator by operator, never traced.

Needs the extra ``rnnkit[onnx]``. Names are resolved when they are first used.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..._lazy import lazy_names

if TYPE_CHECKING:
    from .checking import Deviation, Session
    from .exporting import Exported, export

__all__ = ["Deviation", "Exported", "Session", "export"]

__getattr__, __dir__ = lazy_names(
    __name__,
    {"Deviation": "checking", "Session": "checking", "Exported": "exporting", "export": "exporting"},
)
