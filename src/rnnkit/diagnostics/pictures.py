"""Pictures of a run: learning curves, a confusion matrix, a grid of images, predictions.

Each function draws one picture and writes it to ``path``; the suffix chooses the format. Figures are drawn without
pyplot, so nothing here touches a notebook's or another thread's plotting state.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..errors import DataError
from ..ordering import natural_key
from ..plotting.learning_curves import curves as curves
from ..plotting.palette import BLUE, COLOURS, FAINT, GRID, INK
from ..plotting.style import figure as _figure
from ..plotting.style import hide_axis, is_share, shortened, wrapped
from ..plotting.style import open_axes as _open
from ..plotting.style import write as _write

if TYPE_CHECKING:
    import numpy as np

_CELL, _LARGEST = 0.58, 10.5  # inches: of a cell, and of all cells together
_IMAGE = 1.25  # inches: of an image in a grid
_PANEL = 4.6  # inches: of a panel of predictions


def confusion(matrix: np.ndarray[Any, Any], classes: Sequence[str], path: Path) -> None:
    """Draw a confusion matrix with its counts, and the share of each class that was recognised beside its row.

    Correct answers are pale blue, so that mistakes stand out: the darker the orange, the more often a class (row) was
    taken for another (column). Classes in alphabetical order are drawn in the order of their numbers: class_2 before
    class_10. The picture grows with the classes up to about 2,000 pixels; beyond about 40 classes the counts are left
    out. Names of more than 28 characters are cut in their middle, unless that would make two of them alike.

    Args:
        matrix: counts [C, C], row = true class, column = predicted class.
        classes: the C names.
        path: the file to write.

    Raises:
        DataError: the matrix is not [C, C].
    """
    import numpy as np
    from matplotlib.patches import Rectangle

    counts, size = np.asarray(matrix), len(classes)
    if counts.shape != (size, size):
        raise DataError(
            f"a confusion matrix of shape {counts.shape} arrived for {size} classes; expected {(size, size)}"
        )
    order = _natural_order(classes)
    counts, names = counts[np.ix_(order, order)], shortened([classes[at] for at in order])
    mistakes = counts - np.diag(np.diag(counts))
    worst, total = max(int(mistakes.max(initial=0)), 1), max(int(counts.sum()), 1)

    cell = min(_CELL, _LARGEST / max(size, 1))
    font = max(4.0, min(9.5, 40 * cell))  # points
    upright = max(map(len, names), default=0) > 5 or cell < _CELL  # names wider than a cell
    figure = _figure(cell * size, cell * size)  # of the cells alone: the picture grows with the texts around them
    figure.set_layout_engine("none")
    axes = figure.add_axes((0, 0, 1, 1))
    axes.imshow(np.ma.masked_equal(mistakes, 0), cmap="Oranges", vmin=0, vmax=worst * 1.25)
    for row in range(size):
        axes.add_patch(Rectangle((row - 0.5, row - 0.5), 1, 1, color="#dbe9f4"))
        for column in range(size) if cell > 0.25 else ():
            count = int(counts[row, column])
            if row == column:
                style: dict[str, Any] = {"color": INK, "fontweight": "bold"}
            elif count:
                style = {"color": "white" if count > 0.7 * worst else INK}
            else:
                continue
            fitting = min(font, 72 * cell / (0.7 * len(str(count))))
            axes.text(column, row, f"{count}", ha="center", va="center", fontsize=fitting, **style)
    axes.set_xticks(range(size), names, fontsize=font, rotation=90 if upright else 0)
    axes.set_yticks(range(size), names, fontsize=font)
    between = np.arange(size - 1) + 0.5
    for lines in (axes.vlines, axes.hlines):  # below the counts; minor ticks take as long as all the rest to draw
        lines(between, -0.5, size - 0.5, color=GRID, linewidth=0.8 if cell > 0.25 else 0.4, zorder=1.5)
    axes.tick_params(length=0)
    axes.set_xlim(-0.5, size - 0.5)
    axes.set_ylim(size - 0.5, -0.5)
    for row in range(size):
        seen = int(counts[row].sum())
        share = f"{100 * counts[row, row] / seen:.1f}%" if seen else "–"
        axes.text(size - 0.35, row, share, va="center", fontsize=min(9.0, font), color=FAINT)
    axes.annotate(
        "recognised", (1, 1), xycoords="axes fraction", xytext=(3, 5), textcoords="offset points", fontsize=9,
        color=FAINT, annotation_clip=False,
    )  # fmt: skip
    axes.spines[:].set_visible(False)
    axes.set_xlabel("predicted")
    axes.set_ylabel("true")
    axes.set_title(
        f"{int(mistakes.sum()):,} of {int(counts.sum()):,} wrong ({100 * np.trace(counts) / total:.2f}% right)",
        loc="left", pad=22, fontsize=11,
    )  # fmt: skip
    _write(figure, path)


def _natural_order(names: Sequence[str]) -> list[int]:
    """Return the order to draw names in: the natural one, if they come in alphabetical order.

    Example:
        >>> _natural_order(["class_1", "class_10", "class_2"]), _natural_order(["low", "high", "2", "10"])
        ([0, 2, 1], [0, 1, 2, 3])
    """
    order = list(range(len(names)))
    if list(names) != sorted(names):  # an order of the user's own
        return order
    return sorted(order, key=lambda at: natural_key(names[at]))


def grid(
    images: np.ndarray[Any, Any], captions: Sequence[str], path: Path, *, title: str = "", columns: int = 8
) -> None:
    """Draw grey images [N, height, width] in [0, 1] in a grid, dark on light, a caption above each.

    No image at all draws the title alone: a network that makes no mistakes has none to show. Captions that are wider
    than an image are broken into lines.
    """
    count = len(images)
    columns = min(columns, max(count, 4))
    lines = max(1, math.ceil(count / columns))
    captions = [wrapped(caption, _IMAGE, 9) for caption in captions]
    above = 0.3 + 0.15 * max((caption.count("\n") for caption in captions), default=0)
    figure = _figure(_IMAGE * columns, (_IMAGE + above) * lines + 0.5)
    panels = figure.subplots(lines, columns, squeeze=False).flat
    for index, axes in enumerate(panels):
        hide_axis(axes)
        if index < count:
            axes.imshow(images[index], cmap="gray_r", vmin=0, vmax=1, interpolation="nearest")
            axes.set_title(captions[index], fontsize=9, color=INK, pad=3)
    figure.suptitle(wrapped(title, _IMAGE * columns, 11), fontsize=11, color=INK)
    _write(figure, path)


def against(true: np.ndarray[Any, Any], predicted: np.ndarray[Any, Any], names: Sequence[str], path: Path) -> None:
    """Draw predicted over true numbers, a panel for each number; on the line they agree.

    Args:
        true, predicted: [N, K].
        names: what the K numbers are called; "" for the only one.
        path: the file to write.

    Raises:
        DataError: the two are not of one shape [N, K].
    """
    import numpy as np

    if true.shape != predicted.shape or true.ndim != 2 or true.shape[1] != len(names):
        raise DataError(
            f"numbers of shape {true.shape} and predictions of shape {predicted.shape} arrived for {len(names)} names; "
            f"expected (rows, {len(names)}) for both"
        )
    figure = _figure(_PANEL * len(names), 4.4)
    for at, axes in enumerate(figure.subplots(1, len(names), squeeze=False)[0]):
        x, y = true[:, at], predicted[:, at]
        _open(axes)
        low, high = float(min(x.min(), y.min())), float(max(x.max(), y.max()))
        axes.plot([low, high], [low, high], color=FAINT, linewidth=1, label="equal")
        axes.plot(x, y, "o", color=BLUE, markersize=4, alpha=max(0.15, min(0.8, 60 / len(x))), markeredgewidth=0)
        axes.set_xlabel(wrapped(f"true {names[at]}".strip(), _PANEL - 1, 10))
        axes.set_ylabel(wrapped(f"predicted {names[at]}".strip(), _PANEL - 1, 10))
        error, variance = float(np.square(y - x).mean()), float(x.var())
        share = f", r² {1 - error / variance:.3f}" if variance > 0 else ""
        axes.set_title(f"{len(x):,} rows: rmse {error**0.5:.4g}{share}", fontsize=11)
        axes.legend(frameon=False)
    _write(figure, path)


def before_after(sides: Mapping[str, tuple[Mapping[str, float], Mapping[str, float]]], path: Path) -> None:
    """Draw figures before and after, a panel for each figure, a pair of bars for each kind of data.

    Args:
        sides: figures by their names, before and after; a missing one is not drawn.
        path: the file to write.
    """
    names = list(dict.fromkeys(name for pair in sides.values() for figures in pair for name in figures))
    drawn = _figure(3.4 * max(len(names), 1), 3.2)
    for axes, name in zip(drawn.subplots(1, max(len(names), 1), squeeze=False)[0], names, strict=False):
        _open(axes)
        axes.set_ylabel(name)
        for at, (before, after) in enumerate(sides.values()):
            colour = COLOURS[at % len(COLOURS)]
            for offset, shade, figures, when in ((-0.2, FAINT, before, "before"), (0.2, colour, after, "after")):
                if name in figures:
                    bars = axes.bar(at + offset, figures[name], 0.36, color=shade)
                    axes.bar_label(bars, [f"{when}\n{figures[name]:.3g}"], fontsize=8, padding=2)
        axes.set_xticks(range(len(sides)), [wrapped(side, 2.4 / len(sides), 10) for side in sides])
        bottom, top = axes.get_ylim()
        if is_share(name) and top <= 1.1:  # the labels of bars stand above the axes
            axes.set_ylim(bottom, 1)
        else:
            axes.margins(y=0.2)
    _write(drawn, path)
