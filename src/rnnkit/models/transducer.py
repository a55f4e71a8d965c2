"""A transducer: labels from a sequence of frames, each given the frames so far and the labels before it.

    e_t = encoder(x)_t                  the frames
    p_u = predictor(embed(∅, y_1, …, y_U))_u                   the labels so far; it reads the blank ∅ first
    z_tu = W_o tanh(W_e e_t + W_p p_u + b) + b_o               the joiner
    P(k | t, u) = softmax(z_tu)_k

The blank leads to the next frame, a label to the next u: :mod:`rnnkit.ops.transducer` has P(y | x), the sum over all
alignments. Where the encoder runs in one direction, labels can be told while the frames arrive.

Variant: Graves 2012 ("Sequence transduction with recurrent neural networks"), with the joiner of Graves, Mohamed &
Hinton 2013 ("Speech recognition with deep recurrent neural networks"), a sum within tanh in place of a sum of logits,
and a learnt embedding of the start.

Legend: B batch, T frames of the input, T' of the encoder, U labels, V vocabulary with the blank, E embedding, F
features of the encoder, P of the predictor, J of the joiner.
"""

from __future__ import annotations

from contextlib import nullcontext
from typing import Any, ClassVar

import torch
from torch.nn import functional as F

from ..errors import ConfigError, ShapeError, check_number, check_whole
from ..layers._checks import Lengths
from ..layers._exports import NotScriptable
from ..layers.causal_conv import CausalConv
from ..layers.description import describe, short_repr
from ..layers.modes import mode
from ..layers.quantized import refuse_quantized
from ..layers.quantized_dense import weight_like
from ..layers.sequence_adapters import Adapted, Chained, SequenceInterface, as_sequence_module
from ..types import State
from ._decoder_sizes import check_recurrent
from ._encoder_chunks import EncoderChunks, front_of
from ._growing import grow_embedding, grow_linear
from .layer_steps import LayerSteps, step_layer

Tensor = torch.Tensor


