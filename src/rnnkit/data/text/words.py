"""Words, numbers and marks as tokens; in scripts without spaces each character. And the way back to written text."""

from __future__ import annotations

import re
import sys
import unicodedata
from collections import Counter
from collections.abc import Iterable, Sequence
from functools import cache, lru_cache
from typing import TYPE_CHECKING, Any

from .characters import SPECIAL, SPECIAL_IDS
from .tokenizer import UNKNOWN, Preparation, Tokenizer, Values, as_ids, ranked

if TYPE_CHECKING:
    from .tokenizer import Ids

# Scripts that are written without spaces between words: Han, kana, bopomofo; Thai, Lao, Tibetan, Burmese, Khmer.
UNSPACED = (
    "\u3005-\u3007\u3040-\u30ff\u3100-\u312f\u31a0-\u31bf\u31f0-\u31ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff"
    "\uff66-\uff9f\U00020000-\U0003ffff\u0e00-\u0eff\u0f00-\u0fff\u1000-\u109f\u1780-\u17ff"
)
_PICTURE = "\u2600-\u27bf\u2b00-\u2bff\U0001f000-\U0001f1e5\U0001f200-\U0001faff"
_SKIN = "\ufe0f\U0001f3fb-\U0001f3ff"
_RUNS = re.compile(r"\n|\S+")
_LONG = 48  # characters; longer runs hardly come again
# Marks that have no space before them, and those that have none after them.
_CLOSING = frozenset(".,;:!?…%)]}»›”’،؛؟۔।॥，。！？；：、）》〉」』】〕～％")
_OPENING = frozenset("([{«‹„‚¿¡（《〈「『【〔“‘")
_QUOTES = frozenset("\"'")
_BEFORE_WORDS = frozenset("$£€¥#@")
_PAIRS = {"„": "“", "‚": "‘"}  # German: the mark that opens in English closes here


class WordTokenizer(Tokenizer):
    """Words, numbers and marks apart; each character of a script that is written without spaces; each line break.

    A mark that stands between words without a space, such as the hyphen of "well-known", is the token "@-@", as in
    WikiText; "@-" and "-@" have a space on one side. Full stops, commas, brackets and the like have that form only
    between two words, as in "example.org". Other spaces are not kept: `decode` puts them where they are usual. "<unk>"
    in a text is the unknown token, as in WikiText and the Penn Treebank.

    Args:
        words: those of the vocabulary, in the order of their ids, which begin after the four special ones.
        prepare: how a text is prepared first.
    """

    kind = "word"

    def __init__(self, words: Sequence[str], prepare: Preparation) -> None:
        super().__init__([*SPECIAL, *words], SPECIAL_IDS, prepare)
        self._words = list(words)
        self._table = {word: number for number, word in enumerate(words, len(SPECIAL))}

    @staticmethod
    def train(texts: Iterable[str], prepare: Preparation, *, size: int | None, minimum_count: int) -> WordTokenizer:
        """Return a tokenizer of the words that occur at least `minimum_count` times."""
        counts: Counter[str] = Counter()
        for text in texts:
            counts.update(split_words(prepare(text)))
        for special in SPECIAL:
            counts.pop(special, None)
        return WordTokenizer(ranked(counts, minimum_count, None if size is None else size - len(SPECIAL)), prepare)

    def _ids(self, texts: list[str]) -> list[Ids]:
        table, unknown = self._table.get, SPECIAL_IDS["unknown"]
        return [as_ids([table(word, unknown) for word in split_words(text)]) for text in texts]

    def split(self, text: str) -> list[str]:
        """Return the words of a text, those that the vocabulary lacks among them."""
        return split_words(self._checked(text))

    def _text(self, ids: list[int]) -> str:
        return join_words([self.tokens[one] for one in ids])

    def _values(self) -> dict[str, Any]:
        return {"tokens": self._words}

    @classmethod
    def _build(cls, values: Values, prepare: Preparation) -> WordTokenizer:
        return cls(values.texts("tokens"), prepare)


def split_words(text: str) -> list[str]:
    """Return the words, numbers and marks of a text.

    Example:
        >>> split_words("Don't pay $3.50, it's well-known!")
        ["Don't", 'pay', '$', '3.50', ',', "it's", 'well', '@-@', 'known', '!']
        >>> split_words("我有3本书。")
        ['我', '有', '3', '本', '书', '。']
    """
    found: list[str] = []
    for run in _RUNS.findall(text):
        found += _split_short(run) if len(run) <= _LONG else _split_run(run)
    return found


def word_places(text: str) -> list[tuple[int, int]]:
    """Return where the words, numbers and marks of a text lie: the begin and the end of each.

    Example:
        >>> word_places("It's 3.50, 我们")
        [(0, 4), (5, 9), (9, 10), (11, 12), (12, 13)]
    """
    return [
        (run.start() + match.start(), run.start() + match.end())
        for run in _RUNS.finditer(text)
        if run.group() != "\n"
        for match in _pattern().finditer(run.group())
    ]


