"""Frames of clips side by side."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .palette import COLOURS, FAINT, INK
from .style import figure, hide_axis, wrapped, write
from .token_curves import draw_token_curves

if TYPE_CHECKING:
    import numpy.typing as npt
    from matplotlib.axes import Axes

_WIDTH = 9.0  # inches
_SHOWN = 10  # frames of a strip


def strips_picture(
    strips: Sequence[npt.NDArray[Any]], captions: Sequence[str], path: str | PathLike[str], *, columns: int = 1
) -> None:
    """Draw strips of frames below each other, a caption above each.

    Args:
        strips: frames [T, H, W] or [T, H, W, 3] in [0, 1]; of more than 10 frames some are drawn.
        captions: as many.
        path: the file to write; its suffix says the format.
        columns: of strips.
    """
    images = [joined(strip) for strip in strips]
    rows = max(1, -(-len(images) // columns))
    wide = _WIDTH / columns
    high = max((wide * image.shape[0] / image.shape[1] for image in images), default=1.0)
    drawn = figure(_WIDTH, (high + 0.32) * rows)
    for number, axes in enumerate(drawn.subplots(rows, columns, squeeze=False).flat):
        hide_axis(axes)
        if number < len(images):
            _show(axes, images[number])
            axes.set_title(wrapped(captions[number], wide, 9), fontsize=9, color=INK, pad=3, loc="left")
    write(drawn, Path(path))


def clip_answers_picture(
    frames: npt.NDArray[Any],
    probabilities: npt.NDArray[Any],
    classes: Sequence[str],
    title: str,
    path: str | PathLike[str],
) -> None:
    """Draw frames of a clip, and below them how likely each class was after each frame.

    Args:
        frames: [T, H, W] or [T, H, W, 3] in [0, 1].
        probabilities: [T, K].
        classes: their K names.
        title: above the picture.
        path: the file to write; its suffix says the format.
    """
    import numpy as np

    image = joined(frames)
    high = _WIDTH * image.shape[0] / image.shape[1]
    drawn = figure(_WIDTH, high + 2.4)
    upper, lower = drawn.subplots(2, 1, height_ratios=(high, 1.9))
    _show(upper, image)
    hide_axis(upper)
    # The first curve of that function is a blank's, which is not drawn.
    with_blank = np.concatenate([np.zeros((len(probabilities), 1)), probabilities], 1)
    draw_token_curves(lower, np.arange(1, len(probabilities) + 1), with_blank, ["", *classes])
    lower.set_xlabel("frame")
    lower.spines[["top", "right"]].set_visible(False)
    lower.tick_params(colors=FAINT, labelcolor=INK, labelsize=8)
    drawn.suptitle(wrapped(title, _WIDTH, 10), fontsize=10, color=INK)
    write(drawn, Path(path))


def joined(frames: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """Return frames side by side with a grey line between, [H, W'] or [H, W', 3]; of many, some from first to last.

    Example:
        >>> import numpy as np
        >>> joined(np.zeros((3, 4, 5))).shape
        (4, 17)
    """
    import numpy as np

    if len(frames) > _SHOWN:
        frames = frames[np.linspace(0, len(frames) - 1, _SHOWN).round().astype(int)]
    gap = np.full((frames.shape[1], 1, *frames.shape[3:]), 0.5, frames.dtype)
    parts = [part for frame in frames for part in (gap, frame)][1:]
    return np.concatenate(parts, 1)


def _show(axes: Axes, image: npt.NDArray[Any]) -> None:
    axes.imshow(image, cmap="gray", vmin=0, vmax=1, interpolation="nearest")


def scores_picture(lines: Mapping[str, Sequence[float]], name: str, path: str | PathLike[str]) -> None:
    """Draw a figure of each predicted frame, a line for each way of predicting.

    Args:
        lines: the figures of frame 1 and so on, by the name of the way.
        name: of the figure.
        path: the file to write; its suffix says the format.
    """
    from matplotlib.ticker import MaxNLocator

    drawn = figure(6.0, 3.0)
    axes = drawn.subplots()
    for number, (label, values) in enumerate(lines.items()):
        line = COLOURS[number % len(COLOURS)]
        axes.plot(range(1, len(values) + 1), values, color=line, marker="o", markersize=3, linewidth=1.4, label=label)
    axes.set_ylim(bottom=0)
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    axes.set_xlabel("predicted frame")
    axes.set_ylabel(name)
    axes.legend(frameon=False, fontsize=8)
    axes.spines[["top", "right"]].set_visible(False)
    axes.tick_params(colors=FAINT, labelcolor=INK, labelsize=8)
    write(drawn, Path(path))
