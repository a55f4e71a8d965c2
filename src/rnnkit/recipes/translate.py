"""Translation: an encoder–decoder with attention, subwords, beam search, BLEU and chrF.

    tokens [S] → embedding → bidirectional LSTM → attention ← LSTM ← embedding ← tokens before [T]
                                                  ↓
                                      LSTM → tanh(Linear) → softmax

Pairs of texts come from a table (``data.path=pairs.csv``) or from two parallel files. ``translate_multi30k()`` and
``translate_tatoeba()`` read public sets out of the folder RNNKIT_DATA. What each layer computes stands in
:class:`rnnkit.EncoderDecoder`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from rnnkit.recipes.interface import Answerer
from rnnkit.recipes.pair_settings import Data, TranslationFit
from rnnkit.recipes.text_pairs import PairRecipe
from rnnkit.tasks.text_scores import Scores, translation_scores


@dataclass(frozen=True)
class Translate(PairRecipe):
    """The whole run; ``rnnkit train translate --set GROUP.FIELD=VALUE`` changes a field.

    Attributes:
        seed: of weights, order of the pairs and dropout.
        device: where to compute: auto, cpu, cuda, cuda:1, mps.
    """

    title = "Translations"
    quality = "chrF"

    fit: TranslationFit = field(default_factory=TranslationFit)

    def scores(self, answers: Sequence[str], references: Sequence[Sequence[str]], language: str) -> Scores:
        """Return BLEU and chrF."""
        return translation_scores(answers, references, language=language, lowercase=self.data.lowercase)

    def translator(self, folder: Path) -> Answerer:
        """Return a function from texts to their translations."""
        return self.answerer(folder)


def translate() -> Translate:
    """Translate texts, learned from pairs of your own: LSTM encoder–decoder with attention, joint subwords."""
    return Translate()


def translate_multi30k() -> Translate:
    """Translate English captions into German (Multi30k, in RNNKIT_DATA); scored on test 2016, in small letters."""
    part = "multi30k/{}.{}.gz"
    data = Data(
        path=part.format("train", "en"),
        target_path=part.format("train", "de"),
        validation_path=part.format("val", "en"),
        validation_target_path=part.format("val", "de"),
        test_path=part.format("test_2016_flickr", "en"),
        test_target_path=part.format("test_2016_flickr", "de"),
        lowercase=True,
        vocabulary=4000,
    )
    recipe = translate()
    fit = replace(recipe.fit, epochs=17, lr=2e-3)
    return replace(recipe, data=data, model=replace(recipe.model, dropout=0.4), fit=fit)


def translate_tatoeba() -> Translate:
    """Translate English into Chinese (Tatoeba, in RNNKIT_DATA); pairs that share a side stay in one part."""
    data = Data(
        path="tatoeba_cmn_eng/cmn.txt",
        format="tsv",
        source="0",
        target="1",
        header=False,
        target_tokenizer="char",
        vocabulary=4000,
    )
    recipe = translate()
    fit = replace(recipe.fit, epochs=15, lr=2e-3)
    return replace(recipe, data=data, model=replace(recipe.model, dropout=0.4), fit=fit)
