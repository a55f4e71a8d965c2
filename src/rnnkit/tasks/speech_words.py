"""Words with times, made of the tokens that a speech recogniser outputs."""

from __future__ import annotations

import re
from collections.abc import Sequence
from math import prod
from typing import Any, NamedTuple

from ..data.text.tokenizer import Tokenizer
from ..data.text.words import UNSPACED

_PIECE = 16  # tokens that are read at once: the time grows with their square
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
        times: the first step of each token, and the one after its last.
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
    reader = WordReader(tokenizer, seconds, offset=offset)
    found: list[Word] = []
    for end in range(_PIECE, len(tokens) + _PIECE, _PIECE):
        known = tokens[:end]
        found[reader.settled.words :] = reader.read(known, times, confidences)
        reader.settle(len(found), len(known))
    return found


class Settled(NamedTuple):
    """What a :class:`WordReader` reads no more.

    Attributes:
        tokens, words: how many.
        text: theirs, and the space after it.
    """

    tokens: int = 0
    words: int = 0
    text: str = ""


class WordReader:
    """Read the words of an utterance whose tokens come one by one.

    What is settled is not read again, so that the work of a call does not grow with the utterance. Tokens are decoded
    from the beginning of a word on: a quotation mark knows nothing of one that is settled.

    Args:
        tokenizer, seconds, offset: as for :func:`words_of`.

    Attributes:
        settled: what is read no more. Set it to continue where another reader stood.

    Example:
        >>> from rnnkit.data import train_tokenizer
        >>> tokenizer = train_tokenizer("char", ["so do"])
        >>> reader, tokens = WordReader(tokenizer, 0.04), tokenizer.encode("do so")
        >>> times, sure = [(n, n + 1) for n in range(5)], [1.0] * 5
        >>> [word.text for word in reader.read(tokens[:4], times, sure)]
        ['do', 's']
        >>> reader.settle(2, stable=4)
        >>> [word.text for word in reader.read(tokens, times, sure)], reader.text
        (['so'], 'do so')
    """

    def __init__(self, tokenizer: Tokenizer, seconds: float, *, offset: float = 0.0) -> None:
        self._tokenizer, self._seconds, self._offset = tokenizer, seconds, offset
        self.settled = Settled()
        self._tokens: list[int] = []  # that were read last, after the settled ones
        self._ends: list[int] = []  # the characters that each of them ends behind
        self._written = ""  # their text
        self._spans: list[tuple[int, int, int]] = []  # of each word: its first and last token, its first character

    @property
    def text(self) -> str:
        """What is written by all tokens that were read."""
        return (self.settled.text + self._written).strip()

    def read(self, tokens: Sequence[int], times: Sequence[tuple[int, int]], confidences: Sequence[float]) -> list[Word]:
        """Return the words after the settled ones.

        Args:
            tokens, times, confidences: as for :func:`words_of`, the settled ones among them.
        """
        begin = self.settled.tokens
        own = list(tokens[begin:])
        if own != self._tokens:
            self._spans = self._find(own)
        found = []
        for (first, last, _), text in zip(self._spans, _WORDS.findall(self._written), strict=True):
            confidence = prod(confidences[begin + first : begin + last + 1])
            start, end = times[begin + first][0] * self._seconds, times[begin + last][1] * self._seconds
            found.append(Word(text, self._offset + start, self._offset + end, confidence))
        return found

    def settle(self, final: int, stable: int) -> None:
        """Settle what is in front of the last final word that begins with a stable token.

        Args:
            final: how many of the words, the settled ones among them, will not change.
            stable: how many of the tokens will not change.
        """
        for place in range(min(final - self.settled.words, len(self._spans)) - 1, 0, -1):
            first, _, start = self._spans[place]
            rest, written = self._tokens[first:], self._written[start:]
            # Not where the first token ends the word before, too, as a token of bytes may.
            if self.settled.tokens + first < stable and self._decoded(rest) == written:
                tokens, words, text = self.settled
                self.settled = Settled(tokens + first, words + place, text + self._written[:start])
                self._tokens, self._ends, self._written = rest, [], written
                self._spans = [(one - first, last - first, at - start) for one, last, at in self._spans[place:]]
                return

    def _decoded(self, tokens: list[int]) -> str:
        return self._tokenizer.decode(tokens).lstrip()

    def _find(self, tokens: list[int]) -> list[tuple[int, int, int]]:
        """Return the places of the words of tokens.

        A token's end is known by decoding all tokens up to it, so the ends of those that were read before are kept.
        """
        known = len(self._ends)
        if tokens[:known] != self._tokens[:known]:
            known = 0
        ends = self._ends[:known]
        self._written = ""
        for count in range(known + 1, len(tokens) + 1):
            self._written = self._decoded(tokens[:count])
            ends.append(len(self._written))
        self._tokens, self._ends = tokens, ends
        spans = []
        for match in _WORDS.finditer(self._written):
            first = next((at for at, end in enumerate(ends) if end > match.start()), len(ends) - 1)
            last = next((at for at, end in enumerate(ends) if end >= match.end()), len(ends) - 1)
            spans.append((first, max(first, last), match.start()))
        return spans
