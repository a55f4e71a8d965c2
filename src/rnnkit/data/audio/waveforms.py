"""Sound in files: read as float32 from −1 to 1, and written as WAV. Legend: C channels, N samples."""

from __future__ import annotations

import os
import struct
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

import numpy as np
import torch
from torch import Tensor

from ...errors import ConfigError, DataError, DataWarning, Place, check_number, check_whole
from .levels import SILENT, Levels
from .resampling import resample
from .sound_files import AudioInfo, Source, open_sound, read_sound

if TYPE_CHECKING:
    import numpy.typing as npt

_OPPOSITE = 0.01  # of channels, their mean is fainter than this share of them
LOUDEST = 16.0  # floats above this are no waveform from −1 to 1, but integers written as floats


@dataclass(frozen=True, eq=False)
class Waveform:
    """Samples and their rate.

    Attributes:
        samples: [N] or [C, N], float32 from −1 to 1.
        rate: samples a second.

    Example:
        >>> wave = Waveform(torch.zeros(2, 4000), 8000)
        >>> wave, wave.seconds, wave.channels
        (Waveform(0.50 s, 8000 Hz, 2 channels), 0.5, 2)
    """

    samples: Tensor
    rate: int

    @property
    def seconds(self) -> float:
        """The length in seconds."""
        return self.samples.shape[-1] / self.rate

    @property
    def channels(self) -> int:
        """The number of channels."""
        return 1 if self.samples.ndim == 1 else len(self.samples)

    def resampled(self, rate: int) -> Waveform:
        """Return the same sound at another rate."""
        return self if rate == self.rate else Waveform(resample(self.samples, self.rate, rate), rate)

    def __repr__(self) -> str:
        channels = f", {self.channels} channels" if self.channels > 1 else ""
        return f"Waveform({self.seconds:.2f} s, {self.rate} Hz{channels})"


def read_audio(
    source: Source, *, rate: int | None = None, mono: bool = True, start: float = 0.0, seconds: float | None = None
) -> Waveform:
    """Read a sound file, or a part of it.

    The content decides about the format, not the suffix. WAV is read here: PCM of 8, 16, 24 and 32 bits, float, A-law,
    mu-law, plain or extensible headers. FLAC, OGG, MP3, AIFF and AU need the package soundfile.

    Args:
        source: a path, or an open binary file, which need not be seekable.
        rate: samples a second of what is returned; None: the file's own.
        mono: whether channels become one by their mean.
        start: the first second that is read.
        seconds: how many are read; None: all that follow.

    Returns:
        The waveform: samples [N] where `mono`, else [C, N], float32 from −1 to 1. A file that is shorter than its
        header says is read as far as it is sound, with a warning. Floats beyond 1 are cut there, with a warning.

    Raises:
        DataError: there is no such file, it is empty, damaged or no sound, holds NaN, or ends before `start`. The
            message names the file.
        MissingExtraError: the format needs soundfile.
        ConfigError: an argument is outside its range.

    Example:
        >>> import tempfile
        >>> path = Path(tempfile.mkdtemp()) / "tone.wav"
        >>> write_wav(path, torch.sin(torch.arange(8000) * 0.3), 8000)
        >>> read_audio(path)
        Waveform(1.00 s, 8000 Hz)
        >>> read_audio(path, rate=16000, start=0.25, seconds=0.5).samples.shape
        torch.Size([8000])
    """
    check_whole(rate, "rate", optional=True)
    check_number(start, "start")
    check_number(seconds, "seconds", above=0, optional=True)
    with open_sound(source) as (file, place):
        sound = read_sound(file, place)
        info = sound.info
        first = round(start * info.rate)
        if first >= info.frames > 0 and first:
            raise DataError(
                f"start={start:g} arrived; the file ends at {info.seconds:.3f} seconds", place, "type a smaller start="
            )
        count = None if seconds is None else max(round(seconds * info.rate), 1)
        data = sound.read(first, count)
        info = sound.info  # reading found out whether the file is truncated
    if not len(data):
        raise DataError(_no_samples(info), place, "record it again, or leave it out")
    if info.truncated:
        warnings.warn(_truncated(info, place), stacklevel=2)
    data = _within(data, place)
    # The mean of equal channels is each of them, to the bit.
    channels = data.mean(1) if mono and data.shape[1] > 1 else data[:, 0] if mono else data.T
    if mono and data.shape[1] > 1:
        _tell_opposite(_highest(channels), _highest(data), place)
    samples = torch.from_numpy(np.ascontiguousarray(channels))
    return Waveform(samples, info.rate).resampled(info.rate if rate is None else rate)


