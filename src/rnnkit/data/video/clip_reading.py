"""Read a set of clips: find them, look at their files, and say what is wrong with them."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Literal

from ...errors import ConfigError, DataError, Place, Remedy, check_choice
from ...ordering import natural_key, sorted_names
from ...spelling import composed
from ..archives import ARCHIVES, unpack
from ..data_folder import find_data
from ..file_tables import TABLES, cell_text, choose_columns, names_files, only_table, table_rows, tables_in
from ..images.picture_files import SUFFIXES, picture_info
from ..images.picture_layouts import below_root
from ..images.picture_names import part_of
from ..images.picture_reading import group_pattern, with_unique_ids
from ..sentences import UNREADABLE, sentence
from .clip_files import ANIMATED, VIDEOS, ClipInfo, clip_info
from .clips import Clip, VideoSet

Layout = Literal["auto", "labels", "table", "plain"]
LAYOUTS = ("labels", "table", "plain")
_NAMES = {
    "path": ("path", "file", "file_name", "filename", "file_path", "clip", "clip_path", "video", "video_path",
             "video_name", "folder", "clip_id", "video_id", "id", "路径", "文件", "视频"),
    "label": ("label", "class", "class_name", "classname", "category", "action", "label_name", "name", "target",
              "标签", "类别"),
    "group": ("group", "patient", "patient_id", "subject", "subject_id", "person", "camera", "source", "scene", "组"),
    "part": ("part", "split", "subset", "set"),
}  # fmt: skip
_FOLDERS = ("", "clips", "videos", "video", "frames", "data", "train")


@dataclass
class _Entry:
    """A clip before its files are looked at."""

    path: Path
    label: str | None = None
    group: str | None = None
    part: str | None = None
    id: str = ""


@dataclass
class _Found:
    layout: str
    entries: list[_Entry]
    findings: list[str] = field(default_factory=list)


def read_videos(
    path: str | os.PathLike[str],
    *,
    layout: Layout = "auto",
    classes: Sequence[str] | None = None,
    group: str | None = None,
    path_column: str | None = None,
    label_column: str | None = None,
    group_column: str | None = None,
    part_column: str | None = None,
) -> VideoSet:
    """Find clips with their classes.

    A clip is a folder that holds frames (PNG, JPEG, TIFF, BMP, WebP …), an animated GIF, WebP, PNG or TIFF, or a video
    file (MP4, AVI, MOV, MKV, WebM …, which PyAV reads). Layouts:

    - "labels": two or more folders, one a class, ``jump/clip1/0001.png`` or ``jump/clip1.gif``; or in folders of parts,
      ``train/jump``.
    - "table": a CSV or TSV file, JSON lines or a JSON array, with a column for the path (relative to the table, or to a
      folder beside it), and maybe for the label, the group and the part. A folder with clips and one table is read by
      the table.
    - "plain": clips of which nothing is known.

    Frames that cannot be read are left out of their clips, and clips without a frame out of the set. Frames of another
    size than the first of their clip are scaled to it. `findings` names all of them, as sentences.

    Args:
        path: a folder, a table, a clip, or a .tar.gz, .tgz, .tar or .zip of any of these, which is unpacked into the
            cache. It is looked for in the folder ``RNNKIT_DATA``, too.
        layout: one of the above; "auto": what the names of the files say.
        classes: the names of the classes in the order of their numbers; None: in natural order.
        group: a regular expression whose first group, found in a clip's id, is the person, camera or scene that it
            comes from, such as ``(person\\d+)``.
        path_column, label_column, group_column, part_column: of a table, where the names of its columns do not say.

    Returns:
        The clips in the order of the table, else by name.

    Raises:
        DataError: there is no such path, no clip in it, or a table is damaged.
        ConfigError: an argument has no such value.
        MissingExtraError: there are video files, and PyAV is not installed.

    Example:
        >>> import pathlib, tempfile, torch
        >>> from rnnkit.data.video import write_gif, write_png
        >>> folder = pathlib.Path(tempfile.mkdtemp())
        >>> write_gif(torch.rand(5, 1, 16, 20), folder / "left" / "a.gif")
        >>> for number in range(3):
        ...     write_png(torch.rand(1, 16, 20), folder / "right" / "b" / f"{number}.png")
        >>> clips = read_videos(folder)
        >>> clips, clips.classes, clips[1].id, clips.clip(1).shape
        (VideoSet(2 clips, 2 classes), ('left', 'right'), 'right/b', torch.Size([3, 3, 16, 20]))
    """
    check_choice(layout, "layout", ("auto", *LAYOUTS))
    if isinstance(classes, str):
        raise ConfigError.of("classes", classes, f"expected a list of names: [{classes!r}]")
    columns = {"path": path_column, "label": label_column, "group": group_column, "part": part_column}
    pattern = group_pattern(group)
    found = _find(find_data(os.path.expanduser(path)), layout, columns)
    given = next((f"{role}_column" for role, name in columns.items() if name is not None), None)
    if given is not None and found.layout != "table":
        raise ConfigError(f"{given} arrived, but {path} has no table of clips")
    clips: list[Clip] = []
    looked = _Looked()
    for entry in found.entries:
        info = looked.at(entry)
        if info is None:
            continue
        of = entry.group
        if pattern is not None:
            match = pattern.search(entry.id)
            of = match[1] if match else None
        known = {"label": entry.label, "group": of, "part": entry.part, "id": entry.id}
        clips.append(Clip(str(entry.path), info.width, info.height, info=info, **known))  # type: ignore[arg-type]
    findings = (*found.findings, *looked.findings(len(found.entries)))
    if not clips:
        note = findings[0] if findings else ""
        raise DataError("holds no clip that can be read", Place(str(path)), "name another path", note=note)
    if pattern is not None and all(clip.group is None for clip in clips):
        raise ConfigError.of("group", group, f"no id has it; ids are such as {clips[0].id!r}")
    return VideoSet(with_unique_ids(clips), _classes(clips, classes, str(path)), str(path), found.layout, findings)


class _Looked:
    """Looks at clips, and notes what is wrong with them."""

    def __init__(self) -> None:
        self._unreadable: list[str] = []
        self._single: list[str] = []
        self._resized: list[str] = []
        self._cut: list[str] = []
        self._damaged: list[str] = []

    def at(self, entry: _Entry) -> ClipInfo | None:
        """Return what a clip's files say; None where none of it can be read."""
        try:
            info = clip_info(entry.path)
        except DataError:
            self._unreadable.append(entry.id)
            return None
        if info.damaged and info.files:
            self._damaged += [f"{entry.id}/{name}" for name in info.damaged]
        elif info.damaged:
            self._cut.append(entry.id)
        if info.resized:
            self._resized.append(entry.id)
        if info.frames == 1:
            self._single.append(entry.id)
        return info

    def findings(self, count: int) -> list[str]:
        """Return a sentence for each kind of fault."""
        phrases = (
            (UNREADABLE, self._unreadable),
            (("breaks off, and is read up to there", "break off, and are read up to there"), self._cut),
            (
                (
                    "has frames of unequal sizes, which are scaled to the first one's",
                    "have frames of unequal sizes, which are scaled to the first one's",
                ),
                self._resized,
            ),
            (("has a single frame", "have a single frame"), self._single),
        )
        told = [sentence(phrase, names, count, "clips") for phrase, names in phrases if names]
        if self._damaged:
            shown = ", ".join(self._damaged[:3]) + (" …" if len(self._damaged) > 3 else "")
            are = "frame cannot be read, and is" if len(self._damaged) == 1 else "frames cannot be read, and are"
            told.append(f"{len(self._damaged):,} {are} left out: {shown}.")
        return told


