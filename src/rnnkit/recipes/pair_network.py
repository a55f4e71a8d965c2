"""The vocabularies, the network and the learner of a recipe for pairs of texts."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from ..errors import ConfigError
from ..tasks.text_pairs import PairTokenizers, TextPair
from ..tasks.text_scores import guess_language
from .pair_settings import Data, Fit, Model
from .wording import TOKENIZER_SETTINGS, in_data_settings

if TYPE_CHECKING:
    import rnnkit

    from ..data.text.tokenizer import Tokenizer


def make_tokenizers(data: Data, pairs: Sequence[TextPair], *, copy: bool) -> PairTokenizers:
    """Return vocabularies made of the training pairs."""
    sources, targets = [pair.source for pair in pairs], [text for pair in pairs for text in pair.targets]

    kind = data.target_tokenizer or data.tokenizer
    alike = kind == data.tokenizer and guess_language(sources) == guess_language(targets)
    shared = data.shared == "yes" or (data.shared == "auto" and alike)
    if shared and kind != data.tokenizer:
        raise ConfigError(
            f"data.shared=yes arrived with data.tokenizer={data.tokenizer} and data.target_tokenizer={kind}",
            None,
            "type --set data.shared=no, or leave data.target_tokenizer out",
        )
    if copy and not shared:
        raise ConfigError(
            "model.copy=true copies words of the source, so both sides share a vocabulary",
            None,
            "type --set data.shared=yes",
        )
    if shared:
        tokenizer = make_tokenizer(data, kind, [*sources, *targets])
        return PairTokenizers(tokenizer, tokenizer, copy, data.cut)
    both = make_tokenizer(data, data.tokenizer, sources), make_tokenizer(data, kind, targets)
    return PairTokenizers(*both, False, data.cut)


def make_tokenizer(data: Data, kind: str, texts: list[str]) -> Tokenizer:
    """Return a tokenizer of some texts."""
    from ..data import train_tokenizer

    with in_data_settings(TOKENIZER_SETTINGS):
        return train_tokenizer(
            kind,
            texts,
            size=None if kind == "byte" else data.vocabulary,
            minimum_count=1 if kind in ("unigram", "byte") else data.minimum_count,
            normalization=data.normalization,
            lowercase=data.lowercase,
        )


def build(settings: Model, tokenizers: PairTokenizers, seed: int) -> rnnkit.EncoderDecoder:
    """Return the network with weights drawn with the seed."""
    import torch

    import rnnkit

    from ..layers.by_name import RECURRENT_LAYERS

    torch.manual_seed(seed)
    cell = RECURRENT_LAYERS[settings.cell]
    size, hidden = settings.embedding_size, settings.hidden_size
    shared = tokenizers.source is tokenizers.target
    tied = settings.tied if settings.tied != "auto" else "all" if shared else "output"
    fed = {"parallel": 0, "bahdanau": hidden, "input_feeding": hidden if tied == "none" else size}[settings.form]
    dropout = settings.dropout if settings.encoder_layers > 1 else 0.0
    return rnnkit.EncoderDecoder(
        cell(size, hidden // 2, settings.encoder_layers, batch_first=True, bidirectional=True, dropout=dropout),
        cell(size + fed, hidden, batch_first=True),
        len(tokenizers.source),
        len(tokenizers.target),
        upper=cell(2 * hidden, hidden, batch_first=True) if settings.upper else None,
        attention=settings.attention,
        form=settings.form,
        copy=settings.copy,
        coverage=settings.coverage,
        tied=tied,
        dropout=settings.dropout,
        variational=settings.variational,
        word_dropout=settings.word_dropout,
        start=_beginning(tokenizers.target),
        unknown=_unknown(tokenizers.target) if settings.copy else None,
    )


def _beginning(tokenizer: Tokenizer) -> int:
    """The id that a decoder reads first."""
    found = tokenizer.end if tokenizer.beginning is None else tokenizer.beginning
    return 0 if found is None else found


def _unknown(tokenizer: Tokenizer) -> int:
    """The id that copied words are read as: that of unknown words, or padding where nothing is unknown."""
    found = tokenizer.pad if tokenizer.unknown is None else tokenizer.unknown
    return 0 if found is None else found


def make_learner(fit: Fit, model: Any, device: str) -> rnnkit.Learner:
    """Return a learner of the network, with the losses of the recipe."""
    import rnnkit

    from ..ops.losses import LOSSES
    from ..training import SequenceToSequence
    from ..training.objectives.cross_entropy import make_cross_entropy

    objective = SequenceToSequence(
        start=model.start,
        loss=make_cross_entropy(LOSSES["cross_entropy"], fit.label_smoothing, None),
        coverage=fit.coverage,
        copies=model.vocabulary if model.copy else None,
    )
    return rnnkit.Learner(model, objective=objective, device=device, **fit.learner_settings())
