"""Learning curves of a run."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from .palette import BLUE, FAINT, GREEN, ORANGE
from .style import figure, limit_share, open_axes, plain_texts, write

if TYPE_CHECKING:
    from matplotlib.figure import Figure

# Columns of a history that are no figures of the model.
NOT_METRICS = frozenset({"epoch", "loss", "lr", "seconds", "samples_per_second"})


def curves(
    rows: Sequence[Mapping[str, float]],
    path: Path | None,
    *,
    final: Mapping[str, float] | None = None,
    best: int | None = None,
    stacked: bool = False,
) -> Figure:
    """Draw the loss and each metric over the epochs, training and validation in one panel.

    Args:
        rows: one mapping per epoch, as ``History.rows`` holds them: ``epoch``, ``loss``, the metrics, and
            the same with ``val_`` before them. A run stopped within its first epoch has none.
        path: the file to write; None: none.
        final: results on the test set, drawn as one point at the last epoch.
        best: the best epoch, from 1, drawn as a dashed line; None: none.
        stacked: one panel below the other, for narrow pages.

    Returns:
        The figure.
    """
    from matplotlib.ticker import MaxNLocator

    names = dict.fromkeys(key.removeprefix("val_") for row in rows for key in row)
    metrics = [name for name in names if name not in NOT_METRICS]
    panels = ["loss", *metrics]
    drawn = figure(4.8, 2.4 * len(panels) + 0.4) if stacked else figure(4.8 * len(panels), 3.6)
    shape = (len(panels), 1) if stacked else (1, len(panels))
    for axes, name in zip(drawn.subplots(*shape, squeeze=False).flat, panels, strict=True):
        open_axes(axes)
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
                [rows[-1]["epoch"]], [final[name]], "D", color=GREEN, markersize=7, clip_on=False, zorder=3,
                label=f"test {final[name]:.4g}",
            )  # fmt: skip
        if rows:
            first, last = rows[0]["epoch"], rows[-1]["epoch"]
            margin = max(0.5, 0.02 * (last - first))
            axes.set_xlim(first - margin, last + margin)
            axes.xaxis.set_major_locator(MaxNLocator(integer=True, min_n_ticks=1))
            limit_share(axes, name)
            if best is not None:
                axes.axvline(best, color=FAINT, linewidth=1, linestyle="--", label=f"best epoch {best}")
            axes.legend(frameon=False)
        else:
            axes.set_xticks([])
            axes.set_yticks([])
            axes.text(0.5, 0.5, "no complete epoch", ha="center", color=FAINT, transform=axes.transAxes)
    if path is None:
        plain_texts(drawn)
    else:
        write(drawn, path)
    return drawn
