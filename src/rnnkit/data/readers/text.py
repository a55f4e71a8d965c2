"""Bytes to text, with file, line and remedy in every error."""

from __future__ import annotations

import codecs
import re
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING
from unicodedata import normalize

import numpy as np

from ...errors import DataError, Place, Remedy
from ...spelling import is_composed, merged
from ..labels import plain_label
from ..reading import Options
from ..sentences import quoted

if TYPE_CHECKING:
    import numpy.typing as npt

# A UTF-32 mark begins like a UTF-16 one, so it comes first.
_MARKS = {
    codecs.BOM_UTF8: "utf-8-sig",
    codecs.BOM_UTF32_LE: "utf-32",
    codecs.BOM_UTF32_BE: "utf-32",
    codecs.BOM_UTF16_LE: "utf-16",
    codecs.BOM_UTF16_BE: "utf-16",
}
# How files begin that are no text, whatever their suffixes: what they are, and what to do.
_OTHER_FILES: dict[bytes, tuple[str, str]] = {
    b"PK\x03\x04": ("a ZIP archive or a spreadsheet", "unpack it, or save the spreadsheet as CSV"),
    b"\xd0\xcf\x11\xe0": ("a spreadsheet of Excel", "save it as CSV"),
    b"\x1f\x8b": ("packed by gzip", "unpack it first"),
    b"\xfd7zXZ": ("packed by xz", "unpack it first"),
    b"\x28\xb5\x2f\xfd": ("packed by zstd", "unpack it first"),
    b"\x93NUMPY": ("an array of NumPy", "save it with np.savez(path, X=..., y=...) as .npz"),
    b"\x89HDF": ("a file of HDF5", "save its table as CSV"),
    b"SQLite format 3\x00": ("a database of SQLite", "save its table as CSV"),
}
_PAGE = re.compile(rb"\s*<(?:!doctype html|html|\?xml)", re.IGNORECASE)
_JSON = re.compile(rb'\s*(?:\[\s*)?\{\s*"')

# What stands between the words of a file, for the comparison of their spellings.
_BETWEEN = re.compile(r"[\s,;|:\"'{}]+")


def decode(path: Path, options: Options) -> str:
    """The file's text with ``\\n`` ends: by its byte order mark, else as `encoding` says, else as strict UTF-8.

    Accented letters are composed (Unicode NFC), so that two spellings of a name are one name. Lines of comments are
    empty, so that the others keep their numbers.

    Raises:
        DataError: it is empty, or not text in that encoding.
    """
    encoding = options.encoding
    try:
        raw = path.read_bytes()
    except OSError as error:
        raise DataError(f"cannot be read ({error.strerror})", Place(str(path))) from None
    if not raw.strip():
        raise DataError("the file is empty; expected at least one series", Place(str(path)))
    check_text(raw, path)
    mark = marked_encoding(raw)
    used = mark or encoding or "utf-8"
    try:
        text = raw.decode(used)
    except UnicodeDecodeError as error:
        if 4 * raw.count(b"\0") > len(raw) and not (mark or encoding):
            raise zero_bytes(used, Place(str(path), 1)) from None
        place = Place(str(path), raw.count(b"\n", 0, error.start) + 1)
        raise undecodable(raw[error.start], used, place, named=bool(encoding or mark)) from None
    if "\0" in text:
        raise zero_bytes(used, Place(str(path), text.count("\n", 0, text.index("\0")) + 1))
    text = text.replace("\r\n", "\n").replace("\r", "\n") if "\r" in text else text
    if options.comment is not None:
        text = _without_comments(text, options.comment.strip())
    if is_composed(text):
        return text
    say_merged(merged(_BETWEEN.split(text)), Place(str(path)), options)
    return normalize("NFC", text)


def check_text(raw: bytes, path: Path) -> None:
    """Raise DataError for a file whose first bytes are those of another kind of file, such as a spreadsheet."""
    place = Place(str(path))
    for begin, (what, advice) in _OTHER_FILES.items():
        if raw.startswith(begin):
            raise DataError(f"is {what}, not text", place, advice)
    if raw.startswith(b"PAR1") and raw.endswith(b"PAR1"):
        raise DataError("is a table of Parquet, not text", place, "give it the suffix .parquet")
    if _PAGE.match(raw):
        raise DataError("is a web page or XML, not a table", place, "save the table itself, as CSV")
    if _JSON.match(raw):
        raise DataError(
            "is JSON, not a table", place, "save it as CSV, for example by pandas.read_json(...).to_csv(...)"
        )


def marked_encoding(raw: bytes) -> str | None:
    """Return the encoding that a byte order mark at the begin of a file names, or None."""
    return next((name for mark, name in _MARKS.items() if raw.startswith(mark)), None)


def undecodable(byte: int, encoding: str, place: Place, *, named: bool) -> DataError:
    """Return the error about a byte that is not in the encoding; `named`: the user or a mark named the encoding."""
    remedies = (Remedy("encoding", "gb18030", "(Chinese)"), Remedy("encoding", "latin-1", "(Western Europe)"))
    return DataError(
        f"byte 0x{byte:02x} is not {encoding.upper()}",
        place,
        Remedy("encoding", purpose="with another name") if named else remedies,
    )


def zero_bytes(encoding: str, place: Place) -> DataError:
    """Return the error about zero bytes in a text."""
    return DataError(
        f"holds zero bytes, so it is no {encoding.upper()} text",
        place,
        Remedy("encoding", "utf-16-le", "if it is UTF-16 without a mark"),
    )


def say_merged(names: Sequence[str], place: Place, options: Options) -> None:
    """Note that names occur in two spellings, and are taken for one each."""
    if names:
        shown = quoted(names, 5)
        problem = f"accented letters are written in two ways (Unicode NFC and NFD) in {shown}; both are the same name"
        options.guesses.add(problem, place)


def _without_comments(text: str, mark: str) -> str:
    """The text with empty lines in place of those that begin with a mark, outside of quotation marks."""
    inside, lines = False, []
    for line in text.split("\n"):
        if not inside and line.lstrip().startswith(mark):
            lines.append("")
            continue
        inside ^= line.count('"') % 2 == 1
        lines.append(line)
    return "\n".join(lines)


def labels(cells: Sequence[str], decimal: str = ".") -> npt.NDArray[np.str_]:
    """Labels as `plain_label` writes them."""
    names = {cell: plain_label(cell, decimal) for cell in set(cells)}
    return np.array([names[cell] for cell in cells], np.str_)
