"""How pictures lie in folders, tables and archives; each layout becomes a list of entries."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from pathlib import Path

from ...errors import DataError, Place
from ...ordering import natural_key
from ...spelling import composed
from ..archives import ARCHIVES, unpack
from ..text.decoding import decode_file
from .picture_entries import Entry, Found
from .picture_files import SUFFIXES
from .picture_tables import TABLES, Columns, names_pictures, read_table

LAYOUTS = ("labels", "texts", "table", "plain")
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


def find_pictures(path: Path, layout: str, columns: Columns) -> Found:
    """Return the entries of a data set, and how they lie.

    Raises:
        DataError: there are none, or what describes them is damaged.
    """
    if path.is_file():
        name = path.name.lower()
        if name.endswith(ARCHIVES):
            return find_pictures(unpack(path, "images"), layout, columns)
        if name.endswith(TABLES):
            return read_table(path, columns)
        return Found("plain", [Entry(path, id=path.stem)])
    files = picture_files(path)
    if layout == "auto":
        layout = _find_layout(path, files, columns)
    if layout == "table":
        return read_table(_only_table(path, columns), columns)
    if not files:
        raise DataError(
            f"holds no pictures; expected {', '.join(SUFFIXES[:6])}, in folders or beside a table", Place(str(path))
        )
    return Found(layout, _READERS[layout](path, files))


def picture_files(path: Path) -> list[Path]:
    """Return the pictures in a folder and in those below it, in natural order; hidden files do not count."""
    found = [
        file
        for file in path.rglob("*")
        if file.suffix.lower() in SUFFIXES
        and not any(part[0] == "." or part == "__MACOSX" for part in file.relative_to(path).parts)
    ]
    return sorted((file for file in found if file.is_file()), key=lambda file: natural_key(str(file.relative_to(path))))


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


def _find_layout(path: Path, files: list[Path], columns: Columns) -> str:
    """Return the layout of a folder, by the names in it."""
    tables = _tables(path)
    named = any(columns.given().values())
    if tables and (named or not files or any(names_pictures(table, columns) for table in tables)):
        return "table"
    if files and len(_texts(files)) * 2 >= len(files):
        return "texts"
    classes = {parts[0] for file, parts in _below_root(path, files) if len(parts) > 1}
    if len(classes) > 1 and all(len(parts) > 1 for _, parts in _below_root(path, files)):
        return "labels"
    return "plain"


def _below_root(path: Path, files: list[Path]) -> list[tuple[Path, tuple[str, ...]]]:
    """Return each file with its path below the folders that hold all classes, such as those of parts."""
    found = [(file, file.relative_to(path).parts) for file in files]
    while found and min(len(parts) for _, parts in found) > 2 and len({parts[0] for _, parts in found}) == 1:
        found = [(file, parts[1:]) for file, parts in found]  # an archive often has a folder around all
    if found and all(len(parts) > 2 and named_part(parts[0]) is not None for _, parts in found):
        found = [(file, parts[1:]) for file, parts in found]
    return found


def _tables(path: Path) -> list[Path]:
    return sorted(file for file in path.iterdir() if file.name.lower().endswith(TABLES) and file.name[0] != ".")


def _only_table(path: Path, columns: Columns) -> Path:
    tables = _tables(path)
    tables = [table for table in tables if names_pictures(table, columns)] or tables
    if len(tables) == 1:
        return tables[0]
    if not tables:
        raise DataError(f"holds no table; expected one of {', '.join(TABLES)}", Place(str(path)))
    names = ", ".join(file.name for file in tables)
    raise DataError(f"holds {len(tables)} tables: {names}", Place(str(path)), "name one of them in place of the folder")


def _labels(path: Path, files: list[Path]) -> list[Entry]:
    """Return entries labelled by the folder that a file lies in."""
    entries = []
    for file, parts in _below_root(path, files):
        if len(parts) > 1:
            entries.append(Entry(file, label=composed(parts[0]), part=part_of(file, path), id=entry_id(file, path)))
    return entries


def _texts(files: list[Path]) -> dict[Path, Path]:
    """Return the file with the text of each picture that has one beside it: a.txt, or a.gt.txt, for a.png."""
    names = Counter(file.with_suffix("") for file in files)
    found = {}
    for file in files:
        beside = (file.with_suffix(".txt"), file.with_suffix(".gt.txt"))
        text = next((one for one in beside if one.is_file()), None)
        if text is not None and names[file.with_suffix("")] == 1:
            found[file] = text
    return found


def _with_texts(path: Path, files: list[Path]) -> list[Entry]:
    texts = _texts(files)
    entries = []
    for file in files:
        text = _whole_text(texts[file]) if file in texts else None
        entries.append(Entry(file, text, part=part_of(file, path), id=entry_id(file, path)))
    return entries


def _whole_text(file: Path) -> str:
    try:
        return "\n".join("".join(decode_file(file)).split("\n")).strip()
    except DataError:
        if not file.read_bytes().strip():
            return ""
        raise


def _plain(path: Path, files: list[Path]) -> list[Entry]:
    return [Entry(file, part=part_of(file, path), id=entry_id(file, path)) for file in files]


_READERS: dict[str, Callable[[Path, list[Path]], list[Entry]]] = {
    "labels": _labels,
    "texts": _with_texts,
    "plain": _plain,
}
