"""The style of all pictures: sizes, texts, fonts, dark pages, and how a figure is written."""

from __future__ import annotations

import re
import textwrap
import unicodedata
from collections.abc import Sequence
from contextlib import suppress
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

from ..serialization import replacing
from .numbering import numbered_names
from .palette import BLACK, BLUE, FAINT, GREEN, GRID, INK, ORANGE, PAPER, PURPLE, SKY, YELLOW

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.axis import Axis
    from matplotlib.figure import Figure
    from matplotlib.text import Text

# The same hues for dark pages, light enough to be read.
_DARK = {
    BLUE: SKY, ORANGE: "#F08A3C", GREEN: "#2FCB9B", PURPLE: "#E3A6C8", YELLOW: "#E6C34A", SKY: "#A9DBF7",
    INK: "#e8e8e8", BLACK: "#e8e8e8", FAINT: "#9a9a9a", GRID: "#3a3d42", PAPER: "#1c1e22", "#cccccc": "#5a5e66",
}  # fmt: skip
# Fonts with Chinese, Japanese and Korean characters on Linux, macOS and Windows; the first one found is used.
_FAMILIES = (
    "Noto Sans CJK SC", "Noto Sans CJK JP", "Noto Sans CJK KR", "Noto Sans SC", "Source Han Sans SC",
    "Source Han Sans CN", "WenQuanYi Micro Hei", "WenQuanYi Zen Hei", "Droid Sans Fallback", "PingFang SC",
    "PingFang HK", "Hiragino Sans GB", "Heiti TC", "STHeiti", "Hiragino Sans", "Apple SD Gothic Neo", "Microsoft YaHei",
    "Microsoft JhengHei", "SimHei", "SimSun", "Yu Gothic", "Meiryo", "MS Gothic", "Malgun Gothic", "Arial Unicode MS",
    "Noto Sans TC", "Noto Sans HK", "Noto Sans JP", "Noto Sans KR", "Noto Serif CJK SC", "Noto Serif SC", "IPAexGothic",
    "TakaoGothic", "NanumGothic", "AR PL UMing CN", "AR PL UKai CN", "Unifont",
)  # fmt: skip


def figure(width: float, height: float) -> Figure:
    """Return an empty figure of so many inches, without pyplot."""
    from matplotlib.figure import Figure

    return Figure(figsize=(width, height), layout="constrained")


# Figures that are 1 at best.
_SHARES = re.compile(
    "accuracy|precision|recall|sensitivity|specificity|jaccard|explained_variance|kappa|matthews|"
    "(^|_)(f1|auc|auroc|r2|iou|dice|mcc)(_|$)"
)


def is_share(name: str) -> bool:
    """Return whether 1 is the best value of a figure, as far as its name says.

    Example:
        >>> is_share("val_accuracy"), is_share("test_r2"), is_share("loss")
        (True, True, False)
    """
    return bool(_SHARES.search(name))


def limit_share(axes: Axes, name: str) -> None:
    """End the axis of an accuracy, or of another figure that is 1 at best, at 1."""
    if not is_share(name) or axes.dataLim.intervaly[1] > 1 + 1e-6:
        return
    bottom, top = axes.get_ylim()
    if top > 1:
        axes.set_ylim(bottom, 1 + 0.02 * (1 - bottom))
        axes.set_yticks([tick for tick in axes.get_yticks() if bottom <= tick <= 1 + 1e-9])


def open_axes(axes: Axes) -> None:
    """Leave the two axes that are read, and a faint grid behind the data."""
    axes.spines[["top", "right"]].set_visible(False)
    axes.grid(color=GRID, linewidth=0.8)
    axes.set_axisbelow(True)


def hide_axis(axes: Axes) -> None:
    """Leave both axes out, with their ticks: matplotlib makes and measures those that are not seen; that is slow."""
    axes.set_axis_off()
    axes.set_xticks([])
    axes.set_yticks([])


def label(name: str) -> str:
    """Return a name for a legend: matplotlib leaves out names that begin with an underscore."""
    return f" {name}" if name.startswith("_") else name


def shortened(names: Sequence[str], most: int = 28) -> list[str]:
    """Cut names short in their middle. Names that would then be the same stay whole.

    Example:
        >>> shortened(["a name that is too long to be drawn", "b"], 12)
        ['a name…drawn', 'b']
        >>> shortened(["abcdef 1 uvwxyz", "abcdef 2 uvwxyz"], 9)
        ['abcdef 1 uvwxyz', 'abcdef 2 uvwxyz']
    """
    start, end = most // 2, most - most // 2 - 1
    cut = [name if len(name) <= most else f"{name[:start]}…{name[-end:]}" for name in names]
    return [short if cut.count(short) == 1 else name for name, short in zip(names, cut, strict=True)]


