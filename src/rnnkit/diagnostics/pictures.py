"""Pictures of a run: learning curves, a confusion matrix, a grid of images.

Each function draws one picture and writes it to ``path``; the suffix chooses the format. Figures are drawn without
pyplot, so nothing here touches a notebook's or another thread's plotting state.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..errors import DataError
from ._style import BLUE, COLOURS, FAINT, GREEN, INK, ORANGE
from ._style import figure as _figure
from ._style import open_axes as _open
from ._style import write as _write

if TYPE_CHECKING:
    import numpy as np

# Columns of a history that are no quality of the model.
_NOT_METRICS = frozenset({"epoch", "loss", "lr", "seconds", "samples_per_second"})


def curves(
    rows: Sequence[Mapping[str, float]],
    path: Path,
    *,
    final: Mapping[str, float] | None = None,
    stacked: bool = False,
) -> None:
    """Draws the loss and each metric over the epochs, training and validation in one panel.

    Args:
        rows: one mapping per epoch, as ``History.rows`` holds them: ``epoch``, ``loss``, the metrics, and
            the same with ``val_`` before them. A run stopped within its first epoch has none.
        path: the file to write.
        final: results on the test set, drawn as one point at the last epoch.
        stacked: one panel below the other, for narrow pages.
    """
    from matplotlib.ticker import MaxNLocator

    names = list(dict.fromkeys(key for row in rows for key in row))
    metrics = [name for name in names if name not in _NOT_METRICS and not name.startswith("val_")]
    panels = ["loss", *metrics]
    figure = _figure(4.8, 2.4 * len(panels) + 0.4) if stacked else _figure(4.8 * len(panels), 3.6)
    shape = (len(panels), 1) if stacked else (1, len(panels))
    for axes, name in zip(figure.subplots(*shape, squeeze=False).flat, panels, strict=True):
        _open(axes)
        axes.set_xlabel("epoch")
        axes.set_ylabel(name)
        for key, label, colour in ((name, "training", BLUE), ("val_" + name, "validation", ORANGE)):
            points = [(row["epoch"], row[key]) for row in rows if key in row]
            if points:
                # Few epochs are drawn as dots too: a single one would leave no line at all.
                marker = "o" if len(points) <= 20 else None
                axes.plot(*zip(*points, strict=True), color=colour, marker=marker, markersize=4, label=label)
        if rows and final and name in final:
            axes.plot(
                [rows[-1]["epoch"]], [final[name]], "D", color=GREEN, markersize=7, label=f"test {final[name]:.4g}"
            )
        if rows:
            first, last = rows[0]["epoch"], rows[-1]["epoch"]
            axes.set_xlim(first - 0.5, last + 0.5)
            axes.xaxis.set_major_locator(MaxNLocator(integer=True, min_n_ticks=1))
            axes.legend(frameon=False)
        else:
            axes.set_xticks([])
            axes.set_yticks([])
            axes.text(0.5, 0.5, "no complete epoch", ha="center", color=FAINT, transform=axes.transAxes)
    _write(figure, path)


def confusion(matrix: np.ndarray[Any, Any], classes: Sequence[str], path: Path) -> None:
    """Draws a confusion matrix with its counts, the share recognised of each class beside its row.

    Correct answers are pale blue, so that the eye is left for the mistakes: the darker the orange, the
    more often a class (row) was taken for another (column).

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
    mistakes = counts - np.diag(np.diag(counts))
    worst, total = max(int(mistakes.max(initial=0)), 1), max(int(counts.sum()), 1)

    side = max(4.0, 0.58 * size + 1.8)
    figure = _figure(side + 0.4, side)
    figure.set_layout_engine("compressed")  # made for squares; "constrained" cuts off what stands beside few of them
    axes = figure.subplots()
    axes.imshow(np.ma.masked_equal(mistakes, 0), cmap="Oranges", vmin=0, vmax=worst * 1.25)
    for row in range(size):
        axes.add_patch(Rectangle((row - 0.5, row - 0.5), 1, 1, color="#dbe9f4"))
        for column in range(size):
            count = int(counts[row, column])
            if row == column:
                style: dict[str, Any] = {"color": INK, "fontweight": "bold"}
            elif count:
                style = {"color": "white" if count > 0.7 * worst else INK}
            else:
                continue
            axes.text(column, row, f"{count}", ha="center", va="center", fontsize=9.5, **style)
    axes.set_xticks(range(size), classes)
    if max(map(len, classes), default=0) > 5:  # wider than a square
        axes.tick_params(axis="x", rotation=90)
    axes.set_yticks(range(size), classes)
    axes.set_xticks(np.arange(size - 1) + 0.5, minor=True)
    axes.set_yticks(np.arange(size - 1) + 0.5, minor=True)
    axes.grid(which="minor", color="#e6e6e6", linewidth=0.8)
    axes.tick_params(which="both", length=0)
    axes.set_xlabel("predicted")
    axes.set_ylabel("true")
    for row in range(size):
        seen = int(counts[row].sum())
        share = f"{100 * counts[row, row] / seen:.1f}%" if seen else "–"
        axes.text(size - 0.35, row, share, va="center", fontsize=9, color=FAINT)
    axes.text(size - 0.35, -0.75, "recognised", va="center", fontsize=9, color=FAINT)
    axes.spines[:].set_visible(False)
    axes.set_title(
        f"{int(mistakes.sum()):,} of {int(counts.sum()):,} wrong ({100 * np.trace(counts) / total:.2f}% right)", pad=22
    )
    _write(figure, path)


