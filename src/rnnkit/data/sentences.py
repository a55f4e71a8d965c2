"""Sentences about some of many things, such as clips or pictures, the first of them by name."""

from __future__ import annotations

from collections.abc import Sequence

_SHOWN = 3

Phrase = tuple[str, str]  # what one does, and what several do
MISNAMED: Phrase = (
    "has the suffix of another format, and is read by its content",
    "have the suffixes of other formats, and are read by their content",
)
UNREADABLE: Phrase = ("cannot be read, and is left out", "cannot be read, and are left out")


def sentence(phrase: Phrase, names: Sequence[str], count: int, what: str) -> str:
    """Return a sentence about some of many.

    Args:
        phrase: what one does, and what several do.
        names: of those that do it.
        count: of all.
        what: they are, in the plural.

    Example:
        >>> sentence(("is silent", "are silent"), ["a"], 3, "clips")
        '1 of 3 clips is silent: a.'
        >>> sentence(("has", "have"), ["a", "b", "c", "d"], 9, "pictures")
        '4 of 9 pictures have: a, b, c ….'
    """
    return f"{len(names):,} of {count:,} {what} {phrase[len(names) > 1]}: {listed(list(dict.fromkeys(names)))}."


def listed(names: Sequence[str]) -> str:
    """Return the first names, and an ellipsis where there are more.

    Example:
        >>> listed(["a", "b", "c", "d"])
        'a, b, c …'
    """
    return ", ".join(names[:_SHOWN]) + (" …" if len(names) > _SHOWN else "")
