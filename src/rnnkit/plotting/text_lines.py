"""Pictures of lines of text with what was read in them."""

from __future__ import annotations

from collections.abc import Sequence
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .palette import BLUE, FAINT, INK
from .style import figure, hide_axis, wrapped, write
from .token_curves import draw_token_curves

if TYPE_CHECKING:
    import numpy.typing as npt

_WIDTH = 7.0  # inches
_TALLEST = 12.0  # inches of a drawn line, which usually has a fraction of that
_COLUMNS = 100  # an inch of a line of text
_COLUMN_WIDTH = 3.4  # inches of a line in a grid


def read_line_picture(
    grey: npt.NDArray[Any], words: Sequence[tuple[str, float, float]], title: str, path: str | PathLike[str]
) -> None:
    """Draw a picture with the words that were read above the places where they begin and end.

    Args:
        grey: [H, W] in [0, 1], 1 is white.
        words: (text, start, end) in columns.
        title: above it.
        path: the file to write; its suffix says the format.
    """
    height, width = grey.shape
    inches = min(max(width / _COLUMNS, 3.0), 12.0)
    drawn = figure(inches, min(inches * height / width, _TALLEST) + 0.8)
    axes = drawn.subplots()
    axes.imshow(grey, cmap="gray", vmin=0, vmax=1, interpolation="nearest", extent=(0, width, height, 0))
    for text, start, end in words:
        axes.axvspan(start, max(end, start + 1), color=BLUE, alpha=0.12, linewidth=0)
        axes.text((start + end) / 2, -0.06 * height, text, fontsize=9, color=BLUE, ha="center", va="bottom")
    axes.set_xlim(0, width)
    axes.set_ylim(height, 0)
    hide_axis(axes)
    drawn.suptitle(wrapped(title, inches, 10), fontsize=10, color=INK)
    write(drawn, Path(path))


def line_steps_picture(
    ink: npt.NDArray[Any],
    probabilities: npt.NDArray[Any],
    tokens: Sequence[str],
    path: str | PathLike[str],
    *,
    stride: int,
) -> None:
    """Draw a line as the network sees it, and the probabilities of tokens from left to right below it.

    Args:
        ink: [H, W] in [0, 1], ink 1.
        probabilities: of each token at each step [T', V]; token 0 is the blank.
        tokens: as they are written, [V].
        path: the file to write; its suffix says the format.
        stride: columns of a step.
    """
    import numpy as np

    height, width = ink.shape
    drawn = figure(_WIDTH, min(_WIDTH * height / width, 3.0) + 2.0)
    upper, lower = drawn.subplots(2, 1, sharex=True, height_ratios=(max(0.3, min(_WIDTH * height / width, 3.0)), 1.6))
    upper.imshow(ink, cmap="gray_r", vmin=0, vmax=1, aspect="auto", extent=(0, width, height, 0))
    upper.set_yticks([])
    places = (np.arange(len(probabilities)) + 0.5) * stride
    draw_token_curves(lower, places, probabilities, tokens)
    lower.set_xlabel("column")
    lower.set_xlim(0, width)
    for axes in (upper, lower):
        axes.spines[["top", "right"]].set_visible(False)
        axes.tick_params(colors=FAINT, labelcolor=INK, labelsize=8)
    write(drawn, Path(path))


def lines_picture(
    inks: Sequence[npt.NDArray[Any]], captions: Sequence[str], path: str | PathLike[str], *, columns: int = 2
) -> None:
    """Draw lines of text in a grid, dark on light, a caption above each.

    Args:
        inks: [H, W_i] in [0, 1], ink 1.
        captions: as many.
        path: the file to write; its suffix says the format.
        columns: of the grid.
    """
    rows = max(1, -(-len(inks) // columns))
    widest = max((ink.shape[1] / ink.shape[0] for ink in inks), default=4.0)
    high = _COLUMN_WIDTH / max(widest, 2.0)
    drawn = figure(_COLUMN_WIDTH * columns, (high + 0.35) * rows)
    panels = drawn.subplots(rows, columns, squeeze=False).flat
    for number, axes in enumerate(panels):
        hide_axis(axes)
        if number < len(inks):
            ink = inks[number]
            axes.imshow(ink, cmap="gray_r", vmin=0, vmax=1, interpolation="nearest", extent=(0, ink.shape[1], 0, 1))
            axes.set_xlim(0, max(one.shape[1] for one in inks))
            axes.set_aspect(ink.shape[0])
            axes.set_title(wrapped(captions[number], _COLUMN_WIDTH, 9), fontsize=9, color=INK, pad=3, loc="left")
    write(drawn, Path(path))
