"""Ids for words that a vocabulary lacks and a model may copy out of its source (See, Liu & Manning 2017).

Legend: V size of the vocabulary.
"""

from __future__ import annotations

from collections.abc import Sequence

from .tokenizer import Tokenizer
from .words import join_words


def number_source(tokenizer: Tokenizer, text: str) -> tuple[list[int], list[str]]:
    """Return the ids of a source, and the words that the vocabulary lacks: word k of them has the id V + k.

    Where a tokenizer lacks nothing there are no such words.

    Example:
        >>> from rnnkit.data import train_tokenizer
        >>> tokenizer = train_tokenizer("word", ["a dog barks", "a dog sleeps"], minimum_count=2)
        >>> number_source(tokenizer, "a wolf and a dog")
        ([4, 6, 7, 4, 5], ['wolf', 'and'])
    """
    words: list[str] = []
    return _numbered(tokenizer, text, words, grow=True), words


def number_target(tokenizer: Tokenizer, text: str, words: Sequence[str]) -> list[int]:
    """Return the ids of a target, with those of the source's words; other unknown words stay unknown.

    Args:
        tokenizer: of both.
        text: the target.
        words: what `number_source` returned for its source.

    Example:
        >>> from rnnkit.data import train_tokenizer
        >>> tokenizer = train_tokenizer("word", ["a dog barks", "a dog sleeps"], minimum_count=2)
        >>> number_target(tokenizer, "a wolf howls", ["wolf", "and"])
        [4, 6, 1]
    """
    return _numbered(tokenizer, text, list(words), grow=False)


def written(tokenizer: Tokenizer, ids: Sequence[int], words: Sequence[str]) -> list[str]:
    """Return the tokens of ids as they are written, those of the source's words among them.

    Example:
        >>> from rnnkit.data import train_tokenizer
        >>> written(train_tokenizer("word", ["a dog"]), [4, 6], ["wolf"])
        ['a', 'wolf']
    """
    size = len(tokenizer)
    return [tokenizer.tokens[one] if one < size else words[one - size] for one in ids]


def decode_copied(tokenizer: Tokenizer, ids: Sequence[int], words: Sequence[str]) -> str:
    """Return the text of ids, those of the source's words among them.

    Example:
        >>> from rnnkit.data import train_tokenizer
        >>> decode_copied(train_tokenizer("word", ["a dog."]), [5, 7, 4], ["wolf"])
        'a wolf.'
    """
    if all(one < len(tokenizer) for one in ids):
        return tokenizer.decode(ids)
    silent = (tokenizer.pad, tokenizer.beginning, tokenizer.end)
    tokens = written(tokenizer, [one for one in ids if one not in silent], words)
    return join_words(tokens) if tokenizer.kind == "word" else "".join(tokens)


def _numbered(tokenizer: Tokenizer, text: str, words: list[str], *, grow: bool) -> list[int]:
    ids = tokenizer.encode(text)
    if tokenizer.unknown is None or tokenizer.kind not in ("word", "char") or tokenizer.unknown not in ids:
        return ids
    size, places = len(tokenizer), {word: place for place, word in enumerate(words)}
    for at, (one, word) in enumerate(zip(ids, tokenizer.split(text), strict=True)):
        if one != tokenizer.unknown:
            continue
        if grow and word not in places:
            places[word] = len(words)
            words.append(word)
        if word in places:
            ids[at] = size + places[word]
    return ids
