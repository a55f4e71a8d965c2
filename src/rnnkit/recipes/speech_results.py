"""What a run of speech recognises and writes at its end: texts beside their transcripts, and confusions."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from rnnkit.tasks.speech import Transcriber, Transcript
    from rnnkit.tasks.speech_batches import Utterances
    from rnnkit.tasks.speech_scores import SpeechScores

PREDICTIONS, CONFUSIONS, PICTURE = "predictions.csv", "confusions.csv", "confusions.png"
_NONE = "–"  # stands for no word in a picture
_WORDS = 40  # of a picture of confusions


class Judged(NamedTuple):
    """What was recognised of utterances.

    Attributes:
        utterances: them.
        transcripts: what was recognised of each.
        scores: error rates.
    """

    utterances: Utterances
    transcripts: list[Transcript]
    scores: SpeechScores


def judge(transcriber: Transcriber, utterances: Utterances, *, most: int = 64) -> Judged:
    """Recognise utterances, and compare with what is said in them.

    Args:
        transcriber: the recogniser.
        utterances: with their texts.
        most: utterances whose sound is held at a time.
    """
    from rnnkit.tasks.speech_scores import score_speech

    found: list[Transcript] = []
    for begin in range(0, len(utterances), most):
        rows = range(begin, min(begin + most, len(utterances)))
        found += transcriber([utterances.waveform(row) for row in rows])
    texts = list(utterances.texts)
    return Judged(utterances, found, score_speech(texts, [one.text for one in found]))


def draw_confusions(scores: SpeechScores, path: Path) -> None:
    """Draw which word was taken for which: the words with errors, the most frequent first."""
    import numpy as np

    from rnnkit.diagnostics import pictures
    from rnnkit.tasks.speech_scores import MISSING, mistakes_of

    weights: dict[str, int] = {}
    for true, other, count in mistakes_of(scores.confusions):
        for word in {true, other} - {MISSING}:
            weights[word] = weights.get(word, 0) + count
    words = sorted(sorted(weights, key=lambda word: (-weights[word], word))[:_WORDS])
    if not words:  # no errors: the words themselves
        words = sorted({true for true, _ in scores.confusions if true})[:_WORDS]
    if all(true in _DIGITS for true in {true for true, _ in scores.confusions if true}):
        words = sorted({true for true, _ in scores.confusions if true} | set(words), key=_order)
    names = [*words, _NONE]
    numbers = {word: at for at, word in enumerate(words)}
    matrix = np.zeros((len(names), len(names)), int)
    for (true, other), count in scores.confusions.items():
        row, column = (numbers.get(word, len(words) if word == MISSING else None) for word in (true, other))
        if row is not None and column is not None:
            matrix[row, column] += count
    pictures.confusion(matrix, names, path)


_DIGITS = ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine")


def _order(word: str) -> tuple[int, str]:
    return (_DIGITS.index(word), "") if word in _DIGITS else (len(_DIGITS), word)


def write_predictions(folder: Path, judged: Mapping[str, Judged]) -> None:
    """Write ``predictions.csv``, ``confusions.csv`` and ``confusions.png``.

    Args:
        folder: the run folder.
        judged: what was recognised, by the name of the test; {}: nothing is written.
    """
    from rnnkit.runs.tables import write_table
    from rnnkit.tasks.speech_scores import SpeechScores, mistakes_of

    if not judged:
        return
    rows = [
        (name, number, text, found.text, wer, found.confidence, found.seconds)
        for name, one in judged.items()
        for number, (text, found, wer) in enumerate(
            zip(one.utterances.texts, one.transcripts, one.scores.each, strict=True)
        )
    ]
    names = ("test", "number", "text", "prediction", "wer", "confidence", "seconds")
    write_table(_columns(names, rows), folder / PREDICTIONS)
    confusions = confusions_of(judged)
    write_table(_columns(("true", "found", "count"), mistakes_of(confusions)), folder / CONFUSIONS)
    draw_confusions(SpeechScores({}, [], confusions), folder / PICTURE)


def confusions_of(judged: Mapping[str, Judged]) -> Counter[tuple[str, str]]:
    """Return how often each word was taken for each other one, over all tests."""
    return sum((one.scores.confusions for one in judged.values()), Counter())


def _columns(names: Sequence[str], rows: Sequence[Sequence[Any]]) -> dict[str, list[Any]]:
    return {name: [row[at] for row in rows] for at, name in enumerate(names)}
