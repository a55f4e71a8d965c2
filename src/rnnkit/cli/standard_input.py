"""What arrives through standard input: a whole text, lines as they come, or a file for a recipe to read."""

from __future__ import annotations

import codecs
import io
import os
import shutil
import stat
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from ..errors import ConfigError, DataError, Place
from ..recipes import Recipe
from .output import in_options

NAME = "standard input"
DASH = Path("-")  # what users type for it


def is_piped() -> bool:
    """Return whether standard input is a pipe or a file, and no terminal."""
    return sys.stdin is not None and not sys.stdin.closed and not sys.stdin.isatty()


def is_file() -> bool:
    """Return whether standard input is a file, which can be read in batches: `rnnkit translate RUN < FILE`."""
    try:
        return stat.S_ISREG(os.fstat(sys.stdin.fileno()).st_mode)
    except (OSError, ValueError):
        return False


def lines(encoding: str | None = None) -> Iterator[str]:
    """Yield the lines of standard input as they arrive, without their ends.

    Raises:
        DataError: a line is not in that encoding.
    """
    from ..data.readers.text import undecodable
    from ..data.reading import check_encoding

    with in_options("encoding"):
        check_encoding(encoding)
    used = encoding or "utf-8-sig"
    text = io.TextIOWrapper(sys.stdin.buffer, used)
    number = 0
    try:
        for line in text:
            number += 1
            yield line.removesuffix("\n")
    except UnicodeDecodeError as error:
        held: bytes = error.object
        place = Place(NAME, number + 1 + held[: error.start].count(b"\n"))
        byte, used = held[error.start], used.removesuffix("-sig")
        with in_options("encoding"):
            raise undecodable(byte, used, place, named=encoding is not None) from None
    finally:
        text.detach()  # closing it would close standard input


def whole(encoding: str | None = None) -> str:
    """Return the text of standard input, without the end of its last line."""
    return "\n".join(lines(encoding))


@contextmanager
def as_file(texts: Sequence[str] | None = None, *, expected: str = "text", suffix: str = ".txt") -> Iterator[Path]:
    """Write standard input to a file that lasts as long as the block; errors name standard input.

    Args:
        texts: what is written in its place, a text a line: the values of --text.
        expected: what the file holds, for messages: text, or a table.
        suffix: of the file.

    Raises:
        DataError: nothing arrived.
    """
    name = NAME if not texts else "--text"
    if texts and not any(one.strip() for one in texts):
        raise ConfigError(f"--text {texts[0]!r} arrived; expected a text that is not empty")
    with tempfile.TemporaryDirectory(prefix="rnnkit-") as folder:
        file = Path(folder) / f"standard-input{suffix}"
        if texts:
            file.write_text("".join(" ".join(one.splitlines()) + "\n" for one in texts), "utf-8", "replace")
        else:
            with file.open("wb") as copy:  # it may be longer than memory is large
                shutil.copyfileobj(sys.stdin.buffer, copy)
        if not file.stat().st_size:
            raise nothing(expected)
        try:
            yield file
        except DataError as error:
            if error.place is None or error.place.source != str(file):
                raise
            place = error.place.at(source=name)
            raise DataError(error.problem, place, error.remedies, note=error.note) from error


def encoding_of(file: Path, encoding: str | None) -> str | None:
    """Return the encoding of what `as_file` wrote: the one that is given, else UTF-8 where it is that.

    A run may have been trained on files in another encoding; what is not UTF-8 is read as they were.
    """
    if encoding is not None:
        return encoding
    decoder = codecs.getincrementaldecoder("utf-8")()
    try:
        with file.open("rb") as stream:
            while chunk := stream.read(1 << 20):
                decoder.decode(chunk)
        decoder.decode(b"", final=True)
    except UnicodeDecodeError:
        return None
    return "utf-8"


def nothing(expected: str = "text") -> DataError:
    """Return the error about standard input that ends before it begins."""
    return DataError(f"nothing arrived; expected {expected}", Place(NAME))


def check_reads_text(run: Path, recipe: Recipe | None) -> None:
    """Raise ConfigError where standard input is named for a run whose recipe reads no text."""
    if recipe is None or not recipe.reads_text:
        raise ConfigError(f"- arrived, which is {NAME}, but {run} reads no plain text; name a file")
