"""Pictures with what was found in them: boxes, masks and labels drawn into the picture."""

from __future__ import annotations

from collections.abc import Sequence
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from .palette import COLOURS, FAINT, INK, PAPER
from .style import figure, hide_axis, open_axes, wrapped, write

if TYPE_CHECKING:
    import numpy.typing as npt
    from matplotlib.axes import Axes

_INCH = 100  # pixels of a picture
_SMALLEST, _LARGEST = 4.0, 12.0  # inches of a picture's longer side
_PANEL = 3.4  # inches of a picture in a grid
_CROWDED = 60  # boxes above which scores are not written
_MASK = 0.38  # opacity


class DrawnThings(NamedTuple):
    """What is drawn into a picture.

    Attributes:
        boxes: [N, 4]: left, top, right, bottom, in pixels of the picture.
        labels: [N], the number of each thing's class.
        texts: [N], written at each box; (): nothing.
        masks: bool [N, H, W]; None: none.
        dashed: [N], whether a box is drawn with a broken line; (): none.
    """

    boxes: npt.NDArray[Any]
    labels: npt.NDArray[Any]
    texts: Sequence[str] = ()
    masks: npt.NDArray[Any] | None = None
    dashed: Sequence[bool] = ()


def class_colour(number: int) -> str:
    """Return the colour of a class.

    Example:
        >>> class_colour(0), class_colour(6) == class_colour(0)
        ('#0072B2', True)
    """
    return COLOURS[number % len(COLOURS)]


def found_things_picture(
    image: npt.NDArray[Any], things: DrawnThings, classes: Sequence[str], path: str | PathLike[str], *, title: str = ""
) -> None:
    """Draw a picture with boxes, masks and labels, and how many of each class there are.

    Args:
        image: [H, W, 3] or [H, W] in [0, 1].
        things: what is drawn.
        classes: names.
        path: the file to write; its suffix says the format.
        title: above it.

    Example:
        >>> import numpy as np, pathlib, tempfile
        >>> things = DrawnThings(np.array([[2, 3, 20, 30]]), np.array([1]), ["0.93"])
        >>> file = pathlib.Path(tempfile.mkdtemp()) / "drawn.png"
        >>> found_things_picture(np.zeros((40, 60, 3)), things, ["cat", "dog"], file)
        >>> file.exists()
        True
    """
    height, width = image.shape[:2]
    longer = min(max(max(height, width) / _INCH, _SMALLEST), _LARGEST)
    wide, high = longer * width / max(height, width), longer * height / max(height, width)
    drawn = figure(max(wide, 2.0), high + 0.3 + 0.2 * bool(title))
    axes = drawn.subplots()
    draw_things(axes, image, things)
    _add_legend(axes, things, classes, wide)
    if title:
        axes.set_title(wrapped(title, wide, 9), fontsize=9, color=INK, loc="left", pad=4)
    write(drawn, Path(path))


