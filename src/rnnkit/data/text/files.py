"""Files with texts: which ones a path means, what their suffixes say, and how they are opened one after the other."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from ...errors import ConfigError, DataError, Place, Remedy, check_choice, check_path
from ...ordering import natural_key
from ..reading import check_encoding
from ..sentences import sentence
from .decoding import OnBytes, decode_file, empty_file

FORMATS = {"txt": "txt", "jsonl": "jsonl", "ndjson": "jsonl", "json": "json", "csv": "csv", "tsv": "tsv"}
EMPTY = ("error", "skip", "keep")
# Suffixes of what is no text, and what to do with it.
_OTHER: dict[str, tuple[str, str]] = {
    "parquet": ("a table of this format is not read", "save it as .csv or .jsonl"),
    "xlsx": ("a spreadsheet is not read", "save it as .csv"),
    "zip": ("an archive is not read", "unpack it, and give the folder"),
    "tar": ("an archive is not read", "unpack it, and give the folder"),
    "tgz": ("an archive is not read", "unpack it, and give the folder"),
    "pdf": ("a document of this format is not read", "save it as plain text (.txt)"),
    "docx": ("a document of this format is not read", "save it as plain text (.txt)"),
}
_LITTER = {"thumbs.db", "desktop.ini"}
_WORDS = {"txt": "plain text", "jsonl": "JSON lines", "json": "a JSON array", "csv": "a table", "tsv": "a table"}

T = TypeVar("T")
Paths = str | os.PathLike[str] | Iterable[str | os.PathLike[str]]


@dataclass(frozen=True, eq=False)
class TextFiles:
    """Files of one format, and how they are read; `read_texts` and `read_text_rows` say what the arguments mean."""

    files: tuple[Path, ...]
    format: str
    source: str = ""
    encoding: str | None = None
    delimiter: str | None = None
    header: bool = True
    quotes: bool = True
    empty: str = "error"

    def read_files(self, read: Callable[[Path, Iterator[str]], Iterator[T]], on_bytes: OnBytes | None) -> Iterator[T]:
        """Yield what a function reads out of each file's chunks of text; empty files are as `empty` says."""
        for file in self.files:
            if file.stat().st_size == 0 and self.empty == "error":
                raise self._is_empty(file)
            try:
                yield from read(file, decode_file(file, self.encoding, on_bytes))
            except DataError as error:
                if error.problem != empty_file(file).problem:
                    raise
                if self.empty == "error":
                    raise self._is_empty(file) from None
                yield from self.of_empty(file)

    def of_empty(self, file: Path) -> Iterable[Any]:
        """Return what an empty file holds, where that is no error."""
        return ()

    def how(self) -> list[Any]:
        """Return all that changes what is read of the same bytes."""
        return [self.format, self.encoding, self.delimiter, self.header, self.quotes, self.empty]

    def fingerprint(self) -> str:
        """Return a digest of the files' bytes and of how they are read; their names do not count."""
        return digest_files(self.files, self.how())

    @property
    def size(self) -> int:
        """The number of bytes of all files, as they lie on the disk."""
        return sum(file.stat().st_size for file in self.files)

    def __repr__(self) -> str:
        count = f"{len(self.files):,} files" if len(self.files) > 1 else Path(self.files[0]).name
        return f"{type(self).__name__.removeprefix('File')}({count}, {self.format})"

    def _is_empty(self, file: Path) -> DataError:
        error = empty_file(file)
        remedy = Remedy("empty", "skip", "to leave such files out") if len(self.files) > 1 else "take another file"
        return DataError(error.problem, error.place, remedy)


def digest_files(files: Iterable[Path], how: list[Any]) -> str:
    """Return a digest of the bytes of files and of how they are read."""
    digest = hashlib.sha256(repr(how).encode())
    for file in files:
        try:
            with file.open("rb") as stream:
                digest.update(hashlib.file_digest(stream, "sha256").digest())
        except OSError as error:
            raise DataError(f"cannot be read ({error.strerror})", Place(str(file))) from None
    return digest.hexdigest()


def check_reading(
    *,
    format: Any = None,
    encoding: Any = None,
    delimiter: Any = None,
    header: Any = None,
    quotes: Any = None,
    empty: Any = "error",
) -> None:
    """Raise ConfigError for an argument of reading that has no such value."""
    check_choice(format, "format", (*dict.fromkeys(FORMATS.values()), None))
    check_choice(empty, "empty", EMPTY)
    check_choice(header, "header", (True, False, None))
    check_choice(quotes, "quotes", (True, False, None))
    check_encoding(encoding)
    if delimiter is not None and (not isinstance(delimiter, str) or len(delimiter) != 1 or delimiter in '"\n'):
        raise ConfigError.of("delimiter", delimiter, "expected one character")


