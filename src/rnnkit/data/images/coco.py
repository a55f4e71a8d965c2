"""Data sets in COCO's form: a JSON file with "images", "annotations" and "categories"."""

from __future__ import annotations

import json
import os
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from ...errors import DataError, Place
from ...spelling import composed
from ..sentences import listed, sentence
from .outlines import Outline, polygons_of, read_runs
from .picture_entries import Drawn, Entry, Found
from .picture_names import entry_id, named_part, part_of

_HEAD = 1 << 16


def is_coco(file: Path) -> bool:
    """Return whether a JSON file is in COCO's form, by the names of its fields."""
    if file.suffix.lower() != ".json":
        return False
    with file.open("rb") as stream:
        first = stream.read(_HEAD)
        if not first.lstrip().startswith(b"{"):
            return False
        stream.seek(max(file.stat().st_size - _HEAD, 0))
        ends = first + stream.read()
        if b'"images"' not in ends or b'"file_name"' not in ends:
            if file.stat().st_size <= 2 * _HEAD:
                return False
            stream.seek(0)
            whole = stream.read()
            return b'"images"' in whole and b'"file_name"' in whole
    return True


def read_coco(files: Sequence[Path], root: Path, pictures: Sequence[Path]) -> Found:
    """Read data sets in COCO's form.

    A box is [left, top, width, height]. An outline is a list of polygons, or runs of pixels (RLE) as counts or packed.
    The part of a picture is taken from the name of the JSON file, or by a folder: "train", "val", "test".

    Args:
        files: the JSON files.
        root: the folder of the data set.
        pictures: all pictures in it.

    Raises:
        DataError: a file is no JSON, or an annotation is damaged.
    """
    by_name: dict[str, list[Path]] = defaultdict(list)
    for file in pictures:
        by_name[file.name].append(file)
    entries: dict[Path, Entry] = {}
    classes: dict[str, None] = {}
    told: Counter[str] = Counter()
    unnamed: dict[str, None] = {}  # in order
    for file in files:
        content = _content(file)
        names = _categories(content, file)
        annotations = _list(content, "annotations", file)
        if annotations and not any("bbox" in one or "segmentation" in one for one in annotations):
            continue  # captions
        classes |= dict.fromkeys(names.values())
        part = named_part(file.stem) or part_of(file, root)
        own = {}
        for image, place in _items(content, "images", file):
            path = _find(str(image.get("file_name", "")), file, root, by_name)
            entry = entries.get(path)
            if entry is None:
                found = part_of(path, root) if part is None else part
                name = entry_id(path, root) if path.is_relative_to(root) else path.stem
                entry = entries[path] = Entry(path, part=found, id=name)
            if "annotations" in content and entry.drawn is None:
                entry.drawn = Drawn(size=_size(image))
            number = _key(image.get("id"))
            if number in own:
                raise DataError(f"has two images with the id {number!r}", place)
            own[number] = entry
        for annotation, place in _items(content, "annotations", file):
            entry = own.get(_key(annotation.get("image_id")))
            if entry is None:
                told["belonging to no picture of the file, which are left out"] += 1
                continue
            assert entry.drawn is not None
            category = _key(annotation.get("category_id", "object"))
            name = names.get(category, str(category))
            if category not in names and "category_id" in annotation:
                unnamed[str(category)] = None
            classes[name] = None
            _add(entry.drawn, annotation, name, place)
            told["with keypoints, which are not read"] += bool(annotation.get("num_keypoints"))
    if not entries:
        raise DataError("holds no annotations of boxes or outlines", Place(str(files[0])))
    where = listed([file.name for file in files])
    findings = [f"Annotations {what}: {count:,} in {where}." for what, count in told.items() if count]
    known = set(map(os.path.abspath, entries))
    unlisted = [path.name for path in pictures if os.path.abspath(path) not in known]
    if unlisted:
        phrase = (f"is not listed in {where}, and is left out", f"are not listed in {where}, and are left out")
        findings.append(sentence(phrase, unlisted, len(pictures), "pictures"))
    if unnamed:
        findings.append(f"Categories without a name, which are called by their numbers: {listed(list(unnamed))}.")
    return Found("coco", list(entries.values()), tuple(classes), findings)


def _content(file: Path) -> Mapping[str, Any]:
    try:
        content = json.loads(file.read_bytes().decode("utf-8-sig"))
    except RecursionError:
        raise DataError("the JSON is nested too deep", Place(str(file))) from None
    except ValueError as error:
        raise DataError(f"is no whole JSON ({error})", Place(str(file)), "copy it again") from None
    if not isinstance(content, dict):
        raise DataError('expected an object with "images" and "annotations"', Place(str(file)))
    return content


def _categories(content: Mapping[str, Any], file: Path) -> dict[Any, str]:
    """Return the name of each category by its id, in the order of the ids."""
    listed_there = _list(content, "categories", file)
    found = {}
    for one in listed_there:
        name = str(one.get("name") or "")
        found[_key(one.get("id"))] = composed(name) if name.strip() else str(one.get("id"))
    return {id: found[id] for id in sorted(found, key=lambda id: id if isinstance(id, int) else 0)}


def _key(id: Any) -> Any:
    """Return an id of JSON as a key: a list or an object as its text."""
    return id if isinstance(id, str | int | float | None) else repr(id)


def _list(content: Mapping[str, Any], name: str, file: Path) -> list[Any]:
    found = content.get(name, [])
    if not isinstance(found, list):
        raise DataError(f'"{name}" is no list', Place(str(file)))
    return [one for one in found if isinstance(one, dict)]


def _items(content: Mapping[str, Any], name: str, file: Path) -> Iterator[tuple[dict[str, Any], Place]]:
    for number, one in enumerate(_list(content, name, file)):
        yield one, Place(str(file), part=f"{name}[{number}]")


def _size(image: Mapping[str, Any]) -> tuple[int, int] | None:
    width, height = image.get("width"), image.get("height")
    if isinstance(width, int) and isinstance(height, int) and width > 0 and height > 0:
        return width, height
    return None


def _find(name: str, file: Path, root: Path, by_name: Mapping[str, list[Path]]) -> Path:
    """Return a picture by the name that the file gives it: beside the file, or in a folder of the data set."""
    plain = name.replace("\\", "/")
    part = named_part(file.stem)
    folders = [file.parent, root, file.parent / "images", root / "images", file.parent.parent]
    for folder in folders:
        if (found := folder / plain).is_file():
            return found
    same = by_name.get(Path(plain).name, [])
    alike = [one for one in same if part is None or part_of(one, root) == part] or same
    return alike[0] if alike else root / plain


def _add(drawn: Drawn, annotation: Mapping[str, Any], name: str, place: Place) -> None:
    written = annotation.get("bbox")
    box = None
    if written:
        try:
            left, top, width, height = (float(one) for one in written)
        except (TypeError, ValueError):
            raise DataError(f"bbox {written!r} arrived; expected [left, top, width, height]", place) from None
        box = (left, top, left + width, top + height)
    outline: Outline | None = None
    drawing = annotation.get("segmentation")
    try:
        if isinstance(drawing, dict):
            outline = read_runs(drawing.get("counts"), drawing.get("size"))
        elif isinstance(drawing, list) and drawing:
            outline = polygons_of(drawing if isinstance(drawing[0], list | tuple) else [drawing])
    except DataError as error:
        raise DataError(error.problem, place, "take the annotation out") from None
    if box is None and outline is None:
        box = (0.0, 0.0, 0.0, 0.0)  # left out as an empty one, and counted
    drawn.add(name, box, outline, crowd=bool(annotation.get("iscrowd")))
