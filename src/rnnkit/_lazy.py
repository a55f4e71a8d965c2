"""Names of a package that are imported when they are first used. This module imports neither torch nor numpy."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Callable, Mapping
from typing import Any


def lazy_names(
    package: str, names: Mapping[str, str], modules: tuple[str, ...] = ()
) -> tuple[Callable[[str], Any], Callable[[], list[str]]]:
    """Return the ``__getattr__`` and the ``__dir__`` of a package.

    Args:
        package: its ``__name__``.
        names: the module of each name, relative to the package.
        modules: its modules that are names themselves.

    Example:
        >>> get, names = lazy_names("rnnkit.data", {"split": "splits"})
        >>> get("split").__module__, "split" in names()
        ('rnnkit.data.splits', True)
    """

    def get(name: str) -> Any:
        if name in modules:
            return importlib.import_module(f".{name}", package)
        if name not in names:
            raise AttributeError(f"module {package!r} has no attribute {name!r}")
        value = getattr(importlib.import_module(f".{names[name]}", package), name)
        setattr(sys.modules[package], name, value)
        return value

    def every_name() -> list[str]:
        return sorted({*vars(sys.modules[package]), *names, *modules})

    return get, every_name
