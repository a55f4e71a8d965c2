"""Source files in portions that processes work on by themselves: the same portions for any number of processes."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

from ...errors import DataError, Place, Remedy
from ...ordering import natural_key
from ..audio.sound_files import SUFFIXES as SOUNDS
from ..readers.text import marked_encoding
from ..text.files import FORMATS, Paths, check_no_arrow, suffix_of
from .addresses import is_address

TARS = ("tar", "tgz")
_WIDE = (
    "utf-16",
    "utf-32",
    "utf16",
    "utf32",
    "utf_16",
    "utf_32",
)  # in which a line's end is more than a byte


@dataclass(frozen=True)
class Span:
    """A file, or a part of it.

    Attributes:
        path: the file.
        begin, end: bytes of a text, or row groups of a Parquet file; None for the whole file.
        last: whether the file ends with it.
    """

    path: str
    begin: int | None = None
    end: int | None = None
    last: bool = True


@dataclass(frozen=True)
class Portion:
    """What one process makes shards of at a time.

    Attributes:
        number: of the portion, from 0.
        spans: files, or parts of them.
        size: bytes, about.
    """

    number: int
    spans: tuple[Span, ...]
    size: int


def find_sources(source: Paths, out: Path) -> list[Path]:
    """Return the files of paths; those of a folder in natural order, without hidden ones.

    Args:
        source: the paths.
        out: the folder of the shards, which may lie in one of them: what was made there is no source.

    Raises:
        DataError: there is no such file, or no file in a folder.
    """
    given = [source] if isinstance(source, str | os.PathLike) else list(source)
    found: list[Path] = []
    for path in map(Path, given):
        place = Place(str(path))
        if is_address(path):
            advice = "copy it to this machine first; shards that are made can be read from there"
            raise DataError("shards are made of files of this machine", place, advice)
        if not path.exists():
            raise DataError("there is no such file or folder", place)
        if not path.is_dir():
            found.append(path)
            continue
        made = None if out.resolve() == path.resolve() else out.resolve()
        inner = [
            file
            for file in path.rglob("*")
            if file.is_file()
            and made not in file.resolve().parents
            and not any(part.startswith(".") for part in file.relative_to(path).parts)
        ]
        if not inner:
            raise DataError("holds no files", place)
        check_no_arrow(path, inner)
        found += sorted(inner, key=lambda file: natural_key(file.relative_to(path).as_posix()))
    return found


def format_of_sources(files: Iterable[Path], format: str | None) -> tuple[str, list[Path]]:
    """Return what files are, "text", "parquet", "tar" or "audio", and those of them that are so.

    Raises:
        DataError: none is of a known format, or they are of several.
    """
    kinds: dict[str, list[Path]] = {}
    for file in files:
        kinds.setdefault(_kind(file, format), []).append(file)
    other = kinds.pop("", [])
    if len(kinds) > 1:
        listed = ", ".join(f"{len(found)} of {kind}" for kind, found in sorted(kinds.items()))
        advice = "make shards of each kind in a call of its own"
        raise DataError(f"files of several kinds arrived: {listed}", remedy=advice)
    if not kinds:
        suffixes = ", ".join(sorted({file.suffix or "no suffix" for file in other}))
        known = ", ".join(f".{one}" for one in [*FORMATS, "parquet", *TARS])
        raise DataError(
            f"files of formats that are not read arrived ({suffixes}); expected {known}, or sound files",
            remedy=Remedy("format", "txt", "if they are plain text"),
        )
    return next(iter(kinds.items()))


def _kind(file: Path, format: str | None) -> str:
    suffix = suffix_of(file)
    if format is not None:
        return {"parquet": "parquet", "tar": "tar"}.get(format, "text")
    if suffix in FORMATS:
        return "text"
    if suffix == "parquet":
        return "parquet"
    if suffix in TARS:
        return "tar"
    return "audio" if f".{suffix}" in SOUNDS else ""


def marks_of(portions: Iterable[Portion], out: Path) -> dict[str, list[int]]:
    """Return size and time of change of each file of portions, by which a change of the source is recognised.

    Args:
        portions: of the source.
        out: the folder of the shards, which may lie in that of the source.
    """
    found = {}
    for path in dict.fromkeys(span.path for portion in portions for span in portion.spans):
        inner = (file for file in Path(path).rglob("*") if file.is_file() and out not in file.parents)
        for file in [path] if os.path.isfile(path) else sorted(map(str, inner)):
            stat = os.stat(file)
            found[file] = [stat.st_size, stat.st_mtime_ns]
    return found


def check_unchanged(portions: Iterable[Portion], out: Path, marks: dict[str, list[int]]) -> None:
    """Raise DataError for a file that has changed since `marks_of`: what was made is of neither of its forms."""
    try:
        now = marks_of(portions, out)
        changed = next((file for file in {**marks, **now} if marks.get(file) != now.get(file)), None)
    except FileNotFoundError as error:
        changed = error.filename
    if changed is not None:
        problem = "has changed while shards were made of it"
        raise DataError(problem, Place(changed), Remedy("overwrite", True, "once nothing writes to it"))


def divide(files: list[Path], kind: str, size: int, *, lines: bool, encoding: str | None) -> list[Portion]:
    """Return the portions of files, about `size` bytes each: small files together, large ones in parts.

    Args:
        files: of one kind.
        kind: "text", "parquet", "tar" or "audio".
        size: bytes of a portion.
        lines: whether texts can be cut at any line.
        encoding: of the texts.
    """
    portions: list[Portion] = []
    held: list[Span] = []
    total = 0

    def close() -> None:
        nonlocal held, total
        if held:
            portions.append(Portion(len(portions), tuple(held), total))
        held, total = [], 0

    for file in files:
        length = file.stat().st_size
        parts = _parts(file, kind, size, length, lines=lines, encoding=encoding) if length > 2 * size else []
        if parts:
            close()
            for span, bytes_ in parts:
                portions.append(Portion(len(portions), (span,), bytes_))
            continue
        if held and total + length > size:
            close()
        held.append(Span(str(file)))
        total += length
    close()
    return portions


def _parts(
    file: Path, kind: str, size: int, length: int, *, lines: bool, encoding: str | None
) -> list[tuple[Span, int]]:
    """Cut a large file; no parts of one that has to be read as a whole."""
    count = -(-length // size)
    if kind == "parquet":
        from .addresses import Storage
        from .parquet_files import ShardFile

        opened = ShardFile(Storage(str(file.parent)), file.name, None, None)
        groups = len(opened.before) - 1
        opened.close()
        bounds = sorted({groups * number // count for number in range(count + 1)})
        each = length // max(1, groups)
        return [(Span(str(file), begin, end, end == groups), (end - begin) * each) for begin, end in pairwise(bounds)]
    if kind != "text" or not lines or file.suffix.lower() == ".gz":
        return []
    with file.open("rb") as opened_file:
        head = opened_file.read(4)
        mark = marked_encoding(head)
        named = (mark or encoding or "utf-8").lower()
        if head[:2] == b"\x1f\x8b" or named.startswith(_WIDE):
            return []
        ends = [_line_end(opened_file, length * number // count, length) for number in range(1, count)]
    bounds = sorted({0, *ends, length})
    return [(Span(str(file), begin, end, end == length), end - begin) for begin, end in pairwise(bounds)]


def _line_end(file: Any, place: int, length: int) -> int:
    """Return where the line that holds a byte ends."""
    file.seek(place)
    while chunk := file.readline(1 << 20):
        if chunk.endswith(b"\n"):
            return int(file.tell())
    return length


def webdataset_samples(path: str) -> Iterator[tuple[str, dict[str, bytes]]]:
    """Yield the samples of a tar file as webdataset writes them: files of one name, by what follows its first point.

    Raises:
        DataError: the file is damaged.
    """
    import tarfile

    key: str | None = None
    held: dict[str, bytes] = {}
    try:
        with tarfile.open(path, "r|*") as opened:
            for member in opened:
                if not member.isfile():
                    continue
                folder, _, name = member.name.rpartition("/")
                stem, _, suffix = name.partition(".")
                if not stem:
                    continue
                here = f"{folder}/{stem}" if folder else stem
                if key is not None and here != key:
                    yield key, held
                    held = {}
                key = here
                file = opened.extractfile(member)
                assert file is not None
                held[suffix.lower()] = file.read()
    except (tarfile.TarError, EOFError, OSError) as error:
        raise DataError(f"is damaged, or no tar file ({error})", Place(path), "copy it again") from None
    if key is not None:
        yield key, held
