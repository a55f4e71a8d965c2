"""Data sets in YOLO's form: a text file for each picture, a line a box or a polygon, in shares of the picture."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from ...errors import DataError, Place
from ...spelling import composed
from ..sentences import sentence
from .outlines import Polygons
from .picture_entries import Drawn, Entry, Found
from .picture_names import entry_id, named_part, part_of

_NAME_FILES = ("classes.txt", "obj.names", "classes.names", "_darknet.labels", "names.txt")

_LARGEST = 2.0  # of a share: boxes may reach out of the picture; larger numbers are pixels


def label_files(root: Path, pictures: Sequence[Path]) -> dict[Path, Path]:
    """Return the text file of each picture: beside it, or under ``labels`` where the picture lies under ``images``."""
    found = {}
    for picture in pictures:
        places = [picture.with_suffix(".txt")]
        parts = picture.relative_to(root).parts
        for number, name in enumerate(parts[:-1]):
            if name.lower() in ("images", "jpegimages", "imgs"):
                places.append((root.joinpath(*parts[:number], "labels", *parts[number + 1 :])).with_suffix(".txt"))
        if parts[:-1] == () or len(parts) == 2:
            places.append((root / "labels" / parts[-1]).with_suffix(".txt"))
        text = next((place for place in places if place.is_file()), None)
        if text is not None and text.name.lower() not in _NAME_FILES:
            found[picture] = text
    return found


def is_yolo(files: Sequence[Path]) -> bool:
    """Return whether text files hold lines of a class and numbers: most of those that are not empty."""
    fits = []
    for file in files[:50]:
        with file.open("rb") as stream:
            lines = stream.read(2048).decode("utf-8", "replace").strip().split("\n")
        if lines[0].strip():
            fits.append(_numbers(lines[0]) is not None)
    return 2 * sum(fits) > len(fits)


def read_yolo(root: Path, pictures: Sequence[Path]) -> Found:
    """Read text files of boxes or polygons.

    A line is ``class x y width height``, the centre and the size of a box, maybe with a score behind, which is not
    read; or ``class x y x y x y …``, the corners of a polygon. All are shares of the picture's width and height. The
    names of the classes stand in ``data.yaml`` or ``classes.txt``. An empty file says that nothing is in the picture; a
    picture without a file has no annotation.

    Raises:
        DataError: a line is damaged.
    """
    names = class_names(root)
    labels = label_files(root, pictures)
    parts = _lists(root)
    used = set()
    entries = []
    for picture in pictures:
        part = parts.get(picture.name, part_of(picture, root))
        entry = Entry(picture, part=part, id=entry_id(picture, root))
        if picture in labels:
            entry.drawn = _read(labels[picture], names)
            used.add(labels[picture])
        entries.append(entry)
    known = tuple(names[number] for number in sorted(names))
    spare = [
        file
        for folder in sorted(root.rglob("labels"))
        if folder.is_dir()
        for file in sorted(folder.rglob("*.txt"))
        if file not in used and file.name.lower() not in _NAME_FILES
    ]
    told = []
    if spare:
        phrase = ("belongs to no picture, and is left out", "belong to no picture, and are left out")
        told.append(sentence(phrase, [file.name for file in spare], len(spare) + len(used), "label files"))
    return Found("yolo", entries, known, told)


def class_names(root: Path) -> dict[int, str]:
    """Return the names of the classes by their numbers, of ``data.yaml`` or a list; {} where there are none."""
    for file in (*sorted(root.glob("*.yaml")), *sorted(root.glob("*.yml"))):
        found = yaml_names(file.read_text("utf-8-sig", "replace"))
        if found:
            return found
    for folder in (root, root / "labels", *sorted(one for one in root.glob("labels/*") if one.is_dir())):
        for name in _NAME_FILES:
            if (folder / name).is_file():
                lines = (folder / name).read_text("utf-8-sig", "replace").split("\n")
                return {number: composed(line.strip()) for number, line in enumerate(lines) if line.strip()}
    return {}


def yaml_names(text: str) -> dict[int, str]:
    """Return the entry ``names`` of a YAML file: a list in brackets or in lines, or names by numbers.

    Example:
        >>> yaml_names("nc: 2\\nnames: ['a cat', dog]  # two\\n"), yaml_names("names:\\n  0: cat\\n  3: dog\\nnc: 2")
        ({0: 'a cat', 1: 'dog'}, {0: 'cat', 3: 'dog'})
        >>> yaml_names("names:\\n- cat\\n- dog\\ntrain: a")
        {0: 'cat', 1: 'dog'}
    """
    lines = text.split("\n")
    start = next((number for number, line in enumerate(lines) if re.match("names *:", line)), None)
    if start is None:
        return {}
    rest = _uncommented(lines[start].split(":", 1)[1])
    if rest[:1] in ("[", "{"):
        end = "]" if rest[0] == "[" else "}"
        following = iter(lines[start + 1 :])
        while end not in rest and (line := next(following, None)) is not None:
            rest += " " + _uncommented(line)
        items = [one.strip() for one in rest[1:].split(end)[0].split(",") if one.strip()]
        if end == "]":
            return {number: _unquoted(one) for number, one in enumerate(items)}
        return _numbered(items)
    items = []
    for line in lines[start + 1 :]:
        written = _uncommented(line)
        if not written:
            continue
        if not line[0].isspace() and not written.startswith("- "):
            break
        items.append(written)
    if all(one.startswith("- ") for one in items):
        return {number: _unquoted(one[2:]) for number, one in enumerate(items)}
    return _numbered(items)


def _numbered(items: Sequence[str]) -> dict[int, str]:
    pairs = [one.split(":", 1) for one in items if ":" in one]
    found = {_unquoted(number): _unquoted(name) for number, name in pairs}
    return {int(number): name for number, name in found.items() if number.isdigit()}


def _uncommented(line: str) -> str:
    return line.split(" #")[0].strip() if not line.lstrip().startswith("#") else ""


def _unquoted(text: str) -> str:
    text = text.strip()
    return composed(text[1:-1] if len(text) > 1 and text[0] == text[-1] and text[0] in "'\"" else text)


def _lists(root: Path) -> dict[str, str]:
    """Return the part of each picture's name in lists such as ``train.txt``."""
    found: dict[str, str] = {}
    for file in sorted(root.glob("*.txt")):
        part = named_part(file.stem)
        if part is None:
            continue
        for line in file.read_text("utf-8-sig", "replace").split("\n"):
            if line.strip():
                found.setdefault(Path(line.strip().replace("\\", "/")).name, part)
    return found


