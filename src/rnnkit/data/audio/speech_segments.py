"""Where in a recording somebody speaks: by the energy of clean sound, or by labels that a user made.

Legend: N samples, T frames.
"""

from __future__ import annotations

import math
import os
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from ...errors import DataError, Place, check_number, check_whole
from ...serialization import replacing
from ..text.decoding import decode_file, lines_of

_WINDOW, _HOP = 0.02, 0.01  # seconds of the frames whose energies show speech
_BELOW_PEAK = 35.0  # dB: the weakest sounds of speech are so far below the loudest ones
_ABOVE_NOISE = 6.0
_CLEAN = 20.0  # dB from the noise to the loudest sounds, at least, in a recording that is called clean
_PAUSE, _SHORTEST = 0.2, 0.04  # seconds: shorter pauses belong to speech, shorter sounds are clicks


class Segment(NamedTuple):
    """A stretch of time in seconds.

    Attributes:
        start, end: of it.

    Example:
        >>> Segment(0.5, 2.0).end
        2.0
    """

    start: float
    end: float


def frame_energies(samples: Tensor, window: int, hop: int) -> Tensor:
    """Return the energy of frames in dB, [T]: 10 log10 of the mean square, at least −120.

    Args:
        samples: [N]; fewer than a window make one frame, none make none.
        window, hop: samples of a frame, and from one to the next.

    Example:
        >>> frame_energies(torch.ones(300), 200, 80)
        tensor([0., 0.])
    """
    check_whole(window, "window")
    check_whole(hop, "hop")
    if not len(samples):
        return torch.zeros(0)
    if len(samples) < window:
        samples = torch.nn.functional.pad(samples, (0, window - len(samples)))
    # A frame's sum is the difference of two from the beginning; in float64, for quiet frames behind loud ones.
    sums = torch.nn.functional.pad(samples.double().square().cumsum(0), (1, 0))
    starts = torch.arange(0, len(samples) - window + 1, hop)
    squares = (sums[starts + window] - sums[starts]).clamp(min=0) / window
    return (10 * torch.log10(squares.clamp(min=1e-12))).float()


def find_speech(samples: Tensor, rate: int) -> list[Segment]:
    """Return where somebody speaks in a clean recording of one person, by its energy.

    Speech is what is less than 35 dB below the loudest frames, and more than 6 dB above the quietest tenth where that
    is more. Pauses of less than 0.2 seconds belong to speech; sounds of less than 0.04 seconds do not.

    Args:
        samples: [N], from −1 to 1.
        rate: samples a second.

    Example:
        >>> sound = torch.cat([torch.zeros(4000), torch.sin(torch.arange(8000) * 0.3), torch.zeros(4000)])
        >>> [(round(one.start, 2), round(one.end, 2)) for one in find_speech(sound, 8000)]
        [(0.49, 1.51)]
    """
    energies = frame_energies(samples, max(round(_WINDOW * rate), 1), max(round(_HOP * rate), 1))
    if not len(energies) or float(energies.max()) <= -119:
        return []
    peak, noise = (float(energies.quantile(share)) for share in (0.98, 0.1))
    least = max(peak - _BELOW_PEAK, min(noise + _ABOVE_NOISE, peak - _CLEAN))
    spoken = (energies > least).numpy()
    seconds = len(samples) / rate
    found = [
        Segment(begin * _HOP, min((end - 1) * _HOP + _WINDOW, seconds))
        for begin, end in runs_of(spoken)
        if (end - begin) * _HOP >= _SHORTEST
    ]
    return merged(found, _PAUSE)


def noise_below(samples: Tensor, rate: int) -> float:
    """Return how many dB the quietest tenth of the frames of a recording lie below the loudest ones.

    Example:
        >>> noise_below(torch.cat([torch.full((8000,), 0.01), torch.ones(8000)]), 8000)
        40.0
    """
    energies = frame_energies(samples, max(round(_WINDOW * rate), 1), max(round(_HOP * rate), 1))
    if not len(energies):
        return 0.0
    return round(float(energies.quantile(0.98) - energies.quantile(0.1)), 1)


