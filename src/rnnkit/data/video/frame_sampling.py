"""Which frames of a clip are read."""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING

from ...errors import check_whole

if TYPE_CHECKING:
    import torch


def sample_frames(
    count: int, most: int | None = None, *, every: int = 1, generator: torch.Generator | None = None
) -> list[int]:
    """Return the numbers of the frames to read of a clip.

    Of every `every`-th frame all are taken where they are no more than `most`. Else they are divided into `most` equal
    parts, and the middle of each is taken, or with a generator a random one of each (Wang et al. 2016, "Temporal
    segment networks"). So a long clip is seen from its beginning to its end.

    Args:
        count: frames of the clip.
        most: frames to read at most; None: all.
        every: 2 takes every second frame.
        generator: of random places; None: the middle of each part.

    Raises:
        ConfigError: a number below 1.

    Example:
        >>> sample_frames(5), sample_frames(100, 4), sample_frames(10, every=3)
        ([0, 1, 2, 3, 4], [12, 37, 62, 87], [0, 3, 6, 9])
    """
    check_whole(count, "count")
    check_whole(every, "every")
    numbers = list(range(0, count, every))
    if most is None:
        return numbers
    check_whole(most, "most")
    if len(numbers) <= most:
        return numbers
    edges = [len(numbers) * part // most for part in range(most + 1)]
    pairs = list(pairwise(edges))
    if generator is None:
        return [numbers[(first + last - 1) // 2] for first, last in pairs]
    import torch

    shares = torch.rand(most, generator=generator).tolist()
    return [numbers[first + int(share * (last - first))] for (first, last), share in zip(pairs, shares, strict=True)]
