"""How clips lie in folders, tables and archives; each layout becomes a list of entries."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

from ...errors import DataError, Place, Remedy
from ...ordering import natural_key
from ..text.decoding import decode_file, lines_of
from .archives import ARCHIVES, unpack
from .clip_tables import TABLES, Columns, Entry, read_table
from .sound_files import SUFFIXES

__all__ = ["LAYOUTS", "Columns", "Entry", "find_entries"]

LAYOUTS = ("labels", "digits", "transcripts", "table", "kaldi", "librispeech", "plain")
_TRANSCRIPTS = (".txt", ".lab")
_DIGITS = re.compile(r"([^_]+)_(.+)_(\d+)")
_COMMANDS = re.compile(r"([0-9a-f]+)_nohash_\d+")


def find_entries(path: Path, layout: str, columns: Columns) -> tuple[str, Iterable[Entry]]:
    """Return the layout, and the entries in it."""
    if path.is_file():
        name = path.name.lower()
        if name.endswith(ARCHIVES):
            return find_entries(unpack(path), layout, columns)
        if name.endswith(TABLES):
            return "table", read_table(path, columns)
        return "plain", [Entry(path, id=path.stem)]
    files = _sound_files(path)
    if layout == "auto":
        layout = _find_layout(path, files)
    if layout == "table":
        return layout, read_table(_only_table(path), columns)
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


def _find_layout(path: Path, files: list[Path]) -> str:
    """Return the layout of a folder, by the names in it."""
    if (path / "wav.scp").is_file():
        return "kaldi"
    if next(path.rglob("*.trans.txt"), None) is not None:
        return "librispeech"
    tables = _tables(path)
    if tables and (not files or len(tables) == 1):
        return "table"
    if files and any(_transcript(file) is not None for file in files[:200]):
        return "transcripts"
    stems = [_DIGITS.fullmatch(file.stem) for file in files]
    if files and all(stems) and len({file.parent for file in files}) == 1:
        return "digits"
    if files and all(file.parent != path for file in files):
        return "labels"
    return "plain"


def _tables(path: Path) -> list[Path]:
    return sorted(file for file in path.iterdir() if file.name.lower().endswith(TABLES) and file.name[0] != ".")


def _only_table(path: Path) -> Path:
    tables = _tables(path)
    if len(tables) == 1:
        return tables[0]
    if not tables:
        raise DataError(f"holds no table; expected one of {', '.join(TABLES)}", Place(str(path)))
    names = ", ".join(file.name for file in tables)
    raise DataError(f"holds {len(tables)} tables: {names}", Place(str(path)), "name one of them in place of the folder")


def _labels(path: Path, files: list[Path]) -> Iterator[Entry]:
    """Yield entries labelled by the folder that a file lies in."""
    root = path
    while True:  # an archive often has a folder around all
        inner = [item for item in root.iterdir() if item.is_dir() and item.name[0] != "."]
        if len(inner) != 1 or any(file.parent in (root, inner[0]) for file in files):
            break
        root = inner[0]
    names = [_COMMANDS.fullmatch(file.stem) for file in files]
    speak = all(names)
    for file, name in zip(files, names, strict=True):
        parts = file.relative_to(root).parts
        if len(parts) < 2 or parts[0].startswith("_"):  # Speech Commands has noise in _background_noise_
            continue
        speaker = name[1] if speak and name else None
        yield Entry(file, label=parts[0], speaker=speaker, id=str(file.relative_to(root).with_suffix("")))


def _digits(path: Path, files: list[Path]) -> Iterator[Entry]:
    for file in files:
        name = _DIGITS.fullmatch(file.stem)
        if name is None:
            remedies = (Remedy("layout", "labels"), Remedy("layout", "plain"))
            raise DataError("the name has not the form LABEL_SPEAKER_NUMBER", Place(str(file)), remedies)
        yield Entry(file, label=name[1], speaker=name[2], id=file.stem)


def _transcript(file: Path) -> Path | None:
    for suffix in _TRANSCRIPTS:
        beside = file.with_suffix(suffix)
        if beside.is_file():
            return beside
    return None


def _whole_text(file: Path) -> str:
    return " ".join("".join(decode_file(file)).split()) if file.stat().st_size else ""


def _with_transcripts(path: Path, files: list[Path]) -> Iterator[Entry]:
    for file in files:
        beside = _transcript(file)
        text = None if beside is None else _whole_text(beside)
        # A folder a speaker is usual; files in one folder tell none.
        inner = file.relative_to(path).parts[:-1]
        yield Entry(file, text, speaker=inner[0] if inner else None, id=str(file.relative_to(path).with_suffix("")))


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
