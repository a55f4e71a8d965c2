"""Sound files of any usual format: what their first bytes and headers say, and how their samples are read.

Legend: C channels, N samples.
"""

from __future__ import annotations

import io
import os
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

import numpy as np

from ...errors import DataError, DataWarning, MissingExtraError, Place
from .claimed_lengths import Claim, claim_of
from .wav_files import WavHeader, read_header, read_samples

if TYPE_CHECKING:
    import numpy.typing as npt

Source = str | os.PathLike[str] | BinaryIO

SUFFIXES = (".wav", ".flac", ".ogg", ".oga", ".opus", ".mp3", ".aif", ".aiff", ".au", ".sph", ".wave", ".snd", ".caf")
_SUFFIXES_OF = {
    "WAV": (".wav", ".wave"),
    "FLAC": (".flac",),
    "OGG": (".ogg", ".oga", ".opus"),
    "MP3": (".mp3",),
    "AIFF": (".aif", ".aiff"),
    "AU": (".au", ".snd"),
    "SPHERE": (".sph", ".wav", ".wv1", ".wv2"),
    "CAF": (".caf",),
    "W64": (".w64", ".wav"),
    "VOC": (".voc",),
}
_BLOCK = 4096  # samples that are read at once: so many are lost where a file is damaged
_UNKNOWN = 1 << 62  # samples: soundfile's number of them is none
_INEXACT = 2 * 1152  # samples: by so many the headers of MP3 files are wrong, two frames
_TAGS = 8192  # bytes: titles and the like behind the sound
_FASTEST = 2_000_000  # samples a second; more is damage of a header


@dataclass(frozen=True)
class AudioInfo:
    """What the header of a sound file says.

    Attributes:
        format: of the content, such as "WAV" or "FLAC", whatever the suffix is.
        rate: samples a second.
        channels: C.
        frames: N, those that are in the file, according to the header and the file's size.
        coded: how samples are stored, such as "16 bit PCM".
        truncated: whether the file is shorter than its header says. FLAC and MP3 show it when they are read.
        misnamed: whether the suffix belongs to another format.
        claimed: N as the header says, where the file is shorter and the header says it; else None.

    Example:
        >>> import tempfile
        >>> import torch
        >>> from rnnkit.data.audio import audio_info, write_wav
        >>> path = Path(tempfile.mkdtemp()) / "tone.wav"
        >>> write_wav(path, torch.zeros(800), 8000)
        >>> info = audio_info(path)
        >>> info.format, info.rate, info.channels, info.frames, info.coded, info.seconds
        ('WAV', 8000, 1, 800, '16 bit PCM', 0.1)
    """

    format: str
    rate: int
    channels: int
    frames: int
    coded: str
    truncated: bool = False
    misnamed: bool = False
    claimed: int | None = None

    @property
    def seconds(self) -> float:
        """The length in seconds."""
        return self.frames / self.rate


class WavFile:
    """A WAV file whose samples are read here."""

    def __init__(self, file: BinaryIO, header: WavHeader, info: AudioInfo) -> None:
        self._file, self._header, self.info = file, header, info

    def read(self, start: int, count: int | None) -> npt.NDArray[np.float32]:
        """Read samples [N, C]; None: all that follow."""
        return read_samples(self._file, self._header, start, self._header.frames if count is None else count)

    def blocks(self, count: int) -> Iterator[npt.NDArray[np.float32]]:
        """Yield all samples, so many at a time, [n, C]."""
        for start in range(0, self._header.frames, count):
            yield read_samples(self._file, self._header, start, count)


