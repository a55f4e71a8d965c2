"""Data sets in the form of Pascal VOC: an XML file for each picture, and lists of names in ``ImageSets``."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path
from xml.etree import ElementTree

from ...spelling import composed
from ..sentences import sentence
from .picture_entries import Drawn, Entry, Found
from .picture_files import SUFFIXES
from .picture_names import entry_id, part_of

_LISTS = (("train", "train"), ("val", "validation"), ("test", "test"), ("trainval", "train"))
_SIDES = ("xmin", "ymin", "xmax", "ymax")


def is_voc(file: Path) -> bool:
    """Return whether an XML file is in the form of Pascal VOC."""
    with file.open("rb") as stream:
        return b"<annotation" in stream.read(4096)


def read_voc(files: Sequence[Path], root: Path, pictures: Sequence[Path]) -> Found:
    """Read XML files of boxes, and the lists in ``ImageSets/Main`` (or ``Layout``, ``Segmentation``).

    Corners are edges of pixels, counted from 0, as LabelImg writes them.
    The original data sets of 2005 to 2012, whose ``database`` begins with "The VOC", count pixels from 1: there 1 is
    taken from xmin and ymin. A box that is ``difficult`` becomes a crowd. Damaged files are left out and reported.
    """
    by_stem: dict[str, list[Path]] = defaultdict(list)
    for file in pictures:
        by_stem[file.stem].append(file)
    parts = _parts(root)
    entries: dict[Path, Entry] = {}
    damaged: list[str] = []
    lost: list[str] = []
    for file in files:
        try:
            drawn, filename = _read(file)
        except (ElementTree.ParseError, ValueError, UnicodeError, LookupError) as error:
            damaged.append(f"{file.name} ({error})")
            continue
        path = _find(file, filename, by_stem)
        if path is None:
            lost.append(file.name)
            continue
        part = parts.get(path.stem, parts.get(file.stem)) if parts else part_of(path, root)
        entries[path] = Entry(path, part=part, id=entry_id(path, root), drawn=drawn)
    for path in pictures:
        if path not in entries:
            part = parts.get(path.stem) if parts else part_of(path, root)
            entries[path] = Entry(path, part=part, id=entry_id(path, root))
    order = {path: number for number, path in enumerate(pictures)}
    found = sorted(entries.values(), key=lambda entry: order.get(entry.path, len(order)))
    told = [
        sentence(phrase, names, len(files), "XML files")
        for phrase, names in (
            (("is damaged, and is left out", "are damaged, and are left out"), damaged),
            (("belongs to no picture, and is left out", "belong to no picture, and are left out"), lost),
        )
        if names
    ]
    return Found("voc", found, findings=told)


def _read(file: Path) -> tuple[Drawn, str]:
    content = file.read_bytes()
    if b"<!ENTITY" in content:
        raise ValueError("it defines entities, which are not read")
    tree = ElementTree.fromstring(content)
    width, height = (_number(tree.findtext(f"size/{side}")) for side in ("width", "height"))
    drawn = Drawn(size=(int(width), int(height)) if width > 0 and height > 0 else None)
    first = 1.0 if (tree.findtext("source/database") or "").strip().startswith("The VOC") else 0.0
    for thing in tree.iter("object"):
        left, top, right, bottom = (_number(thing.findtext(f"bndbox/{side}")) for side in _SIDES)
        crowd = (thing.findtext("difficult") or "0").strip() == "1"
        name = composed((thing.findtext("name") or "").strip()) or "object"
        drawn.add(name, (left - first, top - first, right, bottom), crowd=crowd)
    return drawn, (tree.findtext("filename") or "").strip()


def _number(text: str | None) -> float:
    try:
        return float(text or "nan")
    except ValueError:
        return math.nan  # such boxes are left out, and counted


def _find(file: Path, filename: str, by_stem: dict[str, list[Path]]) -> Path | None:
    """Return the picture of an XML file: of its name, else of the name that stands in it; the nearest of several."""
    stems = [file.stem, Path(filename.replace("\\", "/")).stem if filename else ""]
    for stem in stems:
        named = by_stem.get(stem)
        if named:
            return max(named, key=lambda one: _common(one, file))
    return next((file.with_suffix(suffix) for suffix in SUFFIXES if file.with_suffix(suffix).is_file()), None)


def _common(one: Path, other: Path) -> int:
    return sum(a == b for a, b in zip(one.parts, other.parts, strict=False))


def _parts(root: Path) -> dict[str, str]:
    """Return the part of each name in the lists; a list "train" counts more than "trainval"."""
    found: dict[str, str] = {}
    for folder in sorted(root.rglob("ImageSets")):
        lists = [one for one in (folder / "Main", folder / "Layout", folder / "Segmentation", folder) if one.is_dir()]
        for place in lists:
            for name, part in _LISTS:
                file = place / f"{name}.txt"
                if file.is_file():
                    for line in file.read_text("utf-8", "replace").split("\n"):
                        if line.split():
                            found.setdefault(line.split()[0], part)
    return found
