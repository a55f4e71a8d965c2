"""Train models: the Learner, its loop, and the objects that its settings take.

Names are imported when they are first used. This package knows no particular model and no source of data.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .learner import Learner
    from .optimization.averaging import EMA, NTASGD
    from .optimization.parameter_groups import group_parameters
    from .optimization.schedules import Constant, Cosine, OneCycle, Plateau, SlantedTriangular
    from .watching.callbacks import Callback
    from .watching.history import History
    from .watching.logs import JSONLines, TensorBoard

_NAMES = {
    "Callback": "watching.callbacks",
    "Constant": "optimization.schedules",
    "Cosine": "optimization.schedules",
    "EMA": "optimization.averaging",
    "History": "watching.history",
    "JSONLines": "watching.logs",
    "Learner": "learner",
    "NTASGD": "optimization.averaging",
    "OneCycle": "optimization.schedules",
    "Plateau": "optimization.schedules",
    "SlantedTriangular": "optimization.schedules",
    "TensorBoard": "watching.logs",
    "group_parameters": "optimization.parameter_groups",
}

__all__ = [
    "EMA",
    "NTASGD",
    "Callback",
    "Constant",
    "Cosine",
    "History",
    "JSONLines",
    "Learner",
    "OneCycle",
    "Plateau",
    "SlantedTriangular",
    "TensorBoard",
    "group_parameters",
]


def __getattr__(name: str) -> Any:
    if name in _NAMES:
        value = getattr(importlib.import_module(f".{_NAMES[name]}", __name__), name)
        globals()[name] = value
        return value
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted([*globals(), *_NAMES])
