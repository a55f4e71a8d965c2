"""The page of a fine-tuned run, ``report.html``: figures before and after, what was found, answers, curves."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from ..runs import FINETUNE, read_facts
from .run_page import RunPage

if TYPE_CHECKING:
    from ..training.fine_tuning.report import FineTuningReport
    from ..training.history import History

Figures = Mapping[str, float]


class Shown(NamedTuple):
    """What a recipe adds to the page of a fine-tuned run.

    Attributes:
        troubles: sentences about the new data, and about what the network made of it.
        add: adds sections; None: there are none.
    """

    troubles: Sequence[str] = ()
    add: Callable[[RunPage], None] | None = None


def write_page(
    folder: Path,
    report: FineTuningReport,
    history: History,
    sides: Mapping[str, tuple[Figures, Figures]],
    shown: Shown,
) -> Path:
    """Write ``report.html``, and the troubles once more to ``troubles.txt``.

    Args:
        folder: the new run's.
        report: what the fine-tuning changed.
        history: of its training.
        sides: figures of the new and of the old data, before and after.
        shown: what the recipe adds.

    Returns:
        The page.
    """
    from ..diagnostics import pictures

    facts = read_facts(folder / FINETUNE)
    title = f"{facts['from']} fine-tuned on {facts['data']}" if {"from", "data"} <= set(facts) else "A fine-tuned run"
    page = RunPage(folder, title, troubles=shown.troubles)
    page.section("Before and after", *report.findings)
    page.table(("figure", "before", "after", "change"), report.table())
    page.picture(
        lambda path: pictures.before_after(sides, path),
        f"Bars of each figure before and after, of {' and of '.join(f'the {name}' for name in sides) or 'no data'}.",
        caption="What the network learned of the new data, and what it forgot of the old data where that was measured.",
    )
    page.section("How it was trained").table(("what", "how"), list(report.how().items()))
    page.add_troubles("What the data and the output show")
    if shown.add is not None:
        shown.add(page)
    page.add_curves(history, "Loss and metrics", caption="Training, and new data that was held out if there was any.")
    return page.write_run()