def find_files(path: Paths, format: str | None) -> tuple[tuple[Path, ...], str, str]:
    """Return the files that paths mean, their format, and the name of the whole for messages.

    Raises:
        DataError: there is no file, or they have several formats.
    """
    single = isinstance(path, str | os.PathLike)
    named: list[Any] = [path] if single else list(path)  # type: ignore[arg-type]
    for one in named:
        check_path(one)
    given = [Path(one) for one in named]
    files = tuple(file for one in given for file in _files(one, format))
    if not files:
        raise DataError("no path arrived; expected at least one")
    source = str(given[0]) if len(given) == 1 else ""
    found = {format_of(file) or "txt" for file in files} if format is None else {format}
    if len(found) > 1:
        remedies = tuple(Remedy("format", name) for name in sorted(found))
        raise DataError(f"holds files of several formats: {', '.join(sorted(found))}", Place(source), remedies)
    return files, found.pop(), source


def unused_by(kind: str) -> set[str]:
    """Return the arguments of readers that a format has no use for.

    Example:
        >>> sorted(unused_by("csv")), sorted(unused_by("jsonl"))
        (['unit'], ['delimiter', 'header', 'quotes', 'unit'])
    """
    tables, records = {"delimiter", "header", "quotes"}, {"field", "fields"}
    if kind == "txt":
        return tables | records
    return {"unit"} | (tables if kind in ("jsonl", "json") else set())


def check_use(kind: str, **arguments: Any) -> None:
    """Raise ConfigError for an argument that a format has no use for."""
    for name, value in arguments.items():
        if value is not None and name in unused_by(kind):
            raise ConfigError.of(name, value, f"leave it out: {_WORDS[kind]} has no use for it")


def _files(path: Path, format: str | None) -> list[Path]:
    """Return a file, or those of a folder that hold texts."""
    place = Place(str(path))
    if not path.exists():
        raise DataError("there is no such file or folder", place)
    if not path.is_dir():
        other = _OTHER.get(suffix_of(path))
        if format is None and other is not None:
            raise DataError(other[0], place, other[1])
        return [path]
    found = _inside(path)
    check_no_arrow(path, found)
    if format is None:
        known = [file for file in found if format_of(file)]
        # Beside texts of another format, .json is what describes them.
        known = [file for file in known if format_of(file) != "json"] or known
    else:
        known = [file for file in found if format_of(file) == format] or found
    if not known:
        suffixes = sorted({file.suffix or "no suffix" for file in found})
        holds = f"holds files of formats that are not read ({', '.join(suffixes)})" if found else "holds no files"
        expected = f"{holds}; expected .{', .'.join(FORMATS)}, or one of them with .gz"
        remedy = Remedy("format", "txt", "if they are plain text") if found else None
        raise DataError(expected, place, remedy)
    return sorted(known, key=lambda file: natural_key(file.relative_to(path).as_posix()))


def _inside(path: Path) -> list[Path]:
    """Return the files in a folder and in those below it, but hidden ones and what file managers leave behind."""
    return [
        file
        for file in path.rglob("*")
        if file.is_file()
        and not any(part.startswith(".") for part in file.relative_to(path).parts)
        and file.name.lower() not in _LITTER
    ]


def check_no_arrow(path: Path, inside: Iterable[Path]) -> None:
    """Raise DataError for a folder that Hugging Face's datasets wrote by ``save_to_disk``."""
    if (path / "dataset_info.json").is_file() and any(file.suffix == ".arrow" for file in inside):
        problem = "is what save_to_disk of Hugging Face's datasets wrote, and .arrow is not read"
        raise DataError(problem, Place(str(path)), 'write it as a table: dataset.to_parquet("data.parquet")')


def left_out_sentence(path: Paths, files: Iterable[Path]) -> str | None:
    """Return a sentence about the files of a folder that have no suffix of texts, and are not read; None: all are.

    Args:
        path: as `find_files` takes it.
        files: those that it returned.
    """
    if not isinstance(path, str | os.PathLike) or not Path(path).is_dir():
        return None
    inside, read = _inside(Path(path)), set(files)
    others = sorted((file for file in inside if file not in read and format_of(file) is None), key=lambda one: one.name)
    if not others:
        return None
    phrase = ("has no suffix of texts, and is left out", "have no suffix of texts, and are left out")
    return sentence(phrase, [str(file.relative_to(path)) for file in others], len(inside), f"files in {path}")


def suffix_of(file: Path) -> str:
    """Return a file's suffix in small letters, without the point and that of packing; "" where it has none.

    Example:
        >>> suffix_of(Path("a.B.CSV.gz")), suffix_of(Path("notes"))
        ('csv', '')
    """
    return Path(file.name.lower().removesuffix(".gz")).suffix.removeprefix(".")


def format_of(file: Path) -> str | None:
    """Return the format that a file's suffix says, or None."""
    return FORMATS.get(suffix_of(file))
