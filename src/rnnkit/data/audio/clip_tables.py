"""Tables of clips: a row a clip, with columns for the path and for what is known of it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ...errors import DataError, Place, Remedy, suggest
from ..text.decoding import decode_file, lines_of
from ..text.rows import read_text_rows
from .sound_files import SUFFIXES

TABLES = (".csv", ".tsv", ".jsonl", ".ndjson", ".json")
_NAMES = {
    "path": ("path", "file", "file_name", "filename", "file_path", "filepath", "audio", "audio_path", "audio_filepath",
             "audio_file", "audio.path", "wav", "wav_path", "wav_filename", "clip", "音频", "路径", "文件"),
    "text": ("text", "sentence", "transcript", "transcription", "normalized_text", "words", "文本", "句子"),
    "label": ("label", "class", "category", "intent", "command", "target", "keyword", "标签", "类别"),
    "speaker": ("speaker", "speaker_id", "speakerid", "spk", "client_id", "user", "说话人"),
    "start": ("start", "begin", "start_time", "offset", "onset"),
    "end": ("end", "stop", "end_time"),
    "seconds": ("duration", "seconds"),
}  # fmt: skip
_FOLDERS = ("", "clips", "wavs", "wav", "audio", "data", "recordings")


@dataclass(frozen=True)
class Entry:
    """A clip before its file is read.

    Attributes:
        path, text, label, speaker, start, id: as of a clip.
        end: in seconds; None: the end of the file.
    """

    path: Path
    text: str | None = None
    label: str | None = None
    speaker: str | None = None
    start: float = 0.0
    end: float | None = None
    id: str = ""


@dataclass(frozen=True)
class Columns:
    """The names of a table's columns that the user gave; None: by the usual names."""

    path: str | None = None
    text: str | None = None
    label: str | None = None
    speaker: str | None = None
    start: str | None = None
    end: str | None = None
    seconds: str | None = None


def read_table(file: Path, columns: Columns) -> Iterator[Entry]:
    """Yield the entries of a table.

    A table without a header, such as LJSpeech's, has the path first and the text second.

    Raises:
        DataError: a column is missing, a row has no path, or a time is no number.
    """
    chosen: dict[tuple[str, ...], dict[str, str]] = {}  # records of JSON may have different fields
    for row, place in _rows(file):
        names = tuple(map(str, row))
        if names not in chosen:
            chosen[names] = _choose(names, columns, place)
        named = chosen[names]
        values = {what: row.get(name) for what, name in named.items()}
        path = _text(values.get("path"))
        if not path:
            raise DataError("has no path of a sound file", place.at(column=named["path"]), "take the row out")
        written = ("start", "end", "seconds")
        times = {what: _time(values.get(what), place.at(column=named.get(what))) for what in written}
        start, end = times["start"] or 0.0, times["end"]
        if end is None and times["seconds"] is not None and "start" in named:
            end = start + times["seconds"]
        text, stem = values.get("text"), Path(path.replace("\\", "/")).stem
        yield Entry(
            _find_file(path, file.parent),
            None if text is None else " ".join(map(str, text)) if isinstance(text, list) else str(text),
            _text(values.get("label")) or None,
            _text(values.get("speaker")) or None,
            start,
            end,
            f"{stem}@{start:g}" if start else stem,
        )


def names_files(file: Path, columns: Columns) -> bool:
    """Return whether a table has a column for the path of sound files."""
    try:
        row, place = next(_rows(file))
        _choose(tuple(map(str, row)), columns, place)
    except (DataError, StopIteration):
        return False
    return True


def _rows(file: Path) -> Iterator[tuple[dict[str, Any], Place]]:
    """Yield the rows of a table by the names of its columns."""
    if file.suffix.lower() in (".csv", ".tsv"):
        first = next((line for line, _ in lines_of(decode_file(file), file) if line.strip()), "")
        marks = [mark for mark in ("\t" if file.suffix.lower() == ".tsv" else "|\t;,") if mark in first]
        cells = {mark: first.split(mark)[0].strip().strip('"') for mark in marks}
        mark = next((mark for mark, cell in cells.items() if cell and _find_file(cell, file.parent).is_file()), None)
        if mark is not None:
            # Between bars, quotation marks belong to the text.
            rows = read_text_rows(file, None, header=False, delimiter=mark, quotes=mark != "|", empty="keep")
            for row, place in rows:
                yield {name: row[number] for number, name in enumerate(("path", "text")) if number in row}, place
            return
    for row, place in read_text_rows(file, None, empty="keep"):
        yield {str(name): value for name, value in row.items()}, place


def _choose(names: Sequence[str], columns: Columns, place: Place) -> dict[str, str]:
    """Return the name of each column that the table has."""
    folded = {name.casefold().strip(): name for name in reversed(names)}
    chosen: dict[str, str] = {}
    for what, usual in _NAMES.items():
        given = getattr(columns, what)
        if given is not None:
            if given not in names:
                raise DataError(f"has no column {given!r}{suggest(given, names)}", place.at(line=None))
            chosen[what] = given
            continue
        found = next((folded[name] for name in usual if name in folded and folded[name] not in chosen.values()), None)
        if found is not None:
            chosen[what] = found
    if "path" not in chosen:
        listed = ", ".join(map(repr, names[:12]))
        raise DataError(
            f"which column holds the path? The columns are {listed}", place.at(line=None), Remedy("path_column")
        )
    return chosen


def _find_file(path: str, folder: Path) -> Path:
    """Return a path as it is, or beside the table; a suffix may lack, and Windows writes other slashes."""
    written = [path] if "\\" not in path else [path, path.replace("\\", "/")]
    for one in written:
        bases = [Path()] if Path(one).is_absolute() else [folder / base for base in _FOLDERS]
        for base in bases:
            found = (base / one).expanduser()
            if found.is_file():
                return found
            if found.suffix.lower() not in SUFFIXES:
                for suffix in SUFFIXES:
                    if (named := found.with_name(found.name + suffix)).is_file():
                        return named
    return folder / path


def _text(value: Any) -> str:
    return "" if value is None or isinstance(value, list) else str(value).strip()


def _time(value: Any, place: Place) -> float | None:
    written = _text(value)
    if not written or written == "null":
        return None
    try:
        seconds = float(written)
    except ValueError:
        raise DataError(f"{written!r} is no number of seconds", place) from None
    if not 0 <= seconds < 1e9:
        raise DataError(f"{written} arrived; expected seconds of at least 0", place)
    return seconds