class AudioBlocks:
    """The samples of a sound file in blocks, so that recordings may be larger than memory; `open_blocks` makes it.

    Attributes:
        info: what the header says.
        rate: samples a second.
        levels: those of the blocks so far, and what is wrong with them.

    Example:
        >>> import io
        >>> file = io.BytesIO()
        >>> write_wav(file, torch.zeros(8000), 8000)
        >>> with open_blocks(file, seconds=0.6) as blocks:
        ...     blocks.info.seconds, sum(map(len, blocks))
        (1.0, 8000)
    """

    def __init__(self, sound: Any, place: Place, seconds: float) -> None:
        self._sound, self._place = sound, place
        self._count = max(1, round(seconds * sound.info.rate))
        self.levels = Levels()

    @property
    def info(self) -> AudioInfo:
        return self._sound.info  # type: ignore[no-any-return]

    @property
    def rate(self) -> int:
        return self.info.rate

    def __iter__(self) -> Iterator[Tensor]:
        """Yield the blocks, [n], float32 from −1 to 1, channels as one by their mean."""
        total, apart = 0, 0.0
        # A warning is given once, not for each block.
        told = set[str]()
        for data in self._sound.blocks(self._count):
            total += len(data)
            with warnings.catch_warnings(record=True) as caught:
                warnings.simplefilter("always")
                data = _within(data, self._place)
            if caught and "cut" not in told:
                told.add("cut")
                warnings.warn(caught[0].message, stacklevel=2)
            one = data[:, 0]
            if data.shape[1] > 1:
                one, apart = data.mean(1), max(apart, _highest(data))
            samples = torch.from_numpy(np.ascontiguousarray(one))
            self.levels.add(samples)
            yield samples
        if not total:
            raise DataError(_no_samples(self.info), self._place, "record it again, or leave it out")
        if self.info.truncated:
            warnings.warn(_truncated(self.info, self._place), stacklevel=2)
        _tell_opposite(self.levels.loudest, apart, self._place)


@contextmanager
def open_blocks(source: Source, *, seconds: float = 10.0) -> Iterator[AudioBlocks]:
    """Open a sound file to read it in blocks, from its beginning.

    What is read is what `read_audio` reads at the file's own rate. A file of hours needs no more memory than a block.

    Args:
        source: a path, or an open binary file; one that is not seekable is held in memory.
        seconds: of a block; the last one is shorter.

    Raises:
        DataError, MissingExtraError: as `read_audio`; also while blocks are read.
        ConfigError: an argument is outside its range.

    Example:
        >>> import tempfile
        >>> path = Path(tempfile.mkdtemp()) / "tone.wav"
        >>> write_wav(path, torch.sin(torch.arange(20000) * 0.3), 8000)
        >>> with open_blocks(path, seconds=1.0) as blocks:
        ...     blocks.rate, [len(block) for block in blocks]
        (8000, [8000, 8000, 4000])
    """
    check_number(seconds, "seconds", above=0)
    with open_sound(source) as (file, place):
        yield AudioBlocks(read_sound(file, place), place, seconds)


def audio_info(source: Source) -> AudioInfo:
    """Read the header of a sound file.

    Args:
        source: a path, or an open binary file.

    Returns:
        Format, rate, channels and length. `AudioInfo` has an example.

    Raises:
        DataError: there is no such file, it is empty, damaged or no sound.
        MissingExtraError: the format needs soundfile.
    """
    with open_sound(source) as (file, place):
        return read_sound(file, place).info


