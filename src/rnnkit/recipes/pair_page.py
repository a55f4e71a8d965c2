"""The page of a run on pairs of texts, and its troubles as sentences."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from ..tasks.text_pairs import PairTokenizers, Search, TextPair
from .interface import TextAnswer
from .text_page import Answers, Sample, attention_of, write_text_page

_SHOWN = 12


class Judged(NamedTuple):
    """The answers to the pairs of a part, and the quality of each, 0 to 100; no pairs where none were held out."""

    part: str
    pairs: Sequence[TextPair]
    answers: Sequence[TextAnswer]
    quality: Sequence[float]


def troubles_of(
    tokenizers: PairTokenizers, train: Sequence[TextPair], test: Judged, search: Search, *, pretrained: bool = False
) -> list[str]:
    """Return findings about the data and the answers: leaks, unknown words, long sources, repeated and empty answers.

    Args:
        tokenizers: of the model.
        train: the pairs that it was trained on.
        test: those that judge.
        search: what the answers were searched with.
        pretrained: whether the model learned from other pairs before.
    """
    from ..data import text_report
    from ..data.text.troubles import empty_outputs, long_sources, repeated_outputs

    if not test.pairs:
        return []
    told: list[str] = []
    sides = (("sources", tokenizers.source), ("targets", tokenizers.target))
    for side, tokenizer in sides:
        one = [pair.source if side == "sources" else pair.targets[0] for pair in train]
        other = [pair.source if side == "sources" else pair.targets[0] for pair in test.pairs]
        names = (f"the {side} of train", f"the {side} of {test.part}")
        told += text_report(one, other, tokenizer, names=names, untrained=not pretrained).sentences
    learned, judged = ([len(tokenizers.source.encode(pair.source)) for pair in part] for part in (train, test.pairs))
    if tokenizers.trained is not None:  # by this training, or one before it
        learned = [tokenizers.trained - 1]
    told += long_sources(learned, judged, part=test.part)
    texts = [one.text for one in test.answers]
    blocks = 0 < search.no_repeat_ngram <= 3
    remedy = "more epochs, or more pairs" if blocks else "--set search.no_repeat_ngram=3"
    return [*told, *repeated_outputs(texts, remedy=remedy), *empty_outputs(texts)]


def answers_of(test: Judged, pictured: Sequence[TextAnswer], quality: str) -> Answers:
    """Return what a page shows of answers to pairs.

    Args:
        test: the answers to the pairs that judge.
        pictured: answers whose attention is drawn.
        quality: what the quality of an answer is.
    """
    rows = [
        Sample(pair.source, pair.targets[0], answer.text, score)
        for pair, answer, score in zip(test.pairs, test.answers, test.quality, strict=True)
    ]
    order = sorted(range(len(rows)), key=lambda row: test.quality[row])
    wrong = [row for row in order if rows[row].found not in test.pairs[row].targets]
    surest = sorted(wrong[: max(1, len(wrong) // 2)], key=lambda row: -test.answers[row].score)
    return Answers(
        samples=rows[:_SHOWN],
        worst=[rows[row] for row in order[:_SHOWN]],
        surest=[rows[row] for row in surest[:_SHOWN]],
        pictures=[attention_of(one) for one in pictured],
        quality=quality,
    )


def write_page(
    folder: Path,
    title: str,
    test: Judged,
    pictured: Sequence[TextAnswer],
    *,
    quality: str,
    lead: str,
    history: Any,
    troubles: Sequence[str],
    figures: Mapping[str, Any],
) -> None:
    """Write ``report.html`` of a run.

    Args:
        folder: the run's.
        title: the heading.
        test: the answers to the pairs that judge.
        pictured: answers whose attention is drawn.
        quality: what the quality of an answer is.
        lead: the sentences below the heading.
        history: of the training.
        troubles: sentences.
        figures: what was measured.
    """
    lengths = [float(len(one.source_tokens)) for one in test.answers]
    write_text_page(
        folder,
        title=title,
        lead=lead,
        history=history,
        troubles=troubles,
        length_quality=list(zip(lengths, test.quality, strict=True)),
        figures=figures,
        **answers_of(test, pictured, quality)._asdict(),
    )
