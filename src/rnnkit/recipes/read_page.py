"""The page of a run of reading, ``report.html``: error rates, a line step by step, the worst and surest mistakes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rnnkit.plotting.page import Page
from rnnkit.recipes.recognition import confusions_of, draw_confusions
from rnnkit.recipes.run_page import RunPage, page_figures

if TYPE_CHECKING:
    from rnnkit.recipes.prepared_training import Judged
    from rnnkit.tasks.reading import Reader

_SHOWN = 12  # mistakes of a picture
_CONFUSED = 12  # rows of the table of confusions


def write_read_page(
    folder: Path,
    title: str,
    reader: Reader,
    judged: Mapping[str, Judged],
    history: Any,
    metrics: Mapping[str, Any],
    order: Sequence[str] = (),
) -> Path:
    """Write ``report.html``, and the troubles once more to ``troubles.txt``.

    Args:
        folder: the run folder.
        title: the heading.
        reader: the recogniser.
        judged: what was read, by the name of the test.
        history: of the training.
        metrics: what was measured.
        order: of characters in the picture of confusions.

    Returns:
        The page.
    """
    page = RunPage(folder, title, _lead(judged), metrics.get("troubles", ()))
    page.add_figures(page_figures(metrics))
    page.add_troubles("What the pictures show")
    if judged:
        _add_line(page, reader, judged)
        _add_mistakes(page, judged)
        _add_confusions(page, judged, order)
    page.add_curves(history, "Loss and error rates", "val_cer", more=bool(judged))
    _add_lengths(page, judged)
    return page.write_run()


def _lead(judged: Mapping[str, Judged]) -> str:
    sentences = []
    for name, one in judged.items():
        figures = one.scores.figures
        sentences.append(
            f"{name.replace('_', ' ')}: {figures['exact_match']:.1%} of {len(one.found):,} texts without an error, "
            f"{figures['cer']:.2%} of {figures['characters']:,.0f} characters wrong."
        )
    return " ".join(sentences)


def _add_line(page: Page, reader: Reader, judged: Mapping[str, Judged]) -> None:
    """Add the first line of the first test, which is not selected."""
    from rnnkit.data.line_pictures import Line
    from rnnkit.plotting.text_lines import line_steps_picture

    one = next(iter(judged.values()))
    ink, found = one.items.picture(0), one.found[0]
    page.section("A line, step by step", f"Written: {one.items.texts[0]}. Read: {found.text or '(nothing)'}.")
    probabilities = reader.log_probs(Line(ink, 1.0)).exp().numpy()
    page.picture(
        lambda path: line_steps_picture(
            ink.numpy(), probabilities, reader.tokenizer.tokens, path, stride=reader.model.stride
        ),
        f"The line as the network sees it, and the probabilities of characters over {len(probabilities)} steps.",
        title="What the network saw",
        caption="A character shows in few steps; between characters the blank is the likeliest, which is not drawn.",
    )


def _add_mistakes(page: Page, judged: Mapping[str, Judged]) -> None:
    from rnnkit.plotting.text_lines import lines_picture

    wrong = [
        (cer, one.found[row].confidence, name, row)
        for name, one in judged.items()
        for row, cer in enumerate(one.scores.each)
        if cer > 0
    ]
    if not wrong:
        page.section("Mistakes", "There are none.")
        return
    page.section("Mistakes", f"{len(wrong):,} texts have errors: written → read, confidence.")
    for title, key in (
        ("The worst ones", lambda one: (-one[0], -one[1], one[2], one[3])),
        ("Those that it was surest of", lambda one: (-one[1], -one[0], one[2], one[3])),
    ):
        rows = sorted(wrong, key=key)[:_SHOWN]
        inks = [judged[name].items.picture(row).numpy() for _, _, name, row in rows]
        captions = [
            f"{judged[name].items.texts[row]} → {judged[name].found[row].text or '(nothing)'}  {confidence:.0%}"
            for _, confidence, name, row in rows
        ]
        page.picture(
            lambda path, inks=inks, captions=captions: lines_picture(inks, captions, path),  # type: ignore[misc]
            f"{len(rows)} lines with errors: {'; '.join(captions)}.",
            title=title,
        )


def _add_confusions(page: Page, judged: Mapping[str, Judged], order: Sequence[str]) -> None:
    from rnnkit.tasks.recognition_scores import mistakes_of

    confusions = confusions_of(judged)
    wrong = mistakes_of(confusions)
    page.section("Which characters were taken for which")
    page.picture(
        lambda path: draw_confusions(confusions, path, order),
        f"Counts of true characters (rows) and those that were read (columns); {sum(count for *_, count in wrong):,} "
        "are wrong.",
        caption="A row for each true character, a column for each one that was read; – stands for none.",
    )
    if wrong:
        rows = [(true or "–", other or "–", count) for true, other, count in wrong[:_CONFUSED]]
        page.table(("written", "read", "times"), rows)


def _add_lengths(page: Page, judged: Mapping[str, Judged]) -> None:
    from rnnkit.plotting.length_quality import length_quality_picture

    pairs = [
        (float(len(text)), cer)
        for one in judged.values()
        for text, cer in zip(one.items.texts, one.scores.each, strict=True)
    ]
    if len({length for length, _ in pairs}) > 1:
        page.picture(
            lambda path: length_quality_picture(pairs, path, quality="character error rate"),
            f"The character error rate of {len(pairs)} texts over their length in characters, and its mean.",
            title="Length and errors",
            caption="Each point is a text. The line is the mean of groups of about equal size.",
        )
