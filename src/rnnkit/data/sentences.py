"""Sentences about some of many things, such as clips or pictures, the first of them by name."""

from __future__ import annotations

from collections import defaultdict
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


def quoted(names: Sequence[object], most: int) -> str:
    """Return the first names in quotation marks, and how many more there are.

    Example:
        >>> quoted(["a", "b", "c"], 2), quoted(["a", "b"], 2)
        ("'a', 'b' and 1 more", "'a', 'b'")
    """
    shown = ", ".join(map(repr, names[:most]))
    return f"{shown} and {len(names) - most:,} more" if len(names) > most else shown


def listed(names: Sequence[str]) -> str:
    """Return the first names, and an ellipsis where there are more.

    Example:
        >>> listed(["a", "b", "c", "d"])
        'a, b, c …'
    """
    return ", ".join(names[:_SHOWN]) + (" …" if len(names) > _SHOWN else "")


class Findings:
    """What is found of many things, to be said in a sentence for each finding.

    Args:
        what: the things are, in the plural.

    Example:
        >>> found = Findings("clips")
        >>> for name, label in (("a", "yes"), ("b", None), ("c", "no")):
        ...     found.examine(name, label=label)
        >>> found.note(("is silent", "are silent"), "c")
        >>> found.sentences(used=3)
        ['1 of 3 clips is silent: c.', '1 of 3 clips has no label: b.']
    """

    def __init__(self, what: str) -> None:
        self.what, self.count = what, 0
        self._found: dict[Phrase, list[str]] = defaultdict(list)
        self._without: dict[str, list[str]] = defaultdict(list)

    def examine(self, name: str, **parts: object) -> None:
        """Note which parts a thing is without: those that are None."""
        self.count += 1
        for part, value in parts.items():
            without = self._without[part]
            if value is None:
                without.append(name)

    def note(self, phrase: Phrase, name: str) -> None:
        """Note that a thing does something."""
        self._found[phrase].append(name)

    def sentences(self, used: int) -> list[str]:
        """Return the sentences.

        Args:
            used: the number of things, or of their files, that can be used. Where all are without a part, it is not
                told: then none is meant to have it.
        """
        lacking = {(f"has no {part}", f"have no {part}"): names for part, names in self._without.items()}
        some = [(phrase, names) for phrase, names in lacking.items() if 0 < len(names) < used]
        told = [*self._found.items(), *some]
        return [sentence(phrase, names, self.count, self.what) for phrase, names in told]
