"""Error rates of recognised speech: words and characters that are wrong, missing or too many.

Chinese and the like count each character as a word, and no spaces around them. See
:mod:`rnnkit.tasks.recognition_scores` for the equations.
"""

from __future__ import annotations

from collections.abc import Sequence

from ..data.text.words import is_spaceless
from .recognition_scores import RecognitionScores, align_units
from .speech_words import split_spoken


def score_speech(texts: Sequence[str], found: Sequence[str]) -> RecognitionScores:
    """Compare true texts with recognised ones.

    Args:
        texts: what was said.
        found: what was recognised, as many.

    Returns:
        The scores by words; `figures` has "wer" and "cer", the rates of words and characters, the counts of errors in
        words, "words", the number of true ones, and "sentence_accuracy", the share of texts without an error.

    Raises:
        DataError: no text holds a word, or not as many were found.
        MissingExtraError: jiwer is not installed.

    Example:
        >>> scores = score_speech(["one two three", "four"], ["one too three four", "four"])
        >>> scores.figures["wer"], scores.figures["insertions"], scores.confusions["two", "too"]
        (0.5, 1.0, 1)
    """
    true, other = ([split_spoken(text) for text in part] for part in (texts, found))
    words = align_units(true, other)
    characters = align_units(*([_characters(one) for one in part] for part in (true, other)))
    right = sum(text == answer for text, answer in zip(true, other, strict=True))
    figures = {
        "wer": words.figures["rate"],
        "cer": characters.figures["rate"],
        **{name: words.figures[name] for name in ("substitutions", "deletions", "insertions")},
        "words": words.figures["units"],
        "sentence_accuracy": right / len(true),
    }
    return words._replace(figures=figures)


def _characters(words: Sequence[str]) -> list[str]:
    """Return the characters of words, the spaces between them among these, but for scripts that write none."""
    found: list[str] = []
    for word in words:
        if found and not is_spaceless(found[-1]) and not is_spaceless(word[0]):
            found.append("␣")  # jiwer divides at spaces
        found += word
    return found