def _find(path: Path, layout: str, columns: dict[str, str | None]) -> _Found:
    if path.is_file():
        name = path.name.lower()
        if name.endswith(ARCHIVES):
            return _find(unpack(path, "video"), layout, columns)
        if name.endswith(TABLES):
            return _read_table(path, columns)
        return _Found("plain", [_Entry(path, id=path.stem)])
    tables = [table for table in tables_in(path) if _names_clips(table, columns)]
    if layout == "table" or any(columns.values()) or (layout == "auto" and tables):
        return _read_table(only_table(path, tables or tables_in(path)), columns)
    paths, empty, single = _look_below(path)
    findings = []
    if empty:
        findings.append(sentence(("holds no frame", "hold no frame"), empty, len(empty) + len(paths), "folders"))
    if single:
        phrase = ("is a single picture beside clips", "are single pictures beside clips")
        findings.append(sentence(phrase, single, len(single) + len(paths), "clips and pictures") + " Left out.")
    if not paths:
        packed = [file for file in path.iterdir() if file.name.lower().endswith(ARCHIVES) and file.name[0] != "."]
        if len(packed) == 1:
            return _find(unpack(packed[0], "video"), layout, columns)
        raise DataError(
            "holds no clips; expected folders of frames, animated GIF or WebP, or video files", Place(str(path))
        )
    entries = [_Entry(one, part=part_of(one, path), id=_id(one, path)) for one in paths]
    below = below_root(path, paths)
    labelled = all(len(parts) > 1 for _, parts in below)
    if layout == "plain" or (layout == "auto" and not (labelled and len({parts[0] for _, parts in below}) > 1)):
        return _Found("plain", entries, findings)
    if not any(len(parts) > 1 for _, parts in below):
        raise DataError("holds no folder of a class with clips in it", Place(str(path)), Remedy("layout", "auto"))
    named = [
        replace(entry, label=composed(parts[0]))
        for entry, (_, parts) in zip(entries, below, strict=True)
        if len(parts) > 1
    ]
    return _Found("labels", named, findings)


