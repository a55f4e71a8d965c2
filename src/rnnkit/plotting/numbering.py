"""Names that no installed font can write: their numbers, and one warning with them. Imports no matplotlib."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

_shared: ContextVar[dict[str, int] | None] = ContextVar("numbered names", default=None)


@contextmanager
def numbered_names() -> Iterator[dict[str, int]]:
    """Yield the numbers of names that no font can write, and warn once at the end which number is which name.

    A block inside of another one has the numbers of the outer one, which warns. So a name has one number in all
    pictures of a run.

    Example:
        >>> with warnings.catch_warnings(record=True) as caught, numbered_names() as outer:
        ...     for name in ("猫", "狗", "猫"):
        ...         with numbered_names() as numbers:
        ...             number = numbers.setdefault(name, len(numbers) + 1)
        >>> outer, str(caught[0].message).split(": ")[1][:10], len(caught)
        ({'猫': 1, '狗': 2}, '#1 猫, #2 狗', 1)
    """
    if (outer := _shared.get()) is not None:
        yield outer
        return
    numbers: dict[str, int] = {}
    token = _shared.set(numbers)
    try:
        yield numbers
    finally:
        _shared.reset(token)
        if numbers:
            shown = ", ".join(f"#{number} {name}" for name, number in numbers.items())
            warnings.warn(
                f"no installed font can write these names, so that pictures number them: {shown}. Install a font that "
                "can, such as Noto Sans CJK (on Debian and Ubuntu: apt install fonts-noto-cjk), to have them written "
                "out",
                stacklevel=4,
            )
