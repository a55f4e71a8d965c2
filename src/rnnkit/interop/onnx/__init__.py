"""ONNX files: rnnkit's models as graphs that are written operator by operator, never traced.

Needs the extra ``rnnkit[onnx]``. Names are resolved when they are first used.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..._lazy import lazy_names

if TYPE_CHECKING:
    from .checking import Deviation, Session
    from .comparing import Quantised
    from .exporting import Exported, export
    from .quantising import quantise
    from .reading import from_onnx

__all__ = ["Deviation", "Exported", "Quantised", "Session", "export", "from_onnx", "quantise"]

__getattr__, __dir__ = lazy_names(
    __name__,
    {
        "Deviation": "checking",
        "Exported": "exporting",
        "Quantised": "comparing",
        "Session": "checking",
        "export": "exporting",
        "from_onnx": "reading",
        "quantise": "quantising",
    },
)
