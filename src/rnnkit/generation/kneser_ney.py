"""N-gram models of texts: interpolated Kneser–Ney smoothing with three discounts an order.

All n-grams of an order are numbered by NumPy at once: the n-gram at a place of the text is a pair, the number of its
first n−1 words and its last word.

Legend: V words of the vocabulary, n order, N words of the text.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

import numpy as np

from ..data.text.texts import TextSource
from ..data.text.tokenizer import AS_IT_IS, UNKNOWN, Preparation, ranked
from ..errors import DataError, check_choice, check_whole
from .ngram_texts import BEGIN, END, UNITS, sentences_of
from .ngrams import Level, NGramModel

if TYPE_CHECKING:
    import numpy.typing as npt

    Ints = npt.NDArray[np.int64]
    Floats = npt.NDArray[np.float64]

_FALLBACK = (0.5, 1.0, 1.5)  # discounts of texts that are too short to estimate them, as in KenLM
_SPECIAL = (UNKNOWN, BEGIN, END)
_UNKNOWN, _BEGIN, _END = range(3)
_LN_NEVER = -99 * np.log(10)  # ln p of the beginning of a sentence, which nothing predicts


class Counted(NamedTuple):
    """The n-grams of one order, sorted by their first words and then by their last.

    Attributes:
        parents: the place of each n-gram's first words in the order before.
        words: the number of its last word.
        counts: how often it comes.
        suffixes: the place of its last n−1 words in the order before.
        begins: whether it begins with the beginning of a sentence.
    """

    parents: Ints
    words: Ints
    counts: Ints
    suffixes: Ints
    begins: npt.NDArray[np.bool_]


def train_ngram(
    texts: TextSource,
    order: int = 3,
    *,
    unit: Literal["word", "char"] = "word",
    size: int | None = None,
    minimum_count: int = 1,
    lowercase: bool = False,
    normalization: Literal["NFC", "NFKC"] | None = "NFC",
) -> NGramModel:
    """Estimate an n-gram model with interpolated, modified Kneser–Ney smoothing (Chen & Goodman 1998).

        p(w | h) = (a(h w) − D(a(h w))) / Σ_v a(h v) + γ(h) p(w | h′)
        γ(h) = Σ_v D(a(h v)) / Σ_v a(h v)
        p(w | no words) = (a(w) − D(a(w))) / Σ_v a(v) + γ / V

    a is the count of an n-gram of the highest order, and of one that begins a sentence; of all others it is the number
    of different words before it. D(k) = k − (k + 1) Y t_{k+1} / t_k for k = 1, 2 and 3 or more, with t_k the number of
    n-grams with a = k, and Y = t_1 / (t_1 + 2 t_2). h′ is h without its first word. V counts "<unk>" and "</s>". As in
    KenLM; a short text that gives no such discounts has D = 0.5, 1 and 1.5, which `notes` reports.

    Args:
        texts: what `read_texts` returns, a path, texts, or lists of words. A line is a sentence.
        order: n, at least 1.
        unit: how a line is cut: "word" as by `Tokenizer` of that kind, so that each character of Chinese is a word;
            "char" by characters, with "▁" for spaces.
        size: the largest number of words, "<unk>", "<s>" and "</s>" included; None: all.
        minimum_count: words that come less often are "<unk>".
        lowercase: whether texts are written in small letters first.
        normalization: the Unicode form in which they are written first.

    Returns:
        The model.

    Raises:
        DataError: there is no word.
        ConfigError: a setting is outside its range.

    Example:
        >>> import math
        >>> from rnnkit.generation import train_ngram
        >>> model = train_ngram(["a b", "a c", "a b"], order=2)
        >>> state, _ = model.step(model.begin, "a")
        >>> found = {word: math.exp(model.step(state, word)[1]) for word in ("a", "b", "c", "</s>", "<unk>")}
        >>> round(found["b"], 4), round(sum(found.values()), 9)
        (0.2889, 1.0)
    """
    check_whole(order, "order")
    check_choice(unit, "unit", UNITS)
    check_whole(minimum_count, "minimum_count")
    check_whole(size, "size", least=len(_SPECIAL) + 1, optional=True)
    prepare = Preparation(normalization, lowercase)
    words, ids = _numbered(texts, unit, prepare, size, minimum_count)
    levels = count_ngrams(ids, len(words), order)
    return estimate(words, levels, unit=unit, prepare=prepare)


def _numbered(
    texts: TextSource, unit: str, prepare: Preparation, size: int | None, minimum_count: int
) -> tuple[list[str], Ints]:
    """Return the vocabulary, and all sentences as numbers, each with its beginning and its end."""
    first: dict[str, int] = {name: number for number, name in enumerate(_SPECIAL)}
    found: list[int] = []
    for sentence in sentences_of(texts, unit, prepare):
        found.append(_BEGIN)
        # What a text calls by the name of a beginning or an end is none.
        found += [_UNKNOWN if word in _SPECIAL else first.setdefault(word, len(first)) for word in sentence]
        found.append(_END)
    ids = np.asarray(found, np.int64)
    occurring = np.bincount(ids, minlength=len(first))
    if not occurring[len(_SPECIAL) :].sum():
        raise DataError("no word arrived; expected texts to count n-grams in")
    counts: Counter[str] = Counter(
        dict(zip(list(first)[len(_SPECIAL) :], occurring[len(_SPECIAL) :].tolist(), strict=True))
    )
    kept = ranked(counts, minimum_count, None if size is None else size - len(_SPECIAL))
    if not kept:
        raise DataError(f"no word comes {minimum_count:,} times", remedy="type a smaller minimum_count, or add texts")
    numbers = np.full(len(first), _UNKNOWN, np.int64)
    numbers[: len(_SPECIAL)] = range(len(_SPECIAL))
    numbers[[first[word] for word in kept]] = np.arange(len(kept)) + len(_SPECIAL)
    return [*_SPECIAL, *kept], numbers[ids]


def count_ngrams(ids: Ints, size: int, order: int) -> list[Counted]:
    """Return the n-grams of each order up to `order` in sentences of numbers.

    Args:
        ids: the words of all sentences, each between a beginning (1) and an end (2), [N].
        size: V.
        order: the highest.
    """
    every = np.arange(size)
    none = np.zeros(size, np.int64)
    levels = [Counted(none, every, np.bincount(ids, minlength=size), none, every == _BEGIN)]
    places, at = np.arange(len(ids)), ids  # where n-grams begin in the text, and the number of each
    for length in range(2, order + 1):
        fits = places + length - 1 < len(ids)
        fits[fits] &= ids[places[fits] + length - 1] != _BEGIN  # the next sentence's
        longer = places[fits]
        keys = at[fits] * size + ids[longer + length - 1]
        unique, where, inverse, counts = np.unique(keys, return_index=True, return_inverse=True, return_counts=True)
        parents, words = np.divmod(unique, size)
        # The number of the n-gram that begins one place later.
        shorter = np.full(len(ids) + 1, -1, np.int64)
        shorter[places] = at
        suffixes = shorter[longer[where] + 1]
        levels.append(Counted(parents, words, counts, suffixes, levels[-1].begins[parents]))
        places, at = longer, inverse.reshape(-1)
    return levels


def estimate(
    words: Sequence[str],
    counted: Sequence[Counted],
    *,
    unit: str = "word",
    prepare: Preparation | None = None,
) -> NGramModel:
    """Return the model of counted n-grams; see `train_ngram`.

    Args:
        words: the vocabulary, [V].
        counted: the n-grams of each order.
        unit, prepare: see `NGramModel`.
    """
    size, order = len(words), len(counted)
    unknown: list[str] = []  # orders whose discounts cannot be estimated
    weights: list[Floats] = []  # γ of each n-gram as a context
    probabilities: list[Floats] = []
    for length, level in enumerate(counted, 1):
        adjusted = level.counts
        if length < order:  # the number of different words before
            before = np.bincount(counted[length].suffixes, minlength=len(level.words))
            adjusted = np.where(level.begins, level.counts, before)
        if length == 1:
            adjusted = adjusted.copy()
            adjusted[_BEGIN] = 0  # nothing predicts it
        discounts = _discounts(adjusted)
        if discounts is None:
            unknown.append(str(length))
            discounts = np.asarray([0.0, *_FALLBACK])
        taken = discounts[np.minimum(adjusted, 3)]
        contexts = 1 if length == 1 else len(counted[length - 2].words)
        sums = np.bincount(level.parents, adjusted, contexts)
        lost = np.bincount(level.parents, taken, contexts)
        # A context that nothing follows, such as the end of a sentence, leaves all to shorter ones.
        gamma = np.divide(lost, sums, out=np.ones(contexts), where=sums > 0)
        weights.append(gamma)
        own = np.divide(adjusted - taken, sums[level.parents], out=np.zeros(len(taken)), where=sums[level.parents] > 0)
        shorter = np.full(size, 1 / (size - 1)) if length == 1 else probabilities[-1][level.suffixes]
        probabilities.append(own + gamma[level.parents] * shorter)
    notes = []
    if unknown:
        notes.append(
            f"The text is too short to estimate the discounts of order {' and '.join(unknown)}; they are "
            f"{', '.join(f'{value:g}' for value in _FALLBACK)}."
        )
    levels = _levels(counted, probabilities, weights)
    return NGramModel(words, levels, unit=unit, prepare=prepare or AS_IT_IS, notes=notes)


def _discounts(adjusted: Ints) -> Floats | None:
    """Return D(0), D(1), D(2) and D(3 or more); None where they cannot be estimated."""
    t = np.bincount(np.minimum(adjusted, 5), minlength=6).astype(float)
    if not (t[1] and t[2] and t[3]):
        return None
    y = t[1] / (t[1] + 2 * t[2])
    found = np.asarray([0.0] + [k - (k + 1) * y * t[k + 1] / t[k] for k in (1, 2, 3)])
    return found if np.all(found[1:] > 0) else None


def _levels(counted: Sequence[Counted], probabilities: Sequence[Any], weights: Sequence[Any]) -> list[Level]:
    """Return the n-grams as `NGramModel` takes them: parents are nodes, and numbers are logarithms."""
    levels, first = [], 0  # the node of the first n-gram of the order before; the empty one is node 0
    for length, (level, found) in enumerate(zip(counted, probabilities, strict=True), 1):
        parents = level.parents + first if length > 1 else level.parents
        first += 1 if length == 1 else len(counted[length - 2].words)
        values = np.log(found)
        if length == 1:
            values[_BEGIN] = _LN_NEVER
        backoffs = np.log(weights[length]) if length < len(counted) else np.zeros(len(found))
        levels.append(Level(parents.tolist(), level.words.tolist(), values.tolist(), backoffs.tolist()))
    return levels
