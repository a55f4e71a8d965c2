"""How many samples the headers of sound files promise, where soundfile does not tell it, and whether a file was cut.

Legend: N samples.
"""

from __future__ import annotations

import io
import struct
from typing import BinaryIO, NamedTuple

_PAGE = 27 + 255 + 255 * 255  # bytes of the longest page of Ogg
_AU_WIDTHS = {1: 1, 2: 1, 3: 2, 4: 3, 5: 4, 6: 4, 7: 8, 27: 1}  # codings of AU → bytes of a sample
_PLAIN = (b"NONE", b"sowt", b"twos", b"raw ", b"fl32", b"FL32", b"fl64", b"FL64", b"in24", b"in32")  # of AIFC


class Claim(NamedTuple):
    """What a file promises of its length.

    Attributes:
        frames: N by the header; None where it does not say it, or soundfile tells it.
        counted: whether the number that soundfile tells is that of the header, and no estimate.
        ended: whether the file has the mark of its end, where its format has one.
    """

    frames: int | None = None
    counted: bool = True
    ended: bool = True


def claim_of(file: BinaryIO, format: str, size: int) -> Claim:
    """Return what a file promises.

    Args:
        file: it; the position is put back to the beginning.
        format: as the first bytes say, such as "AIFF".
        size: of the file in bytes.

    Example:
        >>> head = b".snd" + struct.pack(">5I", 24, 4000, 3, 8000, 1)  # 4000 bytes of 16 bits, of which 2000 are there
        >>> claim_of(io.BytesIO(head + bytes(2000)), "AU", 2024).frames
        2000
    """
    file.seek(0)
    try:
        if format == "AIFF":
            return Claim(_of_aiff(file))
        if format == "AU":
            return Claim(_of_au(file.read(24)))
        if format == "MP3":
            return Claim(counted=_is_tagged(file))
        if format == "OGG":
            return Claim(ended=_ends(file, size))
        return Claim()
    except struct.error:  # the header is cut, too: soundfile refuses it
        return Claim()
    finally:
        file.seek(0)


def _of_aiff(file: BinaryIO) -> int | None:
    form = file.read(12)[8:]
    while len(head := file.read(8)) == 8:
        name, length = struct.unpack(">4sI", head)
        if name == b"COMM":
            data = file.read(min(length, 22))
            plain = form == b"AIFF" or data[18:22] in _PLAIN
            return int(struct.unpack(">I", data[2:6])[0]) if plain else None
        file.seek(length + length % 2, io.SEEK_CUR)
    return None


def _of_au(head: bytes) -> int | None:
    length, coding, _, channels = struct.unpack(">4I", head[8:24])
    width = _AU_WIDTHS.get(coding)
    return None if length == 0xFFFFFFFF or width is None or not channels else length // (width * channels)


def _is_tagged(file: BinaryIO) -> bool:
    """Whether the first frame of an MP3 file is a tag with the number of frames: Xing's, LAME's or VBRI."""
    head = file.read(10)
    begin = 0
    if head[:3] == b"ID3" and len(head) == 10:
        begin = 10 + sum((byte & 0x7F) << shift for byte, shift in zip(head[6:10], (21, 14, 7, 0), strict=True))
    file.seek(begin)
    frame = file.read(64)
    at = max(frame.find(b"Xing"), frame.find(b"Info"))
    return b"VBRI" in frame or (at >= 0 and len(frame) >= at + 8 and bool(frame[at + 7] & 1))


def _ends(file: BinaryIO, size: int) -> bool:
    """Whether the last page of an Ogg file is whole, and marked as the last one."""
    begin = max(0, size - 2 * _PAGE)
    file.seek(begin)
    tail = file.read()
    at = tail.rfind(b"OggS")
    if at < 0 or len(tail) < at + 27:
        return False
    lengths = tail[at + 27 : at + 27 + tail[at + 26]]
    whole = len(lengths) == tail[at + 26] and len(tail) >= at + 27 + len(lengths) + sum(lengths)
    return whole and bool(tail[at + 5] & 4)