def merged(segments: Iterable[Segment], pause: float = 0.0) -> list[Segment]:
    """Return segments in order, those that overlap or that are less than a pause apart joined.

    Example:
        >>> merged([Segment(2.0, 3.0), Segment(0.0, 1.0), Segment(1.1, 1.5)], 0.2)
        [Segment(start=0.0, end=1.5), Segment(start=2.0, end=3.0)]
    """
    check_number(pause, "pause")
    found: list[Segment] = []
    for one in sorted(segments):
        if found and one.start - found[-1].end < max(pause, 1e-9):
            found[-1] = Segment(found[-1].start, max(found[-1].end, one.end))
        else:
            found.append(one)
    return found


def runs_of(flags: np.ndarray) -> list[tuple[int, int]]:
    """Return where runs of true values begin and end (the first that is false again).

    Example:
        >>> runs_of(np.array([False, True, True, False, True]))
        [(1, 3), (4, 5)]
    """
    edges = np.flatnonzero(np.diff(np.concatenate([[0], flags.astype(np.int8), [0]])))
    return list(zip(edges[::2].tolist(), edges[1::2].tolist(), strict=True))


def frame_labels(segments: Iterable[Segment], frames: int, *, rate: int, window: int, hop: int) -> Tensor:
    """Return 1 for each frame whose middle lies in a segment, else 0, [T] float32.

    Args:
        segments: in seconds.
        frames: T.
        rate: samples a second.
        window, hop: samples of a frame, and from one to the next.

    Example:
        >>> frame_labels([Segment(0.02, 0.04)], 6, rate=8000, window=80, hop=80)
        tensor([0., 0., 1., 1., 0., 0.])
    """
    labels = torch.zeros(frames)
    for start, end in segments:
        first, behind = (max(0, math.ceil((time * rate - window / 2) / hop - 1e-6)) for time in (start, end))
        labels[first:behind] = 1
    return labels


def read_labels(path: str | os.PathLike[str], names: Sequence[str] = ()) -> list[Segment]:
    """Read a label file of Audacity: a line a segment, its start and end in seconds and a name, with tabs between.

    Args:
        path: the file; an empty one has no segments.
        names: the names that count; none takes all.

    Raises:
        DataError: a line has another form; the message names it.

    Example:
        >>> import tempfile
        >>> file = Path(tempfile.mkdtemp()) / "talk.txt"
        >>> _ = file.write_text("0.5\\t1.25\\tspeech\\n3\\t4\\tmusic\\n")
        >>> read_labels(file), read_labels(file, ["speech"])
        ([Segment(start=0.5, end=1.25), Segment(start=3.0, end=4.0)], [Segment(start=0.5, end=1.25)])
    """
    file = Path(path)
    found = []
    if not file.stat().st_size:
        return []
    for line, number in lines_of(decode_file(file), file):
        if not line.strip() or line.startswith("\\"):  # a line of frequencies belongs to the label before
            continue
        parts = line.rstrip("\r\n").split("\t")
        try:
            start, end = float(parts[0]), float(parts[1])
        except (ValueError, IndexError):
            problem = f"{line.strip()[:40]!r} is no label; expected START, END and a name with tabs between, in seconds"
            raise DataError(problem, Place(str(file), number)) from None
        if not 0 <= start <= end < math.inf:
            raise DataError(f"the label is from {start:g} to {end:g} seconds", Place(str(file), number))
        if not names or (parts[2].strip() if len(parts) > 2 else "") in names:
            found.append(Segment(start, end))
    return found


def is_label_file(path: Path) -> bool:
    """Return whether a file is a label file of Audacity with at least one label, or empty."""
    try:
        read_labels(path)
    except (DataError, OSError):
        return False
    return True


def write_labels(path: str | os.PathLike[str], segments: Iterable[tuple[float, float]], names: Iterable[str]) -> None:
    """Write a label file of Audacity, whole or not at all; *File > Import > Labels* reads it.

    Args:
        path: the file.
        segments: start and end of each, in seconds.
        names: of each.

    Example:
        >>> import tempfile
        >>> file = Path(tempfile.mkdtemp()) / "talk.txt"
        >>> write_labels(file, [(0.5, 1.25)], ["speech 0.98"])
        >>> file.read_text()
        '0.500000\\t1.250000\\tspeech 0.98\\n'
    """
    lines = [f"{start:.6f}\t{end:.6f}\t{name}\n" for (start, end), name in zip(segments, names, strict=True)]
    with replacing(Path(path)) as temporary:
        temporary.write_text("".join(lines), encoding="utf-8")
