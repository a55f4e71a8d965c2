"""Summaries: an encoder–decoder that copies words of its source, and remembers what it has covered.

    words [S] → embedding → bidirectional LSTM → attention with coverage ← LSTM ← embedding ← words before [T]
                                        ↓ copies              ↓
                                softmax over vocabulary and source ← tanh(Linear) ← LSTM

The pointer-generator of See, Liu & Manning (2017, "Get to the point"): a word of the source may be copied, also one
that the vocabulary lacks; attending to the same words again costs. ``summarize_scitldr()`` reads the abstracts of
SciTLDR (Cachola et al. 2020) out of the folder RNNKIT_DATA. Beside the model stand the first sentence of each source
and a random one, scored on the same texts.
"""

from __future__ import annotations

import random
import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from rnnkit.recipes.interface import Answerer
from rnnkit.recipes.pair_settings import Data, Model, SummaryFit
from rnnkit.recipes.text_pairs import PairRecipe
from rnnkit.tasks.text_pairs import Search, TextPair
from rnnkit.tasks.text_scores import Scores, summary_scores


@dataclass(frozen=True)
class Summarize(PairRecipe):
    """The whole run; ``rnnkit train summarize --set GROUP.FIELD=VALUE`` changes a field.

    Attributes:
        nearest_sentence: whether the network is also trained to write the sentence of each source that has the most
            words in common with the summary; it learns to copy by that.
        seed: of weights, order of the pairs, dropout and the random sentences.
        device: where to compute: auto, cpu, cuda, cuda:1, mps.
    """

    title = "Summaries"
    quality = "ROUGE-L"

    model: Model = field(default_factory=lambda: Model(attention="additive", copy=True, coverage=True))
    fit: SummaryFit = field(
        default_factory=lambda: SummaryFit(epochs=30, batch_size=16, label_smoothing=0.0, coverage=1.0)
    )
    data: Data = field(
        default_factory=lambda: Data(tokenizer="word", minimum_count=2, shared="yes", cut=400, longest=1000)
    )
    search: Search = field(default_factory=lambda: Search(max_tokens=60, min_tokens=5, no_repeat_ngram=3))

    nearest_sentence: bool = False

    def training_pairs(self, pairs: Sequence[TextPair]) -> list[TextPair]:
        """Return the pairs, and with `nearest_sentence` each source with its sentence that is the nearest summary."""
        if not self.nearest_sentence:
            return list(pairs)
        return [*pairs, *(TextPair(one.source, (nearest_sentence(one),)) for one in pairs)]

    def scores(self, answers: Sequence[str], references: Sequence[Sequence[str]], language: str) -> Scores:
        """Return ROUGE-1, ROUGE-2 and ROUGE-L."""
        return summary_scores(answers, references, language=language)

    def baselines(self, pairs: Sequence[TextPair]) -> dict[str, list[str]]:
        """Return the first sentence of each source, and a random one."""
        draw = random.Random(self.seed)
        sentences = [pair.sentences or split_sentences(pair.source) for pair in pairs]
        return {
            "first sentence": [parts[0] for parts in sentences],
            "random sentence": [draw.choice(parts) for parts in sentences],
        }

    def summarizer(self, folder: Path) -> Answerer:
        """Return a function from texts to their summaries."""
        return self.answerer(folder)


def summarize() -> Summarize:
    """Summarise texts, learned from pairs of your own: LSTM encoder–decoder that copies words, with coverage."""
    return Summarize()


def summarize_scitldr() -> Summarize:
    """Summarise abstracts in a sentence (SciTLDR, in RNNKIT_DATA): 1,992 to train on, 618 with several references."""
    recipe = summarize()
    data = replace(
        recipe.data,
        path="scitldr_a/train.jsonl",
        validation_path="scitldr_a/dev.jsonl",
        test_path="scitldr_a/test.jsonl",
        lowercase=True,
        minimum_count=3,
        cut=250,
    )
    return replace(recipe, data=data, fit=replace(recipe.fit, early_stopping=4))


def split_sentences(text: str) -> tuple[str, ...]:
    """Return the sentences of a text, as far as punctuation marks separate them; the whole text where none does.

    Example:
        >>> split_sentences("It rains. Why? 今天下雨。我不去。")
        ('It rains.', 'Why?', '今天下雨。', '我不去。')
    """
    found = [part.strip() for part in re.split(r"(?<=[.!?])\s+|(?<=[。！？])", text)]
    return tuple(part for part in found if part) or (text,)


def nearest_sentence(pair: TextPair) -> str:
    """Return the sentence of a source that has the most words in common with its summary, by F₁.

    Example:
        >>> nearest_sentence(TextPair("It rains. A dog barks loudly. He left.", ("a dog barks",)))
        'A dog barks loudly.'
    """
    from rnnkit.data.text.words import split_words

    wanted = Counter(split_words(pair.targets[0].lower()))

    def common(sentence: str) -> float:
        found = Counter(split_words(sentence.lower()))
        return 2 * (found & wanted).total() / max(1, found.total() + wanted.total())

    return max(pair.sentences or split_sentences(pair.source), key=common)
