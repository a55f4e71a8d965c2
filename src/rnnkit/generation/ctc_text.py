"""How the tokens of a network are written: the characters of each, and where words begin and end.

A spelling is a text in which a space is the boundary of a word. In scripts that are written without spaces each
character is a word. Of tokens that are bytes a character of the spelling is a byte.

Legend: V tokens, blank included.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from ..data.text.tokenizer import UNKNOWN, Tokenizer
from ..data.text.words import is_spaceless
from ..errors import ConfigError, DataError

_GAPS = re.compile(r"[\s▁]+")
_MOST_KNOWN = 1 << 14  # words whose text is remembered
_MANY = re.compile(" {2,}")
_BYTES = ("byte", "bpe")
Tokens = Tokenizer | Sequence[str]


@dataclass(frozen=True)
class TimedWord:
    """A word, and when it is said.

    Attributes:
        text: the word.
        start, end: its first frame, and the frame after its last.
        confidence: the smallest confidence of its tokens, from 0 to 1.

    Example:
        >>> TimedWord("seven", 12, 30, 0.98).end
        30
    """

    text: str
    start: int
    end: int
    confidence: float


class CtcText:
    """The spellings of V tokens.

    Args:
        tokens: a tokenizer, or the V tokens as text, in which a space, "▁" or "|" is the boundary of a word.
        blank: the id of the blank, which has no spelling.

    Attributes:
        size: V.
        spellings: of each token, [V].
        as_bytes: whether spellings are of bytes.

    Raises:
        ConfigError: the tokens are no texts, or the blank is none of them.
    """

    def __init__(self, tokens: Tokens, blank: int = 0) -> None:
        self._tokenizer = tokens if isinstance(tokens, Tokenizer) else None
        listed = tokens.tokens if isinstance(tokens, Tokenizer) else tokens
        if not isinstance(listed, list | tuple) or not all(isinstance(one, str) for one in listed):
            raise ConfigError(
                f"tokenizer is a {type(tokens).__name__}; expected a rnnkit.data.Tokenizer, or the list of all tokens"
            )
        self._tokens = list(listed)
        self._known: dict[tuple[int, ...], str] = {}
        self.size, self.blank = len(self._tokens), blank
        self.kind = "text" if self._tokenizer is None else self._tokenizer.kind
        self.as_bytes = self.kind in _BYTES
        silent = {blank}
        if self._tokenizer is not None:
            silent |= {
                one for one in (self._tokenizer.pad, self._tokenizer.beginning, self._tokenizer.end) if one is not None
            }
        unknown = None if self._tokenizer is None else self._tokenizer.unknown
        self.silent = frozenset(silent)
        self.spellings = [
            "" if number in silent else f" {UNKNOWN} " if number == unknown else self._spell_token(number, token)
            for number, token in enumerate(self._tokens)
        ]

    def _spell_token(self, number: int, token: str) -> str:
        if self.kind == "word":
            return f" {token} " if token.strip() else " "
        if self.kind == "byte":
            return " " if number < 128 and chr(number).isspace() else chr(number)
        if self.kind == "bpe":
            raw = bytes(_BYTE_OF[one] for one in token)
            return re.sub(r"[ \t\n\r]+", " ", raw.decode("latin-1"))
        return _spell(token.replace("|", " ") if self._tokenizer is None and token == "|" else token)

    def spell(self, text: str) -> str:
        """Return the spelling of a word or phrase, as hypotheses have it."""
        if self._tokenizer is not None:
            text = self._tokenizer.prepare(text)
        if self.kind == "word" and self._tokenizer is not None:
            return " ".join(self._tokenizer.split(text))
        if self.as_bytes:
            return " ".join(text.split()).encode().decode("latin-1")
        return _spell(text).strip()

    def read(self, spelling: str) -> str:
        """Return the text of the spelling of one word."""
        return spelling.encode("latin-1").decode("utf-8", "replace") if self.as_bytes else spelling

    def decode(self, ids: Sequence[int]) -> str:
        """Return the text of ids, with one space for several, and none at its ends."""
        kept = [one for one in ids if one not in self.silent]
        if self._tokenizer is not None:
            text = self._tokenizer.decode(kept)
        else:
            text = "".join(self._tokens[one].replace("▁", " ").replace("|", " ") for one in kept)
        return _MANY.sub(" ", text).strip()

    @property
    def separators(self) -> list[int]:
        """The tokens that are nothing but a boundary of words."""
        return [number for number, spelling in enumerate(self.spellings) if spelling == " "]

    def encode(self, text: str) -> list[int]:
        """Return the ids of a text.

        Raises:
            DataError: the tokens cannot write it.
            ConfigError: there is no tokenizer that could cut it.
        """
        if self._tokenizer is None:
            raise ConfigError("the tokens are a list; expected a rnnkit.data.Tokenizer, which cuts a text into tokens")
        ids = self._tokenizer.encode(text)
        if self._tokenizer.unknown in ids:
            at = ids.index(self._tokenizer.unknown)
            lacking = self._tokenizer.split(text)
            shown = repr(lacking[at]) if len(lacking) == len(ids) else "a part of it"
            raise DataError(
                f"the text {text!r} holds {shown}, which the tokenizer lacks", remedy="write it by tokens that it has"
            )
        return ids

    def letters(self) -> set[str]:
        """Return the characters of all spellings."""
        return {letter for spelling in self.spellings if spelling != f" {UNKNOWN} " for letter in spelling}

    def _word(self, ids: tuple[int, ...]) -> str:
        """Return the text of a word; partial results ask for the same ones again and again."""
        if ids not in self._known:
            if len(self._known) > _MOST_KNOWN:
                self._known.clear()
            self._known[ids] = self.decode(ids)
        return self._known[ids]

    def group(self, ids: Sequence[int]) -> list[list[int]]:
        """Return the places of the tokens of each word. A token of several words, a piece of Chinese, is one word."""
        groups: list[list[int]] = []
        fresh = True  # whether the next letter begins a word
        for at, one in enumerate(ids):
            spelling = self.spellings[one]
            if not spelling.strip(" "):
                fresh = fresh or bool(spelling)
                continue
            if fresh or spelling[0] == " ":
                groups.append([])
            groups[-1].append(at)
            fresh = spelling[-1] == " "
        return groups

    def words(
        self, ids: Sequence[int], times: Sequence[tuple[int, int]], confidences: Sequence[float]
    ) -> list[TimedWord]:
        """Return the words of tokens with their times.

        Args:
            ids: tokens without blanks.
            times: the first frame of each, and the frame after its last.
            confidences: of each.
        """
        return [
            TimedWord(
                self._word(tuple(ids[at] for at in group)),
                times[group[0]][0],
                times[group[-1]][1],
                min(confidences[at] for at in group),
            )
            for group in self.group(ids)
        ]


def _spell(text: str) -> str:
    """Return a text with one space for several, and spaces around characters of scripts without spaces."""
    apart = "".join(f" {one} " if not one.isspace() and is_spaceless(one) else one for one in text)
    return _GAPS.sub(" ", apart)


def _byte_letters() -> dict[str, int]:
    """Return the byte that each character of a token of byte-pair encoding stands for, as in GPT-2."""
    plain = [*range(33, 127), *range(161, 173), *range(174, 256)]
    others = [byte for byte in range(256) if byte not in plain]
    return {chr(byte): byte for byte in plain} | {chr(256 + at): byte for at, byte in enumerate(others)}


_BYTE_OF = _byte_letters()
