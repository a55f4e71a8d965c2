"""How clips lie in folders, tables and archives; each layout becomes a list of entries."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

from ...errors import DataError, Place, Remedy
from ...ordering import natural_key
from ...spelling import composed
from ..archives import ARCHIVES, unpack
from ..file_tables import TABLES, only_table, tables_in
from ..text.decoding import decode_file, lines_of
from .clip_tables import Columns, Entry, names_files, read_table
from .sound_files import SUFFIXES

__all__ = ["LAYOUTS", "Columns", "Entry", "find_entries"]

LAYOUTS = ("labels", "digits", "transcripts", "table", "kaldi", "librispeech", "plain")
_TRANSCRIPTS = (".txt", ".lab")
_NO_SPEAKERS = {"train", "test", "dev", "valid", "validation", "eval", "wav", "wavs", "clips", "audio", "data"}
_MARKS = {"kaldi": "wav.scp", "librispeech": "**/*.trans.txt"}  # files that a layout alone has
_DIGITS = re.compile(r"([^_]+)_(.+)_(\d+)")
_COMMANDS = re.compile(r"([0-9a-f]+)_nohash_\d+")


def find_entries(path: Path, layout: str, columns: Columns) -> tuple[str, Iterable[Entry]]:
    """Return the layout, and the entries in it."""
    if path.is_file():
        name = path.name.lower()
        if name.endswith(ARCHIVES):
            return find_entries(unpack(path, "audio"), layout, columns)
        if name.endswith(TABLES):
            return "table", read_table(path, columns)
        beside = [path.with_suffix(suffix) for suffix in _TRANSCRIPTS if path.with_suffix(suffix).is_file()]
        if beside and layout in ("auto", "transcripts"):
            return "transcripts", [Entry(path, _whole_text(beside[0]), id=path.stem)]
        return "plain", [Entry(path, id=path.stem)]
    files = _sound_files(path)
    if layout == "auto":
        layout = _find_layout(path, files, columns)
    elif layout in _MARKS and not _has_mark(path, layout):
        raise DataError(f"holds no {Path(_MARKS[layout]).name}", Place(str(path)), Remedy("layout", "auto"))
    if layout == "table":
        return layout, read_table(only_table(path, tables_in(path)), columns)
    if layout == "kaldi":
        return layout, _kaldi(path)
    if not files:
        raise DataError(
            f"holds no sound files; expected {', '.join(SUFFIXES[:6])}, in folders or beside a table", Place(str(path))
        )
    return layout, _READERS[layout](path, files)


def _sound_files(path: Path) -> list[Path]:
    found = [
        file
        for file in path.rglob("*")
        if file.suffix.lower() in SUFFIXES and not any(part.startswith(".") for part in file.relative_to(path).parts)
    ]
    return sorted((file for file in found if file.is_file()), key=lambda file: natural_key(str(file.relative_to(path))))


def _find_layout(path: Path, files: list[Path], columns: Columns) -> str:
    """Return the layout of a folder, by the names in it."""
    marked = next((layout for layout in _MARKS if _has_mark(path, layout)), None)
    if marked is not None:
        return marked
    tables = tables_in(path)
    if tables and not files:
        return "table"
    tables = [table for table in tables if names_files(table, columns)]
    if len(tables) == 1:
        return "table"
    if files and len(_transcripts(path, files)) * 2 >= len(files):
        return "transcripts"
    names = [_DIGITS.fullmatch(file.stem) for file in files]
    labels = {name[1] for name in names if name}
    alone = len({file.parent for file in files}) == 1
    if alone and all(names) and (len(labels) > 1 or all(label.isdigit() for label in labels)):
        return "digits"
    if tables:
        return "table"  # several, of which the user names one
    folders = {file.relative_to(_root(path, files)).parts[0] for file in files if file.parent != path}
    if all(file.parent != path for file in files) and len({name for name in folders if name[0] != "_"}) > 1:
        return "labels"
    return "table" if tables_in(path) else "plain"  # the reader says which column it looks for


def _has_mark(path: Path, layout: str) -> bool:
    return any(file.is_file() for file in path.glob(_MARKS[layout]))


def _root(path: Path, files: list[Path]) -> Path:
    """Return the folder that holds the folders of all files: an archive often has a folder around all."""
    root = path
    while True:
        parts = [file.relative_to(root).parts for file in files]
        if len({part[0] for part in parts}) != 1 or min(map(len, parts)) < 3:
            return root
        root = root / parts[0][0]


def _labels(path: Path, files: list[Path]) -> Iterator[Entry]:
    """Yield entries labelled by the folder that a file lies in."""
    root = _root(path, files)
    labelled = [(file, file.relative_to(root).parts) for file in files]
    # Speech Commands has noise in _background_noise_.
    labelled = [(file, parts) for file, parts in labelled if len(parts) > 1 and parts[0][0] != "_"]
    names = [_COMMANDS.fullmatch(file.stem) for file, _ in labelled]
    speak = all(names)
    for (file, parts), name in zip(labelled, names, strict=True):
        speaker = name[1] if speak and name else None
        yield Entry(file, label=composed(parts[0]), speaker=speaker, id=str(file.relative_to(root).with_suffix("")))


def _digits(path: Path, files: list[Path]) -> Iterator[Entry]:
    for file in files:
        name = _DIGITS.fullmatch(file.stem)
        if name is None:
            remedies = (Remedy("layout", "labels"), Remedy("layout", "plain"))
            raise DataError("the name has not the form LABEL_SPEAKER_NUMBER", Place(str(file)), remedies)
        yield Entry(file, label=composed(name[1]), speaker=composed(name[2]), id=file.stem)


def _transcripts(path: Path, files: list[Path]) -> dict[Path, Path]:
    """Return the file with the text of each sound file that has one: beside it, else of its name anywhere."""
    texts = [file for file in path.rglob("*") if file.suffix.lower() in _TRANSCRIPTS and file.is_file()]
    beside = {file.with_suffix(""): file for file in texts}
    counts = Counter(file.stem for file in texts)
    alone = {file.stem: file for file in texts if counts[file.stem] == 1}
    stems = Counter(file.stem for file in files)
    found = {}
    for file in files:
        text = beside.get(file.with_suffix("")) or (alone.get(file.stem) if stems[file.stem] == 1 else None)
        if text is not None:
            found[file] = text
    return found


def _whole_text(file: Path) -> str:
    """Return the text of a file without ends of lines; "" of a file without a letter, which is not the file's fault."""
    return " ".join("".join(decode_file(file)).split()) if file.read_bytes().strip() else ""


