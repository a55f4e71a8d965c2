"""One spelling of a name: an accented letter is one character, or a letter and a mark, and looks the same.

Names are compared in the composed form (Unicode NFC). macOS writes file names in the other one.
"""

from __future__ import annotations

from collections.abc import Iterable
from unicodedata import is_normalized, normalize


def composed(name: str) -> str:
    """Return a name in the composed form.

    Example:
        >>> len("e\\u0301"), len(composed("e\\u0301"))
        (2, 1)
    """
    return name if name.isascii() else normalize("NFC", name)


def merged(names: Iterable[str]) -> list[str]:
    """Return the names, in the composed form, that occur in two spellings.

    Example:
        >>> merged(["e\\u0301", "\\u00e9", "a"]) == ["\\u00e9"]
        True
    """
    spellings: dict[str, set[str]] = {}
    for name in names:
        if not name.isascii():
            spellings.setdefault(normalize("NFC", name), set()).add(name)
    return sorted(name for name, found in spellings.items() if len(found) > 1)


def is_composed(text: str) -> bool:
    """Whether all of a text is in the composed form."""
    return text.isascii() or is_normalized("NFC", text)
