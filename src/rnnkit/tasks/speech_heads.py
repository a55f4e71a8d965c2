"""What makes tokens of the steps of an encoder: one table of the heads that a recogniser of speech can have."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, NamedTuple

import torch

from ..errors import DataError
from ..finetuning.heads import grow_linear_head
from ..layers.by_name import RECURRENT_LAYERS
from ..layers.causal_conv import CausalConv
from ..layers.chain import Chain
from ..models.attention_recognizer import AttentionRecognizer
from ..models.encoder_decoder import EncoderDecoder
from ..models.speech_recognizer import SpeechRecognizer
from ..models.transducer import TransducerModel
from ..training.objectives.ctc import CTC
from ..training.objectives.ctc_attention import CTCAttention
from ..training.objectives.objective import Objective
from ..training.objectives.transducer import Transducer
from .speech_attention import AttentionSearch
from .speech_decoding import Search
from .speech_settings import Decoding, RecognizerFit, RecognizerNetwork
from .speech_transducer import TransducerSearch
from .text_pairs import end_of

if TYPE_CHECKING:
    from ..data.text.tokenizer import Tokenizer

Module = torch.nn.Module


class Head(NamedTuple):
    """What a kind of recogniser needs to be built, trained, searched and extended.

    Attributes:
        model: the class of its networks.
        build: a network with fresh weights, of convolutions and recurrent layers.
        objective: what it is trained by.
        search: finds tokens.
        grow: gives a network outputs for more tokens, in place.
        aligns: whether a network has outputs of CTC, by which a known text is aligned with sound.
    """

    model: type[Module]
    build: Callable[[RecognizerNetwork, CausalConv, Module, Tokenizer], Module]
    objective: Callable[[Any, RecognizerFit], Objective]
    search: Callable[[Any, Decoding, Tokenizer], Any]
    grow: Callable[[Any, int, torch.Generator], None]
    aligns: Callable[[Any], bool]


def _build_ctc(settings: RecognizerNetwork, front: CausalConv, body: Module, tokenizer: Tokenizer) -> Module:
    return SpeechRecognizer(body, len(tokenizer), dropout=settings.dropout, front=front)


def _build_transducer(settings: RecognizerNetwork, front: CausalConv, body: Module, tokenizer: Tokenizer) -> Module:
    size = settings.predictor_size
    predictor = RECURRENT_LAYERS[settings.cell](size, size, batch_first=True)
    sizes = settings.joiner_size, len(tokenizer)
    return TransducerModel(Chain(front, body), predictor, *sizes, dropout=settings.dropout)


def _build_attention(settings: RecognizerNetwork, front: CausalConv, body: Module, tokenizer: Tokenizer) -> Module:
    size, memory = settings.decoder_size, settings.encoder_size
    cell = RECURRENT_LAYERS[settings.cell]
    fed = {"bahdanau": memory, "input_feeding": size, "parallel": 0}[settings.form]
    network = EncoderDecoder(
        Chain(front, body),
        cell(size + fed, size, batch_first=True),
        None,
        len(tokenizer),
        # Where no token waits for another's attention, a layer above it is what reads the contexts in turn.
        upper=cell(size + memory, size, batch_first=True) if settings.form == "parallel" else None,
        attention=settings.attention,
        form=settings.form,
        dropout=settings.dropout,
        start=beginning_of(tokenizer),
    )
    return AttentionRecognizer(network, end_of(tokenizer), ctc_weight=settings.ctc_weight)


def beginning_of(tokenizer: Tokenizer) -> int:
    """Return the id that begins a text; DataError of a tokenizer that has none."""
    if tokenizer.beginning is None:
        raise DataError(f"{tokenizer!r} has no token that begins a text; expected one: train a tokenizer of rnnkit's")
    return tokenizer.beginning


def _attention_objective(model: AttentionRecognizer, fit: RecognizerFit) -> Objective:
    return CTCAttention(
        model.start, model.end, model.blank, weight=model.ctc_weight, label_smoothing=fit.label_smoothing
    )


HEADS: dict[str, Head] = {
    "ctc": Head(
        SpeechRecognizer,
        _build_ctc,
        lambda model, fit: CTC(0, zero_infinity=True),
        lambda model, decoding, tokenizer: Search(decoding, tokenizer),
        grow_linear_head,
        lambda model: True,
    ),
    "transducer": Head(
        TransducerModel,
        _build_transducer,
        lambda model, fit: Transducer(0),
        TransducerSearch,
        lambda model, tokens, generator: model.grow(tokens, generator=generator),
        lambda model: False,
    ),
    "attention": Head(
        AttentionRecognizer,
        _build_attention,
        _attention_objective,
        AttentionSearch,
        lambda model, tokens, generator: model.grow(tokens, generator=generator),
        lambda model: model.ctc is not None,
    ),
}


def head_of(model: Module) -> Head:
    """Return the head of a network; that of CTC of a network of the user's own, which scores tokens step by step."""
    return next((head for head in HEADS.values() if isinstance(model, head.model)), HEADS["ctc"])
