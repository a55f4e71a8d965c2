"""The look of all pictures: sizes, colours for light and dark paper, and how a figure is written."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from ..serialization import replacing

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

# Okabe and Ito's colours, told apart by colour-blind readers too; the last ones where there are many lines.
BLUE, ORANGE, GREEN, PURPLE, YELLOW, SKY = "#0072B2", "#D55E00", "#009E73", "#CC79A7", "#B88A00", "#56B4E9"
COLOURS = (BLUE, ORANGE, GREEN, PURPLE, YELLOW, SKY)
INK, FAINT, GRID, PAPER = "#222222", "#8a8a8a", "#e6e6e6", "#ffffff"
# On dark paper the same hues, light enough to be read.
_DARK = {
    BLUE: SKY, ORANGE: "#F08A3C", GREEN: "#2FCB9B", PURPLE: "#E3A6C8", YELLOW: "#E6C34A", SKY: "#A9DBF7",
    INK: "#e8e8e8", "#000000": "#e8e8e8", FAINT: "#9a9a9a", GRID: "#3a3d42", PAPER: "#1c1e22", "#cccccc": "#5a5e66",
}  # fmt: skip


def figure(width: float, height: float) -> Figure:
    """An empty figure of so many inches, without pyplot."""
    from matplotlib.figure import Figure

    return Figure(figsize=(width, height), layout="constrained")


def open_axes(axes: Axes) -> None:
    """Leaves the two axes that are read, and a faint grid behind the data."""
    axes.spines[["top", "right"]].set_visible(False)
    axes.grid(color=GRID, linewidth=0.8)
    axes.set_axisbelow(True)


def write(figure: Figure, path: Path, *, dark: bool = False) -> None:
    """Writes a figure in the format of the path's suffix, for light or for dark paper, whole or not at all."""
    if dark:
        _darken(figure)
    with replacing(path) as temporary:
        figure.savefig(temporary, dpi=150, facecolor=_DARK[PAPER] if dark else PAPER, format=path.suffix[1:])


def _darken(figure: Figure) -> None:
    """Every colour of ours becomes its dark counterpart; those of colour maps stay."""
    from matplotlib.colors import to_hex, to_rgba
    from matplotlib.lines import Line2D
    from matplotlib.patches import Patch
    from matplotlib.text import Text

    dark = {to_hex(light): other for light, other in _DARK.items()}
    for axes in figure.axes:
        axes.set_facecolor(_DARK[PAPER])
        axes.tick_params(which="both", colors=_DARK[INK])
    names = ("color", "facecolor", "edgecolor", "markerfacecolor", "markeredgecolor")
    for artist in figure.findobj(lambda found: isinstance(found, Text | Line2D | Patch)):
        # All are read before the first is set: a marker has its line's colour where it has none of its own.
        colours = {name: getattr(artist, f"get_{name}", lambda: None)() for name in names}
        for name, colour in colours.items():
            if colour is not None and to_rgba(colour)[3] > 0 and to_hex(colour) in dark:
                getattr(artist, f"set_{name}")(dark[to_hex(colour)])
