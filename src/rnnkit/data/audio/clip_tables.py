"""Tables of clips: a row a clip, with columns for the path and for what is known of it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from ...errors import DataError, Place
from ..file_tables import TABLES, cell_text, choose_columns, find_file, table_rows
from .sound_files import SUFFIXES

__all__ = ["TABLES", "Columns", "Entry", "names_files", "read_table"]

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
        path = cell_text(values.get("path"))
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
            cell_text(values.get("label")) or None,
            cell_text(values.get("speaker")) or None,
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
    return table_rows(file, lambda cell: _find_file(cell, file.parent).is_file(), lambda count: ("path", "text"))


def _choose(names: Sequence[str], columns: Columns, place: Place) -> dict[str, str]:
    """Return the name of each column that the table has."""
    return choose_columns(names, _NAMES, asdict(columns), place)


def _find_file(path: str, folder: Path) -> Path:
    return find_file(path, folder, _FOLDERS, SUFFIXES)


def _time(value: Any, place: Place) -> float | None:
    written = cell_text(value)
    if not written or written == "null":
        return None
    try:
        seconds = float(written)
    except ValueError:
        raise DataError(f"{written!r} is no number of seconds", place) from None
    if not 0 <= seconds < 1e9:
        raise DataError(f"{written} arrived; expected seconds of at least 0", place)
    return seconds
