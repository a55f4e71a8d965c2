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
from .drawn_pictures import Drawings
from .mask_folders import MaskValues
from .picture_entries import Entry
from .picture_headers import PictureHeaders
from .picture_layouts import LAYOUTS, Asked, find_pictures
from .picture_tables import Columns
from .pictures import Picture, PictureSet

Layout = Literal["auto", "labels", "masks", "coco", "voc", "yolo", "table", "texts", "plain"]


def read_pictures(
    path: str | os.PathLike[str],
    *,
    layout: Layout = "auto",
    classes: Sequence[str] | None = None,
    mask_values: MaskValues = "auto",
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

    - "labels": two or more folders, one a class, ``cat/1.jpg``; or in folders of parts, ``train/cat``.
    - "masks": ``images/a.png`` with ``masks/a.png``, or ``a.png`` with ``a_mask.png``: one mask whose pixels have the
      numbers of things or of classes; or several masks a picture (``masks/a_1.png``, ``masks/a/1.png``, or a folder
      with ``images`` and ``masks`` for each picture), a thing each.
    - "coco": JSON files with "images", "annotations" and "categories"; boxes, polygons, and runs of pixels.
    - "voc": an XML file for each picture, and maybe lists in ``ImageSets/Main``.
    - "yolo": a text file for each picture, beside it or under ``labels`` where pictures lie under ``images``; boxes or
      polygons; the names of the classes in ``data.yaml`` or ``classes.txt``.
    - "texts": a text file for each picture, ``a.png`` and ``a.txt`` (or ``a.gt.txt``) beside it.
    - "table": a CSV or TSV file, JSON lines or a JSON array, with a column for the path (relative to the table, or to a
      folder beside it), and for the text or label, and maybe the group and the part; or a row a box, with columns
      such as ``xmin``, ``ymin``, ``xmax``, ``ymax``, or ``x``, ``y``, ``w``, ``h``, or ``bbox``. A folder with pictures
      and one table is read by the table. A table without a header has the path first, then the text, or the corners and
      the class.
    - "plain": pictures of which nothing is known.

    Boxes and masks are put right or left out, and `findings` counts it, a sentence for each kind: see `mend_boxes`. A
    mask of another size is scaled where its shape is that of the picture to 1%; else the picture is left without
    annotation. Boxes and masks are those of the upright picture: where EXIF turns it, and the annotation gives the size
    of the picture before, they are turned with it.

    Args:
        path: a folder, a table, a picture, or a .tar.gz, .tgz, .tar or .zip of any of these, which is unpacked into
            the cache. It is looked for in the folder ``RNNKIT_DATA``, too.
        layout: one of the above; "auto": what the names of the files say.
        classes: the names of the classes in the order of their numbers; None: as the set lists them, else in natural
            order.
        mask_values: "instances" or "classes": what the numbers in a mask mean; "auto": by the folder's name
            (``instances``, ``SegmentationObject``, ``SegmentationClass``), else by the numbers, which is reported.
        group: a regular expression whose first group, found in a picture's id, is the group of the picture, such as
            ``(patient\\d+)``.
        path_column, text_column, label_column, group_column, part_column: of a table, where the names of its columns do
            not say.
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
    check_choice(mask_values, "mask_values", ("auto", "instances", "classes"))
    if isinstance(classes, str):
        raise ConfigError.of("classes", classes, f"expected a list of names: [{classes!r}]")
    if box_column is not None and not isinstance(box_column, str) and len(box_column) != 4:
        raise ConfigError.of("box_column", box_column, "expected one name, or four: left, top, right and bottom")
    columns = Columns(path_column, text_column, label_column, group_column, part_column, box_column)
    pattern = group_pattern(group)
    root = find_data(os.path.expanduser(path))
    found = find_pictures(root, Asked(layout, columns, mask_values, None if classes is None else tuple(classes)))
    given = [f"{role}_column" for role, name in columns.given().items() if name is not None]
    if given and found.layout != "table":
        raise ConfigError(f"{given[0]} arrived, but {path} has no table of pictures")
    headers = PictureHeaders()
    usable = [(entry, info) for entry in found.entries if (info := headers.examine(entry)) is not None]
    if not usable:
        first = headers.findings()[:1]
        raise DataError(
            "holds no picture that can be read", Place(str(path)), "name another path", note=first[0] if first else ""
        )
    names = _classes([entry for entry, _ in usable], found.classes, classes, str(path))
    drawings = Drawings(names)
    pictures: list[Picture] = []
    for entry, info in usable:
        boxes, masks = drawings.settle(entry, info)
        of = entry.group
        if pattern is not None:
            match = pattern.search(entry.id)
            of = match[1] if match else None
        known = (entry.text, entry.label, of, entry.part, boxes, masks, entry.id)
        pictures.append(Picture(str(entry.path), info.width, info.height, *known))
    if pattern is not None and all(picture.group is None for picture in pictures):
        raise ConfigError.of("group", group, f"no id has it; ids are such as {pictures[0].id!r}")
    findings = (*found.findings, *headers.findings(), *drawings.findings())
    return PictureSet(with_unique_ids(pictures), names, str(path), found.layout, findings)


def group_pattern(group: str | None) -> re.Pattern[str] | None:
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
    entries: Sequence[Entry], known: tuple[str, ...], given: Sequence[str] | None, source: str
) -> tuple[str, ...]:
    """Return the names of the classes; those that occur have to be among those that were given."""
    there = sorted_names(
        {entry.label for entry in entries if entry.label is not None}
        | {name for entry in entries if entry.drawn is not None for name in entry.drawn.names}
    )
    if given is None:
        return (*known, *(name for name in there if name not in known))
    lacking = [name for name in there if name not in given]
    if lacking:
        raise DataError(
            f"has the class {lacking[0]!r}, which is none of classes={list(given)}",
            Place(source),
            Remedy("classes", [*given, *lacking]),
        )
    return tuple(given)


def with_unique_ids(pictures: Sequence[Picture]) -> tuple[Picture, ...]:
    """Give each picture a name of its own."""
    counts = Counter(picture.id for picture in pictures)
    seen: Counter[str] = Counter()
    named = []
    for picture in pictures:
        seen[picture.id] += 1
        named.append(picture if counts[picture.id] == 1 else replace(picture, id=f"{picture.id}#{seen[picture.id]}"))
    return tuple(named)
