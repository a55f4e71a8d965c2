"""Text for people: aligned columns, HTML for notebooks, numbers with their units."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape


def aligned(header: Sequence[str], rows: Sequence[Sequence[str]], *, left: int = 1, total: bool = False) -> str:
    """Return columns under their names; the first `left` hold words, the rest numbers. `total`: a line above the last.

    Example:
        >>> print(aligned(["layer", "n"], [["body", "12"], ["sum", "12"]], total=True))
        layer   n
        ─────────
        body   12
        ─────────
        sum    12
    """
    widths = [max(map(len, column)) for column in zip(header, *rows, strict=True)]
    rule = "─" * (sum(widths) + 2 * (len(widths) - 1))

    def line(cells: Sequence[str]) -> str:
        padded = [f"{cell:<{width}}" if at < left else f"{cell:>{width}}"
                  for at, (cell, width) in enumerate(zip(cells, widths, strict=True))]  # fmt: skip
        return "  ".join(padded).rstrip()

    lines = [line(header), rule, *map(line, rows)]
    if total and rows:
        lines.insert(-1, rule)
    return "\n".join(lines)


def html(header: Sequence[str], rows: Sequence[Sequence[str]], below: Sequence[str], *, left: int = 1) -> str:
    """Return the same as a table in HTML, with lines of text below it."""

    def cell(tag: str, at: int, text: str) -> str:
        side = "left" if at < left else "right"
        # The indent of a row inside another is of spaces, which HTML would drop.
        return f'<{tag} style="text-align:{side};white-space:pre">{escape(text)}</{tag}>'

    def row(tag: str, cells: Sequence[str]) -> str:
        return f"<tr>{''.join(cell(tag, at, text) for at, text in enumerate(cells))}</tr>"

    body = "".join(row("td", cells) for cells in rows)
    text = "".join(f"<div>{escape(line)}</div>" for line in below)
    return f"<table><thead>{row('th', header)}</thead><tbody>{body}</tbody></table>{text}"


def quantity(value: float, unit: str) -> str:
    """Return a number with three digits and the prefix of thousands that fits.

    Example:
        >>> quantity(404_226_048, "FLOP"), quantity(90, "FLOP"), quantity(0, "FLOP")
        ('404 MFLOP', '90 FLOP', '0 FLOP')
    """
    return _scaled(value, 1000, ("", "k", "M", "G", "T", "P"), unit)


def size(value: float) -> str:
    """Return bytes in KiB, MiB …

    Example:
        >>> size(321 * 1024), size(12), size(2.5 * 2**30)
        ('321 KiB', '12 B', '2.50 GiB')
    """
    return _scaled(value, 1024, ("", "Ki", "Mi", "Gi", "Ti"), "B")


def _scaled(value: float, base: int, prefixes: Sequence[str], unit: str) -> str:
    at = 0
    while abs(value) >= 0.9995 * base and at < len(prefixes) - 1:
        value, at = value / base, at + 1
    digits = 0 if at == 0 or value >= 99.95 else 1 if value >= 9.995 else 2
    return f"{value:.{digits}f} {prefixes[at]}{unit}"
