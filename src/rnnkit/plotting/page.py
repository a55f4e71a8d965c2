"""A page of HTML that needs nothing else: sections of sentences, cards, tables, texts and pictures.

It fits light and dark pages, phones and screen readers; it runs no script and fetches nothing.
"""

from __future__ import annotations

import base64
import re
import tempfile
from collections.abc import Callable, Iterable, Mapping, Sequence
from html import escape
from importlib.metadata import PackageNotFoundError, version
from os import PathLike
from pathlib import Path
from string import Template
from typing import Literal, NamedTuple

from ..serialization import replacing
from .numbering import numbered_names
from .style import dark_svg

Draw = Callable[[Path], object]
State = Literal["ill", "well", "plain"]


class Paragraph(NamedTuple):
    """A paragraph of a card.

    Attributes:
        text: the sentences.
        lead: words in bold in front.
        small: whether it is written small.
    """

    text: str
    lead: str = ""
    small: bool = False


class Page:
    """A page that is built from top to bottom.

    Args:
        title: the heading.
        lead: the sentences below it.
        name: what the page is about, above the heading.
        state: the colour beside the heading: "ill", "well" or "plain".
        tab: the title of the browser's tab; None: the heading.
        made: how the page was made, at its end; the version of rnnkit follows.

    Example:
        >>> page = Page("A run", "2 epochs.")
        >>> page.section("Figures", "Measured on the test set.").table(("what", "figure"), [("loss", 0.5)])
        >>> page.section("Samples").texts(["床前明月光"])
        >>> "<h1>A run</h1>" in page.html(), "<td>0.5</td>" in page.html(), "床前明月光" in page.html()
        (True, True, True)
    """

    def __init__(
        self,
        title: str,
        lead: str = "",
        *,
        name: str = "",
        state: State = "plain",
        tab: str | None = None,
        made: str = "Made by",
    ) -> None:
        self.title, self.lead, self.name, self.state, self.made = title, lead, name, state, made
        self.tab = title if tab is None else tab
        self._sections: list[_Section] = []

    def section(self, title: str, *sentences: str, shown: bool = True, folded: bool = False) -> Page:
        """Begin a section, to which all that follows belongs.

        Args:
            title: its heading.
            *sentences: a paragraph each.
            shown: whether the heading is seen; else screen readers alone have it.
            folded: whether the section is opened by a click.

        Returns:
            The page.
        """
        self._sections.append(_Section(title, shown, folded, []))
        for sentence in sentences:
            self._add(f"<p>{escape(sentence)}</p>")
        return self

    def sentences(self, sentences: Iterable[str]) -> None:
        """Add a list of sentences."""
        lines = "\n".join(f"<li>{escape(sentence)}</li>" for sentence in sentences)
        self._add(f"<ul>\n{lines}\n</ul>")

    def card(self, title: str, *paragraphs: str | Paragraph) -> None:
        """Add a box with a heading and paragraphs."""
        written = "".join(map(_paragraph, paragraphs))
        self._add(f"<article><h3>{escape(title)}</h3>{written}</article>")

    def table(self, header: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
        """Add a table; line breaks in its cells stay."""
        first = "".join(f'<th scope="col">{escape(cell)}</th>' for cell in header)
        body = "\n".join("<tr>" + "".join(f"<td>{escape(str(cell))}</td>" for cell in row) + "</tr>" for row in rows)
        self._add(f'<div class="wide"><table><thead><tr>{first}</tr></thead><tbody>\n{body}\n</tbody></table></div>')

    def texts(self, texts: Iterable[str]) -> None:
        """Add texts as they are, with their line breaks, a box each."""
        for text in texts:
            self._add(f'<article><p class="text" dir="auto">{escape(text)}</p></article>')

    def picture(self, draw: Draw, alt: str, *, title: str = "", caption: str = "") -> None:
        """Add a picture; those that follow each other stand side by side.

        Args:
            draw: writes the picture to the file that it is given, in the format of its suffix, which is ``.svg``.
            alt: what the picture shows, for those who cannot see it.
            title: above the picture.
            caption: how to read it.
        """
        with tempfile.TemporaryDirectory() as folder, numbered_names() as numbers:
            file = Path(folder) / "picture.svg"
            draw(file)
            svg = file.read_text(encoding="utf-8")
        caption = " ".join(filter(None, (caption, _tell_numbers(svg, numbers))))
        head = f"<h3>{escape(title)}</h3>" if title else ""
        foot = f"<figcaption>{escape(caption)}</figcaption>" if caption else ""
        self._add(
            f"<figure>{head}<picture>"
            f'<source media="(prefers-color-scheme: dark)" srcset="{_embedded(dark_svg(svg))}">'
            f'<img src="{_embedded(svg)}" alt="{escape(alt)}"></picture>{foot}</figure>'
        )

    def sound(self, title: str, wav: bytes, *lines: str) -> None:
        """Add a box with sound to listen to.

        Args:
            title: the heading of the box.
            wav: the content of a WAV file; it becomes a part of the page.
            *lines: texts below it.
        """
        written = "".join(f'<p class="small">{escape(line)}</p>' for line in lines)
        data = base64.b64encode(wav).decode("ascii")
        self._add(
            f"<article><h3>{escape(title)}</h3>"
            f'<audio controls preload="none" src="data:audio/wav;base64,{data}"></audio>{written}</article>'
        )

    def heat(self, title: str, rows: Sequence[str], columns: Sequence[str], values: Sequence[Sequence[float]]) -> None:
        """Add a map of numbers from 0 to 1 as a table: its names are text, in any script.

        Args:
            title: above it.
            rows, columns: the names of both axes.
            values: the numbers, [rows, columns].
        """
        head = "".join(f'<th scope="col"><span>{escape(_seen(name))}</span></th>' for name in columns)
        body = "\n".join(
            f'<tr><th scope="row">{escape(_seen(name))}</th>{"".join(map(_heat_cell, line))}</tr>'
            for name, line in zip(rows, values, strict=True)
        )
        self._add(
            f'<div class="wide"><table class="heat"><caption>{escape(title)}</caption>'
            f"<thead><tr><td></td>{head}</tr></thead><tbody>\n{body}\n</tbody></table></div>"
        )

    def html(self) -> str:
        """Return the page's text."""
        return Template(_PAGE).substitute(
            tab=escape(self.tab),
            title=escape(self.title),
            state=self.state,
            name=escape(self.name),
            lead=escape(self.lead),
            main="\n".join(section.html() for section in self._sections),
            made=escape(f"{self.made} {_version()}."),
        )

    def write(self, path: str | PathLike[str]) -> Path:
        """Write the page to a file, whole or not at all.

        Returns:
            The file.
        """
        path = Path(path)
        with replacing(path) as temporary:
            temporary.write_text(self.html(), encoding="utf-8")
        return path

    def _add(self, block: str) -> None:
        if not self._sections:
            self.section(self.title, shown=False)
        self._sections[-1].blocks.append(block)


class _Section(NamedTuple):
    title: str
    shown: bool
    folded: bool
    blocks: list[str]

    def html(self) -> str:
        parts: list[str] = []
        figures: list[str] = []
        for block in [*self.blocks, ""]:
            if block.startswith("<figure>"):
                figures.append(block)
                continue
            if figures:
                inside = "\n".join(figures)
                parts.append(f'<section class="grid" aria-label="{escape(self.title)}">\n{inside}\n</section>')
                figures = []
            parts += [block] if block else []
        body = "\n".join(parts)
        if self.folded:
            return f"<details><summary>{escape(self.title)}</summary>\n{body}\n</details>"
        if self.shown:
            return f"<h2>{escape(self.title)}</h2>\n{body}"
        return f'<section aria-label="{escape(self.title)}">\n{body}\n</section>'


def _paragraph(paragraph: str | Paragraph) -> str:
    if isinstance(paragraph, str):
        return f"<p>{escape(paragraph)}</p>"
    lead = f"<strong>{escape(paragraph.lead)}</strong> " if paragraph.lead else ""
    opened = '<p class="small">' if paragraph.small else "<p>"
    return f"{opened}{lead}{escape(paragraph.text)}</p>"


def _heat_cell(value: float) -> str:
    share = min(1.0, max(0.0, value)) if value == value else 0.0
    return f'<td style="--heat: {share:.0%}" title="{value:.2f}"></td>'


def _seen(name: str) -> str:
    """Return a name that is seen: white space alone would leave its place empty."""
    return name if name.strip() else repr(name)[1:-1].replace(" ", "␣")


def _embedded(svg: str) -> str:
    return f"data:image/svg+xml;base64,{base64.b64encode(svg.encode()).decode('ascii')}"


def _tell_numbers(svg: str, numbers: Mapping[str, int]) -> str:
    """Return which name each number in a picture stands for; browsers have the fonts that the picture lacked.

    Args:
        svg: the picture; matplotlib writes each text in a comment beside its outline.
        numbers: name → number, of all pictures.
    """
    seen = {
        int(one) for comment in re.findall("<!--(.*?)-->", svg, re.DOTALL) for one in re.findall(r"#(\d+)", comment)
    }
    named = [f"#{number} is {name}" for name, number in numbers.items() if number in seen]
    return f"In the picture {', '.join(named)}." if named else ""


def _version() -> str:
    try:
        return f"rnnkit {version('rnnkit')}"
    except PackageNotFoundError:
        return "rnnkit"


_PAGE = """<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<title>$tab</title>
<style>
:root { --paper: #fff; --ink: #1f2328; --faint: #5c6470; --line: #d9dde2; --card: #f6f7f9;
  --ill: #b3470a; --well: #00714f; }
@media (prefers-color-scheme: dark) {
  :root { --paper: #1c1e22; --ink: #e8e8e8; --faint: #a3a9b2; --line: #3a3d42; --card: #25282d;
    --ill: #f0a060; --well: #4fd1a5; }
}
* { box-sizing: border-box; }
body { margin: 0 auto; padding: 1.2rem 1rem 3rem; max-width: 70rem; background: var(--paper); color: var(--ink);
  font: 1rem/1.55 system-ui, -apple-system, "Segoe UI", Roboto, sans-serif; overflow-wrap: break-word; }
h1 { font-size: 1.7rem; line-height: 1.25; margin: .2rem 0 .6rem; padding-left: .7rem;
  border-left: .35rem solid var(--ill); }
.well h1 { border-color: var(--well); }
.plain h1 { border-color: var(--line); }
h2 { font-size: 1.2rem; margin: 2.2rem 0 .6rem; }
h3 { font-size: 1rem; margin: 0 0 .4rem; }
p { margin: 0 0 .6rem; max-width: 48rem; }
.small, figcaption, footer, .name { color: var(--faint); font-size: .9rem; }
article { background: var(--card); border-radius: .5rem; padding: .9rem 1rem .4rem; margin: 0 0 .8rem; }
.grid { display: grid; grid-template-columns: repeat(auto-fit, minmax(min(100%, 27rem), 1fr)); gap: 1.8rem; }
figure { margin: 0; }
img { display: block; width: 100%; max-width: 34rem; height: auto; }
figcaption { margin-top: .4rem; max-width: 34rem; }
.wide { overflow-x: auto; }
table { border-collapse: collapse; font-size: .9rem; font-variant-numeric: tabular-nums; }
.text { white-space: pre-wrap; max-width: none; }
ul { margin: 0 0 .6rem; padding-left: 1.2rem; max-width: 48rem; }
td { white-space: pre-wrap; }
th, td { text-align: left; vertical-align: top; padding: .3rem 1rem .3rem 0; border-bottom: 1px solid var(--line); }
.heat { border-spacing: 0; margin: 0 0 1.6rem; }
.heat caption { text-align: left; font-weight: 600; padding: 0 0 .4rem; }
.heat th, .heat td { border: 0; padding: 0; font-weight: normal; white-space: pre; }
.heat thead th { vertical-align: bottom; padding: .3rem 0; }
.heat thead span { writing-mode: vertical-rl; transform: rotate(180deg); }
.heat tbody th { padding-right: .5rem; text-align: right; }
.heat tbody td { min-width: 1.25rem; height: 1.35rem;
  background: rgb(0 114 178 / var(--heat)); }
audio { width: 100%; max-width: 34rem; }
summary { cursor: pointer; font-weight: 600; margin: 1.2rem 0 .6rem; }
</style>
</head>
<body class="$state">
<header>
<p class="name">$name</p>
<h1>$title</h1>
<p>$lead</p>
</header>
<main>
$main
</main>
<footer><p>$made</p></footer>
</body>
</html>
"""