def clips_in(folder: Path) -> list[Path]:
    """Return the files and folders that are clips, in a folder and in those below it; the folder itself may be one.

    Example:
        >>> import tempfile, torch
        >>> from rnnkit.data.video import write_gif, write_png
        >>> folder = Path(tempfile.mkdtemp())
        >>> write_gif(torch.rand(5, 1, 16, 20), folder / "a.gif")
        >>> write_png(torch.rand(1, 16, 20), folder / "b" / "1.png")
        >>> [clip.name for clip in clips_in(folder)], clips_in(folder / "b") == [folder / "b"]
        (['a.gif', 'b'], True)
    """
    return _look_below(folder)[0]


def _look_below(root: Path) -> tuple[list[Path], list[str], list[str]]:
    """Find the files and folders that are clips.

    Returns:
        Them, in natural order; the names of folders without a frame; and those of pictures that lie alone beside clips,
        such as a preview in the folder of a class, which would else make the folder a clip of its own.
    """
    clips: set[Path] = set()
    frames: dict[Path, list[Path]] = {}  # by their folder
    folders: list[Path] = []
    for one in root.rglob("*"):
        if any(part[0] == "." or part == "__MACOSX" for part in one.relative_to(root).parts):
            continue
        suffix = one.suffix.lower()
        if one.is_dir():
            folders.append(one)
        elif suffix in VIDEOS or (suffix in ANIMATED and _is_animated(one)):
            clips.add(one)
        elif suffix in SUFFIXES:
            frames.setdefault(one.parent, []).append(one)
    clips |= set(frames)
    single = [
        files[0]
        for folder, files in frames.items()
        if len(files) == 1 and any(folder in clip.parents for clip in clips)
    ]
    clips -= {file.parent for file in single}
    empty = [one for one in folders if one not in clips and not any(one in clip.parents for clip in clips)]
    ordered = sorted(clips, key=lambda one: natural_key(one.relative_to(root).as_posix()))
    return ordered, _names(empty, root), _names(single, root)


def _names(paths: Sequence[Path], root: Path) -> list[str]:
    return sorted(one.relative_to(root).as_posix() for one in paths)


def _is_animated(file: Path) -> bool:
    """Return whether a file has several frames; one that cannot be read counts as a clip where it is a GIF."""
    try:
        return picture_info(file).frames > 1
    except DataError:
        return file.suffix.lower() in (".gif", ".apng")


def _id(clip: Path, root: Path) -> str:
    name = clip.relative_to(root)
    found = (name if clip.is_dir() else name.with_suffix("")).as_posix()
    return clip.name if found == "." else found


def _read_table(file: Path, columns: dict[str, str | None]) -> _Found:
    entries: list[_Entry] = []
    for row, place in _rows(file):
        named = choose_columns(tuple(map(str, row)), _NAMES, columns, place)
        values = {role: cell_text(row.get(name)) or None for role, name in named.items()}
        written = values.get("path")
        if not written:
            raise DataError("has no path of a clip", place.at(column=named["path"]), "take the row out")
        clip = _find_clip(written, file.parent)
        label = values.get("label")
        entries.append(
            _Entry(
                clip,
                None if label is None else composed(label),
                values.get("group"),
                values.get("part"),
                clip.name if clip.is_dir() else clip.stem,
            )
        )
    return _Found("table", entries)


def _rows(file: Path) -> Iterator[tuple[dict[str, object], Place]]:
    def exists(cell: str) -> bool:
        return _find_clip(cell, file.parent).exists()

    return table_rows(file, exists, lambda count: ("path", "label", "group", "part")[:count])


def _names_clips(file: Path, columns: dict[str, str | None]) -> bool:
    """Return whether a table names clips that are there."""

    def choose(names: Sequence[str], place: Place) -> dict[str, str]:
        return choose_columns(names, _NAMES, columns, place)

    return names_files(_rows(file), choose, lambda cell: _find_clip(cell, file.parent).exists()) is None


def _find_clip(written: str, folder: Path) -> Path:
    """Return a path as it is, or beside a table; a suffix may lack, and Windows writes other slashes."""
    for one in dict.fromkeys((written, written.replace("\\", "/"))):
        bases = [Path()] if Path(one).is_absolute() else [folder / base for base in _FOLDERS]
        for base in bases:
            found = (base / one).expanduser()
            if one and found.exists():
                return found
            for suffix in (*ANIMATED, *VIDEOS):
                if one and (named := found.with_name(found.name + suffix)).is_file():
                    return named
    return folder / written


def _classes(clips: Sequence[Clip], given: Sequence[str] | None, source: str) -> tuple[str, ...]:
    there = sorted_names({clip.label for clip in clips if clip.label is not None})
    if given is None:
        return there
    lacking = [name for name in there if name not in given]
    if lacking:
        raise DataError(
            f"has the class {lacking[0]!r}, which is none of classes={list(given)}",
            Place(source),
            Remedy("classes", [*given, *lacking]),
        )
    return tuple(given)
