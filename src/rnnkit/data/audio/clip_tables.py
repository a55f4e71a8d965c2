"""Tables of clips: a row a clip, with columns for the path and for what is known of it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ...errors import DataError, Place, Remedy, suggest
from ..text.rows import read_text_rows

TABLES = (".csv", ".tsv", ".jsonl", ".ndjson", ".json")
_NAMES = {
    "path": ("path", "file", "file_name", "filename", "file_path", "filepath", "audio", "audio_path", "audio_filepath",
             "audio_file", "wav", "wav_path", "wav_filename", "clip", "音频", "路径", "文件"),
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

    Raises:
        DataError: a column is missing, a row has no path, or a time is no number.
    """
    chosen: dict[str, str] | None = None
    for row, place in read_text_rows(file, None, empty="keep"):
        if chosen is None:
            chosen = _choose([str(name) for name in row], columns, place)
        values = {what: row.get(name) for what, name in chosen.items()}
        path = _text(values.get("path"))
        if not path:
            raise DataError("has no path of a sound file", place.at(column=chosen["path"]), "take the row out")
        times = {
            what: _time(values.get(what), place.at(column=chosen.get(what))) for what in ("start", "end", "seconds")
        }
        start, end = times["start"] or 0.0, times["end"]
        if end is None and times["seconds"] is not None and "start" in chosen:
            end = start + times["seconds"]
        text = values.get("text")
        yield Entry(
            _find_file(path, file.parent),
            None if text is None else " ".join(text) if isinstance(text, list) else str(text),
            _text(values.get("label")) or None,
            _text(values.get("speaker")) or None,
            start,
            end,
            Path(path).stem if not start else f"{Path(path).stem}@{start:g}",
        )


def _choose(names: list[str], columns: Columns, place: Place) -> dict[str, str]:
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
    found = Path(path).expanduser()
    if found.is_absolute():
        return found
    return next((folder / base / found for base in _FOLDERS if (folder / base / found).is_file()), folder / found)


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
