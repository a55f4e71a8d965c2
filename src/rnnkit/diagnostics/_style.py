"""The look of all pictures: sizes, colours for light and dark paper, and how a figure is written."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING

from ..serialization import replacing

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

# Okabe and Ito's colours, told apart by colour-blind readers too; the last ones where there are many lines.
BLUE, ORANGE, GREEN, PURPLE, YELLOW, SKY = "#0072B2", "#D55E00", "#009E73", "#CC79A7", "#B88A00", "#56B4E9"
COLOURS = (BLUE, ORANGE, GREEN, PURPLE, YELLOW, SKY)
INK, BLACK, FAINT, GRID, PAPER = "#222222", "#000000", "#8a8a8a", "#e6e6e6", "#ffffff"
# On dark paper the same hues, light enough to be read.
_DARK = {
    BLUE: SKY, ORANGE: "#F08A3C", GREEN: "#2FCB9B", PURPLE: "#E3A6C8", YELLOW: "#E6C34A", SKY: "#A9DBF7",
    INK: "#e8e8e8", BLACK: "#e8e8e8", FAINT: "#9a9a9a", GRID: "#3a3d42", PAPER: "#1c1e22", "#cccccc": "#5a5e66",
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


def label(name: str) -> str:
    """A name as a legend takes it: matplotlib leaves out those that begin with an underscore."""
    return f" {name}" if name.startswith("_") else name


def write(figure: Figure, path: Path) -> None:
    """Writes a figure in the format of the path's suffix, whole or not at all, every text as it stands.

    Names of classes, columns and runs may hold what matplotlib takes for TeX, and fails on.
    """
    from matplotlib.text import Text

    for text in figure.findobj(Text):
        text.set_parse_math(False)
    # Labels of ticks are made when they are first asked for; 10² on a logarithmic scale is matplotlib's own formula.
    for axis in [axis for axes in figure.axes for axis in (axes.xaxis, axes.yaxis)]:
        for text in axis.get_ticklabels(which="both"):
            text.set_parse_math(axis.get_scale() != "linear")
    with replacing(path) as temporary:
        figure.savefig(temporary, dpi=150, facecolor=PAPER, format=path.suffix[1:])


def dark_svg(svg: str) -> str:
    """The same drawing for dark paper: every colour of ours becomes its dark counterpart, those of maps stay."""
    # Black is what SVG fills with where nothing is said, so that matplotlib leaves it out.
    svg = svg.replace("<svg ", f'<svg fill="{_DARK[BLACK]}" ', 1)
    dark = {light.lower(): other for light, other in _DARK.items()}
    return re.sub("#[0-9a-fA-F]{6}", lambda found: dark.get(found[0].lower(), found[0]), svg)
