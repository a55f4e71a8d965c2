"""The natural order of names, class_2 before class_10, and the files of a folder in it."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable
from pathlib import Path


def natural_key(name: str) -> tuple[list[str | int], str]:
    """Return what sorts names by the numbers in them, for ``sorted(names, key=natural_key)``.

    Example:
        >>> sorted(["b", "class_10", "class_2", "10", "9"], key=natural_key)
        ['9', '10', 'b', 'class_2', 'class_10']
    """
    parts: list[str | int] = list(re.split("([0-9]+)", name))
    parts[1::2] = [int(number) for number in parts[1::2]]
    return parts, name


def sorted_names(labels: Iterable[object]) -> tuple[str, ...]:
    """Return the distinct labels in order: by value where all of them are numbers, else in natural order.

    Example:
        >>> sorted_names([10, 9, 9]), sorted_names(["-1", "0.5"]), sorted_names(["b10", "a", "b9"])
        (('9', '10'), ('-1', '0.5'), ('a', 'b9', 'b10'))
    """
    names = sorted({str(label) for label in labels}, key=natural_key)
    try:
        return tuple(sorted(names, key=float))
    except ValueError:
        return tuple(names)


def files_inside(folder: Path, suffixes: Collection[str]) -> list[Path]:
    """Return the files in a folder and in those below it, in natural order; hidden ones do not count.

    Args:
        folder: it.
        suffixes: that files end in, in small letters.

    Example:
        >>> import tempfile
        >>> folder = Path(tempfile.mkdtemp())
        >>> for name in ("b10.png", "b9.PNG", ".b8.png", "a.txt"):
        ...     (folder / name).touch()
        >>> [file.name for file in files_inside(folder, (".png",))]
        ['b9.PNG', 'b10.png']
    """
    found = []
    for file in folder.rglob("*"):
        parts = file.relative_to(folder).parts
        hidden = any(part[0] == "." or part == "__MACOSX" for part in parts)
        if file.suffix.lower() in suffixes and not hidden and file.is_file():
            found.append((natural_key("/".join(parts)), file))
    return [file for _, file in sorted(found)]