def found_things_grid(
    images: Sequence[npt.NDArray[Any]],
    things: Sequence[DrawnThings],
    captions: Sequence[str],
    path: str | PathLike[str],
    *,
    columns: int = 3,
) -> None:
    """Draw several pictures with boxes and masks in a grid, a caption above each.

    Args:
        images: [H, W, 3] or [H, W] each, in [0, 1].
        things: what is drawn into each.
        captions: as many.
        path: the file to write; its suffix says the format.
        columns: of the grid.
    """
    columns = min(columns, max(len(images), 1))
    rows = max(1, -(-len(images) // columns))
    tallest = max((one.shape[0] / one.shape[1] for one in images), default=1.0)
    drawn = figure(_PANEL * columns, (_PANEL * min(tallest, 2.0) + 0.45) * rows)
    panels = drawn.subplots(rows, columns, squeeze=False).flat
    for number, axes in enumerate(panels):
        hide_axis(axes)
        if number < len(images):
            draw_things(axes, images[number], things[number])
            axes.set_title(wrapped(captions[number], _PANEL, 8), fontsize=8, color=INK, pad=3, loc="left")
    write(drawn, Path(path))


def draw_things(axes: Axes, image: npt.NDArray[Any], things: DrawnThings) -> None:
    """Draw a picture with boxes, masks and labels into axes.

    Args:
        axes: of matplotlib.
        image: [H, W, 3] or [H, W] in [0, 1].
        things: what is drawn.
    """
    from matplotlib.patches import Rectangle

    height, width = image.shape[:2]
    grey: dict[str, Any] = {"cmap": "gray", "vmin": 0, "vmax": 1} if image.ndim == 2 else {}
    axes.imshow(image, extent=(0, width, height, 0), interpolation="nearest", **grey)
    if things.masks is not None:
        axes.imshow(_mask_layer(things, height, width), extent=(0, width, height, 0), interpolation="nearest")
    crowded = len(things.boxes) > _CROWDED
    for number, (left, top, right, bottom) in enumerate(things.boxes):
        colour = class_colour(int(things.labels[number]))
        broken = bool(things.dashed) and things.dashed[number]
        axes.add_patch(
            Rectangle(
                (left, top), right - left, bottom - top, fill=False, edgecolor=colour,
                linewidth=0.7 if crowded else 1.3, linestyle=(0, (3, 2)) if broken else "-",
            )
        )  # fmt: skip
        if things.texts and things.texts[number] and not crowded:
            axes.text(
                left, max(top, 0), things.texts[number], fontsize=6, color=PAPER, va="bottom", ha="left",
                bbox={"facecolor": colour, "edgecolor": "none", "pad": 0.6, "alpha": 0.85}, clip_on=True,
            )  # fmt: skip
    axes.set_xlim(0, width)
    axes.set_ylim(height, 0)
    hide_axis(axes)


def precision_recall_picture(
    curves: Sequence[tuple[str, npt.NDArray[Any], npt.NDArray[Any]]], path: str | PathLike[str]
) -> None:
    """Draw precision over recall of several classes.

    Args:
        curves: (name, recall, precision) of each.
        path: the file to write; its suffix says the format.
    """
    drawn = figure(5.0, 3.6)
    axes = drawn.subplots()
    for number, (name, recall, precision) in enumerate(curves):
        axes.plot(recall, precision, color=class_colour(number), label=name, linewidth=1.8)
    axes.set_xlabel("recall")
    axes.set_ylabel("precision")
    axes.set_xlim(0, 1.02)
    axes.set_ylim(0, 1.02)
    open_axes(axes)
    if curves:
        axes.legend(frameon=False, fontsize=8, loc="lower left")
    write(drawn, Path(path))


def calibration_picture(
    bins: Sequence[tuple[float, float, int]], path: str | PathLike[str], *, what: str = "share that is right"
) -> None:
    """Draw how often things are right over their scores.

    Args:
        bins: (mean score, share that is right, number of things) of each.
        path: the file to write; its suffix says the format.
        what: the share's name.
    """
    drawn = figure(4.2, 3.6)
    axes = drawn.subplots()
    axes.plot((0, 1), (0, 1), color=FAINT, linestyle="--", linewidth=1)
    most = max((count for *_, count in bins), default=1)
    axes.plot([score for score, *_ in bins], [share for _, share, _ in bins], color=class_colour(0), linewidth=1.4)
    for score, share, count in bins:
        axes.plot(score, share, "o", color=class_colour(0), markersize=3 + 7 * (count / most) ** 0.5)
    axes.set_xlabel("score")
    axes.set_ylabel(what)
    axes.set_xlim(0, 1.02)
    axes.set_ylim(0, 1.02)
    open_axes(axes)
    write(drawn, Path(path))


def _mask_layer(things: DrawnThings, height: int, width: int) -> npt.NDArray[Any]:
    """Return the masks as one layer [H, W, 4] of colours; the edges of things are opaque, so that neighbours part."""
    import numpy as np
    from matplotlib.colors import to_rgb

    layer = np.zeros((height, width, 4))
    assert things.masks is not None
    for mask, label in zip(things.masks, things.labels, strict=True):
        inner = mask.copy()
        inner[1:] &= mask[:-1]
        inner[:-1] &= mask[1:]
        inner[:, 1:] &= mask[:, :-1]
        inner[:, :-1] &= mask[:, 1:]
        layer[mask, :3] = to_rgb(class_colour(int(label)))
        layer[mask, 3] = 0.95
        layer[inner, 3] = _MASK
    return layer


def _add_legend(axes: Axes, things: DrawnThings, classes: Sequence[str], wide: float) -> None:
    from matplotlib.patches import Patch

    counts = {int(label): 0 for label in sorted({int(one) for one in things.labels})}
    for label in things.labels:
        counts[int(label)] += 1
    if not counts:
        return
    handles = [Patch(color=class_colour(label), label=f"{classes[label]}: {count}") for label, count in counts.items()]
    axes.legend(
        handles=handles, loc="upper center", bbox_to_anchor=(0.5, 0.0), frameon=False, fontsize=8, handlelength=1,
        ncols=max(1, min(len(handles), int(wide / 1.4))), labelcolor=INK,
    )  # fmt: skip