def wrapped(text: str, inches: float, points: float) -> str:
    """Break a text into lines that fit into a width at a size of letters.

    Example:
        >>> wrapped("a title of several words", 1, 10)
        'a title of\\nseveral\\nwords'
    """
    letters = 72 * inches / (0.62 * points)
    wide = sum(unicodedata.east_asian_width(mark) in "WF" for mark in text)
    letters *= len(text) / (len(text) + wide) if text else 1
    return textwrap.fill(text, max(4, int(letters)))


def write(figure: Figure, path: Path) -> None:
    """Write a figure in the format of the path's suffix, whole or not at all. See `plain_texts` for its texts.

    The picture grows where a text reaches over the figure's edge, so that nothing is cut off.
    """
    plain_texts(figure)
    with replacing(path) as temporary:
        figure.savefig(
            temporary, dpi=150, facecolor=PAPER, format=path.suffix[1:], bbox_inches="tight", pad_inches=0.06
        )


def plain_texts(figure: Figure) -> None:
    """Make matplotlib draw every text of a figure as it is.

    Names of classes, columns and runs may hold what matplotlib takes for TeX, and fails on. They may also hold
    characters that its own font lacks: these are written in an installed font that has them. Where no font has them,
    the names are numbered.
    """
    from matplotlib.text import Text

    axises = [axis for axes in figure.axes for axis in (axes.xaxis, axes.yaxis)]
    # Labels of ticks are made when they are first asked for, which takes long.
    labels = [axis.get_ticklabels(which="both") for axis in axises]
    texts = [text for of_axis in labels for text in of_axis] + figure.findobj(Text)
    families, lacking = _fonts_for({mark for text in texts for mark in text.get_text()})
    if lacking:
        _number(axises, texts, lacking)
        labels = [axis.get_ticklabels(which="both") for axis in axises]
    for text in texts:
        text.set_parse_math(False)
        if families and not text.get_text().isascii():
            text.set_fontfamily([*text.get_fontfamily(), *families])
    for axis, of_axis in zip(axises, labels, strict=True):
        for text in of_axis:  # 10² on a logarithmic scale is matplotlib's own formula
            text.set_parse_math(axis.get_scale() != "linear")


def _fonts_for(marks: set[str]) -> tuple[list[str], set[str]]:
    """Return installed fonts for the characters that the usual font lacks, and the characters that all lack."""
    from matplotlib.font_manager import FontProperties, findfont, get_font

    lacking = {mark for mark in marks if not (mark.isascii() and mark.isprintable()) and mark != "\n"}
    families: list[str] = []
    if not lacking:
        return families, lacking

    def without(properties: FontProperties) -> set[str]:
        font = get_font(findfont(properties))
        return {mark for mark in lacking if not font.get_char_index(ord(mark))}

    lacking = without(FontProperties())
    for family in _FAMILIES:
        if lacking and family in _installed() and (left := without(FontProperties(family=family))) != lacking:
            families.append(family)
            lacking = left
    return families, lacking


@cache
def _installed() -> set[str]:
    """Return the families that matplotlib can draw, including those installed after it wrote its list."""
    from matplotlib.font_manager import findSystemFonts, fontManager

    listed = {font.fname for font in fontManager.ttflist}
    for file in findSystemFonts():
        if file not in listed:
            with suppress(OSError, RuntimeError, ValueError):  # one that it cannot read
                fontManager.addfont(file)
    return {font.name for font in fontManager.ttflist}


def _number(axises: Sequence[Axis], texts: list[Text], lacking: set[str]) -> None:
    """Replace words with characters that no font has by numbers; `numbered_names` warns which number is which word."""
    word = f"[^ \n]*[{re.escape(''.join(sorted(lacking)))}][^ \n]*"
    names = re.compile(f"{word}(?: {word})*")
    with numbered_names() as numbers:

        def renamed(text: Text) -> str:
            return names.sub(lambda found: f"#{numbers.setdefault(found[0], len(numbers) + 1)}", text.get_text())

        for axis in axises:
            labels = axis.get_ticklabels()
            if any(names.search(text.get_text()) for text in labels):  # the axis' formatter would write them again
                axis.set_ticks(axis.get_majorticklocs(), [renamed(text) for text in labels])
        for text in texts:
            text.set_text(renamed(text))


def dark_svg(svg: str) -> str:
    """Return the drawing for dark pages: each colour of the style becomes its dark counterpart, those of maps stay."""
    # Black is SVG's default fill, so that matplotlib leaves it out.
    svg = svg.replace("<svg ", f'<svg fill="{_DARK[BLACK]}" ', 1)
    dark = {light.lower(): other for light, other in _DARK.items()}
    return re.sub("#[0-9a-fA-F]{6}", lambda found: dark.get(found[0].lower(), found[0]), svg)
