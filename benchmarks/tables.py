"""Markdown tables, and how numbers and verdicts are written in them."""

from collections.abc import Iterable, Sequence

from benchmarks.results import Figure


def table(header: Sequence[str], rows: Iterable[Sequence[str]], *, left: int = 1) -> str:
    """A Markdown table whose first `left` columns hold words and the others numbers."""
    rules = ["---"] * left + ["---:"] * (len(header) - left)
    return "".join(f"| {' | '.join(cells)} |\n" for cells in [header, rules, *rows])


def milliseconds(value: float) -> str:
    """Three significant digits or the whole milliseconds: 0.463, 7.91, 20.4, 1957."""
    digits = next((digits for digits, limit in ((3, 1), (2, 10), (1, 100)) if value < limit), 0)
    return f"{value:.{digits}f}"


def verdict(met: bool) -> str:
    return "met" if met else "**not met**"


def judged(figure: Figure) -> list[str]:
    """The cells of a figure: what was measured, what is required, and whether that is met."""
    value = "—" if figure.value is None else f"{figure.value:.2f}{figure.unit}"
    return [value, f"{'≥' if figure.at_least else '≤'} {figure.limit:g}{figure.unit}", verdict(figure.met)]
