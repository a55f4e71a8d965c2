"""The page of a run, ``report.html``: what those of all recipes have, and ``troubles.txt`` next to it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from ..plotting.page import Page
from ..runs.files import REPORT_PAGE, TROUBLES
from ..serialization import replacing
from ..tasks.figure_names import figure_name

MADE = "Measured at the end of the training by"  # on the page of a run, and on no other
_FIGURES = ("validation", "test", "baselines", "rows", "split", "chosen_on")


class RunPage(Page):
    """A page that is built from top to bottom, with what the pages of runs have in common.

    Args:
        folder: the run folder.
        title: the heading.
        lead: the sentences below it.
        troubles: sentences about the data.
    """

    def __init__(self, folder: Path, title: str, lead: str = "", troubles: Sequence[str] = ()) -> None:
        super().__init__(title, lead, name=folder.name, tab=f"{folder.name}: {title}", made=MADE)
        self._folder, self._troubles = folder, list(troubles)

    def add_figures(self, figures: Mapping[str, Any], *sentences: str) -> None:
        """Add a table of figures, by groups as in ``metrics.json``.

        Args:
            figures: such as those of `page_figures`.
            *sentences: above it, a paragraph each.
        """
        self.section("Figures", *sentences).table(("what", "figure"), flat_figures(figures))

    def add_troubles(self, title: str) -> None:
        """Add the sentences about the data, where there are any."""
        if self._troubles:
            self.section(title).sentences(self._troubles)

    def add_curves(self, history: Any, what: str, *last: str, caption: str = "", more: bool = False) -> None:
        """Add a section with the learning curves, or nothing where there is no epoch.

        Args:
            history: a `History`, or its rows.
            what: is drawn, such as "Loss and accuracy".
            *last: columns whose last values are shown.
            caption: how to read them.
            more: whether further pictures belong into the section.
        """
        from ..plotting.learning_curves import curves

        rows = list(getattr(history, "rows", history))
        if rows or more:
            self.section("Curves")
        if not rows:
            return
        ends = ", ".join(f"{name} {rows[-1][name]:.4g}" for name in ("loss", "val_loss", *last) if name in rows[-1])
        self.picture(
            lambda path: curves(rows, path, stacked=True),
            f"{what} over {len(rows)} epoch{'' if len(rows) == 1 else 's'}; at the end {ends}.",
            title="Learning curves",
            caption=caption,
        )

    def write_run(self) -> Path:
        """Write ``report.html``, and the troubles once more to ``troubles.txt``, a sentence a line.

        Returns:
            The page.
        """
        written = self.write(self._folder / REPORT_PAGE)
        with replacing(self._folder / TROUBLES) as temporary:
            temporary.write_text("".join(f"{one}\n" for one in self._troubles), encoding="utf-8")
        return written


def page_figures(metrics: Mapping[str, Any], *more: str) -> dict[str, Any]:
    """Return what the page of a run shows of its metrics.

    Args:
        metrics: what was measured.
        *more: further names.

    Example:
        >>> page_figures({"seconds": 2.0, "test": {"accuracy": 0.5}, "rows": {"test": 4}})
        {'test': {'accuracy': 0.5}, 'rows': {'test': 4}}
    """
    return {name: metrics[name] for name in (*_FIGURES, *more) if name in metrics}


def flat_figures(figures: Mapping[str, Any], before: str = "") -> Iterator[tuple[str, str]]:
    """Yield the figures of groups by their names, as texts.

    Example:
        >>> list(flat_figures({"test": {"exact_match": 0.98765, "cer": 0.01}, "rows": {"train": 1200}}))
        [('test, exact match', '0.9877'), ('test, character error rate', '0.01'), ('rows, train', '1,200')]
    """
    for name, value in figures.items():
        label = f"{before}{figure_name(name)}"
        if isinstance(value, Mapping):
            yield from flat_figures(value, f"{label}, ")
        elif isinstance(value, float):
            yield label, f"{value:.4g}"
        elif isinstance(value, int) and not isinstance(value, bool):
            yield label, f"{value:,}"
        elif not isinstance(value, list):
            yield label, str(value)
