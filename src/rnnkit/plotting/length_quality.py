"""Length of a text against the quality of what a model made of it."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING

from .palette import BLUE, ORANGE
from .style import figure, open_axes, plain_texts, write

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_BINS = 8
_MOST = 2000  # points that are drawn


def bins_of(pairs: Sequence[tuple[float, float]], most: int = _BINS) -> list[tuple[float, float, int]]:
    """Return (mean length, mean quality, count) of groups of about equal size, the shortest first.

    Example:
        >>> bins_of([(1, 0.5), (2, 0.7), (9, 0.1), (10, 0.3)], 2)
        [(1.5, 0.6, 2), (9.5, 0.2, 2)]
    """
    ordered = sorted(pairs)
    count = min(most, len(ordered))
    edges = [round(len(ordered) * at / count) for at in range(count + 1)] if count else []
    groups = [ordered[low:high] for low, high in pairwise(edges) if high > low]
    return [
        (sum(x for x, _ in group) / len(group), sum(y for _, y in group) / len(group), len(group)) for group in groups
    ]


def length_quality_picture(
    pairs: Sequence[tuple[float, float]],
    path: Path | None = None,
    *,
    length: str = "length of the text, tokens",
    quality: str = "quality",
) -> Figure:
    """Draw the quality of each text over its length, and the mean of groups of about equal size.

    Args:
        pairs: (length, quality) of each text.
        path: the file to write; None: none.
        length: what the first number is.
        quality: what the second is.

    Returns:
        The figure.
    """
    drawn = figure(4.8, 3.6)
    axes = drawn.subplots()
    open_axes(axes)
    step = -(-len(pairs) // _MOST) or 1
    axes.plot(*zip(*pairs[::step], strict=True), ".", color=BLUE, alpha=0.35, markersize=4, label="a text")
    means = bins_of(pairs)
    axes.plot([x for x, _, _ in means], [y for _, y, _ in means], "o-", color=ORANGE, markersize=4, label="mean")
    axes.set_xlabel(length)
    axes.set_ylabel(quality)
    axes.legend(frameon=False)
    if path is None:
        plain_texts(drawn)
    else:
        write(drawn, path)
    return drawn