def _with_transcripts(path: Path, files: list[Path]) -> Iterator[Entry]:
    texts = _transcripts(path, files)
    # A folder a speaker is usual; one folder of all, or folders of parts, tell none.
    folders = {file.parent.name for file in files if file.parent != path}
    speak = len(folders) > 1 and not {name.lower() for name in folders} & _NO_SPEAKERS
    for file in files:
        text = _whole_text(texts[file]) if file in texts else None
        speaker = composed(file.parent.name) if speak and file.parent != path else None
        yield Entry(file, text, speaker=speaker, id=str(file.relative_to(path).with_suffix("")))


def _plain(path: Path, files: list[Path]) -> Iterator[Entry]:
    for file in files:
        yield Entry(file, id=str(file.relative_to(path).with_suffix("")))


def _librispeech(path: Path, files: list[Path]) -> Iterator[Entry]:
    sounds = {file.stem: file for file in files}
    for lines in sorted(path.rglob("*.trans.txt"), key=lambda file: natural_key(str(file))):
        for name, text, place in _pairs(lines):
            if name not in sounds:
                raise DataError(f"there is no sound file {name}.flac", place, "take the line out of the file")
            yield Entry(sounds[name], text, speaker=name.split("-")[0], id=name)


def _kaldi(path: Path) -> Iterator[Entry]:
    """Yield the entries of a folder with wav.scp, text, utt2spk and segments."""
    recordings: dict[str, Path] = {}
    for name, where, place in _pairs(path / "wav.scp"):
        if where.endswith("|"):
            advice = "run the command, and write the name of the file that it makes"
            raise DataError(f"holds a command, which is not run: {where[:60]}", place, advice)
        recordings[name] = _resolve(where, path)
    texts = {name: text for name, text, _ in _pairs(path / "text")} if (path / "text").is_file() else {}
    speakers = {name: who for name, who, _ in _pairs(path / "utt2spk")} if (path / "utt2spk").is_file() else {}
    if not (path / "segments").is_file():
        for name, file in recordings.items():
            yield Entry(file, texts.get(name), speaker=speakers.get(name), id=name)
        return
    for name, rest, place in _pairs(path / "segments"):
        parts = rest.split()
        try:
            recording, start, end = parts[0], float(parts[1]), float(parts[2])
        except (ValueError, IndexError):
            raise DataError("expected UTTERANCE RECORDING START END, the times in seconds", place) from None
        if recording not in recordings:
            raise DataError(f"wav.scp has no recording {recording!r}", place)
        yield Entry(recordings[recording], texts.get(name), None, speakers.get(name), start, end, name)


def _resolve(where: str, folder: Path) -> Path:
    """Return a path as it is, or relative to the folder or one above it, as Kaldi's folders have it."""
    path = Path(where).expanduser()
    if path.is_absolute():
        return path
    return next((base / path for base in (folder, *folder.parents[:3]) if (base / path).is_file()), folder / path)


def _pairs(file: Path) -> Iterator[tuple[str, str, Place]]:
    """Yield the first word of each line, the rest, and the place."""
    if not file.stat().st_size:
        return
    for line, number in lines_of(decode_file(file), file):
        name, _, rest = line.strip().partition(" ") if "\t" not in line else line.strip().partition("\t")
        if name:
            yield name, rest.strip(), Place(str(file), number)


_READERS: dict[str, Callable[[Path, list[Path]], Iterator[Entry]]] = {
    "labels": _labels,
    "digits": _digits,
    "transcripts": _with_transcripts,
    "librispeech": _librispeech,
    "plain": _plain,
}