class TransducerModel(EncoderChunks, NotScriptable):
    """An encoder of frames, a predictor of labels and a joiner; equations in :mod:`rnnkit.models.transducer`.

    Training needs the joiner's features [B, T', U + 1, J] and its logits [B, T', U + 1, V]; the loss adds a gradient
    of the logits' size. Shorten long sequences in the encoder: ``rnnkit.ConvFront(..., stride=2)``. In
    :mod:`rnnkit.generation` `transducer_greedy`, `transducer_beam_search` and `TransducerDecoder` find labels.

    Args:
        encoder: a layer over sequences. To decode while frames arrive, it must run in one direction; `encode_chunk`
            then goes on from a state, also with a :class:`rnnkit.CausalConv` as the first part of a chain.
        predictor: a recurrent layer in one direction; its inputs are E features.
        joiner_size: J.
        vocabulary: V, the blank among them.
        blank: the number of the blank.
        dropout: of embeddings and of what the joiner gets, while training.

    Raises:
        ConfigError: settings or layers that do not fit each other.

    Example:
        >>> import torch, rnnkit
        >>> encoder = rnnkit.Chain(rnnkit.ConvFront(13, channels=24, stride=2), rnnkit.LSTM(24, 32))
        >>> model = rnnkit.TransducerModel(encoder, rnnkit.GRU(8, 16), joiner_size=24, vocabulary=11)
        >>> x, y = torch.randn(2, 40, 13), torch.randint(1, 11, (2, 5))
        >>> logits, lengths = model(x, y, lengths=[40, 31])
        >>> tuple(logits.shape), lengths.tolist()
        ((2, 20, 6, 11), [20, 16])
        >>> loss = rnnkit.ops.transducer.transducer_loss(logits, y, lengths, [5, 3])
        >>> from rnnkit.generation import transducer_greedy
        >>> found = transducer_greedy(model, x, [40, 31])
        >>> len(found), found[0].tokens == [token for token in found[0].tokens if token != 0]
        (2, True)
    """

    default_objective: ClassVar[str] = "transducer"
    default_metrics: ClassVar[tuple[str, ...]] = ()

    def __init__(
        self,
        encoder: torch.nn.Module,
        predictor: torch.nn.Module,
        joiner_size: int,
        vocabulary: int,
        *,
        blank: int = 0,
        dropout: float = 0.0,
    ) -> None:
        super().__init__()
        check_whole(joiner_size, "joiner_size")
        check_whole(vocabulary, "vocabulary", 2)
        check_whole(blank, "blank", 0)
        check_number(dropout, "dropout", below=1)
        if blank >= vocabulary:
            raise ConfigError.of("blank", blank, f"expected 0 to {vocabulary - 1}, one of the {vocabulary} tokens")
        self.joiner_size, self.vocabulary, self.blank, self.dropout = joiner_size, vocabulary, blank, dropout
        self.encoder, self.predictor = encoder, predictor
        self._adapted = {name: Adapted() for name in ("encoder", "body", "predictor")}
        self._steps = LayerSteps()
        self._layers("encoder")
        check_recurrent({"predictor": (predictor, self._layers("predictor"))})
        embedding = self._layers("predictor").input_size
        if embedding is None:
            raise ConfigError(f"the predictor {short_repr(predictor)} does not declare its input_size")
        self.embedding = torch.nn.Embedding(vocabulary, embedding)
        self.from_encoder = torch.nn.Linear(self._width("encoder"), joiner_size)
        self.from_predictor = torch.nn.Linear(self._width("predictor"), joiner_size, bias=False)
        self.output = torch.nn.Linear(joiner_size, vocabulary)

    # --- the parts ---------------------------------------------------------------------------------------------------

    def _layers(self, name: str) -> SequenceInterface:
        return self._adapted[name]((self._modules[name],), lambda one: as_sequence_module(one[0], name))  # type: ignore[no-any-return]

    def _width(self, name: str) -> int:
        width = self._layers(name).output_size
        if width is None:
            raise ConfigError(
                f"the {name} {short_repr(self._modules[name])} does not declare how many features it returns; give its "
                "cell an attribute output_size (or hidden_size)"
            )
        return width

    def config(self) -> dict[str, Any] | None:
        """Builder and arguments that make this model again, for ``rnnkit.load``; None if a part has no description."""
        parts = {"encoder": describe(self.encoder), "predictor": describe(self.predictor)}
        if None in parts.values():
            return None
        names = ("joiner_size", "vocabulary", "blank", "dropout")
        return {"builder": type(self).__name__, "arguments": {**parts, **{name: getattr(self, name) for name in names}}}

    def __repr__(self) -> str:
        sizes = f"joiner_size={self.joiner_size}, vocabulary={self.vocabulary}"
        return f"TransducerModel({short_repr(self.encoder)}, {short_repr(self.predictor)}, {sizes})"

    @property
    def front(self) -> CausalConv | None:
        """The convolutions that the encoder begins with, where it is a chain that does."""
        return front_of(self.encoder)

    @property
    def body(self) -> torch.nn.Module:
        """The layers of the encoder behind `front`: one, or the encoder as a whole."""
        parts = list(self.encoder.children()) if self.front is not None else []
        return parts[1] if len(parts) == 2 else self.encoder

    def _body_layers(self) -> SequenceInterface:
        if self.front is None:
            return self._layers("encoder")
        parts = tuple(self.encoder.children())[1:]
        return self._adapted["body"](parts, lambda ones: Chained([as_sequence_module(one) for one in ones]))  # type: ignore[no-any-return]

    def grow(self, vocabulary: int, *, generator: torch.Generator | None = None) -> None:
        """Give the model more tokens, in place; those that it has keep their weights, new ones are drawn.

        Args:
            vocabulary: V from now on.
            generator: of the draw; None: torch's global one.

        Raises:
            ConfigError: fewer tokens than now, or weights in 8 bits.
        """
        refuse_quantized(self, "get more tokens")
        check_whole(vocabulary, "vocabulary", self.vocabulary)
        self.embedding = grow_embedding(self.embedding, vocabulary, generator)
        self.output, self.vocabulary = grow_linear(self.output, vocabulary, generator), vocabulary

    # --- whole sequences ---------------------------------------------------------------------------------------------

    def forward(self, x: Tensor, targets: Tensor, lengths: Lengths | None = None) -> tuple[Tensor, Tensor]:
        """Return the logits of all nodes: for each frame after each number of the given labels.

        Args:
            x: [B, T, I], or what the encoder takes.
            targets: labels [B, U]; any number of the vocabulary in padding, the blank say.
            lengths: valid frames of each row of x [B]; None: all are valid.

        Returns:
            logits [B, T', U + 1, V], and the valid frames of each row int64 [B].

        Raises:
            ShapeError: targets have other axes.
        """
        if targets.dim() != 2 or targets.is_floating_point():
            raise ShapeError(f"targets {list(targets.shape)} of {targets.dtype} arrived; expected labels [B, U]")
        encoded, lengths = self.encode(x, lengths)
        before = F.pad(targets, (1, 0), value=self.blank)
        predicted, _, _ = self._layers("predictor")(self._drop(self.embedding(before)))
        at_frames, at_labels = self.from_encoder(self._drop(encoded)), self.from_predictor(self._drop(predicted))
        return self.join(at_frames[:, :, None], at_labels[:, None]), lengths

    def encode(self, x: Tensor, lengths: Lengths | None = None) -> tuple[Tensor, Tensor]:
        """Return what the encoder makes of frames: [B, T', F], and its valid frames int64 [B].

        Args:
            x, lengths: as for the call.
        """
        encoded, ends, _ = self._layers("encoder")(x, lengths)
        if ends is None:
            return encoded, torch.full((len(encoded),), encoded.shape[1])
        return encoded, torch.as_tensor(ends).to("cpu", torch.int64)

    def join(self, at_frames: Tensor, at_labels: Tensor) -> Tensor:
        """Return logits [..., V] of W_e e + b and W_p p, whose shapes [..., J] are broadcast."""
        logits: Tensor = self.output(torch.tanh(at_frames + at_labels))
        return logits

    def _drop(self, x: Tensor) -> Tensor:
        return F.dropout(x, self.dropout) if self.dropout and self.training else x

    # --- decoding ----------------------------------------------------------------------------------------------------

    @property
    def state_batch_axis(self) -> int:
        """Where the batch lies in the tensors of the predictor's state."""
        return self._layers("predictor").state_batch_axis

    def start(self, rows: int) -> tuple[Tensor, State]:
        """Return what the predictor makes of no label, without gradients: W_p p_0 [rows, J], and its state."""
        like = weight_like(self.embedding)
        state = self._layers("predictor").initial_state(rows, like.device, like.dtype)
        ids = torch.full((rows,), self.blank, device=like.device)
        return self.read_label(ids, state)

    def read_label(self, ids: Tensor, state: State) -> tuple[Tensor, State]:
        """Return what the predictor makes of one more label a row, without gradients.

        Args:
            ids: [B].
            state: that before these labels.

        Returns:
            W_p p_u [B, J], and the state.
        """
        evaluation = mode(self, training=False) if self.training else nullcontext()
        with torch.no_grad(), evaluation:
            embedded = self.embedding(ids)[:, None]
            predicted, state = step_layer(self._steps, self._layers("predictor"), embedded, state, gradients=False)
            return self._steps.linear(self.from_predictor, predicted[:, 0]), state
