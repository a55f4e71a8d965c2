"""Tokens of Parquet pages as `writing` makes them, without the lists around them: in half the time that pyarrow takes.

A row group of shards of tokens has pages that are compressed by zstd by themselves. A page has a header (Thrift's
compact protocol), then the levels, which say where lists begin, then the values: with BYTE_STREAM_SPLIT the first bytes
of all values, the second bytes of all, and so on. Tokens are wanted one after the other, so levels are skipped.
Whatever differs from that is left to pyarrow, which also says what is damaged.

Source: https://parquet.apache.org/docs/file-format/data-pages/
"""

from __future__ import annotations

import zlib
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    import numpy.typing as npt

DTYPES = ("uint16", "uint32")
_DATA_PAGE, _BYTE_STREAM_SPLIT = 0, 9
_WIDTH = 4  # bytes of a value: Parquet has no whole numbers that are narrower


def is_known(column: Any) -> bool:
    """Return whether the pages of a column of a row group, by its metadata, may be as `writing` makes them."""
    return (
        column.compression == "ZSTD"
        and column.physical_type == "INT32"
        and set(column.encodings) == {"RLE", "BYTE_STREAM_SPLIT"}
        and not column.has_dictionary_page
    )


def decode_pages(raw: bytes, count: int, dtype: str, codec: Any) -> npt.NDArray[Any] | None:
    """Return the tokens of a column of a row group; None where its pages are not as `writing` makes them.

    Args:
        raw: the pages.
        count: of the tokens.
        dtype: of the tokens, one of `DTYPES`.
        codec: zstd, of pyarrow.
    """
    found = np.empty(count, dtype)
    at = done = 0
    try:
        while done < count:
            header, at = _struct(raw, at)
            page = memoryview(raw)[at : at + header[3]]
            values, encoding = header[5][1], header[5][2]
            known = header[1] == _DATA_PAGE and encoding == _BYTE_STREAM_SPLIT
            large = header[2] > 2 * _WIDTH * count + 1024  # with its levels; such a size must not take all memory
            if not known or large or zlib.crc32(page) != header[4] & 0xFFFFFFFF:
                return None
            body = np.frombuffer(codec.decompress(page, header[2]), np.uint8)
            begin = _behind_levels(body)
            if values < 1 or len(body) - begin != _WIDTH * values:
                return None
            if not _join(body[begin:].reshape(_WIDTH, values), found[done : done + values]):
                return None
            done, at = done + values, at + header[3]
    except (KeyError, IndexError, TypeError, ValueError, OSError):  # errors of pyarrow are among them
        return None
    return found if at == len(raw) else None


def _behind_levels(body: npt.NDArray[np.uint8]) -> int:
    """Return where the values of a page begin: behind two runs of levels, each with its length in front."""
    at = 0
    for _ in range(2):
        at += 4 + int.from_bytes(body[at : at + 4].tobytes(), "little")
    return at


def _join(ranks: npt.NDArray[np.uint8], out: npt.NDArray[Any]) -> bool:
    """Write values into an array by their bytes [rank, values], the lowest first; return whether they fit."""
    out[:] = ranks[0]
    for rank in range(1, _WIDTH):
        if not ranks[rank].any():
            continue
        if rank >= out.itemsize:
            return False
        out |= np.left_shift(ranks[rank], 8 * rank, dtype=out.dtype)
    return True


def _struct(raw: bytes, at: int) -> tuple[dict[int, Any], int]:
    """Return the fields of a structure of Thrift's compact protocol by their numbers, and the place behind it.

    Raises:
        ValueError: it has fields of a kind that headers of pages have not.
        IndexError: it is cut off.
    """
    found: dict[int, Any] = {}
    number = 0
    while raw[at]:
        number, kind, at = number + (raw[at] >> 4), raw[at] & 15, at + 1
        if kind in (1, 2):
            found[number] = kind == 1
        elif kind in (4, 5, 6):
            value, at = _varint(raw, at)
            found[number] = (value >> 1) ^ -(value & 1)
        elif kind == 8:
            size, at = _varint(raw, at)
            found[number], at = raw[at : at + size], at + size
        elif kind == 12:
            found[number], at = _struct(raw, at)
        else:
            raise ValueError(f"the kind {kind}")
    return found, at + 1


def _varint(raw: bytes, at: int) -> tuple[int, int]:
    """Return a number of seven bits a byte, and the place behind it."""
    value = shift = 0
    while raw[at] & 128:
        value, shift, at = value | (raw[at] & 127) << shift, shift + 7, at + 1
    return value | raw[at] << shift, at + 1
