"""A picture of attention: which tokens of the source each token of an answer was made of."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..errors import DataError
from ..plotting.palette import FAINT, GRID
from ..plotting.style import figure, shortened, write

if TYPE_CHECKING:
    import numpy as np

_CELL, _LARGEST = 0.3, 14.0  # inches: of a cell, and of all cells of a side together
_MARKS = {" ": "␣", "\n": "⏎", "\t": "⇥"}


def draw(weights: np.ndarray[Any, Any], source: Sequence[str], tokens: Sequence[str], path: Path) -> None:
    """Draw attention weights as a map, a row for each token of the answer, the darker the larger.

    Characters that matplotlib's own font lacks, such as Chinese ones, are drawn in an installed font that has them.

    Args:
        weights: a [T, S].
        source: the S tokens of the source.
        tokens: the T tokens of the answer.
        path: the file to write; its suffix chooses the format.

    Raises:
        DataError: the weights are not [T, S].
    """
    import numpy as np

    found = np.asarray(weights)
    if found.shape != (len(tokens), len(source)) or not found.size:
        raise DataError(
            f"weights of shape {found.shape} arrived for {len(tokens)} tokens and {len(source)} source tokens; "
            f"expected {(len(tokens), len(source))}, at least one of each"
        )
    rows, columns = found.shape
    cell = min(_CELL, _LARGEST / max(rows, columns))
    font = max(4.0, min(9.0, 34 * cell))  # points
    drawn = figure(cell * columns, cell * rows)  # of the cells alone: the picture grows with the texts around them
    drawn.set_layout_engine("none")
    axes = drawn.add_axes((0, 0, 1, 1))
    axes.imshow(found, cmap="Blues", vmin=0, vmax=1, aspect="auto", interpolation="nearest")
    axes.set_xticks(range(columns), shortened(list(map(_shown, source))), fontsize=font, rotation=90)
    axes.set_yticks(range(rows), shortened(list(map(_shown, tokens))), fontsize=font)
    axes.xaxis.tick_top()
    axes.xaxis.set_label_position("top")
    axes.set_xticks(np.arange(columns - 1) + 0.5, minor=True)
    axes.set_yticks(np.arange(rows - 1) + 0.5, minor=True)
    axes.grid(which="minor", color=GRID, linewidth=0.4)
    axes.tick_params(which="both", length=0)
    axes.spines[:].set_visible(False)
    axes.set_xlabel("source", color=FAINT)
    axes.set_ylabel("answer", color=FAINT)
    write(drawn, path)


def _shown(token: str) -> str:
    """A token with marks for spaces and line breaks, so that it can be seen."""
    return "".join(_MARKS.get(one, one) for one in token) or "∅"
