"""Layers over sequences in a graph: one function for each kind, and the table of them.

Each takes sequences [B, T, ...] with their lengths, reads nothing behind a row's length, and leaves 0 there, as
:class:`rnnkit.SequenceModule` says.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import torch
from torch import nn

from ...layers._recurrent import RecurrentLayer
from ...layers.augment import SeriesAugment
from ...layers.beside import Beside
from ...layers.causal_conv import CausalConv
from ...layers.chain import Chain, PerStep
from ...layers.conv import ConvFront
from ...layers.conv_context import ConvContext
from ...layers.dropout import VariationalDropout
from ...layers.frame_front import FrameFront
from ...layers.line_front import LineFront
from ...layers.pixels import PixelFront
from ...layers.rnn import RNN
from ...layers.word_front import WordFront
from . import fronts
from .convolutions import write_conv, write_conv_context
from .dense import EMBEDDINGS, kind_of, refusal, write_dense, write_embedding, writes_dense
from .frames import write_frame_front
from .graph import FLOAT, INT64
from .maps import HEIGHT, WIDTH
from .recurrent import write_cells, write_recurrent
from .writer import Steps, Writer, Written

_CHARACTERS = "word_and_characters"
LayerWriter = Callable[[Writer, Any, Steps], Written]


def write_layer(writer: Writer, module: Any, steps: Steps) -> Written:
    """Write a layer over sequences.

    Raises:
        Unsupported: the layer, or one of its options, cannot be written.
    """
    kind = kind_of(module)
    with writer.graph.scope(kind.__name__):
        if kind in _WRITERS:
            return _WRITERS[kind](writer, module, steps)
        if isinstance(module, RecurrentLayer) or kind in (nn.RNN, nn.LSTM, nn.GRU):
            return write_recurrent(writer, module, steps)
        if writes_dense(module):
            return Written(_each_step(writer, module, steps))
    raise refusal(module)


def _each_step(writer: Writer, module: Any, steps: Steps) -> Steps:
    """A module that treats each step by itself, with zeros behind each row's length before and after it."""
    clean = writer.masked(steps)
    return writer.masked(Steps(write_dense(writer, module, clean.value), steps.lengths))


def _per_step(writer: Writer, module: PerStep, steps: Steps) -> Written:
    return Written(_each_step(writer, module.module, steps))


def _chain(writer: Writer, module: Any, steps: Steps) -> Written:
    return write_chain(writer, list(module.children()), steps)


def write_chain(writer: Writer, parts: list[Any], steps: Steps) -> Written:
    """Write layers over sequences, one behind the other."""
    last = None
    for part in parts:
        steps, last = write_layer(writer, part, steps)
    return Written(steps, last)


def _embedding(writer: Writer, module: nn.Embedding, steps: Steps) -> Written:
    ids = writer.masked(steps, rank=2)
    return Written(writer.masked(Steps(write_embedding(writer, module, ids.value), steps.lengths)))


def _dropout(writer: Writer, module: Any, steps: Steps) -> Written:
    return Written(writer.masked(steps))


def _same(writer: Writer, module: Any, steps: Steps) -> Written:
    return Written(steps)


def _beside(writer: Writer, module: Beside, steps: Steps) -> Written:
    y = write_layer(writer, module.module, steps).steps
    x = writer.masked(steps)
    return Written(y._replace(value=writer.graph("Concat", y.value, x.value, axis=2)))


_WRITERS: dict[Any, LayerWriter] = {
    RNN: write_cells,
    Chain: _chain,
    nn.Sequential: _chain,
    PerStep: _per_step,
    Beside: _beside,
    SeriesAugment: _same,
    VariationalDropout: _dropout,
    nn.Conv1d: write_conv,
    ConvContext: write_conv_context,
    ConvFront: fronts.write_conv_front,
    CausalConv: fronts.write_causal_conv,
    PixelFront: fronts.write_pixel_front,
    LineFront: fronts.write_line_front,
    WordFront: fronts.write_word_front,
    FrameFront: write_frame_front,
    **dict.fromkeys(EMBEDDINGS, _embedding),
}


class InputKind(NamedTuple):
    """What the first layer of a model reads.

    Attributes:
        kind: the number of the elements' type.
        features: the sizes behind batch and time; a text where one is free.
        numbers: ids are below this; 0 for numbers that are no ids.
        lengths: whether rows may be of unequal lengths.
        steps: the only number of steps that the layer takes; None: any.
        meaning: in words.
    """

    kind: int
    features: tuple[int | str, ...]
    numbers: int = 0
    lengths: bool = True
    steps: int | None = None
    meaning: str = "numbers of each step"

    def example(self, batch: int, time: int, generator: torch.Generator) -> torch.Tensor:
        """Return made inputs [B, T, ...]."""
        sizes = [5 if isinstance(one, str) else one for one in self.features]
        shape = [batch, self.steps or time, *sizes]
        if self.numbers:
            made = torch.randint(self.numbers, shape, generator=generator)
            if self.features == (_CHARACTERS,):  # words of unequal lengths: 0 stands behind the last character
                made[..., 1:].clamp_(min=1)
                ends = torch.randint(1, made.shape[-1], (batch, time, 1), generator=generator)
                made.masked_fill_(torch.arange(made.shape[-1]) > ends, 0)
            return made
        return torch.randn(shape, generator=generator)


def input_of(module: Any, features: int | None = None) -> InputKind:
    """Return what a layer reads, or the first of several.

    Args:
        module: the layer.
        features: of a step, where the layer does not say.
    """
    kind = kind_of(module)
    if kind in (Chain, nn.Sequential):
        parts = list(module.children())
        inner = input_of(parts[0])
        return input_of(nn.Sequential(*parts[1:])) if inner.features == ("features",) and parts[1:] else inner
    if kind in EMBEDDINGS:
        return InputKind(INT64, (), module.num_embeddings, meaning="token ids")
    if kind is WordFront:
        sizes: tuple[str | int, ...] = (1,) if module.conv is None else (_CHARACTERS,)
        least = min(module.words.num_embeddings, module.characters.num_embeddings if module.characters else 1 << 62)
        return InputKind(INT64, sizes, least, meaning="the number of a word, then those of its characters, 0 behind")
    if kind is PixelFront:
        return InputKind(
            FLOAT, (module.width,), lengths=False, steps=module.height, meaning="grey pictures, pixels from 0 to 1"
        )
    if kind is FrameFront:
        return InputKind(FLOAT, (module.frame_channels, HEIGHT, WIDTH), meaning="the pixels of each frame")
    if kind is Beside:
        return input_of(module.module)
    if kind is nn.Conv1d:
        return InputKind(FLOAT, (module.in_channels,))
    size = getattr(module, "input_size", None) or getattr(module, "in_features", None) or features
    return InputKind(FLOAT, ("features",) if size is None else (int(size),))
