"""One spelling of a name: an accented letter is one character, or a letter and a mark, and looks the same.

Names are compared in the composed form (Unicode NFC). macOS writes file names in the other one.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterable
from typing import Any
from unicodedata import is_normalized, normalize

import numpy as np

from .errors import DataWarning


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


def composed_labels(labels: np.ndarray[Any, Any], stacklevel: int = 2) -> np.ndarray[Any, Any]:
    """Return labels with their texts in the composed form, and warn where two spellings become one class.

    Example:
        >>> composed_labels(np.array(["e\\u0301", "a"])).tolist() == ["\\u00e9", "a"]
        True
    """
    texts = {label for label in labels.ravel().tolist() if isinstance(label, str)}
    if all(map(is_composed, texts)):
        return labels
    if twice := merged(texts):
        warnings.warn(
            f"the label {twice[0]!r} occurs in two spellings (Unicode NFC and NFD), which are taken for one class",
            DataWarning,
            stacklevel=stacklevel + 1,
        )
    plain = [composed(label) if isinstance(label, str) else label for label in labels.ravel().tolist()]
    return np.array(plain, object if labels.dtype == object else None).reshape(labels.shape)