def _read(file: Path, names: dict[int, str]) -> Drawn:
    drawn = Drawn(shares=True)
    for number, line in enumerate(file.read_text("utf-8-sig", "replace").split("\n"), 1):
        if not line.strip():
            continue
        place = Place(str(file), number)
        found = _numbers(line)
        if found is None:
            problem = f"{line.strip()[:60]!r} arrived; expected a class and 4 numbers, or the corners of a polygon"
            raise DataError(problem, place)
        label, numbers = found
        if names and label not in names:
            raise DataError(f"the class {label} has no name; the names have the numbers {_range(names)}", place)
        if max(map(abs, numbers[:4])) > _LARGEST:
            problem = f"{line.strip()[:60]!r} arrived; expected shares of the picture's width and height, from 0 to 1"
            raise DataError(problem, place, "divide pixels by the width and the height")
        name = names.get(label, str(label))
        if len(numbers) in (4, 5):
            x, y, width, height = numbers[:4]
            drawn.add(name, (x - width / 2, y - height / 2, x + width / 2, y + height / 2))
        else:
            corners = np.asarray(numbers, np.float64).reshape(-1, 2)
            drawn.add(name, None, Polygons((corners,)))
    return drawn


def _numbers(line: str) -> tuple[int, list[float]] | None:
    """Return the class and the numbers of a line; None: it is none of YOLO's."""
    words = line.replace(",", " ").split()
    try:
        label, numbers = float(words[0]), [float(word) for word in words[1:]]
    except (ValueError, IndexError):
        return None
    fits = len(numbers) in (4, 5) or (len(numbers) >= 6 and len(numbers) % 2 == 0)
    if not fits or label != int(label) or label < 0 or not all(math.isfinite(one) for one in numbers):
        return None
    return int(label), numbers


def _range(names: dict[int, str]) -> str:
    return f"{min(names)} to {max(names)}"
