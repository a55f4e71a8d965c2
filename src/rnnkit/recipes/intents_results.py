"""What a run on intents writes at its end: mistakes, the F1 of each slot, and the page ``report.html``."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rnnkit.recipes.run_page import page_figures
from rnnkit.recipes.text_page import Answers, Sample, write_text_page

if TYPE_CHECKING:
    from rnnkit.data.text.tagged import TaggedText
    from rnnkit.tasks.intents import Understood

    Rated = tuple[float, TaggedText, Understood]

MISTAKES, SLOTS = "mistakes.csv", "slots.csv"
_SHOWN = 10  # sentences of a part of the page


def slots_of(text: TaggedText, found: Understood) -> str:
    """Return slots as JSON: name, text, and the characters from which to which it goes."""
    slots = [
        {"slot": name, "text": text.text[start:end], "start": start, "end": end}
        for name, start, end in _stretches(text, found)
    ]
    return json.dumps(slots, ensure_ascii=False)


def answers_of(texts: Sequence[TaggedText], found: Sequence[Understood]) -> Answers:
    """Return what a page shows of sentences, and of what the model understood of them."""
    rows = _rated(texts, found)
    return Answers(
        samples=[_sample(*row) for row in rows[:_SHOWN]],
        worst=[_sample(*row) for row in sorted(rows, key=lambda row: row[0])[:_SHOWN]],
        surest=[_sample(*row) for row in _mistakes(rows)[:_SHOWN]],
        quality="probability",
    )


def write_results(
    texts: Sequence[TaggedText],
    found: Sequence[Understood],
    folder: Path,
    troubles: Sequence[str],
    history: Any,
    metrics: Mapping[str, Any],
    model: str,
) -> None:
    """Write ``mistakes.csv``, ``slots.csv``, ``report.html`` and ``troubles.txt``.

    Args:
        texts: for the test; (): the page has no samples.
        found: what the model understood of them.
        folder: the run folder.
        troubles: sentences about the data.
        history: of the training.
        metrics: what was measured.
        model: what the page calls it.
    """
    from rnnkit.runs.tables import write_table
    from rnnkit.tasks.span_scores import scores_by_name

    rows = _rated(texts, found)
    wrong = _mistakes(rows)
    if texts:
        write_table(
            {
                "text": [text.text for _, text, _ in wrong],
                "intent": [text.intent for _, text, _ in wrong],
                "predicted_intent": [one.intent for _, _, one in wrong],
                "slots": [slots_of(text, _true(text, one)) for _, text, one in wrong],
                "predicted_slots": [slots_of(text, one) for _, text, one in wrong],
                "confidence": [sure for sure, _, _ in wrong],
            },
            folder / MISTAKES,
        )
        by_name = scores_by_name([text.word_slots for text in texts], [one.slots for one in found])
        f1, counts = [score for score, _ in by_name.values()], [count for _, count in by_name.values()]
        write_table({"slot": list(by_name), "f1": f1, "count": counts}, folder / SLOTS)
    write_text_page(
        folder,
        title="Intents and slots",
        lead=model,
        history=history,
        troubles=troubles,
        length_quality=[(float(len(text.words)), sure) for sure, text, _ in rows],
        figures=page_figures(metrics),
        **answers_of(texts, found)._asdict(),
    )


def _rated(texts: Sequence[TaggedText], found: Sequence[Understood]) -> list[Rated]:
    """Return sentences with what was understood of them, and how sure that is."""
    return [(one.confidence * one.slot_confidence, text, one) for text, one in zip(texts, found, strict=True)]


def _mistakes(rows: Sequence[Rated]) -> list[Rated]:
    """Return the rows that are wrong, the surest first."""
    wrong = [row for row in rows if row[1].intent != row[2].intent or row[1].word_slots != row[2].slots]
    return sorted(wrong, key=lambda row: -row[0])


def _sample(sure: float, text: TaggedText, found: Understood) -> Sample:
    return Sample(text.text, _words(text, _true(text, found)), _words(text, found), sure)


def _true(text: TaggedText, found: Understood) -> Understood:
    return found._replace(intent=text.intent, slots=text.word_slots)


def _words(text: TaggedText, found: Understood) -> str:
    slots = [f"{name}: {text.text[start:end]}" for name, start, end in _stretches(text, found)]
    return "; ".join([found.intent, *slots])


def _stretches(text: TaggedText, found: Understood) -> list[tuple[str, int, int]]:
    """Return the slots by their characters."""
    return [(slot.name, text.offsets[slot.start][0], text.offsets[slot.end - 1][1]) for slot in found.slots]