def grid(
    images: np.ndarray[Any, Any], captions: Sequence[str], path: Path, *, title: str = "", columns: int = 8
) -> None:
    """Draws grey images [N, height, width] in [0, 1] in a grid, dark on light, a caption above each.

    No image at all draws the title alone: a network that makes no mistakes has none to show.
    """
    count = len(images)
    columns = min(columns, max(count, 4))
    lines = max(1, math.ceil(count / columns))
    figure = _figure(1.25 * columns, 1.55 * lines + 0.5)
    panels = figure.subplots(lines, columns, squeeze=False).flat
    for index, axes in enumerate(panels):
        axes.set_axis_off()
        if index < count:
            axes.imshow(images[index], cmap="gray_r", vmin=0, vmax=1, interpolation="nearest")
            axes.set_title(captions[index], fontsize=9, color=INK, pad=3)
    figure.suptitle(title, fontsize=11, color=INK)
    _write(figure, path)


def against(true: np.ndarray[Any, Any], predicted: np.ndarray[Any, Any], names: Sequence[str], path: Path) -> None:
    """Draws predicted over true numbers, a panel for each number; on the line they agree.

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
    figure = _figure(4.6 * len(names), 4.4)
    for at, axes in enumerate(figure.subplots(1, len(names), squeeze=False)[0]):
        x, y = true[:, at], predicted[:, at]
        _open(axes)
        low, high = float(min(x.min(), y.min())), float(max(x.max(), y.max()))
        axes.plot([low, high], [low, high], color=FAINT, linewidth=1, label="equal")
        axes.plot(x, y, "o", color=BLUE, markersize=4, alpha=max(0.15, min(0.8, 60 / len(x))), markeredgewidth=0)
        axes.set_xlabel(f"true {names[at]}".strip())
        axes.set_ylabel(f"predicted {names[at]}".strip())
        error, variance = float(np.square(y - x).mean()), float(x.var())
        share = f", r² {1 - error / variance:.3f}" if variance > 0 else ""
        axes.set_title(f"{len(x):,} rows: rmse {error**0.5:.4g}{share}", fontsize=11)
        axes.legend(frameon=False)
    _write(figure, path)


def before_after(sides: Mapping[str, tuple[Mapping[str, float], Mapping[str, float]]], path: Path) -> None:
    """Draws figures before and after, a panel for each figure, a pair of bars for each kind of data.

    Args:
        sides: figures by their names, before and after; a missing one is not drawn.
        path: the file to write.
    """
    names = list(dict.fromkeys(name for pair in sides.values() for figures in pair for name in figures))
    drawn = _figure(3.4 * max(len(names), 1), 3.2)
    for axes, name in zip(drawn.subplots(1, max(len(names), 1), squeeze=False)[0], names, strict=False):
        _open(axes)
        axes.set_ylabel(name)
        for at, ((before, after), colour) in enumerate(zip(sides.values(), COLOURS, strict=False)):
            for offset, shade, figures, when in ((-0.2, FAINT, before, "before"), (0.2, colour, after, "after")):
                if name in figures:
                    bars = axes.bar(at + offset, figures[name], 0.36, color=shade)
                    axes.bar_label(bars, [f"{when}\n{figures[name]:.3g}"], fontsize=8, padding=2)
        axes.set_xticks(range(len(sides)), list(sides))
        axes.margins(y=0.2)
    _write(drawn, path)
