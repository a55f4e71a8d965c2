"""Tasks: what a network is trained to answer. A task is an object, one file each.

A task knows how its targets are encoded, which loss trains it, which figures judge it, and how its answers are
written. Importing this package loads no torch.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING

from ..errors import ConfigError, suggest

if TYPE_CHECKING:
    from .task import Task

# Name → the module here, and the class in it. A model's file names its task by this name.
TASKS = {
    "classify": ("classification", "Classification"),
    "regress": ("regression", "Regression"),
}


def find(name: str) -> type[Task]:
    """Return the class of the task of that name.

    Raises:
        ConfigError: there is none; the message names the nearest.

    Example:
        >>> find("classify")().target_type
        'labels'
    """
    if name not in TASKS:
        raise ConfigError(f"there is no task {name!r}{suggest(name, list(TASKS))}")
    module, cls = TASKS[name]
    found: type[Task] = getattr(importlib.import_module(f".{module}", __name__), cls)
    return found