class OtherFile:
    """A file that soundfile reads."""

    def __init__(self, file: BinaryIO, place: Place, format: str, claim: Claim) -> None:
        self._file, self._place, self._format = file, place, format
        try:
            import soundfile
        except ImportError as error:
            advice = "type pip install 'rnnkit[audio]'"
            raise MissingExtraError(f"{place}: {format} files need soundfile", None, advice) from error
        self._soundfile = soundfile
        self._sound = sound = self._open()
        # What an encoder writes into a pipe does not say its length; soundfile then tells the highest number.
        self._counted = claim.counted and sound.frames < _UNKNOWN
        cut = not claim.ended or (claim.frames or 0) > sound.frames
        self.info = AudioInfo(
            format,
            sound.samplerate,
            sound.channels,
            sound.frames,
            sound.subtype_info,
            cut,
            _misnamed(place, format),
            claim.frames if cut else None,
        )
        if sound.frames >= _UNKNOWN:
            frames = sum(map(len, self._forward()))
            self.info = replace(self.info, frames=frames)

    def read(self, start: int, count: int | None) -> npt.NDArray[np.float32]:
        """Read samples [N, C]; None: all that follow, as far as the file is sound."""
        if not self._counted:
            return self._read_forward(start, count)
        until = self.info.frames if count is None else min(start + count, self.info.frames)
        # soundfile seeks behind each read, and seeks in MP3 are inexact: MP3 is read once, from the beginning.
        begin = 0 if self._format == "MP3" else start
        try:
            if begin:
                self._sound.seek(begin)
            data: npt.NDArray[np.float32] = self._sound.read(max(until - begin, 0), dtype="float32", always_2d=True)
        except (self._soundfile.SoundFileError, RuntimeError, MemoryError) as error:
            data, begin = self._sound_part(until, error), 0
        self._note_end(begin + len(data), until)
        return data[start - begin :]

    def blocks(self, count: int) -> Iterator[npt.NDArray[np.float32]]:
        """Yield all samples, so many at a time, [n, C], as far as the file is sound."""
        parts: list[npt.NDArray[np.float32]] = []
        held = total = 0
        for part in self._forward():
            parts.append(part)
            held, total = held + len(part), total + len(part)
            if held >= count:
                yield np.concatenate(parts)
                parts, held = [], 0
        if parts:
            yield np.concatenate(parts)
        if self._counted:
            self._note_end(total, self.info.frames)

    def _note_end(self, found: int, expected: int) -> None:
        """Note that the file ends before its header says."""
        if found < expected - (_INEXACT if self._format == "MP3" else 0):
            self.info = replace(self.info, truncated=True, frames=found, claimed=self.info.claimed or self.info.frames)

    def _read_forward(self, start: int, count: int | None) -> npt.NDArray[np.float32]:
        """Read samples of a file whose length is unknown, from its beginning."""
        parts, total = [], 0
        for part in self._forward():
            parts.append(part)
            total += len(part)
            if count is not None and total >= start + count:
                break
        data = np.concatenate(parts) if parts else np.empty((0, self.info.channels), np.float32)
        return data[start : None if count is None else start + count]

    def _forward(self) -> Iterator[npt.NDArray[np.float32]]:
        """Yield all samples in small pieces, as far as the file is sound.

        Where lengths are inexact it is without the seeks that soundfile does behind each read.
        """
        sound = self._sound
        if self._format == "MP3" or not self._counted:

            class Forward(self._soundfile.SoundFile):  # type: ignore[misc, name-defined]
                def seekable(self) -> bool:
                    return False

            self._file.seek(0)
            sound = Forward(self._file)
        total = 0
        try:
            while len(part := sound.read(_BLOCK, dtype="float32", always_2d=True)):
                total += len(part)
                yield part
        except (self._soundfile.SoundFileError, RuntimeError, MemoryError) as error:
            if not total:
                raise self._damaged(error) from None
            self.info = replace(self.info, truncated=True)
        else:
            self._warn_of_rest(total)

    def _warn_of_rest(self, total: int) -> None:
        """Warn of an MP3 file whose length is an estimate that is too low: libsndfile reads no further."""
        if self._counted or self._format != "MP3":
            return
        read, size = self._file.tell(), self._file.seek(0, io.SEEK_END)
        if size - read > max(_TAGS, size // 50):
            problem = (
                f"only {total:,} samples of the MP3 file were read, {read:,} of its {size:,} bytes: it does not say "
            )
            advice = "type ffmpeg -i FILE out.wav in a shell, and read out.wav"
            warnings.warn(DataWarning(problem + "how long it is", self._place, advice), stacklevel=4)

    def _sound_part(self, until: int, error: Exception) -> npt.NDArray[np.float32]:
        """Read a damaged file from its beginning as far as it goes."""
        self._file.seek(0)
        sound = self._open()
        parts: list[npt.NDArray[np.float32]] = []
        with suppress(self._soundfile.SoundFileError, RuntimeError):
            while until > 0 and len(part := sound.read(min(until, _BLOCK), dtype="float32", always_2d=True)):
                parts.append(part)
                until -= len(part)
        if not parts:
            raise self._damaged(error)
        return np.concatenate(parts)

    def _open(self) -> Any:
        try:
            return self._soundfile.SoundFile(self._file)
        except (self._soundfile.SoundFileError, RuntimeError, TypeError) as error:
            raise self._damaged(error) from None

    def _damaged(self, error: Exception) -> DataError:
        said = str(error).rstrip(".").rpartition(": ")[2]
        # libsndfile says of some damaged MP3 files that they do not exist.
        why = "" if "does not exist" in said else f" ({said})"
        return DataError(f"the {self._format} file is damaged or truncated{why}", self._place, "copy it again")


def read_sound(file: BinaryIO, place: Place) -> WavFile | OtherFile:
    """Return what reads a file, by its first bytes."""
    size = file.seek(0, io.SEEK_END)
    file.seek(0)
    head = file.read(64)
    file.seek(0)
    if not size:
        raise DataError("the file is empty: it has 0 bytes", place, "copy or record it again, or leave it out")
    format = _format_of(head)
    if format is None:
        raise _no_audio(head, place)
    if format == "WAV":
        header = read_header(file, size, place) if head[:4] != b"RIFX" else None
        if header is not None and header.rate > _FASTEST:
            problem = f"the header of the WAV file says {header.rate:,} samples a second; expected at most {_FASTEST:,}"
            raise DataError(problem, place, "copy or record the file again")
        if header is not None:
            cut = header.claimed is not None and header.frames < header.claimed
            misnamed = _misnamed(place, "WAV")
            claimed = header.claimed if cut else None
            info = AudioInfo("WAV", header.rate, header.channels, header.frames, header.coded, cut, misnamed, claimed)
            return WavFile(file, header, info)
        file.seek(0)
    return OtherFile(file, place, format, claim_of(file, format, size))


_MARKS = (
    (b"fLaC", "FLAC"),
    (b"OggS", "OGG"),
    (b".snd", "AU"),
    (b"NIST_1A", "SPHERE"),
    (b"caff", "CAF"),
    (b"riff\x2e\x91\xcf\x11", "W64"),
    (b"Creative Voice File", "VOC"),
)


def marked_format(head: bytes) -> str | None:
    """Return the format that the first bytes of a file name, 12 or more; None: they name none.

    Example:
        >>> marked_format(b"fLaC" + bytes(8)), marked_format(bytes(12))
        ('FLAC', None)
    """
    if head[:4] in (b"RIFF", b"RIFX", b"RF64") and head[8:12] == b"WAVE":
        return "WAV"
    if head[:4] == b"FORM" and head[8:12] in (b"AIFF", b"AIFC"):
        return "AIFF"
    for mark, name in _MARKS:
        if head.startswith(mark):
            return name
    return "MP3" if head.startswith(b"ID3") else None


def _format_of(head: bytes) -> str | None:
    """Return the format of a file by its first bytes; None: no sound that is known."""
    marked = marked_format(head)
    # A frame of MPEG begins with eleven ones; then follow a version, a layer and a bit rate that exist.
    frame = len(head) > 3 and head[0] == 0xFF and head[1] & 0xE6 == 0xE2 and head[1] & 0x18 != 8
    if marked is None and frame and head[2] & 0xF0 != 0xF0 and head[2] & 0x0C != 0x0C:
        return "MP3"
    return marked


_OTHERS = (
    (4, b"ftyp", "an MPEG-4 file (.m4a, .mp4)"),
    (0, b"\x1aE\xdf\xa3", "a Matroska or WebM file"),
    (0, b"0&\xb2u", "a Windows Media file"),
    (0, b"#!AMR", "an AMR file"),
    (0, b"MThd", "a MIDI file"),
    (0, b"PK\x03\x04", "a zip archive"),
    (0, b"\x1f\x8b", "a gzip archive"),
    (0, b"\x89PNG", "a picture"),
    (0, b"version https://git-lfs", "a pointer of git-lfs in place of the file"),
)


def _no_audio(head: bytes, place: Place) -> DataError:
    for at, mark, name in _OTHERS:
        if head[at : at + len(mark)] == mark:
            advice = "type ffmpeg -i FILE out.wav in a shell, and read out.wav"
            if b"lfs" in mark:
                advice = "type git lfs pull in a shell"
            elif "archive" in name or "picture" in name or "MIDI" in name:
                advice = "name a sound file"
            return DataError(f"the file is {name}; expected WAV, FLAC, OGG, MP3, AIFF or AU", place, advice)
    if not head.strip(b"\0"):
        begins = "zeros"
    elif all(32 <= byte < 127 or byte in b"\t\r\n" for byte in head):
        begins = f"the text {head[:24].decode('ascii')!r}"
    else:
        begins = f"the bytes {head[:8].hex(' ')}"
    return DataError(
        f"the file is no sound: it begins with {begins}; expected WAV, FLAC, OGG, MP3, AIFF or AU",
        place,
        "copy it again, or leave it out",
    )


def _misnamed(place: Place, format: str) -> bool:
    suffix = Path(place.source).suffix.lower()
    return suffix in SUFFIXES and suffix not in _SUFFIXES_OF[format]


@contextmanager
def open_sound(source: Source) -> Iterator[tuple[BinaryIO, Place]]:
    """Open a path; a file that is open already gets a place by its name, and is made seekable."""
    if isinstance(source, str | os.PathLike):
        place = Place(os.fspath(source))
        try:
            file = open(source, "rb")  # noqa: SIM115
        except FileNotFoundError:
            raise DataError("there is no such file", place, "name a sound file") from None
        except IsADirectoryError:
            raise DataError("is a folder; expected a sound file", place, "read its files with read_clips") from None
        except OSError as error:
            raise DataError(f"cannot be read ({error.strerror})", place) from None
        with file:
            yield (file if file.seekable() else io.BytesIO(file.read())), place
        return
    name = getattr(source, "name", None)
    place = Place(name if isinstance(name, str) else "the open file")
    if not hasattr(source, "read"):
        raise DataError(f"the type {type(source).__name__} arrived; expected a path or an open binary file")
    if not isinstance(source.read(0), bytes):
        raise DataError("the file is open for text; expected binary", place, 'open it with open(path, "rb")')
    seekable = getattr(source, "seekable", None)
    if seekable is not None and seekable():
        yield source, place
    else:
        yield io.BytesIO(source.read()), place
