"""What is wrong with the level of a recording: it is silent, faint, clipped, or has an offset. Legend: N samples."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from ..sentences import Phrase

SILENT = 10 ** (-70 / 20)  # the loudest sample of silence, −70 dB: 10 steps of 16 bits
_FAINT_DB = -40.0
_CLIPPED = 0.001  # share of samples at the highest level, in runs of at least three
_OFFSET = 0.05  # a mean that far from 0 is a fault of the recording
_AT_TOP = 0.9995  # of the highest level: both ends of 16 bits, −32768 and 32767
_LEAST = 0.1  # a level below which nothing is clipped


class Levels:
    """The levels of a recording that is heard in blocks. One block is judged to the bit as the recording as a whole.

    Attributes:
        loudest: the highest sample so far, either sign.

    Example:
        >>> levels = Levels()
        >>> for block in torch.zeros(100).split(30):
        ...     levels.add(block)
        >>> levels.faults()
        [(('is silent', 'are silent'), '')]
    """

    def __init__(self) -> None:
        self.loudest = 0.0
        self._count = self._at_top = 0
        self._sum = 0.0
        self._low, self._high = math.inf, -math.inf

    def add(self, samples: Tensor) -> None:
        """Hear the next block [N], N at least 1."""
        low, high = (float(one) for one in samples.aminmax())
        loudest = max(high, -low)
        if loudest * _AT_TOP > self.loudest:  # what was at the top so far is no longer there
            self._at_top = 0
        self.loudest = max(self.loudest, loudest)
        if loudest >= self.loudest * _AT_TOP:
            self._at_top += count_at_top(samples, self.loudest)
        self._low, self._high = min(self._low, low), max(self._high, high)
        self._sum += float(samples.sum(dtype=torch.float64))
        self._count += len(samples)

    @property
    def clipped_share(self) -> float:
        """The share of samples that stand at the highest level, in runs of at least three."""
        return self._at_top / self._count if self._count and self.loudest >= _LEAST else 0.0

    def faults(self) -> list[tuple[Phrase, str]]:
        """Return what is wrong: what one recording and what several do, and a detail."""
        if not self._count:
            return []
        offset = self._sum / self._count
        peak = max(self._high - offset, offset - self._low)
        if abs(offset) > _OFFSET:
            return [(("has an offset", "have an offset"), f"a mean of {offset:+.2f}")]
        if peak < SILENT:
            return [(("is silent", "are silent"), "")]
        if _decibels(peak) < _FAINT_DB:
            return [(("is faint", "are faint"), f"at most {_decibels(peak):.0f} dB")]
        share = self.clipped_share
        if share > _CLIPPED:
            return [(("is clipped", "are clipped"), f"{share:.{0 if share >= 0.1 else 1}%} of its samples")]
        return []


def faults(samples: Tensor) -> list[tuple[Phrase, str]]:
    """Return what is wrong with samples [N]: what one clip and what several do, and a detail.

    Example:
        >>> faults(torch.full((100,), 0.5))
        [(('has an offset', 'have an offset'), 'a mean of +0.50')]
    """
    levels = Levels()
    levels.add(samples)
    return levels.faults()


def count_at_top(samples: Tensor, level: float) -> int:
    """Return how many samples [N] stand at a level, either sign, in runs of at least three.

    Example:
        >>> count_at_top(torch.tensor([0.0, 0.9, 0.9, 0.9, 0.1, -0.9, 0.2, 0.0, 0.0, 0.0]), 0.9)
        3
    """
    if len(samples) < 3:
        return 0
    # Both ends count, each with its own sign: integers reach from -32768 to 32767.
    at_top = torch.zeros(len(samples), dtype=torch.bool)
    for sign in (1, -1):
        at = sign * samples >= level * _AT_TOP
        run = at[:-2] & at[1:-1] & at[2:]
        at_top[:-2] |= run
        at_top[1:-1] |= run
        at_top[2:] |= run
    return int(at_top.sum())


def _decibels(level: float) -> float:
    return 20 * math.log10(max(level, 1e-12))