def write_wav(path: str | os.PathLike[str] | BinaryIO, samples: Tensor, rate: int, *, bits: int = 16) -> None:
    """Write a WAV file.

    Args:
        path: the file, or an open binary file.
        samples: [N] or [C, N], floats from −1 to 1; what lies beyond is cut.
        rate: samples a second.
        bits: a sample: 16 or 24 for integers, 32 for floats.

    Raises:
        ConfigError: a rate or bits outside their range.
        DataError: samples of another shape or type, or NaN.

    Example:
        >>> import io
        >>> file = io.BytesIO()
        >>> write_wav(file, torch.tensor([0.0, 0.5, -1.0]), 8000)
        >>> _ = file.seek(0)
        >>> read_audio(file).samples
        tensor([ 0.0000,  0.5000, -1.0000])
    """
    check_whole(rate, "rate")
    if bits not in (16, 24, 32):
        raise ConfigError.of("bits", bits, "expected 16, 24 or 32")
    values = torch.as_tensor(samples).detach().cpu()
    if values.ndim not in (1, 2) or not values.is_floating_point():
        raise DataError(
            f"samples of shape {tuple(values.shape)} and type {values.dtype} arrived; expected floats [N] or [C, N]"
        )
    if not values.isfinite().all():
        raise DataError("samples hold NaN or infinity; expected numbers from -1 to 1")
    frames = values.reshape(-1, values.shape[-1]).T.double().clamp(-1, 1).numpy()
    if bits == 32:
        data = frames.astype("<f4").tobytes()
    else:
        scale = 1 << (bits - 1)
        whole = np.clip(np.rint(frames * scale), -scale, scale - 1).astype("<i4")
        data = whole.astype("<i2").tobytes() if bits == 16 else whole[..., None].view(np.uint8)[..., :3].tobytes()
    channels = frames.shape[1]
    block = channels * bits // 8
    form = struct.pack("<HHIIHH", 3 if bits == 32 else 1, channels, int(rate), int(rate) * block, block, bits)
    odd = b"\0" * (len(data) % 2)
    chunks = b"fmt " + struct.pack("<I", len(form)) + form + b"data" + struct.pack("<I", len(data)) + data + odd
    content = b"RIFF" + struct.pack("<I", 4 + len(chunks)) + b"WAVE" + chunks
    if isinstance(path, str | os.PathLike):
        Path(path).write_bytes(content)
    else:
        path.write(content)


def _no_samples(info: AudioInfo) -> str:
    return f"the {info.format} file holds no samples: it has a header and nothing else"


def _highest(data: npt.NDArray[Any]) -> float:
    """Return the highest sample, either sign."""
    return float(np.abs(data).max(initial=0.0))


def _tell_opposite(one: float, apart: float, place: Place) -> None:
    """Warn of channels whose mean is much fainter than each of them.

    Args:
        one: the highest sample of the mean.
        apart: of the channels.
        place: the file.
    """
    if apart >= SILENT and one < _OPPOSITE * apart:
        problem = "its channels cancel each other: they are opposite in sign, and their mean is next to nothing"
        warnings.warn(
            DataWarning(problem, place, "take one of them: read_audio(..., mono=False).samples[0]"), stacklevel=3
        )


def _truncated(info: AudioInfo, place: Place) -> DataWarning:
    held = f"it breaks off after {info.frames:,} samples"
    if info.claimed is not None:
        held = f"it holds {info.frames:,} of the {info.claimed:,} samples that its header says"
    return DataWarning(f"the file is truncated or damaged: {held}. What is sound was read", place, "copy it again")


def _within(data: npt.NDArray[np.float32], place: Place) -> npt.NDArray[np.float32]:
    """Return samples from −1 to 1; only files of floats hold others."""
    low, high = float(data.min()), float(data.max())
    if not np.isfinite(low + high):
        raise DataError("the file holds NaN or infinity among its samples", place, "write it again as 16 bit PCM")
    peak = max(-low, high)
    if peak > LOUDEST:
        raise DataError(
            f"the samples are floats up to {peak:,.0f}; expected -1 to 1",
            place,
            "divide them by 32768, and write it again",
        )
    if peak > 1:
        problem = f"samples reach {peak:.3g}; they were cut at 1"
        warnings.warn(DataWarning(problem, place, "write it again with less gain"), stacklevel=3)
        return data.clip(-1, 1)
    return data
