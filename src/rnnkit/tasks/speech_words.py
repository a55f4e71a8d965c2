"""Words with times, of the tokens that a recogniser of speech puts out."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any, NamedTuple

from ..data.text.tokenizer import Tokenizer
from ..data.text.words import UNSPACED

_WORDS = re.compile(rf"[{UNSPACED}]|[^\s{UNSPACED}]+")


class Word(NamedTuple):
    """A recognised word.

    Attributes:
        text: as it is written.
        start, end: in seconds from the beginning of the sound: from the step that showed its first token to the one
            that showed its last. CTC shows a token late within its sound rather than early.
        confidence: the probability of its tokens, from 0 to 1.

    Example:
        >>> Word("yes", 0.52, 0.84, 0.97).to_json()
        {'word': 'yes', 'start': 0.52, 'end': 0.84, 'confidence': 0.97}
    """

    text: str
    start: float
    end: float
    confidence: float

    def to_json(self) -> dict[str, Any]:
        """Return the attributes as JSON values, times to the millisecond."""
        times = {"start": round(self.start, 3), "end": round(self.end, 3)}
        return {"word": self.text, **times, "confidence": round(self.confidence, 4)}


def split_spoken(text: str) -> list[str]:
    """Return the words of a text as error rates count them: each character of Chinese and the like is one.

    Example:
        >>> split_spoken("play 音乐 now")
        ['play', '音', '乐', 'now']
    """
    return _WORDS.findall(text)


def words_of(
    tokens: Sequence[int],
    times: Sequence[tuple[int, int]],
    confidences: Sequence[float],
    tokenizer: Tokenizer,
    seconds: float,
    *,
    offset: float = 0.0,
) -> list[Word]:
    """Return the words of tokens with their times.

    Args:
        tokens: ids.
        times: the first step of each token, and the one behind its last.
        confidences: of each token, probabilities.
        tokenizer: of the tokens.
        seconds: a step.
        offset: seconds before the first step.

    Example:
        >>> from rnnkit.data import train_tokenizer
        >>> tokenizer = train_tokenizer("char", ["so do"])
        >>> words = words_of(tokenizer.encode("do so"), [(n, n + 1) for n in range(5)], [1.0] * 5, tokenizer, 0.04)
        >>> [(word.text, word.start, word.end) for word in words]
        [('do', 0.0, 0.08), ('so', 0.12, 0.2)]
    """
    if not tokens:
        return []
    text, ends = "", []  # the characters that each token ends behind
    for count in range(1, len(tokens) + 1):
        text = tokenizer.decode(tokens[:count])
        ends.append(len(text))
    found = []
    for match in _WORDS.finditer(text):
        first = next((index for index, end in enumerate(ends) if end > match.start()), len(ends) - 1)
        last = next((index for index, end in enumerate(ends) if end >= match.end()), len(ends) - 1)
        own = range(first, max(first, last) + 1)
        confidence = 1.0
        for index in own:
            confidence *= confidences[index]
        start, end = times[first][0] * seconds, times[own[-1]][1] * seconds
        found.append(Word(match.group(), offset + start, offset + end, confidence))
    return found
