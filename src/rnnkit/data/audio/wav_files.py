"""WAV files: their header, read with care, and their samples.

Written after the RIFF specification (Microsoft and IBM 1991), WAVE_FORMAT_EXTENSIBLE (Microsoft 2001) and RF64
(EBU Tech 3306). A, mu: ITU-T G.711. Legend: C channels, N samples.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, BinaryIO

import numpy as np

from ...errors import DataError, Place

if TYPE_CHECKING:
    import numpy.typing as npt

_PCM, _FLOAT, _A_LAW, _MU_LAW, _EXTENSIBLE = 1, 3, 6, 7, 0xFFFE
_UNKNOWN_SIZE = (0, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFF)  # what programs write that do not know the length yet
_HEAD_ROOM = 0x7FFFF000  # above this, programs mean "unknown" too: SoX and ffmpeg write such sizes into pipes
_NAMES = {_PCM: "PCM", _FLOAT: "float", _A_LAW: "A-law", _MU_LAW: "mu-law"}


@dataclass(frozen=True)
class WavHeader:
    """What the header of a WAV file says.

    Attributes:
        rate: samples a second.
        channels: C.
        frames: N, those that are in the file.
        claimed: N by the header; None where it does not say it.
        coding: 1 PCM, 3 float, 6 A-law, 7 mu-law.
        width: bytes of a sample in the file.
        at: where the samples begin, in bytes.
    """

    rate: int
    channels: int
    frames: int
    claimed: int | None
    coding: int
    width: int
    at: int

    @property
    def coded(self) -> str:
        """The format of the samples in words."""
        return f"{self.width * 8} bit {_NAMES[self.coding]}"


def read_header(file: BinaryIO, size: int, place: Place) -> WavHeader | None:
    """Read the header of a WAV file; None where its samples have a coding that is not read here.

    Args:
        file: at its beginning.
        size: of the file in bytes.
        place: for messages.

    Raises:
        DataError: the header is damaged, or the file ends before the samples begin.
    """
    kind = file.read(12)[:4]
    sizes = b""
    known: tuple[int, int, int, int, int] | None = None
    at = 12
    while True:
        file.seek(at)
        head = file.read(8)
        if len(head) < 8:
            what = "its samples begin" if known else "its header ends"
            raise DataError(f"the file is truncated: it ends at byte {size:,}, before {what}", place, _COPY)
        name, length = head[:4], struct.unpack("<I", head[4:])[0]
        if name == b"ds64":
            sizes = file.read(24)
        elif name == b"fmt ":
            known = _format(file.read(min(length, 40)), place)
        elif name == b"data":
            if known is None:
                raise DataError("the header of the WAV file has no format before its samples", place, _COPY)
            if kind == b"RF64" and length == 0xFFFFFFFF and len(sizes) >= 16:
                length = struct.unpack("<Q", sizes[8:16])[0]
            follows = file.read(8)
            after = struct.unpack("<I", follows[4:])[0] if follows[:4].isalnum() and len(follows) == 8 else size
            ended = at + 16 + after <= size or len(follows) < 8  # another chunk follows: there are no samples
            return _header(known, at + 8, length, size, ended, place)
        at += 8 + length
        if length % 2:  # a zero fills up an odd length; some programs forget it
            file.seek(at)
            at += file.read(1) in (b"", b"\0")


_COPY = "copy or record the file again"


def _format(data: bytes, place: Place) -> tuple[int, int, int, int, int]:
    """Return coding, channels, rate, bytes of a frame, bits of a sample."""
    if len(data) < 16:
        raise DataError("the header of the WAV file has a format of less than 16 bytes", place, _COPY)
    coding, channels, rate, _, block, bits = struct.unpack("<HHIIHH", data[:16])
    if coding == _EXTENSIBLE and len(data) >= 26:
        coding = struct.unpack("<H", data[24:26])[0]
    if not channels or not rate:
        raise DataError(
            f"the header of the WAV file says {channels} channels and {rate} samples a second; expected at least 1",
            place,
            _COPY,
        )
    return coding, channels, rate, block, bits


def _header(
    known: tuple[int, int, int, int, int], at: int, length: int, size: int, ended: bool, place: Place
) -> WavHeader | None:
    """Return the header; `ended` says whether a length of 0 is true, or was never written."""
    coding, channels, rate, block, bits = known
    width = block // channels if block and block % channels == 0 else (bits + 7) // 8
    if not bits <= width * 8 < bits + 8 and bits:  # 20 bits lie in 3 bytes, 12 in 2; 24 in 4 is seen, too
        width = width if coding == _PCM and bits < width * 8 <= 32 else (bits + 7) // 8
    allowed = {_PCM: (1, 2, 3, 4), _FLOAT: (4, 8), _A_LAW: (1,), _MU_LAW: (1,)}
    if coding not in allowed:
        return None
    if width not in allowed[coding]:
        raise DataError(f"the header of the WAV file says {bits} bits a sample of {_NAMES[coding]}", place, _COPY)
    there = (size - at) // (width * channels)
    unknown = length in _UNKNOWN_SIZE or length >= _HEAD_ROOM
    if length == 0 and ended:
        there = 0
    claimed = None if unknown else length // (width * channels)
    return WavHeader(rate, channels, there if claimed is None else min(there, claimed), claimed, coding, width, at)


def read_samples(file: BinaryIO, header: WavHeader, start: int, count: int) -> npt.NDArray[np.float32]:
    """Read samples as float32, [N, C]; integers become numbers from −1 to below 1.

    Args:
        file: of the header.
        header: what `read_header` returned.
        start: the first sample.
        count: how many; fewer come where the file ends.
    """
    frame = header.width * header.channels
    count = max(min(count, header.frames - start), 0)
    file.seek(header.at + start * frame)
    data = file.read(count * frame)
    data = data[: len(data) // frame * frame]
    return _decoded(data, header).reshape(-1, header.channels)


def _decoded(data: bytes, header: WavHeader) -> npt.NDArray[np.float32]:
    if header.coding == _FLOAT:
        return np.frombuffer(data, f"<f{header.width}").astype(np.float32)
    if header.coding in (_A_LAW, _MU_LAW):
        return _companding(header.coding)[np.frombuffer(data, np.uint8)]
    if header.width == 1:
        return np.frombuffer(data, np.uint8).astype(np.float32) / np.float32(128) - np.float32(1)
    if header.width == 3:
        # The three bytes become the upper ones of four.
        padded = np.zeros((len(data) // 3, 4), np.uint8)
        padded[:, 1:] = np.frombuffer(data, np.uint8).reshape(-1, 3)
        return np.asarray(padded.view("<i4")[:, 0] / np.float64(1 << 31), np.float32)
    scale = np.float64(1 << (header.width * 8 - 1))
    if header.width == 2:
        return np.frombuffer(data, "<i2").astype(np.float32) / np.float32(scale)
    return (np.frombuffer(data, "<i4").astype(np.float64) / scale).astype(np.float32)


@cache
def _companding(coding: int) -> npt.NDArray[np.float32]:
    """Return the value of each byte."""
    codes = np.arange(256)
    if coding == _MU_LAW:
        codes = ~codes & 255
        exponent, mantissa = (codes >> 4) & 7, codes & 15
        values = (((mantissa << 3) + 132) << exponent) - 132
        values = np.where(codes & 128, -values, values)
    else:
        codes = codes ^ 0x55
        exponent, mantissa = (codes >> 4) & 7, codes & 15
        values = (mantissa << 4) + 8
        values = np.where(exponent > 0, (values + 256) << np.maximum(exponent - 1, 0), values)
        values = np.where(codes & 128, values, -values)
    return (values / 32768).astype(np.float32)
