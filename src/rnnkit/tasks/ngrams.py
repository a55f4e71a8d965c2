"""What is measured of an n-gram model: loss, perplexity, bits, unknown words, and the sentences that surprise it."""

from __future__ import annotations

import heapq
from typing import TYPE_CHECKING, NamedTuple

from ..errors import DataError, Place
from ..generation.ngram_texts import sentences_of
from ..generation.ngrams import NGramModel
from .language_modelling import TextSize, figures

if TYPE_CHECKING:
    from ..data.text.texts import Texts

_MOST = 20_000  # sentences that are looked at for the most surprising


class Surprise(NamedTuple):
    """A sentence that a model finds unlikely.

    Attributes:
        text: the sentence.
        loss: −ln p a word, its end included.
    """

    text: str
    loss: float


def measure_ngram(model: NGramModel, texts: Texts) -> dict[str, float]:
    """Return the figures of an n-gram model on texts; a line is a sentence.

    Returns:
        "loss" in nats a word, ends of sentences included, "perplexity" e^loss, "bits_per_character" and
        "bits_per_byte", and "unknown", the share of the words that the model lacks. An unknown word counts as "<unk>",
        whose bits do not say which word it is.

    Raises:
        DataError: there is no word.

    Example:
        >>> from rnnkit.data.text.texts import as_texts
        >>> from rnnkit.generation import train_ngram
        >>> found = measure_ngram(train_ngram(["a b", "a c"], order=2), as_texts(["a b", "a d"]))
        >>> found["unknown"], found["perplexity"] < 6
        (0.25, True)
    """
    found = model.totals(texts)
    if not found.words:
        raise DataError("no word arrived; expected texts to measure on", Place(texts.source))
    characters = size = 0
    for piece in texts.pieces():
        text = model.prepare(piece.text)
        characters, size = characters + len(text), size + len(text.encode())
    ends = found.sentences if "</s>" in model else 0
    words = max(1, found.words - ends) if "<unk>" in model else found.words - ends + found.unknown
    return {
        **figures(-found.log_probability / found.words, found.words, TextSize(characters, size)),
        "unknown": found.unknown / max(1, words),
    }


def surprises(model: NGramModel, texts: Texts, *, count: int = 10) -> list[Surprise]:
    """Return the sentences that an n-gram model finds least likely, a word, the worst first.

    Args:
        model: the model.
        texts: of which the first 20,000 sentences are looked at.
        count: how many are returned.
    """
    losses = []
    for number, words in enumerate(sentences_of(texts, model.unit, model.prepare)):
        if number == _MOST:
            break
        text = "".join(words).replace("▁", " ") if model.unit == "char" else " ".join(words)
        losses.append((-model.score(words) / (len(words) + 1), text))
    return [Surprise(text, loss) for loss, text in heapq.nlargest(count, losses)]
