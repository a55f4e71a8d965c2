"""Files to text, piece by piece: no more than a piece is in memory. Errors name the file and the line."""

from __future__ import annotations

import codecs
import gzip
import io
import zlib
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import IO
from unicodedata import combining

from ...errors import DataError, Place
from ..readers.text import marked_encoding, undecodable, zero_bytes

CHUNK = 1 << 18  # bytes that are read at once
PIECE = 1 << 16  # characters of a piece of a text, about
LONGEST = 1 << 26  # characters of a text that is held in memory as a whole
_GZIP = b"\x1f\x8b"

OnBytes = Callable[[int], None]


def decode_file(
    path: Path, encoding: str | None = None, on_bytes: OnBytes | None = None, span: tuple[int, int] | None = None
) -> Iterator[str]:
    r"""Yield the text of a file in chunks, with ``\n`` ends.

    Args:
        path: the file; one that is packed by gzip is unpacked.
        encoding: where there is no byte order mark; None: UTF-8.
        on_bytes: called with the number of bytes that were read from the disk.
        span: the bytes that are read, of a file that is not packed; it may hold no text. None: all.

    Raises:
        DataError: the file cannot be read, is damaged, is empty, or is not text in that encoding.
    """
    place = Place(str(path), part="" if span is None or not span[0] else f"lines from byte {span[0]:,} on")
    decoder = newlines = None
    used, lines, empty, named = "", 0, True, encoding is not None
    for raw in _raw(path, on_bytes, span):
        if decoder is None:
            mark = marked_encoding(raw)
            named = named or mark is not None
            used = mark or encoding or "utf-8"
            decoder = codecs.getincrementaldecoder(used)()
            newlines = io.IncrementalNewlineDecoder(None, True)
        assert newlines is not None
        try:
            text = newlines.decode(decoder.decode(raw, not raw), not raw)
        except UnicodeDecodeError as error:
            held: bytes = error.object
            lines += held[: error.start].decode(used, "ignore").count("\n")
            raise undecodable(held[error.start], used, place.at(line=lines + 1), named=named) from None
        if "\0" in text:
            raise zero_bytes(used, place.at(line=lines + text.count("\n", 0, text.index("\0")) + 1))
        lines += text.count("\n")
        empty = empty and not text.strip()
        if text:
            yield text
    if empty and span is None:
        raise empty_file(path)


def empty_file(path: Path) -> DataError:
    """Return the error about a file without text."""
    return DataError("the file is empty; expected text", Place(str(path)))


def lines_of(chunks: Iterable[str], path: Path) -> Iterator[tuple[str, int]]:
    """Yield (line, number) with the line's end, the numbers from 1.

    Raises:
        DataError: a line is longer than what is held in memory.
    """
    rest: list[str] = []
    size, number = 0, 0
    for chunk in chunks:
        found = chunk.split("\n")
        for part in found[:-1]:
            number += 1
            rest.append(part)
            yield "".join(rest) + "\n", number
            rest, size = [], 0
        rest.append(found[-1])
        size += len(found[-1])
        if size > LONGEST:
            raise too_long(Place(str(path), number + 1), "line")
    if size:
        yield "".join(rest), number + 1


def too_long(place: Place, what: str) -> DataError:
    """Return the error about a text that does not fit in memory."""
    return DataError(
        f"a {what} has more than {LONGEST:,} characters, which is the longest that is read as one text",
        place,
        "break it into lines, or give the path to tokenize(), which reads a .txt file in pieces",
    )


def cut(chunks: Iterable[str], limit: int | None = None) -> Iterator[tuple[str, int]]:
    """Yield a text in pieces of about `limit` characters, each with the number of the line where it begins.

    A piece ends after a line that holds more than spaces, else before a space, else anywhere but before an accent: a
    tokenizer cuts the pieces as it would cut the whole.
    """
    limit = PIECE if limit is None else limit
    held, line = "", 1
    for chunk in chunks:
        held += chunk
        while len(held) > 2 * limit:
            end = _end(held, limit)
            yield held[:end], line
            line += held.count("\n", 0, end)
            held = held[end:]
    if held:
        yield held, line


def _end(text: str, limit: int) -> int:
    """Return where a piece ends, at most `limit` characters on and at least 1."""
    end = limit
    while (end := text.rfind("\n", 0, end)) > 0:
        if not text[end - 1].isspace() and not text[end + 1].isspace():
            return end + 1
    space = text.rfind(" ", limit // 2, limit)
    if space > 0 and not text[space - 1].isspace():
        return space
    end = limit
    while end > limit - 64 and end > 1 and (combining(text[end]) or text[end] in "\u200c\u200d\ufe0f"):
        end -= 1
    return end


def _raw(path: Path, on_bytes: OnBytes | None, span: tuple[int, int] | None) -> Iterator[bytes]:
    """Yield the bytes of a file or of a span of it, unpacked, and nothing at the end as the last."""
    place = Place(str(path))
    try:
        with path.open("rb") as file:
            packed = file.read(2) == _GZIP
            file.seek(0 if span is None else span[0])
            if path.suffix.lower() == ".gz" and not packed:
                raise DataError("is no gzip file, as its name says", place, "rename it without .gz")
            source: IO[bytes] = gzip.GzipFile(fileobj=file) if packed else file  # type: ignore[assignment]
            before = file.tell()
            while raw := source.read(CHUNK if span is None else min(CHUNK, span[1] - before)):
                now = file.tell()
                if on_bytes is not None:
                    on_bytes(now - before)
                before = now
                yield raw
            yield b""
    except (gzip.BadGzipFile, EOFError, zlib.error) as error:
        raise DataError(f"is not a whole gzip file ({error})", place) from None
    except OSError as error:
        raise DataError(f"cannot be read ({error.strerror or error})", place) from None
