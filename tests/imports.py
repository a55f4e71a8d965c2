"""What a module of Python imports, from its compiled code: parsing all of the package would take seconds."""

from __future__ import annotations

import dis
import inspect
from collections.abc import Iterator
from importlib.machinery import SourceFileLoader
from pathlib import Path
from types import CodeType
from typing import NamedTuple

IMPORT, CONSTANT, EXTENDED = (dis.opmap[name] for name in ("IMPORT_NAME", "LOAD_CONST", "EXTENDED_ARG"))
SMALL = dis.opmap.get("LOAD_SMALL_INT", -1)  # of Python 3.14


class Import(NamedTuple):
    """One import.

    Attributes:
        module: its name behind the dots; "" in ``from . import name``.
        names: those that come from it; none in ``import module``.
        level: how many dots stand before the name.
        late: whether a function imports it when it is called.
    """

    module: str
    names: tuple[str, ...]
    level: int
    late: bool


def imports_of(file: Path) -> Iterator[Import]:
    """Yield all imports of a file, those for types too."""
    code = SourceFileLoader("module", str(file)).get_code("module")  # compiled before, if it has not changed
    assert code is not None
    yield from _imports(code, late=False)


def _imports(code: CodeType, late: bool) -> Iterator[Import]:
    if IMPORT in code.co_code[::2]:
        loaded, argument = [], 0
        for operation, byte in zip(code.co_code[::2], code.co_code[1::2], strict=True):
            argument |= byte
            if operation == EXTENDED:
                argument <<= 8
                continue
            if operation == IMPORT:
                yield Import(code.co_names[argument], tuple(loaded[-1] or ()), loaded[-2], late)
            elif operation == CONSTANT:
                loaded.append(code.co_consts[argument])
            elif operation == SMALL:
                loaded.append(argument)
            argument = 0
    for inner in code.co_consts:
        if isinstance(inner, CodeType):
            yield from _imports(inner, late or bool(inner.co_flags & inspect.CO_OPTIMIZED))
