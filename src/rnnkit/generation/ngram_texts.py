"""How n-gram models cut texts: a line is a sentence, and words or characters are what is counted."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, Literal

from ..data.text.texts import TextSource, as_texts
from ..data.text.tokenizer import UNKNOWN, Preparation, check_text
from ..data.text.words import is_spaceless, split_words
from ..errors import ConfigError, DataError, Place

BEGIN, END = "<s>", "</s>"
SPACE = "▁"  # a space, where characters are the words
UNITS = ("word", "char")
_SPACES = re.compile(r"[\s▁]+")


def split_line(text: str, unit: str, prepare: Preparation) -> list[str]:
    """Return the words of a line; see `NGramModel.split`."""
    line = prepare(text)
    if unit == "char":
        found = list(_SPACES.sub(SPACE, line).strip(SPACE))
        return [one for at, one in enumerate(found) if one != SPACE or not _beside_spaceless(found, at)]
    return [word for word in split_words(line) if word != "\n"]


def _beside_spaceless(characters: Sequence[str], at: int) -> bool:
    return is_spaceless(characters[at - 1]) or is_spaceless(characters[at + 1])


def sentences_of(texts: TextSource, unit: str, prepare: Preparation) -> Iterator[list[str]]:
    """Yield the words of each sentence; a line of a text is one, and so is a list of words.

    Raises:
        DataError: a text is none, or a word of a list is none.
    """
    given: Iterable[Any] = texts if isinstance(texts, list | tuple) else as_texts(texts)
    for number, item in enumerate(given, 1):
        if isinstance(item, list) or (isinstance(item, tuple) and not (len(item) == 2 and isinstance(item[1], Place))):
            yield [_word(word, number) for word in item]
            continue
        text, place = item if isinstance(item, tuple) else (item, Place(part=f"text {number:,}"))
        for line in check_text(text, place).splitlines():
            if words := split_line(line, unit, prepare):
                yield words


def _word(word: Any, number: int) -> str:
    place = Place(part=f"sentence {number:,}")
    check_text(word, place)
    if not word or any(character.isspace() for character in word):
        raise DataError(
            f"the word {word!r} arrived; expected a word without spaces",
            place,
            'give the sentence as one text, or write "▁" for a space',
        )
    return str(word)


def unit_of(words: Iterable[str], unit: Literal["auto", "word", "char"] | str) -> str:
    """Return how texts are cut for these words; "auto" is "char" where each has one character.

    Example:
        >>> unit_of(["<s>", "你", "好"], "auto"), unit_of(["a", "cat"], "auto"), unit_of(["a", "b"], "word")
        ('char', 'word', 'word')

    Raises:
        ConfigError: another unit.
    """
    if unit not in ("auto", *UNITS):
        raise ConfigError.of("unit", unit, f"expected one of {', '.join(map(repr, ('auto', *UNITS)))}")
    if unit != "auto":
        return unit
    special = {BEGIN, END, UNKNOWN}
    plain = [word for word in words if word.lower() not in special]
    return "char" if plain and all(len(word) == 1 for word in plain) else "word"
