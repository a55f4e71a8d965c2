"""Error rates of recognised speech: words and characters that are wrong, missing or too many, counted by jiwer.

    word error rate = (S + D + I) / N,   with S substitutions, D deletions and I insertions of N true words

by the alignment with the fewest errors. Chinese and the like count each character as a word.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any, NamedTuple

from ..errors import DataError, MissingExtraError
from .speech_words import split_spoken

MISSING = ""  # stands for no word in a confusion


class SpeechScores(NamedTuple):
    """Error rates, and what was confused.

    Attributes:
        figures: "wer" and "cer", the rates; "substitutions", "deletions" and "insertions" of words, "words", the number
            of true ones; "sentence_accuracy", the share of texts without an error.
        each: the word error rate of each text; of a text without words the number of words that were found.
        confusions: (true word, found word) → how often; "" stands for none.

    Example:
        >>> SpeechScores({"wer": 0.0}, [0.0], Counter({("one", "one"): 1})).figures
        {'wer': 0.0}
    """

    figures: dict[str, float]
    each: list[float]
    confusions: Counter[tuple[str, str]]


def score_speech(texts: Sequence[str], found: Sequence[str]) -> SpeechScores:
    """Compare true texts with recognised ones.

    Args:
        texts: what was said.
        found: what was recognised, as many.

    Raises:
        DataError: no text holds a word, or not as many were found.
        MissingExtraError: jiwer is not installed.

    Example:
        >>> scores = score_speech(["one two three", "four"], ["one too three four", "four"])
        >>> scores.figures["wer"], scores.figures["insertions"], scores.confusions["two", "too"]
        (0.5, 1.0, 1)
    """
    jiwer = _jiwer()
    if len(texts) != len(found):
        raise DataError(f"{len(found)} recognised texts arrived for {len(texts)} true ones; expected as many")
    true, other = ([" ".join(split_spoken(text)) for text in part] for part in (texts, found))
    confusions: Counter[tuple[str, str]] = Counter()
    each = [float(len(answer.split())) if not text else 0.0 for text, answer in zip(true, other, strict=True)]
    counts = Counter[str]()
    for text, answer in zip(true, other, strict=True):
        if not text:  # jiwer takes no empty truth
            confusions.update((MISSING, word) for word in answer.split())
            counts["insertions"] += len(answer.split())
    rows = [row for row, text in enumerate(true) if text]
    if not rows:
        raise DataError("no true text holds a word; expected some to compare with")
    spoken = jiwer.process_words([true[row] for row in rows], [other[row] for row in rows])
    for row, chunks, words, answers in zip(rows, spoken.alignments, spoken.references, spoken.hypotheses, strict=True):
        wrong = 0
        for chunk in chunks:
            own, others = (
                words[chunk.ref_start_idx : chunk.ref_end_idx],
                answers[chunk.hyp_start_idx : chunk.hyp_end_idx],
            )
            if chunk.type != "equal":
                length = max(len(own), len(others))
                wrong += length
                own, others = (part + [MISSING] * (length - len(part)) for part in (own, others))
            confusions.update(zip(own, others, strict=True))
        each[row] = wrong / len(words)
    for name in ("substitutions", "deletions", "insertions"):
        counts[name] += getattr(spoken, name)
    words = sum(len(one) for one in spoken.references)
    errors = counts["substitutions"] + counts["deletions"] + counts["insertions"]
    characters = jiwer.process_characters([true[row] for row in rows], [other[row] for row in rows])
    length = sum(len(true[row]) for row in rows)
    mistaken = characters.substitutions + characters.deletions + characters.insertions
    mistaken += sum(len(answer) for text, answer in zip(true, other, strict=True) if not text)
    right = sum(text == answer for text, answer in zip(true, other, strict=True))
    figures = {
        "wer": errors / words,
        "cer": mistaken / length,
        "substitutions": float(counts["substitutions"]),
        "deletions": float(counts["deletions"]),
        "insertions": float(counts["insertions"]),
        "words": float(words),
        "sentence_accuracy": right / len(true),
    }
    return SpeechScores(figures, each, confusions)


def mistakes_of(confusions: Counter[tuple[str, str]]) -> list[tuple[str, str, int]]:
    """Return what was confused, the most frequent first: (true word, found word, how often); "" stands for none.

    Example:
        >>> mistakes_of(Counter({("five", "nine"): 2, ("one", "one"): 9, ("two", ""): 1}))
        [('five', 'nine', 2), ('two', '', 1)]
    """
    wrong = [(true, other, count) for (true, other), count in confusions.items() if true != other]
    return sorted(wrong, key=lambda one: (-one[2], one[0], one[1]))


def _jiwer() -> Any:
    try:
        import jiwer
    except ImportError as error:
        raise MissingExtraError("error rates of speech need jiwer; pip install 'rnnkit[audio]'") from error
    return jiwer
