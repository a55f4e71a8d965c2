"""Tables of pictures: a row a picture with its text or label, or a row a box."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from ...errors import DataError, Place, Remedy
from ...spelling import composed
from ..file_tables import TABLES, cell_text, choose_columns, find_file, names_files, table_rows
from .picture_entries import Drawn, Entry, Found
from .picture_files import SUFFIXES

__all__ = ["TABLES", "Columns", "names_pictures", "read_table"]

_NAMES = {
    "path": ("path", "file", "file_name", "filename", "file_path", "filepath", "image", "image_path", "image_file",
             "image_name", "image_id", "imageid", "img", "img_path", "img_name", "picture", "photo", "id", "图像",
             "图片", "路径", "文件"),
    "left": ("xmin", "x_min", "x1", "left", "xtl", "minx", "bbox_x", "box_x", "x"),
    "top": ("ymin", "y_min", "y1", "top", "ytl", "miny", "bbox_y", "box_y", "y"),
    "right": ("xmax", "x_max", "x2", "right", "xbr", "maxx"),
    "bottom": ("ymax", "y_max", "y2", "bottom", "ybr", "maxy"),
    "box_width": ("bbox_width", "box_width", "bbox_w", "w"),
    "box_height": ("bbox_height", "box_height", "bbox_h", "h"),
    "box": ("bbox", "box", "bndbox"),
    "width": ("width", "image_width", "img_width"),
    "height": ("height", "image_height", "img_height"),
    "text": ("text", "transcript", "transcription", "caption", "words", "word", "string", "ground_truth",
             "文本", "文字"),
    "label": ("label", "class", "class_name", "classname", "category", "category_name", "label_name", "name", "target",
              "标签", "类别"),
    "group": ("group", "patient", "patient_id", "patientid", "subject", "subject_id", "slide", "slide_id", "video",
              "video_id", "case", "case_id", "source_id", "组"),
    "part": ("part", "split", "subset", "fold_name", "set"),
}  # fmt: skip
_BOX = ("left", "top", "right", "bottom", "box_width", "box_height", "box")
_FOLDERS = ("", "images", "image", "imgs", "pictures", "train", "data", "JPEGImages", "train_images")


@dataclass(frozen=True)
class Columns:
    """The names of a table's columns that the user gave; None: by the usual names.

    Attributes:
        box: the column of a list [left, top, width, height], or four: left, top, right and bottom.
    """

    path: str | None = None
    text: str | None = None
    label: str | None = None
    group: str | None = None
    part: str | None = None
    box: str | Sequence[str] | None = None

    def given(self) -> dict[str, str | None]:
        """Return the name of each role."""
        named = asdict(self)
        box = named.pop("box")
        if isinstance(box, str):
            named["box"] = box
        elif box is not None:
            named |= dict(zip(("left", "top", "right", "bottom"), box, strict=True))
        return named


def read_table(file: Path, columns: Columns, folder: Path | None = None) -> Found:
    """Read a table: a row a picture, or a row a box.

    Args:
        file: the table.
        columns: names that the user gave.
        folder: from which paths are counted; None: that of the table.

    Raises:
        DataError: a column is missing, a row has no path, or a corner of a box is no number.
    """
    base = file.parent if folder is None else folder
    chosen: dict[tuple[str, ...], dict[str, str]] = {}  # records of JSON may have different fields
    entries: dict[str, Entry] = {}
    listed: list[Entry] = []
    roles: dict[str, str] = {}
    for row, place in _rows(file):
        names = tuple(map(str, row))
        if names not in chosen:
            chosen[names] = _choose(names, columns, place)
            roles |= chosen[names]
        named = chosen[names]
        path = cell_text(row.get(named["path"]))
        if not path:
            raise DataError("has no path of a picture", place.at(column=named["path"]), "take the row out")
        boxed = _has_boxes(named)
        entry = entries.get(path) if boxed else None
        if entry is None:
            entry = entries[path] = _entry(row, named, find_file(path, base, _FOLDERS, SUFFIXES), boxed)
            listed.append(entry)
        if boxed:
            assert entry.drawn is not None
            _add_box(entry.drawn, row, named, place)
    return Found("table", listed, findings=_told(file, roles))


def names_pictures(file: Path, columns: Columns) -> bool:
    """Return whether a table has a column for the path of pictures, and one for what is known of them."""
    return why_no_pictures(file, columns) is None


def why_no_pictures(file: Path, columns: Columns) -> str | None:
    """Return why a table does not say anything of pictures that are there; None: it does."""

    def choose(names: Sequence[str], place: Place) -> dict[str, str]:
        named = _choose(names, columns, place)
        if not named.keys() & {"text", "label", "group", "part", *_BOX}:
            shown = ", ".join(map(repr, names[:12]))
            raise DataError(f"it has no column of boxes, labels or texts; the columns are {shown}", place)
        return named

    return names_files(_rows(file), choose, lambda cell: _exists(cell, file))


def _exists(cell: str, file: Path) -> bool:
    return find_file(cell, file.parent, _FOLDERS, SUFFIXES).is_file()


def _rows(file: Path) -> Iterator[tuple[dict[str, Any], Place]]:
    def headless(count: int) -> Sequence[str]:
        return ("path", "xmin", "ymin", "xmax", "ymax", "label") if count >= 5 else ("path", "text")

    return table_rows(file, lambda cell: _exists(cell, file), headless)


def _choose(names: Sequence[str], columns: Columns, place: Place) -> dict[str, str]:
    """Return the column of each role; "width" is that of a box where there is a left edge and no right one."""
    named = choose_columns(names, _NAMES, columns.given(), place)
    if "left" in named and "right" not in named:
        for role in ("width", "height"):
            if f"box_{role}" not in named and role in named:
                named[f"box_{role}"] = named.pop(role)
    edges = ({"left", "top", "right", "bottom"}, {"left", "top", "box_width", "box_height"}, {"box"})
    if not any(needed <= named.keys() for needed in edges):
        if "left" in named and "top" in named and {"right", "bottom", "box_width", "box_height"} & named.keys():
            shown = ", ".join(map(repr, names[:12]))
            raise DataError(
                f"which columns hold the edges of a box? Expected xmin, ymin, xmax, ymax, or x, y, w, h; the columns "
                f"are {shown}",
                place.at(line=None),
                Remedy("box_column"),
            )
        for role in _BOX:
            named.pop(role, None)
    return named


def _has_boxes(named: dict[str, str]) -> bool:
    return "left" in named or "box" in named


def _entry(row: dict[str, Any], named: dict[str, str], path: Path, boxed: bool) -> Entry:
    values = {role: row.get(name) for role, name in named.items()}
    text = values.get("text")
    entry = Entry(
        path,
        None if text is None or boxed else " ".join(map(str, text)) if isinstance(text, list) else str(text),
        None if boxed else composed(cell_text(values.get("label"))) or None,
        cell_text(values.get("group")) or None,
        cell_text(values.get("part")) or None,
        path.stem,
    )
    if boxed:
        size = tuple(_whole(values.get(side)) for side in ("width", "height"))
        entry.drawn = Drawn(size=(size[0], size[1]) if size[0] and size[1] else None)
    return entry


def _add_box(drawn: Drawn, row: dict[str, Any], named: dict[str, str], place: Place) -> None:
    """Add the box of a row; a row with empty cells says that the picture has none."""
    name = composed(cell_text(row.get(named["label"]))) if "label" in named else ""
    if "box" in named and "left" not in named:
        where = place.at(column=named["box"])
        written = row.get(named["box"])
        if isinstance(written, str):
            if not written.strip():
                return
            try:
                written = json.loads(written.replace("(", "[").replace(")", "]"))
            except ValueError:
                written = written.strip("[]() ").replace(",", " ").split()
        if not isinstance(written, list) or len(written) != 4:
            raise DataError(f"{written!r} arrived; expected [left, top, width, height]", where)
        left, top, width, height = (_number(one, where) for one in written)
        drawn.add(name or "object", (left, top, left + width, top + height))
        return
    sides = ("left", "top", "right", "bottom") if "right" in named else ("left", "top", "box_width", "box_height")
    cells = [cell_text(row.get(named[side])) for side in sides]
    if not any(cells):
        return
    left, top, third, fourth = (
        _number(cell, place.at(column=named[side])) for cell, side in zip(cells, sides, strict=True)
    )
    box = (left, top, third, fourth) if "right" in named else (left, top, left + third, top + fourth)
    drawn.add(name or "object", box)


def _number(value: Any, place: Place) -> float:
    try:
        number = float(value)
    except (TypeError, ValueError):
        raise DataError(f"{value!r} is no number of pixels", place) from None
    return number if math.isfinite(number) else math.nan  # such boxes are left out, and counted


def _whole(value: Any) -> int:
    try:
        return int(float(cell_text(value)))
    except ValueError:
        return 0


def _told(file: Path, roles: dict[str, str]) -> list[str]:
    """Return a sentence about columns whose role is guessed from a name that says little."""
    vague = {"path": {"id"}, "label": {"name", "target"}, "left": {"x"}, "part": {"set"}, "group": {"case"}}
    guessed = [f"{name!r} holds the {role}" for role, name in roles.items() if name.casefold() in vague.get(role, ())]
    if not guessed:
        return []
    return [f"{file.name}: the column {', and '.join(guessed)}, by its name. Name another one if that is wrong."]
