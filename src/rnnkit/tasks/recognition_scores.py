"""Error rates of recognised texts: units, such as words or characters, that are wrong, missing or too many.

    error rate = (S + D + I) / N,   with S substitutions, D deletions and I insertions of N true units

by the alignment with the fewest errors. jiwer counts them.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any, NamedTuple

from ..errors import DataError, MissingExtraError

MISSING = ""  # stands for no unit in a confusion
_SPACE = "␣"  # jiwer divides at spaces


class RecognitionScores(NamedTuple):
    """Error rates, and what was confused.

    Attributes:
        figures: the rates by their names; "substitutions", "deletions" and "insertions" of units, and the number of
            true ones.
        each: the error rate of each text; of a text without units the number of units that were found.
        confusions: (true unit, found unit) → how often; "" stands for none.

    Example:
        >>> RecognitionScores({"wer": 0.0}, [0.0], Counter({("one", "one"): 1})).figures
        {'wer': 0.0}
    """

    figures: dict[str, float]
    each: list[float]
    confusions: Counter[tuple[str, str]]


def align_units(texts: Sequence[Sequence[str]], found: Sequence[Sequence[str]]) -> RecognitionScores:
    """Align true units with found ones, and count errors.

    Args:
        texts: the true units of each text.
        found: those that were recognised, as many texts.

    Returns:
        The scores; `figures` has "rate", "substitutions", "deletions", "insertions" and "units".

    Raises:
        DataError: no text holds a unit, or not as many were found.
        MissingExtraError: jiwer is not installed.

    Example:
        >>> scores = align_units([["1", "2", "3"], ["4"]], [["1", "7", "3"], ["4"]])
        >>> round(scores.figures["rate"], 2), scores.each, scores.confusions["2", "7"]
        (0.25, [0.3333333333333333, 0.0], 1)
    """
    jiwer = _jiwer()
    if len(texts) != len(found):
        raise DataError(f"{len(found)} recognised texts arrived for {len(texts)} true ones; expected as many")
    confusions: Counter[tuple[str, str]] = Counter()
    counts = Counter[str]()
    each = [float(len(answer)) if not text else 0.0 for text, answer in zip(texts, found, strict=True)]
    for text, answer in zip(texts, found, strict=True):
        if not text:  # jiwer takes no empty truth
            confusions.update((MISSING, unit) for unit in answer)
            counts["insertions"] += len(answer)
    rows = [row for row, text in enumerate(texts) if text]
    if not rows:
        raise DataError("no true text holds a word or character; expected some to compare with")
    aligned = jiwer.process_words([_joined(texts[row]) for row in rows], [_joined(found[row]) for row in rows])
    for row, chunks, own_units, answers in zip(
        rows, aligned.alignments, aligned.references, aligned.hypotheses, strict=True
    ):
        wrong = 0
        for chunk in chunks:
            own = own_units[chunk.ref_start_idx : chunk.ref_end_idx]
            others = answers[chunk.hyp_start_idx : chunk.hyp_end_idx]
            if chunk.type != "equal":
                length = max(len(own), len(others))
                wrong += length
                own, others = (part + [MISSING] * (length - len(part)) for part in (own, others))
            confusions.update(zip(own, others, strict=True))
        each[row] = wrong / len(own_units)
    for name in ("substitutions", "deletions", "insertions"):
        counts[name] += getattr(aligned, name)
    units = sum(len(one) for one in aligned.references)
    errors = counts["substitutions"] + counts["deletions"] + counts["insertions"]
    figures = {
        "rate": errors / units,
        "substitutions": float(counts["substitutions"]),
        "deletions": float(counts["deletions"]),
        "insertions": float(counts["insertions"]),
        "units": float(units),
    }
    return RecognitionScores(figures, each, confusions)


def score_characters(texts: Sequence[str], found: Sequence[str]) -> RecognitionScores:
    """Compare true texts with recognised ones, character by character.

    Args:
        texts: what is written.
        found: what was recognised, as many.

    Returns:
        The scores; `figures` has "exact_match", the share of texts without an error, "cer", the character error rate,
        the counts of errors, and "characters", the number of true ones. In confusions ␣ stands for a space.

    Raises:
        DataError: no text holds a character, or not as many were found.
        MissingExtraError: jiwer is not installed.

    Example:
        >>> scores = score_characters(["31415", "92"], ["31475", "92"])
        >>> scores.figures["exact_match"], round(scores.figures["cer"], 3), scores.confusions["1", "7"]
        (0.5, 0.143, 1)
    """
    scores = align_units([_characters(text) for text in texts], [_characters(text) for text in found])
    right = sum(text == answer for text, answer in zip(texts, found, strict=True))
    counts = {name: scores.figures[name] for name in ("substitutions", "deletions", "insertions")}
    figures = {
        "exact_match": right / len(texts),
        "cer": scores.figures["rate"],
        **counts,
        "characters": scores.figures["units"],
    }
    return scores._replace(figures=figures)


def mistakes_of(confusions: Counter[tuple[str, str]]) -> list[tuple[str, str, int]]:
    """Return what was confused, the most frequent first: (true unit, found unit, how often); "" stands for none.

    Example:
        >>> mistakes_of(Counter({("five", "nine"): 2, ("one", "one"): 9, ("two", ""): 1}))
        [('five', 'nine', 2), ('two', '', 1)]
    """
    wrong = [(true, other, count) for (true, other), count in confusions.items() if true != other]
    return sorted(wrong, key=lambda one: (-one[2], one[0], one[1]))


def _characters(text: str) -> list[str]:
    return [_SPACE if one.isspace() else one for one in text]


def _joined(units: Sequence[str]) -> str:
    return " ".join(units)


def _jiwer() -> Any:
    try:
        import jiwer
    except ImportError as error:
        raise MissingExtraError(
            "error rates need jiwer; pip install 'rnnkit[audio]' for speech, 'rnnkit[vision]' for pictures"
        ) from error
    return jiwer
