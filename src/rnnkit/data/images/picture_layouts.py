"""How pictures lie in folders, tables and archives; each layout becomes a list of entries."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from ...errors import DataError, DataFinding, Place, Remedy
from ...ordering import files_inside, natural_key
from ...spelling import composed
from ..archives import ARCHIVES, unpack
from ..file_tables import TABLES, only_table, tables_in
from ..sentences import listed
from ..text.decoding import decode_file
from .coco import is_coco, read_coco
from .mask_folders import MaskValues, is_mask, match_masks, read_masks
from .picture_entries import Entry, Found
from .picture_files import SUFFIXES
from .picture_names import entry_id, named_part, part_of
from .picture_tables import Columns, names_pictures, read_table, why_no_pictures
from .voc import is_voc, read_voc
from .yolo import is_yolo, label_files, read_yolo

_FORMS = dict.fromkeys(TABLES, "table") | {".json": "coco", ".xml": "voc", ".txt": "yolo"}
_DESCRIBING = tuple(_FORMS)
LAYOUTS = ("labels", "masks", "coco", "voc", "yolo", "table", "texts", "plain")

# What each layout needs beside pictures.
_LACKING = {
    "yolo": "text file of a picture",
    "masks": "mask",
    "texts": "text file beside a picture",
    "labels": "folder of a class",
}


@dataclass(frozen=True)
class Asked:
    """What the user said about a data set.

    Attributes:
        layout: its name, or "auto".
        columns: the names of a table's columns.
        mask_values: what the numbers in masks mean.
        classes: the names of the classes; None: as they occur.
    """

    layout: str
    columns: Columns
    mask_values: MaskValues = "auto"
    classes: tuple[str, ...] | None = None


def find_pictures(path: Path, asked: Asked) -> Found:
    """Return the entries of a data set, and how they lie.

    Raises:
        DataError: there are none, or what describes them is damaged.
    """
    if path.is_file():
        return _of_file(path, asked)
    files = picture_files(path)
    if not files and (packed := _archives(path)):
        if len(packed) == 1:
            return find_pictures(unpack(packed[0], "images"), asked)
        names = ", ".join(file.name for file in packed)
        raise DataError(f"holds {len(packed)} archives: {names}", Place(str(path)), "name one of them")
    layout = _find_layout(path, files, asked) if asked.layout == "auto" else asked.layout
    if layout == "table":
        return read_table(_only_table(path, asked.columns), asked.columns)
    if layout == "coco":
        return read_coco(_needed(path, "*.json", is_coco, "JSON file in COCO's form"), path, files)
    if not files:
        raise DataError(
            f"holds no pictures; expected {', '.join(SUFFIXES[:6])}, in folders or beside a table", Place(str(path))
        )
    if layout == "voc":
        return read_voc(_needed(path, "*.xml", is_voc, "XML file in the form of Pascal VOC"), path, files)
    if layout in _LACKING and not _has(layout, path, files):
        raise DataError(f"holds no {_LACKING[layout]}", Place(str(path)), Remedy("layout", "auto"))
    if layout == "yolo":
        return read_yolo(path, files)
    if layout == "masks":
        return read_masks(path, files, asked.mask_values, asked.classes)
    findings = _unread(path, asked.columns) if layout == "plain" and asked.layout == "auto" else []
    return Found(layout, _READERS[layout](path, files), findings=findings)


def _unread(path: Path, columns: Columns) -> list[str]:
    """Return a sentence about files that may describe pictures, but whose form was not recognised."""
    files = [
        file
        for file in sorted(path.rglob("*"))
        if file.name.lower().endswith(_DESCRIBING)
        and not file.stem.lower().startswith(("readme", "license"))
        and not any(part[0] == "." for part in file.relative_to(path).parts)
    ]
    if not files:
        return []
    names = [str(file.relative_to(path)) for file in files]
    tables = [number for number, file in enumerate(files) if file.parent == path and file.name.lower().endswith(TABLES)]
    for number in tables[:3]:
        names[number] += f" ({why_no_pictures(files[number], columns)})"
    problem = (
        f"Nothing is known of the pictures: {listed(names)} {'has' if len(names) == 1 else 'have'} no form that was "
        "recognised"
    )
    return [DataFinding.of(problem, Remedy("layout", _FORMS[files[0].suffix.lower()], "to be told what is wrong"))]


def _of_file(path: Path, asked: Asked) -> Found:
    name = path.name.lower()
    if name.endswith(ARCHIVES):
        return find_pictures(unpack(path, "images"), asked)
    if is_coco(path):
        # The pictures may lie beside the folder of the annotations.
        root = path.parent.parent if path.parent.name.lower().startswith("annotation") else path.parent
        return read_coco([path], root, picture_files(root))
    if name.endswith(TABLES):
        return read_table(path, asked.columns)
    if name.endswith((".xml", ".yaml", ".yml")):
        raise DataError("describes a folder of pictures", Place(str(path)), "give the folder in place of the file")
    return Found("plain", [Entry(path, id=path.stem)])


def _has(layout: str, path: Path, files: list[Path]) -> bool:
    """Return whether a folder holds what a layout needs beside pictures."""
    if layout == "yolo":
        return bool(label_files(path, files))
    if layout == "masks":
        return any(is_mask(file, path) for file in files)
    if layout == "texts":
        return bool(_texts(files))
    return any(len(parts) > 1 for _, parts in below_root(path, files))


def _archives(path: Path) -> list[Path]:
    return sorted(file for file in path.iterdir() if file.name.lower().endswith(ARCHIVES) and file.name[0] != ".")


def _needed(path: Path, pattern: str, fits: Callable[[Path], bool], what: str) -> list[Path]:
    found = _fitting(path, pattern, fits)
    if not found:
        raise DataError(f"holds no {what}", Place(str(path)))
    return found


def _fitting(path: Path, pattern: str, fits: Callable[[Path], bool]) -> list[Path]:
    files = sorted(path.rglob(pattern), key=lambda file: natural_key(str(file.relative_to(path))))
    return [file for file in files if file.name[0] != "." and file.is_file() and fits(file)]


def picture_files(path: Path) -> list[Path]:
    """Return the pictures in a folder and in those below it, in natural order; hidden files do not count."""
    return files_inside(path, SUFFIXES)


def _find_layout(path: Path, files: list[Path], asked: Asked) -> str:
    """Return the layout of a folder, by the names in it."""
    if any(asked.columns.given().values()):
        return "table"
    if next(path.rglob("*.json"), None) is not None and _fitting(path, "*.json", is_coco):
        return "coco"
    if next((file for file in path.rglob("*.xml") if is_voc(file)), None) is not None:
        return "voc"
    labels = label_files(path, files)
    if labels and is_yolo(list(labels.values())):
        return "yolo"
    tables = tables_in(path)
    if tables and (not files or any(names_pictures(table, asked.columns) for table in tables)):
        return "table"
    if any(is_mask(file, path) for file in files):
        masks, _ = match_masks(path, files)
        if masks and sum(map(bool, masks.values())) * 2 >= len(masks):
            return "masks"
    if files and len(_texts(files)) * 2 >= len(files):
        return "texts"
    below = below_root(path, files)
    if len({parts[0] for _, parts in below}) > 1 and all(len(parts) > 1 for _, parts in below):
        return "labels"
    return "plain"


def below_root(path: Path, files: list[Path]) -> list[tuple[Path, tuple[str, ...]]]:
    """Return each file with its path below the folders that hold all classes, such as those of parts."""
    found = [(file, file.relative_to(path).parts) for file in files]
    while found and min(len(parts) for _, parts in found) > 2 and len({parts[0] for _, parts in found}) == 1:
        found = [(file, parts[1:]) for file, parts in found]  # an archive often has a folder around all
    if found and all(len(parts) > 2 and named_part(parts[0]) is not None for _, parts in found):
        found = [(file, parts[1:]) for file, parts in found]
    return found


def _only_table(path: Path, columns: Columns) -> Path:
    tables = tables_in(path)
    tables = [table for table in tables if names_pictures(table, columns)] or tables
    return only_table(path, tables)


def _labels(path: Path, files: list[Path]) -> list[Entry]:
    """Return entries labelled by the folder that a file lies in."""
    entries = []
    for file, parts in below_root(path, files):
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
