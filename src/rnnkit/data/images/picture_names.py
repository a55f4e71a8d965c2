"""What the names of folders and files of pictures say: the part, the id."""

from __future__ import annotations

from pathlib import Path

_PARTS = {
    "train": "train",
    "training": "train",
    "trainval": "train",
    "val": "validation",
    "valid": "validation",
    "validation": "validation",
    "dev": "validation",
    "test": "test",
    "testing": "test",
    "eval": "test",
}


def part_of(file: Path, root: Path) -> str | None:
    """Return the part that a folder between the root and a file names: "train", "validation" or "test".

    Example:
        >>> part_of(Path("set/images/val/a.png"), Path("set"))
        'validation'
    """
    names = file.relative_to(root).parts[:-1] if file.is_relative_to(root) else file.parts[:-1]
    return next((found for name in names if (found := named_part(name)) is not None), None)


def named_part(name: str) -> str | None:
    """Return the part that a name such as "val" or "train2017" means; None: none.

    Example:
        >>> named_part("train2017"), named_part("instances_val2017"), named_part("cats")
        ('train', 'validation', None)
    """
    words = "".join(sign if sign.isalpha() else " " for sign in name.lower()).split()
    return next((_PARTS[word] for word in words if word in _PARTS), None)


def entry_id(file: Path, root: Path) -> str:
    """Return the name of a picture: its path from the root, without its suffix."""
    return file.relative_to(root).with_suffix("").as_posix()
