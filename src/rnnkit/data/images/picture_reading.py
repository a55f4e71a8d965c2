"""Read a data set of pictures: find its layout, look at its files, and put right what is written about them."""

from __future__ import annotations

import os
import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from typing import Literal

from ...errors import ConfigError, DataError, Place, Remedy, check_choice
from ...ordering import sorted_names
from ..data_folder import find_data
from .picture_headers import Headers
from .picture_layouts import LAYOUTS, find_pictures
from .picture_tables import Columns
from .pictures import Picture, PictureSet

Layout = Literal["auto", "labels", "texts", "table", "plain"]


def read_pictures(
    path: str | os.PathLike[str],
    *,
    layout: Layout = "auto",
    classes: Sequence[str] | None = None,
    group: str | None = None,
    path_column: str | None = None,
    text_column: str | None = None,
    label_column: str | None = None,
    group_column: str | None = None,
    part_column: str | None = None,
    box_column: str | Sequence[str] | None = None,
) -> PictureSet:
    """Find pictures with their labels, texts, boxes and masks.

    Layouts:

    - "labels": two or more folders, one a class, ``cat/1.jpg``; they may lie in folders of parts, ``train/cat/1.jpg``.
    - "texts": a text file for each picture, ``a.png`` and ``a.txt`` (or ``a.gt.txt``) beside it.
    - "table": a CSV or TSV file, JSON lines or a JSON array, with a column for the path (relative to the table, or to a
      folder beside it), and for the text or the label, and maybe the group and the part. A folder with pictures and
      one table is read by the table. A table without a header has the path first and the text second.
    - "plain": pictures of which nothing is known.

    Args:
        path: a folder, a table, a picture, or a .tar.gz, .tgz, .tar or .zip of any of these, which is unpacked into
            the cache. It is looked for in the folder ``RNNKIT_DATA``, too.
        layout: one of the above; "auto": what the names of the files say.
        classes: the names of the classes in the order of their numbers; None: as the set lists them, else in natural
            order.
        group: a regular expression whose first group, found in a picture's id, is the group of the picture, such as
            ``(patient\\d+)``.
        path_column, text_column, label_column, group_column, part_column: of a table, where the names of its columns do
            not tell.
        box_column: of a table of boxes: the column of [left, top, width, height], or the four columns of left, top,
            right and bottom.

    Returns:
        The pictures in the order of the table, else by name. Files that cannot be read, that are empty, truncated or
        missing are left out. `findings` names them, as sentences.

    Raises:
        DataError: there is no such path, no picture in it, or a table is damaged.
        ConfigError: an argument has no such value.

    Example:
        >>> import pathlib, tempfile
        >>> from PIL import Image
        >>> folder = pathlib.Path(tempfile.mkdtemp())
        >>> for name in ("cat/1.png", "cat/2.png", "dog/1.png"):
        ...     (folder / name).parent.mkdir(exist_ok=True)
        ...     Image.new("RGB", (40, 30)).save(folder / name)
        >>> pictures = read_pictures(folder)
        >>> pictures, pictures.classes, pictures[2].label, pictures.image(2).shape
        (PictureSet(3 pictures, 2 classes), ('cat', 'dog'), 'dog', torch.Size([3, 30, 40]))
    """
    check_choice(layout, "layout", ("auto", *LAYOUTS))
    columns = Columns(path_column, text_column, label_column, group_column, part_column, box_column)
    pattern = _pattern(group)
    root = find_data(os.path.expanduser(path))
    found = find_pictures(root, layout, columns)
    given = [f"{role}_column" for role, name in columns.given().items() if name is not None]
    if given and found.layout != "table":
        raise ConfigError(f"{given[0]} arrived, but {path} has no table of pictures")
    headers = Headers()
    pictures: list[Picture] = []
    for entry in found.entries:
        info = headers.examine(entry)
        if info is None:
            continue
        of = entry.group
        if pattern is not None:
            match = pattern.search(entry.id)
            of = match[1] if match else None
        pictures.append(
            Picture(str(entry.path), info.width, info.height, entry.text, entry.label, of, entry.part, id=entry.id)
        )
    if not pictures:
        first = headers.findings()[:1]
        raise DataError(
            "holds no picture that can be read", Place(str(path)), "name another path", note=first[0] if first else ""
        )
    if pattern is not None and all(picture.group is None for picture in pictures):
        raise ConfigError.of("group", group, f"no id has it; ids are such as {pictures[0].id!r}")
    names = _classes(pictures, found.classes, classes, str(path))
    findings = (*found.findings, *headers.findings())
    return PictureSet(_unique(pictures), names, str(path), found.layout, findings)


def _pattern(group: str | None) -> re.Pattern[str] | None:
    if group is None:
        return None
    try:
        pattern = re.compile(group)
    except re.error as error:
        raise ConfigError.of("group", group, f"expected a regular expression ({error})") from None
    if not pattern.groups:
        raise ConfigError.of("group", group, f"expected a group in brackets, such as ({group})")
    return pattern


def _classes(
    pictures: Sequence[Picture], known: tuple[str, ...], given: Sequence[str] | None, source: str
) -> tuple[str, ...]:
    """Return the names of the classes; those that occur have to be among those that were given."""
    there = sorted_names({picture.label for picture in pictures if picture.label is not None})
    if given is None:
        return known or there
    lacking = [name for name in there if name not in given]
    if lacking:
        raise DataError(
            f"has the class {lacking[0]!r}, which is none of classes={list(given)}",
            Place(source),
            Remedy("classes", [*given, *lacking]),
        )
    return tuple(given)


def _unique(pictures: list[Picture]) -> tuple[Picture, ...]:
    """Give each picture a name of its own."""
    counts = Counter(picture.id for picture in pictures)
    seen: Counter[str] = Counter()
    named = []
    for picture in pictures:
        seen[picture.id] += 1
        named.append(picture if counts[picture.id] == 1 else replace(picture, id=f"{picture.id}#{seen[picture.id]}"))
    return tuple(named)
