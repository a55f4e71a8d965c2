"""Attention of what a model wrote to what it read."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .style import figure, plain_texts, shortened, write

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_MOST = 60  # tokens that are named on an axis
_INCHES = 0.24  # of a token


def attention_picture(
    source_tokens: Sequence[str], tokens: Sequence[str], attention: Any, path: Path | None = None
) -> Figure:
    """Draw attention as a map: a row for each token that was written, a column for each that was read.

    Args:
        source_tokens: the tokens that the model read.
        tokens: those that it wrote.
        attention: the weights [tokens, source tokens], a tensor, an array or lists.
        path: the file to write; None: none.

    Returns:
        The figure.

    Example:
        >>> drawn = attention_picture(["good", "day"], ["Guten", "Tag"], [[0.9, 0.1], [0.2, 0.8]])
        >>> [label.get_text() for label in drawn.axes[0].get_yticklabels()]
        ['Guten', 'Tag']
    """
    rows = attention.tolist() if hasattr(attention, "tolist") else [list(row) for row in attention]
    across, down = max(1, len(source_tokens)), max(1, len(tokens))
    drawn = figure(1.6 + _INCHES * min(across, _MOST), 1.2 + _INCHES * min(down, _MOST))
    axes = drawn.subplots()
    if rows and rows[0]:
        axes.imshow(rows, aspect="auto", cmap="Blues", vmin=0, vmax=1, interpolation="nearest")
    _name(axes.xaxis, source_tokens)
    _name(axes.yaxis, tokens)
    axes.xaxis.tick_top()
    axes.xaxis.set_label_position("top")
    axes.tick_params(axis="x", rotation=90)
    axes.tick_params(length=0)
    axes.set_xlabel("read")
    axes.set_ylabel("written")
    if path is None:
        plain_texts(drawn)
    else:
        write(drawn, path)
    return drawn


def _name(axis: Any, tokens: Sequence[str]) -> None:
    """Write tokens beside an axis, every n-th of many."""
    step = -(-len(tokens) // _MOST) or 1
    # White space alone would leave its place empty.
    shown = [token if token.strip() else repr(token)[1:-1].replace(" ", "␣") for token in shortened(list(tokens), 18)]
    axis.set_ticks(range(0, len(tokens), step), shown[::step])
