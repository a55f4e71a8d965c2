"""Sound cut at its silences: long sound into pieces, as it comes, and short sound at both ends. Legend: N samples."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import NamedTuple

import torch
from torch import Tensor

from ...errors import ConfigError, check_number, check_whole
from .speech_segments import frame_energies

_WINDOW = 0.025  # seconds of the frames whose energies show where sound begins and ends
_MARGIN = 2  # frames that are left in front and behind
_QUIET = 0.3  # seconds of a silence to cut in
_HOP = 0.01


class Piece(NamedTuple):
    """A part of long sound.

    Attributes:
        start: where it begins, in seconds from the beginning of the sound.
        samples: [N].

    Example:
        >>> Piece(12.5, torch.zeros(8000)).start
        12.5
    """

    start: float
    samples: Tensor


def cut_at_silences(blocks: Iterable[Tensor], rate: int, *, least: float = 10.0, most: float = 30.0) -> Iterator[Piece]:
    """Yield pieces of sound that comes in blocks; joined, they are the sound.

    Each is cut in the middle of its quietest 0.3 seconds between `least` and `most`, so that a cut seldom meets a word.
    No more than `most` seconds and a block are in memory.

    Args:
        blocks: [n] each.
        rate: samples a second.
        least, most: seconds of a piece; the last one may be shorter.

    Raises:
        ConfigError: an argument is outside its range.

    Example:
        >>> sound = torch.cat([torch.ones(9000), torch.zeros(4000), torch.ones(9000)])
        >>> [(piece.start, len(piece.samples)) for piece in cut_at_silences(sound.split(500), 8000, least=1, most=2)]
        [(0.0, 10240), (1.28, 11760)]
    """
    check_whole(rate, "rate")
    check_number(least, "least", above=0)
    check_number(most, "most", above=0)
    if most < 2 * _HOP or least > most:
        raise ConfigError(f"least={least:g} and most={most:g} arrived; expected the smaller one first, most above 0.02")
    held: list[Tensor] = []
    start = count = 0
    longest = round(most * rate)
    for block in blocks:
        held.append(block)
        count += len(block)
        while count > longest:
            samples = held[0] if len(held) == 1 else torch.cat(held)
            cut = quietest(samples[:longest], rate, round(least * rate))
            yield Piece(start / rate, samples[:cut].clone())
            start, count, held = start + cut, count - cut, [samples[cut:].clone()]
    if count:
        yield Piece(start / rate, torch.cat(held))


def quietest(samples: Tensor, rate: int, first: int) -> int:
    """Return the middle of the quietest 0.3 seconds of samples, at `first` or behind it.

    Args:
        samples: [N].
        rate: samples a second.
        first: the number of a sample.

    Example:
        >>> quietest(torch.cat([torch.ones(8000), torch.zeros(2400), torch.ones(8000)]), 8000, 4000)
        9200
    """
    first = min(first, max(len(samples) - 1, 0))
    rest = samples[first:]
    window, hop = min(round(_QUIET * rate), max(len(rest), 1)), max(1, round(_HOP * rate))
    energies = frame_energies(rest, window, hop)
    if not len(energies):
        return len(samples)
    return max(first + int(energies.argmin()) * hop + window // 2, 1)


def trim_silence(samples: Tensor, rate: int, below: float = 25.0) -> Tensor:
    """Return samples without what is quiet at both ends.

    What is quiet lies more than `below` dB under the loudest frame of 25 ms. Up to two hops of 10 ms stay at each end.

    Args:
        samples: [N].
        rate: samples a second.
        below: dB, at least 0.

    Returns:
        [N'], a view of the samples.

    Raises:
        ConfigError: an argument is outside its range.

    Example:
        >>> sound = torch.cat([torch.zeros(4000), torch.ones(8000), torch.zeros(4000)])
        >>> len(trim_silence(sound, 8000)), len(trim_silence(torch.zeros(4000), 8000))
        (8600, 4000)
    """
    check_whole(rate, "rate")
    check_number(below, "below")
    window, hop = max(1, round(_WINDOW * rate)), max(1, round(_HOP * rate))
    energies = frame_energies(samples, window, hop)
    if not len(energies):
        return samples
    loud = (energies >= energies.max() - below).nonzero()[:, 0]
    first, last = int(loud[0]) - _MARGIN, int(loud[-1]) + _MARGIN
    # The last frame ends up to a hop before the samples do; where it is loud nothing is cut.
    end = last * hop + window if last < len(energies) else len(samples)
    return samples[max(first, 0) * hop : end]
