"""What a model cannot learn from texts, and what it already knows: a report in sentences.

Legend: V size of the vocabulary.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from ...errors import DataError, Place
from ..sentences import quoted
from .decoding import PIECE
from .near_texts import Likeness, NearTexts
from .texts import Texts, TextSource, as_texts
from .tokenizer import Tokenizer

if TYPE_CHECKING:
    import numpy.typing as npt

_RARE = 5  # a token that occurs less often is hardly trained
_EXAMPLES = 5
_FOREIGN = 0.2  # the share of unknown tokens from which on a model says little
_MOST_UNKNOWN = 50_000  # different unknown words that are counted


@dataclass(frozen=True)
class TextReport:
    """What `text_report` found; `str(report)` has a sentence a line.

    Attributes:
        sentences: the findings, each a sentence or a few.
        figures: the numbers behind them, as JSON values.
    """

    sentences: tuple[str, ...]
    figures: dict[str, Any]

    def __str__(self) -> str:
        return "\n".join(self.sentences)


@dataclass
class _Part:
    """What is counted in one part.

    Attributes:
        name: of the part, "train" or "test".
        counts: how often each token occurs, [V].
        texts: the number of texts.
        unknown: the words that the vocabulary lacks, where the tokenizer reports them.
    """

    name: str
    counts: npt.NDArray[np.int64]
    texts: int
    unknown: Counter[str]

    @property
    def tokens(self) -> int:
        return int(self.counts.sum())


def text_report(
    train: TextSource,
    test: TextSource,
    tokenizer: Tokenizer,
    *,
    names: tuple[str, str] = ("train", "test"),
    untrained: bool = True,
) -> TextReport:
    """Report unknown tokens, tokens that are never trained, and texts that occur in both parts.

    Each part is read once. The comparison holds hashes of the second part in memory, and nothing of the first. Two
    texts are equal if they differ in nothing but case, punctuation, spaces and variants of characters (NFKC). They are
    nearly equal if they have 80% of their runs of 4 characters in common (Jaccard index), or from about 1,000
    characters on 80% of their runs of 12; texts below 12 characters are compared for equality alone. Pairs are found by
    MinHash, which misses 2 of 10,000 pairs at 80%, fewer above.

    Args:
        train: the part that a model learns from: what `read_texts` returns, a path, or texts.
        test: the part that it is measured on.
        tokenizer: the model's.
        names: what the sentences call the parts.
        untrained: whether a sentence says how much of the vocabulary `train` lacks. A model that learned from other
            texts before may know it from there.

    Returns:
        The report.

    Raises:
        DataError: a part has no text.

    Example:
        >>> from rnnkit.data import text_report, train_tokenizer
        >>> train = ["the dog sleeps", "the cat sleeps"]
        >>> print(text_report(train, ["The cat sleeps.", "the owl flies"], train_tokenizer("word", train)))
        train: 0.0% of 6 tokens are unknown.
        test: 57.1% of 7 tokens are unknown; the most frequent are 'The', '.', 'owl', 'flies' (1 each).
        All 4 tokens of the vocabulary occur in train; 4 (100.0%) occur fewer than 5 times.
        1 of 2 texts of test (50.0%) is equal to a text of train: text 1 of test and text 2 of train.
        No text of test is nearly equal to one of train.
    """
    first, second = as_texts(train), as_texts(test)
    held = NearTexts()
    places: list[Place] = []

    def keep(text: str, place: Place) -> None:
        held.add(text, len(places))
        places.append(place)

    other = _count(second, tokenizer, names[1], keep)
    matches: dict[int, tuple[Likeness, Place]] = {}

    def compare(text: str, place: Place) -> None:
        for number, likeness in held.find(text).items():
            if number not in matches or (likeness == "equal" != matches[number][0]):
                matches[number] = likeness, place

    own = _count(first, tokenizer, names[0], compare)
    parts = (own, other)
    sentences = [_unknown_sentence(part, tokenizer) for part in parts] if tokenizer.unknown is not None else []
    tail = _tail(own, tokenizer)
    if untrained:
        sentences.append(_tail_sentence(own, tail))
    figures: dict[str, Any] = {
        "texts": {part.name: part.texts for part in parts},
        "tokens": {part.name: part.tokens for part in parts},
        "unknown_share": {part.name: _share(int(part.counts[tokenizer.unknown]), part.tokens) for part in parts}
        if tokenizer.unknown is not None
        else {},
        **tail,
    }
    likenesses: tuple[Likeness, ...] = ("equal", "near")
    for likeness in likenesses:
        found = [(places[number], place) for number, (kind, place) in sorted(matches.items()) if kind == likeness]
        figures[f"{likeness}_texts"] = len(found)
        sentences.append(_match_sentence(likeness, found, parts))
    return TextReport(tuple(sentences), figures)


def _count(texts: Texts, tokenizer: Tokenizer, name: str, see: Any) -> _Part:
    """Count the tokens of a part, and show each text to `see`."""
    part = _Part(name, np.zeros(len(tokenizer), np.int64), 0, Counter())
    for batch in _batches(texts):
        whole = [text for text, _ in batch]
        ids = tokenizer.encode_many(whole)
        part.counts += np.bincount(np.concatenate(ids), minlength=len(tokenizer))
        part.texts += len(batch)
        for (text, place), one in zip(batch, ids, strict=True):
            see(text, place)
            part.unknown.update(unknown_words(text, one, tokenizer))
        if len(part.unknown) > _MOST_UNKNOWN:
            part.unknown = Counter(dict(part.unknown.most_common(_MOST_UNKNOWN // 2)))
    if not part.texts:
        raise DataError(f"no text arrived for {name}; expected at least one", Place(texts.source))
    return part


def unknown_words(text: str, ids: Sequence[int] | npt.NDArray[np.int32], tokenizer: Tokenizer) -> list[str]:
    """Return what a text holds and the vocabulary lacks; nothing where the tokenizer does not report it.

    Args:
        text: the text.
        ids: its ids.
        tokenizer: what made them.

    Example:
        >>> from rnnkit.data import train_tokenizer
        >>> tokenizer = train_tokenizer("char", ["abc"])
        >>> unknown_words("a?b", tokenizer.encode("a?b"), tokenizer)
        ['?']
    """
    if tokenizer.unknown is None or tokenizer.kind not in ("char", "word", "tagged_word"):
        return []
    missing = np.flatnonzero(np.asarray(ids) == tokenizer.unknown)
    words = tokenizer.split(text) if len(missing) else []
    return [words[index] for index in missing]


def unknown_sentence(
    texts: Iterable[tuple[str, Sequence[int] | npt.NDArray[np.int32]]], tokenizer: Tokenizer, most: int = 8
) -> str | None:
    """Return a line about what some texts hold and the vocabulary lacks; None: nothing.

    Args:
        texts: each with its ids.
        tokenizer: what made them.
        most: words or characters that are named.

    Example:
        >>> from rnnkit.data import train_tokenizer
        >>> tokenizer = train_tokenizer("char", ["abc"])
        >>> unknown_sentence([("a?b", tokenizer.encode("a?b"))], tokenizer)
        "the vocabulary lacks '?'; the model reads <unk> there"
    """
    if tokenizer.unknown is None:
        return None
    names: dict[str, None] = {}
    count = 0
    for text, ids in texts:
        count += int(np.sum(np.asarray(ids) == tokenizer.unknown))
        names |= dict.fromkeys(unknown_words(text, ids, tokenizer))
    if not count:
        return None
    listed = list(names)
    lacks = quoted(listed, most) or f"{count} {'token' if count == 1 else 'tokens'} of the text"
    return f"the vocabulary lacks {lacks}; the model reads {tokenizer.tokens[tokenizer.unknown]} there"


def foreign_sentence(texts: Sequence[str], tokenizer: Tokenizer) -> str | None:
    """Return a sentence about texts that a model hardly knows the words of; None where it knows four fifths of them.

    Args:
        texts: such as those of another language than the model was trained on; the first 1,000 are looked at.
        tokenizer: the model's.

    Example:
        >>> from rnnkit.data import train_tokenizer
        >>> foreign_sentence(["雪 and snow"], train_tokenizer("word", ["rain and snow"]))
        "33.3% of 3 tokens are unknown to the model; the most frequent is '雪' (1). Expect little of its answers there."
    """
    if tokenizer.unknown is None:
        return None
    looked_at = texts[:1000]
    part = _Part("", np.zeros(len(tokenizer), np.int64), len(looked_at), Counter())
    for text, ids in zip(looked_at, tokenizer.encode_many(looked_at), strict=True):
        part.counts += np.bincount(ids, minlength=len(tokenizer))
        part.unknown.update(unknown_words(text, ids, tokenizer))
    if _share(int(part.counts[tokenizer.unknown]), part.tokens) <= _FOREIGN:
        return None
    sentence = _unknown_sentence(part, tokenizer).removeprefix(": ").replace("are unknown", "are unknown to the model")
    return f"{sentence} Expect little of its answers there."


def _batches(texts: Texts) -> Iterator[list[tuple[str, Place]]]:
    held: list[tuple[str, Place]] = []
    size = 0
    for text, place in texts:
        held.append((text, place))
        size += len(text) + 1
        if size >= PIECE:
            yield held
            held, size = [], 0
    if held:
        yield held


def _unknown_sentence(part: _Part, tokenizer: Tokenizer) -> str:
    assert tokenizer.unknown is not None
    count = int(part.counts[tokenizer.unknown])
    sentence = f"{part.name}: {_percent(count, part.tokens)} of {part.tokens:,} tokens are unknown"
    most = part.unknown.most_common(_EXAMPLES)
    if not most:
        return f"{sentence}."
    if len({times for _, times in most}) == 1:
        each = f" ({most[0][1]:,}{' each' if len(most) > 1 else ''})"
        return (
            f"{sentence}; the most frequent {'are' if most[1:] else 'is'} {', '.join(repr(w) for w, _ in most)}{each}."
        )
    return f"{sentence}; the most frequent are {', '.join(f'{word!r} ({times:,})' for word, times in most)}."


def _tail(part: _Part, tokenizer: Tokenizer) -> dict[str, int]:
    """Count the tokens, special ones aside, that the part does not train."""
    special = [one for one in (tokenizer.pad, tokenizer.unknown, tokenizer.beginning, tokenizer.end) if one is not None]
    counts = np.delete(part.counts, special)
    return {
        "vocabulary": len(counts),
        "never_seen": int((counts == 0).sum()),
        "rarely_seen": int(((counts > 0) & (counts < _RARE)).sum()),
    }


def _tail_sentence(part: _Part, tail: dict[str, int]) -> str:
    size, never, rarely = tail["vocabulary"], tail["never_seen"], tail["rarely_seen"]
    rare = f"{rarely:,} ({_percent(rarely, size)}) occur fewer than {_RARE} times"
    if not never:
        return f"All {size:,} tokens of the vocabulary occur in {part.name}; {rare}."
    occur, are = ("occurs", "is") if never == 1 else ("occur", "are")
    return (
        f"{never:,} of {size:,} tokens of the vocabulary ({_percent(never, size)}) never {occur} in {part.name}, and "
        f"{are} not learned from it; {rare}."
    )


def _match_sentence(likeness: Likeness, found: list[tuple[Place, Place]], parts: tuple[_Part, _Part]) -> str:
    own, other = parts
    like = "equal" if likeness == "equal" else "nearly equal"
    if not found:
        return f"No text of {other.name} is {like} to one of {own.name}."
    shown = "; ".join(
        f"{_where(place, other.name)} and {_where(twin, own.name)}" for place, twin in found[: _EXAMPLES - 2]
    )
    verb = "is" if len(found) == 1 else "are"
    share = f"{len(found):,} of {other.texts:,} texts of {other.name} ({_percent(len(found), other.texts)})"
    return f"{share} {verb} {like} to a text of {own.name}: {shown}{' …' if len(found) > _EXAMPLES - 2 else '.'}"


def _where(place: Place, name: str) -> str:
    return str(place) if place.source else f"{place.part} of {name}"


def _share(count: int, total: int) -> float:
    return count / total if total else 0.0


def _percent(count: int, total: int) -> str:
    share = _share(count, total)
    return f"{share:.1%}" if not count or share >= 0.001 else "less than 0.1%"
