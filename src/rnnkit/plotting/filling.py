"""Pictures of series whose stretches were taken out and filled in."""

from __future__ import annotations

from collections.abc import Sequence
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from .palette import BLUE, FAINT, INK
from .style import figure, open_axes, write

if TYPE_CHECKING:
    import numpy.typing as npt

_WIDTH, _HEIGHT = 7.0, 1.1  # inches of a series


class Filled(NamedTuple):
    """A channel of a series.

    Attributes:
        name: what is drawn.
        true: the values [T].
        found: what was filled in [T]; only where `out` is true.
        out: bool [T], what was taken out.
    """

    name: str
    true: npt.NDArray[Any]
    found: npt.NDArray[Any]
    out: npt.NDArray[Any]


def filling_picture(rows: Sequence[Filled], path: str | PathLike[str]) -> None:
    """Draw series one above the other: their values, what was taken out, and what was filled in.

    Args:
        rows: the series, at least one.
        path: the file to write; its suffix says the format.
    """
    import numpy as np

    drawn = figure(_WIDTH, 0.6 + _HEIGHT * len(rows))
    for axes, row in zip(drawn.subplots(len(rows), 1, squeeze=False)[:, 0], rows, strict=True):
        steps = np.arange(len(row.true))
        axes.plot(steps, row.true, color=FAINT, linewidth=1.0, label="true")
        axes.plot(steps, np.where(row.out, np.nan, row.true), color=INK, linewidth=1.0, label="left")
        axes.plot(steps, np.where(row.out, row.found, np.nan), color=BLUE, linewidth=1.6, label="filled in")
        for begin, end in _runs(row.out):
            axes.axvspan(begin - 0.5, end - 0.5, color=BLUE, alpha=0.1, linewidth=0)
        axes.set_ylabel(row.name, fontsize=8)
        axes.set_xlim(-0.5, len(steps) - 0.5)
        open_axes(axes)
    drawn.axes[0].legend(loc="lower left", bbox_to_anchor=(0, 1), ncols=3, frameon=False, fontsize=8)
    drawn.axes[-1].set_xlabel("step")
    write(drawn, Path(path))


def _runs(out: npt.NDArray[Any]) -> list[tuple[int, int]]:
    """Return first step and the step behind the last one of each stretch."""
    import numpy as np

    edges = np.flatnonzero(np.diff(np.concatenate([[0], out.astype(np.int8), [0]])))
    return [(int(begin), int(end)) for begin, end in edges.reshape(-1, 2)]
