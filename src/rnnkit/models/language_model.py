"""Language models: embedding, recurrent layers, and a distribution over the next token at every step."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import Any, Literal

import torch

from ..errors import ConfigError, check_choice, check_whole
from ..layers._checks import Lengths
from ..layers.by_name import RECURRENT_LAYERS
from ..layers.chain import Chain
from ..layers.dropout import Embedding, VariationalDropout
from ..layers.initialisation import Init
from ..layers.quantized import refuse_quantized
from ..layers.quantized_dense import share_weight
from ..layers.sequence_adapters import SequenceInterface
from ..types import State
from ._sequence import SequenceModel
from .adaptive_softmax import AdaptiveLoss, AdaptiveSoftmax
from .classifier import SequenceClassifier
from .tagger import SequenceTagger

Tensor = torch.Tensor
Cell = Literal["lstm", "gru", "simple_rnn"]
_TIED_SPREAD = 0.3  # of a tied embedding's initial weights; logits of small ones stay at the frequencies for long


class LanguageModel(SequenceTagger):
    """p(w_{t+1} | w_1 … w_t) = softmax(V h_t + b), with h of recurrent layers over embedded tokens.

    With ``cell="lstm"``, ``tied=True`` and its kinds of dropout it is the AWD-LSTM (Merity, Keskar & Socher 2018,
    "Regularizing and Optimizing LSTM Language Models"), whose sizes are the defaults:

        x_t = drop_i(E_{w_t}),  h^l = recurrence_l(drop_h(h^{l−1})),  logits_t = E drop_o(h^L_t) + b

    drop_i, drop_h and drop_o use one mask for all steps of a call (:class:`rnnkit.VariationalDropout`); embedding
    dropout drops whole tokens of E, and weight dropout drops recurrent weights. b starts at 0.

    Legend: B batch, T time, V vocabulary, E features of the embedding, H hidden, L layers.

    Args:
        vocabulary: V.
        cell: the recurrence.
        embedding_size: E.
        hidden_size: H, of all layers; of a tied model the last layer has E units.
        num_layers: L.
        tied: whether the head has the embedding's weights (Press & Wolf 2017; Inan et al. 2017).
        embedding_dropout, input_dropout, hidden_dropout, output_dropout, weight_dropout: probabilities while training.
        cutoffs: the first ids of the clusters of an adaptive softmax (Grave et al. 2017), for large vocabularies whose
            ids are sorted by frequency, as in (2000, 10_000): a token of a later cluster costs less. Not with ``tied``.
        init: of the recurrent weights. The embedding is drawn from N(0, 1), that of a tied model from N(0, 0.09).
        layer_norm: normalise the products in the recurrent layers (Ba, Kiros & Hinton 2016).

    Shapes:
        ids [B, T] (and ``lengths`` [B]) → logits [B, T, V], 0 behind a row's length. With ``cutoffs``
        log-probabilities; while training features [B, T, H], which the model's loss takes.

    Raises:
        ConfigError: a setting out of range, or settings that exclude each other.

    Example:
        >>> import rnnkit
        >>> model = rnnkit.LanguageModel(50, embedding_size=8, hidden_size=16, num_layers=2, weight_dropout=0.5)
        >>> tuple(model(torch.zeros(2, 7, dtype=torch.long)).shape)
        (2, 7, 50)
    """

    def __init__(
        self,
        vocabulary: int,
        cell: Cell = "lstm",
        embedding_size: int = 400,
        hidden_size: int = 1150,
        num_layers: int = 3,
        tied: bool = True,
        embedding_dropout: float = 0.0,
        input_dropout: float = 0.0,
        hidden_dropout: float = 0.0,
        output_dropout: float = 0.0,
        weight_dropout: float = 0.0,
        cutoffs: Sequence[int] | None = None,
        init: Init = "keras",
        layer_norm: bool = False,
    ) -> None:
        settings = {name: value for name, value in locals().items() if name not in ("self", "__class__")}
        check_choice(cell, "cell", tuple(RECURRENT_LAYERS))
        check_whole(vocabulary, "vocabulary", 2)
        check_whole(embedding_size, "embedding_size")
        check_whole(hidden_size, "hidden_size")
        check_whole(num_layers, "num_layers")
        if tied and cutoffs:
            raise ConfigError(
                f"tied=True and cutoffs={tuple(cutoffs)} arrived; the clusters of an adaptive softmax have weights of "
                "their own: type tied=False, or leave cutoffs out"
            )
        sizes = [embedding_size, *[hidden_size] * num_layers]
        if tied:
            sizes[-1] = embedding_size
        embedding = Embedding(vocabulary, embedding_size, dropout=embedding_dropout)
        parts: list[torch.nn.Module] = []
        options: Any = {"weight_dropout": weight_dropout, "init": init, "layer_norm": layer_norm}
        for number, (before, after) in enumerate(pairwise(sizes)):
            parts.append(VariationalDropout(hidden_dropout if number else input_dropout))
            parts.append(RECURRENT_LAYERS[cell](before, after, batch_first=True, **options))
        parts.append(VariationalDropout(output_dropout))
        arguments = {**settings, "cutoffs": None if cutoffs is None else list(cutoffs)}
        kept = [part for part in parts if not isinstance(part, VariationalDropout) or part.p]
        SequenceModel.__init__(self, Chain(*kept), vocabulary, 0.0, arguments, front=embedding)
        self._activate, self.default_loss, self.default_metrics = None, "cross_entropy", ()
        if cutoffs:
            self.head = AdaptiveSoftmax(sizes[-1], vocabulary, cutoffs)
            self.default_loss = AdaptiveLoss(self.head)
        else:
            torch.nn.init.zeros_(self.head.bias)
        if tied:
            torch.nn.init.normal_(embedding.weight, std=_TIED_SPREAD)
            self.head.weight = embedding.weight

    @property
    def vocabulary(self) -> int:
        """V."""
        return int(self.front.num_embeddings)

    @property
    def tied(self) -> bool:
        """Whether the head has the embedding's weights."""
        return share_weight(self.head, self.front)

    @property
    def can_grow(self) -> bool:
        """Whether `extended` can add tokens: an adaptive softmax has its own for good."""
        return not isinstance(self.head, AdaptiveSoftmax)

    def config(self) -> dict[str, Any]:
        """Builder and arguments that make this model anew, for ``rnnkit.load``."""
        return {"builder": "LanguageModel", "arguments": dict(self._arguments)}

    def extended(self, vocabulary: int) -> LanguageModel:
        """Return a copy with more tokens: those of this model keep their weights, the new ones start as their mean.

        Variant: Howard & Ruder 2018 ("Universal Language Model Fine-tuning for Text Classification"), who do so for the
        words of the target text that the pretrained model lacks.

        Args:
            vocabulary: V of the copy, at least that of this model.

        Raises:
            ConfigError: fewer tokens, weights in 8 bits, or an adaptive softmax, whose clusters are sorted.
        """
        refuse_quantized(self, "be extended")
        before = self.vocabulary
        check_whole(vocabulary, "vocabulary", before)
        if vocabulary > before and not self.can_grow:
            raise ConfigError(
                f"a model with cutoffs has {before} tokens for good; {vocabulary} arrived. Train one without cutoffs"
            )
        grown = LanguageModel(**{**self._arguments, "vocabulary": vocabulary})
        with torch.no_grad():
            theirs = grown.to(self.front.weight.device, self.front.weight.dtype).state_dict()
            for name, weight in self.state_dict().items():
                if weight.shape == theirs[name].shape:
                    theirs[name].copy_(weight)
                else:
                    theirs[name][:before] = weight
                    theirs[name][before:] = weight.mean(0)
        return grown.train(self.training)

    def classifier(self, classes: int | Sequence[str], dropout: float = 0.4) -> SequenceClassifier:
        """Return a classifier that reads a text by this model's embedding and recurrent layers, which it shares.

        Its head is new and sees the last, the largest and the mean output of all steps (concat pooling, Howard &
        Ruder 2018).

        Args:
            classes: their number, or their names.
            dropout: probability of dropping a pooled feature while training.

        Example:
            >>> import rnnkit
            >>> model = rnnkit.LanguageModel(50, embedding_size=8, hidden_size=16, num_layers=2)
            >>> classifier = model.classifier(["good", "bad"])
            >>> tuple(classifier(torch.zeros(3, 7, dtype=torch.long), torch.tensor([7, 2, 4])).shape)
            (3, 2)
        """
        return SequenceClassifier(self.body, classes, pooling="concat", dropout=dropout, front=self.front)

    def _note_outputs(self) -> None:
        """Do nothing: the vocabulary is the embedding's."""

    def _head_output(self, layers: SequenceInterface, output: Tensor, state: State, lengths: Lengths | None) -> Tensor:
        if isinstance(self.head, AdaptiveSoftmax) and self.head.training:
            return output  # AdaptiveLoss computes of them what the targets need
        return super()._head_output(layers, output, state, lengths)

    def __repr__(self) -> str:
        shown = ("cell", "embedding_size", "hidden_size", "num_layers", "tied")
        named = ", ".join(f"{name}={self._arguments[name]!r}" for name in shown)
        return f"LanguageModel({self.vocabulary}, {named})"
