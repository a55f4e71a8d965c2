"""Troubles of texts and of what a model made of them, as sentences for a run's report; [] where there is none.

`text_report` has the troubles of the data before training.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence

from .words import join_words, split_words

_SHOWN = 5
_LONGEST_RUN = 8  # words that come again and again
_TIMES = 3
_NGRAM = 4
_COVERED = 0.2


def few_examples(counts: Mapping[str, int], *, least: int = 10, part: str = "train") -> list[str]:
    """Name classes with few examples.

    Args:
        counts: the examples of each class.
        least: a class with fewer is named.
        part: what the sentence calls the data.

    Example:
        >>> few_examples({"PlayMusic": 300, "GetWeather": 4, "RateBook": 9})
        ["2 of 3 classes have fewer than 10 examples in train: 'GetWeather' (4), 'RateBook' (9). Figures of such a \
class say little; add examples."]
        >>> few_examples({"a": 50})
        []
    """
    few = sorted((count, name) for name, count in counts.items() if count < least)
    if not few:
        return []
    named = ", ".join(f"{name!r} ({count:,})" for count, name in few[:_SHOWN]) + (" …" if few[_SHOWN:] else "")
    have = "has" if len(few) == 1 else "have"
    return [
        f"{len(few):,} of {len(counts):,} classes {have} fewer than {least:,} examples in {part}: {named}. "
        "Figures of such a class say little; add examples."
    ]


def long_sources(
    trained: Sequence[int], lengths: Sequence[int], *, part: str = "test", unit: str = "tokens"
) -> list[str]:
    """Report how many sources are longer than all that a model was trained on.

    Args:
        trained: the lengths of the sources that it was trained on.
        lengths: those of the sources that it answers.
        part: what the sentence calls these.
        unit: what is counted.

    Example:
        >>> long_sources([5, 40], [12, 41, 62])
        ['2 of 3 texts of test (66.7%) are longer than all texts of the training, of up to 40 tokens; the longest has \
62. Expect worse answers there; train on longer texts, or cut these.']
        >>> long_sources([5, 40], [40])
        []
    """
    limit = max(trained, default=0)
    longer = [length for length in lengths if length > limit]
    if not longer:
        return []
    are = "is" if len(longer) == 1 else "are"
    return [
        f"{len(longer):,} of {len(lengths):,} texts of {part} ({len(longer) / len(lengths):.1%}) {are} longer than all "
        f"texts of the training, of up to {limit:,} {unit}; the longest has {max(longer):,}. Expect worse answers "
        "there; train on longer texts, or cut these."
    ]


def repeated_outputs(texts: Sequence[str], *, remedy: str = "--repetition-penalty or --coverage-penalty") -> list[str]:
    """Report how many outputs repeat themselves; see `repetition`.

    Args:
        texts: what a model made.
        remedy: what to try.

    Example:
        >>> repeated_outputs(["the cat the cat the cat sat", "a dog runs"], remedy="--repetition-penalty 1.2")
        ["The model repeats itself in 1 of 2 outputs (50.0%), such as 'the cat the cat the cat': try \
--repetition-penalty 1.2."]
        >>> repeated_outputs(["a dog runs"])
        []
    """
    found = [shown for text in texts if (shown := repetition(text)) is not None]
    if not found:
        return []
    return [
        f"The model repeats itself in {len(found):,} of {len(texts):,} outputs ({len(found) / len(texts):.1%}), such "
        f"as {found[0]!r}: try {remedy}."
    ]


def empty_outputs(texts: Sequence[str]) -> list[str]:
    """Report how many outputs hold nothing.

    Example:
        >>> empty_outputs(["", "a", "b"])
        ['1 of 3 outputs (33.3%) is empty.']
    """
    count = sum(not text.strip() for text in texts)
    if not count:
        return []
    return [f"{count:,} of {len(texts):,} outputs ({count / len(texts):.1%}) {'is' if count == 1 else 'are'} empty."]


def repetition(text: str) -> str | None:
    """Return the words by which a text repeats itself; None where it does not.

    A text repeats itself where 1 to 8 words come three times in a row, or where the same 4 words come three times and
    make up a fifth of the text. A character of Chinese is a word. Marks alone, as in "...", are no repetition.

    Example:
        >>> repetition("I think that that that is"), repetition("雪 很大很大很大"), repetition("Wait... no!!!")
        ('that that that', '很大很大很大', None)
    """
    words = split_words(text)
    for start in range(len(words)):
        for size in range(1, min(_LONGEST_RUN, (len(words) - start) // _TIMES) + 1):
            run = words[start : start + size]
            if words[start : start + size * _TIMES] == run * _TIMES and _speaks(run):
                return join_words(words[start : start + size * _TIMES])
    grams = Counter(tuple(words[at : at + _NGRAM]) for at in range(len(words) - _NGRAM + 1))
    for gram, count in grams.most_common(1):
        if count >= _TIMES and _NGRAM * count >= _COVERED * len(words) and _speaks(gram):
            return join_words(gram)
    return None


def _speaks(words: Sequence[str]) -> bool:
    return any(any(mark.isalnum() for mark in word) for word in words)