def join_words(tokens: Sequence[str]) -> str:
    """Return the text of words and marks, with spaces where they are usual.

    Example:
        >>> join_words(["He", "said", ":", '"', "a", "well", "@-@", "known", "(", "old", ")", "dog", '"', "."])
        'He said: "a well-known (old) dog".'
        >>> join_words(["我", "有", "3", "本", "书", "。"])
        '我有3本书。'
    """
    written: list[str] = []
    opened: set[str] = set()
    tight = True  # whether what follows stands without a space
    for token in tokens:
        left = right = False  # whether the token stands without a space on that side
        if token == "\n":
            left = right = True
            opened.clear()
        elif _is_glued(token):
            left, right = token[0] == "@", token[-1] == "@"
            token = token[1] if left else token[0]
        elif token in _QUOTES or (token in _PAIRS.values() and token in opened):
            left, right = token in opened, token not in opened
            opened ^= {token}
        else:
            left, right = token in _CLOSING, token in _OPENING or token in _BEFORE_WORDS
            if token in _PAIRS:
                opened.add(_PAIRS[token])
        spaceless = written and (is_spaceless(written[-1][-1]) or is_spaceless(token[0]))
        pictures = written and _is_picture(written[-1][0]) and _is_picture(token[0])
        if not (tight or left or spaceless or pictures or unicodedata.category(token[0])[0] == "M"):
            written.append(" ")
        written.append(token)
        tight = right
    return "".join(written)


def _split_run(run: str) -> tuple[str, ...]:
    """Return the words and marks of a line break, or of characters without a space between them."""
    found = []
    for match in _pattern().finditer(run):
        token = match.group()
        if match.lastgroup == "mark":
            begin, end = match.span()
            token = _glued(token, run[begin - 1 : begin] if begin else "", run[end : end + 1])
        found.append(token)
    return tuple(found)


_split_short = lru_cache(1 << 16)(_split_run)  # the same words come again and again


def _glued(mark: str, before: str, after: str) -> str:
    """Return how a mark is written as a token, given the characters beside it."""
    if mark in _CLOSING or mark in _OPENING or mark in _QUOTES:
        both = _is_word(before) and _is_word(after)
        return f"@{mark}@" if both else mark
    left, right = bool(before.strip()), bool(after.strip())
    if mark in _BEFORE_WORDS and not left:
        return mark
    return f"{'@' * left}{mark}{'@' * right}"


def _is_glued(token: str) -> bool:
    if len(token) == 3:
        return token[0] == token[2] == "@" and not token[1].isalnum()
    return len(token) == 2 and "@" in token and not (token[0].isalnum() or token[1].isalnum())


def _is_word(character: str) -> bool:
    return (
        bool(character)
        and (character.isalnum() or unicodedata.category(character)[0] == "M")
        and not (is_spaceless(character))
    )


@cache
def is_spaceless(character: str) -> bool:
    """Whether a character has no spaces beside it: it is of a script without spaces, or a full-width mark."""
    return bool(re.match(f"[{UNSPACED}\u3000-\u303f\uff00-\uff65]", character))


@cache
def _is_picture(character: str) -> bool:
    return bool(re.match(f"[{_PICTURE}\U0001f1e6-\U0001f1ff]", character))


@cache
def _pattern() -> re.Pattern[str]:
    marks = _combining()
    letter, alike = rf"[^\W\d_{UNSPACED}]", rf"[^\W_{UNSPACED}]"
    inner = f"(?:{alike}|[{marks}])*"
    picture = f"[{_PICTURE}][{_SKIN}]*"
    return re.compile(
        "|".join(
            (
                r"\n",
                re.escape(UNKNOWN),
                r"(?<!\S)@[^\w\s]@(?!\S)",  # as WikiText writes marks between words
                rf"(?:(?<!\S)[-+−])?(?>\d+(?:[.,]\d+)*)(?!{letter})",
                f"{alike}{inner}(?:['’]{letter}{inner})*",
                f"[{UNSPACED}][{marks}]*",
                "[\U0001f1e6-\U0001f1ff]{2}",  # flags
                f"{picture}(?:\u200d{picture})*",
                r"(?P<mark>[^\w\s]|_)" + f"(?![{marks}])",
                rf"\S[{marks}]*",
            )
        )
    )


@cache
def _combining() -> str:
    """The marks that belong to the character before them, as ranges: accents, vowel signs; and joiners."""
    ranges: list[list[int]] = [[0x200C, 0x200D]]
    for code in (*range(0x300, 0x20000), *range(0xE0100, min(0xE01F0, sys.maxunicode))):
        if unicodedata.category(chr(code))[0] == "M":
            if ranges[-1][1] == code - 1:
                ranges[-1][1] = code
            else:
                ranges.append([code, code])
    return "".join(f"{chr(low)}-{chr(high)}" for low, high in ranges)


CLASSES: dict[str, type[Tokenizer]] = {"word": WordTokenizer}
