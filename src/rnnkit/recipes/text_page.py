"""The page of a run of text: ``report.html`` with samples, curves, mistakes and troubles; ``troubles.txt``."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from ..plotting.page import Page
from .interface import TextAnswer
from .run_page import MADE, RunPage


class Sample(NamedTuple):
    """A text that a model answered.

    Attributes:
        source: what it read; "" where it read nothing.
        expected: the right answer; "" where there is none.
        found: its own.
        score: how good or how sure that is; None: not measured.
    """

    source: str
    expected: str
    found: str
    score: float | None = None


class Picture(NamedTuple):
    """A picture of the page.

    Attributes:
        title: above it.
        draw: writes it to the file that it is given (``.svg``).
        alt: what it shows, for those who cannot see it.
        caption: how to read it.
    """

    title: str
    draw: Callable[[Path], object]
    alt: str
    caption: str = ""


class AttentionMap(NamedTuple):
    """A map of attention, which the page writes as a table, so that tokens of any script are seen.

    Attributes:
        title: above it.
        source_tokens: the tokens that the model read.
        tokens: those that it wrote.
        attention: [tokens, source tokens], a tensor or lists.
    """

    title: str
    source_tokens: Sequence[str]
    tokens: Sequence[str]
    attention: Any


class Answers(NamedTuple):
    """What a page shows of a model's answers; see `write_text_page`."""

    samples: Sequence[Sample] = ()
    worst: Sequence[Sample] = ()
    surest: Sequence[Sample] = ()
    pictures: Iterable[Picture | AttentionMap | None] = ()
    quality: str = "score"
    sureness: str | None = None


def attention_of(answer: TextAnswer) -> AttentionMap | None:
    """Return the map of an answer's attention; None where it has none."""
    if answer.attention is None:
        return None
    return AttentionMap(answer.text, answer.source_tokens, answer.tokens, answer.attention)


def write_text_page(
    folder: Path,
    *,
    title: str,
    lead: str = "",
    history: Any = (),
    troubles: Sequence[str] = (),
    samples: Sequence[Sample] = (),
    worst: Sequence[Sample] = (),
    surest: Sequence[Sample] = (),
    pictures: Iterable[Picture | AttentionMap | None] = (),
    length_quality: Sequence[tuple[float, float]] = (),
    quality: str = "score",
    sureness: str | None = None,
    figures: Mapping[str, Any] | None = None,
) -> Path:
    """Write ``report.html``, and the troubles once more to ``troubles.txt``, a sentence a line.

    Args:
        folder: the run folder.
        title: the heading, such as "English to German".
        lead: the sentences below it.
        history: a `History`, or its rows.
        troubles: sentences, such as those of `text_report` and `rnnkit.data.text.troubles`.
        samples: texts and answers that are not selected.
        worst: those with the lowest quality.
        surest: the mistakes of which the model was surest.
        pictures: such as those of `attention_of`; None is left out.
        length_quality: (length of the source, quality) of each text of the test set.
        quality: what the quality, and the score of a sample, is.
        sureness: what the score of the surest mistakes is; None: as `quality`.
        figures: what was measured, by name; groups of figures as in ``metrics.json``.

    Returns:
        The page.
    """
    from ..plotting.length_quality import length_quality_picture

    page = RunPage(folder, title, lead, troubles)
    if figures:
        page.add_figures(_ordered(figures))
    page.add_troubles("What the data and the output show")
    add_answers(page, Answers(samples, worst, surest, pictures, quality, sureness))
    caption = "Training, and validation if data was held out. Where they separate, the model overfits."
    page.add_curves(history, "Loss and metrics", caption=caption, more=bool(length_quality))
    if length_quality:
        page.picture(
            lambda path: length_quality_picture(length_quality, path, quality=quality),
            f"The {quality} of {len(length_quality)} texts over their length, and its mean.",
            title="Length and quality",
            caption="Each point is a text. The line is the mean of groups of about equal size.",
        )
    return page.write_run()


def add_answers(page: Page, answers: Answers) -> None:
    """Add sections with samples, the worst answers, the surest mistakes, maps of attention and pictures."""
    _add_samples(page, "Samples", answers.samples, answers.quality)
    _add_samples(page, "The worst answers", answers.worst, answers.quality)
    _add_samples(page, "The surest mistakes", answers.surest, answers.sureness or answers.quality)
    found = list(answers.pictures)
    if maps := [one for one in found if isinstance(one, AttentionMap)]:
        page.section(
            "Attention",
            "A row for each token that was written, a column for each that was read; dark where it was attended to.",
        )
        for one in maps:
            values = one.attention.tolist() if hasattr(one.attention, "tolist") else one.attention
            page.heat(one.title, one.tokens, one.source_tokens, values)
    if drawn := [one for one in found if isinstance(one, Picture)]:
        page.section("Pictures")
        for picture in drawn:
            page.picture(picture.draw, picture.alt, title=picture.title, caption=picture.caption)


def is_run_page(path: Path) -> bool:
    """Return whether a page is that of a run, which ``rnnkit inspect`` leaves as it is."""
    try:
        return MADE in path.read_text(encoding="utf-8")
    except (OSError, ValueError):
        return False


def _add_samples(page: Page, title: str, samples: Sequence[Sample], quality: str) -> None:
    if not samples:
        return
    page.section(title)
    if not any(one.source or one.expected or one.score is not None for one in samples):
        page.texts(one.found for one in samples)
        return
    columns = {
        "read": [one.source for one in samples],
        "expected": [one.expected for one in samples],
        "answer": [one.found for one in samples],
        quality: ["" if one.score is None else f"{one.score:.4g}" for one in samples],
    }
    shown = {name: cells for name, cells in columns.items() if any(cells) or name == "answer"}
    page.table(list(shown), zip(*shown.values(), strict=True))


def _ordered(figures: Mapping[str, Any]) -> dict[str, Any]:
    """Return the figures with those first that readers look for, and last how these were computed."""
    first, last = ("test", "validation"), ("signatures",)
    between = [name for name in figures if name not in (*first, *last)]
    return {name: figures[name] for name in (*first, *between, *last) if name in figures}
