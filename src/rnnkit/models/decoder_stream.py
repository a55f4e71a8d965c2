"""Single steps of an encoder–decoder's decoder, whose state stays in place.

Legend: B rows, S steps of a source, E embedding, H of the decoder, F of the encoder, V vocabulary.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import torch

from ..layers._recurrent import RecurrentLayer
from ..layers.sequence_stream import row_lookup
from ..ops.native_linear import MOST_ROWS, NativeLinear
from ..ops.state import tensors
from ..types import State
from .product_rows import ProductRows

Tensor = torch.Tensor


class DecoderStream:
    """Run steps of the form "parallel" on the native core, without gradients and without dropout.

    The recurrent layers hold their states, which `reorder` exchanges in place. What the rows attend to was prepared
    when the stream was made. ``model.decoder_stream(state, memory)`` makes one; `close` gives its layers back.

    Args:
        model: an `EncoderDecoder`; later changes of its weights do not reach the stream.
        state, memory: as `EncoderDecoder.encode` and `decode_step` return them, of B rows.
        layers: the streams of the decoder and of the layer above the attention, where there is one.
    """

    def __init__(self, model: Any, state: State, memory: tuple[Tensor, ...], layers: list[Any]) -> None:
        self._model, self._memory, self._layers = model, memory, layers
        self._streams = [layer.made for layer in layers]
        self._axis = model.state_batch_axis
        for stream, own in zip(self._streams, state, strict=False):
            stream.state = own
        self._covered = model._off_axis(state[-1]) if model.attention.coverage else None
        self._prepare()

    def _prepare(self) -> None:
        """Compute what all steps share."""
        model, (values, keys, padding) = self._model, self._memory[:3]
        self._rows = row_lookup(model.embedding)
        self._multiplies = model.attention.from_query is None and self._covered is None
        if self._multiplies:
            self._keys = keys.transpose(1, 2)
            self._mask = torch.zeros_like(keys[:, None, :, 0]).masked_fill_(padding[:, None], -torch.inf)
        rows, top = len(values), model.combine.in_features
        self._combine = model._steps.packed(model.combine, values.new_empty(rows, top))
        self._output = model._steps.packed(model.output, values.new_empty(rows, model.combine.out_features))

    def __call__(self, ids: Tensor) -> tuple[Tensor, Tensor]:
        """Read one token a row [B], and return the logits [B, V] (with copying ln P) and the attention [B, S]."""
        model = self._model
        embedded = self._rows(model._known(ids))
        h = self._streams[0].advance(embedded)
        context, weights = self._attended(h)
        features = torch.cat((h, context), 1)
        if len(self._streams) > 1:
            features = torch.cat((self._streams[1].advance(features), context), 1)
        logits = self._output(self._combine(features).tanh())
        if model.copying is None:
            return logits, weights
        gate, extra = torch.cat((features, embedded), 1), self._memory[4].shape[1]
        return model.copying(logits[:, None], gate[:, None], weights[:, None], self._memory[3], extra)[:, 0], weights

    def _attended(self, h: Tensor) -> tuple[Tensor, Tensor]:
        """c [B, F] and a [B, S], as `Attention` computes them."""
        values, keys, padding = self._memory[:3]
        if self._multiplies:
            weights = torch.baddbmm(self._mask, h[:, None], self._keys).softmax(-1)
            return torch.bmm(weights, values)[:, 0], weights[:, 0]
        found = self._model.attention(h[:, None], values, keys, padding, self._covered)
        self._covered = found.covered
        return found.contexts[:, 0], found.weights[:, 0]

    @property
    def state(self) -> State:
        """A copy of the state after the last step, as `decode_step` returns it."""
        found = [stream.state for stream in self._streams]
        return tuple(found if self._covered is None else [*found, self._model._on_axis(self._covered)])

    def reorder(self, index: Tensor) -> None:
        """Let row ``index[i]`` go on as row i; both attend to the same source."""
        for stream in self._streams:
            for leaf in tensors(stream.own_state):
                leaf.copy_(leaf.index_select(self._axis, index))
        if self._covered is not None:
            self._covered = self._covered.index_select(0, index)

    def close(self) -> None:
        """Give the layers back, for the next stream of as many rows; this one can make no more steps."""
        layers, self._layers, self._streams = self._layers, [], []
        self._model._steps.give_back(layers)

    def __del__(self) -> None:
        if getattr(self, "_layers", None):
            self.close()


class OneSourceStream(DecoderStream):
    """The same for rows that attend to one source: a step reads less of the weights.

    What the decoder's W makes of an embedding is kept (:class:`rnnkit.models.product_rows.ProductRows`). The steps m_i
    of the source are multiplied once by all that multiplies the context: by W_c, the last columns of the upper layer's
    W and of W_o.

        W_c c_t = W_c Σ_i a_ti m_i = Σ_i a_ti (W_c m_i)

    Args:
        model, state, memory: as for a `DecoderStream`.
        layers: partial streams.
        products: of the decoder's W with the embeddings.
        combine: the product with the first columns of W_o.
    """

    def __init__(
        self,
        model: Any,
        state: State,
        memory: tuple[Tensor, ...],
        layers: list[Any],
        products: ProductRows,
        combine: NativeLinear,
    ) -> None:
        self._products, self._combine_top = products, combine
        super().__init__(model, state, memory, layers)

    def _prepare(self) -> None:
        model, (values, keys, padding) = self._model, self._memory[:3]
        source = values[0]
        self._keys = keys[0].T
        self._mask = torch.zeros_like(source[None, :, 0]).masked_fill_(padding[:1], -torch.inf)
        top = model.combine.in_features - values.shape[2]
        self._of_upper = [source @ upper.further.T for upper in self._streams[1:]]
        self._of_combine = source @ model.combine.weight[:, top:].T
        self._bias = model.combine.bias
        self._output = model._steps.packed(model.output, values.new_empty(len(values), model.combine.out_features))

    def __call__(self, ids: Tensor) -> tuple[Tensor, Tensor]:
        """Read one token a row [B], and return the logits [B, V] and the attention [B, S]."""
        self._products.write(ids, self._streams[0].added)
        h = self._streams[0].advance()
        weights = torch.addmm(self._mask, h, self._keys).softmax(-1)
        for upper, of_upper in zip(self._streams[1:], self._of_upper, strict=True):
            torch.mm(weights, of_upper, out=upper.added)
            h = upper.advance(h)
        vectors = torch.addmm(self._bias, weights, self._of_combine).add_(self._combine_top(h)).tanh_()
        return self._output(vectors), weights


def make_decoder_stream(model: Any, state: State, memory: tuple[Tensor, ...]) -> DecoderStream | None:
    """Return a stream of the decoder; None where single steps are computed in the general way.

    So it is with gradients, in the other forms, for layers that the native core cannot serve, and where something
    watches a part of the model.
    """
    if model.form != "parallel" or torch.is_grad_enabled():
        return None
    if any(part._forward_hooks or part._forward_pre_hooks for part in model.modules()):
        return None
    layers: list[Any] = [layer for layer in (model.decoder, model.upper) if layer is not None]
    if not all(isinstance(layer, RecurrentLayer) for layer in layers):
        return None
    if _attends_to_one_source(model, memory) and (stream := _one_source_stream(model, state, memory, layers)):
        return stream
    leased = _leased(model, memory[0], [(layer, layer.input_size) for layer in layers], partial=False)
    return None if leased is None else DecoderStream(model, state, memory, leased)


def _attends_to_one_source(model: Any, memory: tuple[Tensor, ...]) -> bool:
    """Return whether the rows are few and of one source, and the model one that a `OneSourceStream` can serve."""
    (values, _, padding), attention = memory[:3], model.attention
    rows, steps, features = values.shape
    if rows > MOST_ROWS or model.copying is not None or attention.from_query is not None or attention.coverage:
        return False
    # Of a long source there are as many products to be read as there were weights.
    if 2 * steps > features or type(model.embedding) is not torch.nn.Embedding or model.embedding.max_norm is not None:
        return False
    return bool((values[1:] == values[:1]).all()) and bool((padding[1:] == padding[:1]).all())


def _one_source_stream(
    model: Any, state: State, memory: tuple[Tensor, ...], layers: list[Any]
) -> OneSourceStream | None:
    values, hidden = memory[0], model.combine.in_features - memory[0].shape[2]
    combine = model._steps.columns(model.combine, values.new_empty(len(values), hidden))
    if combine is None:
        return None
    takes = zip(layers, (0, layers[0].output_size), strict=False)
    leased = _leased(model, values, takes, partial=True)
    if leased is None:
        return None
    products = model._steps.products(model.embedding, layers[0], leased[0].made.further)
    if products is None:
        model._steps.give_back(leased)
        return None
    return OneSourceStream(model, state, memory, leased, products, combine)


def _leased(model: Any, like: Tensor, takes: Iterable[tuple[Any, int]], *, partial: bool) -> list[Any] | None:
    """The streams of layers that take so many features each; None where the core cannot serve one of them."""
    found: list[Any] = []
    for layer, features in takes:
        leased = model._steps.lease(layer, like.new_empty(len(like), features), partial=partial)
        if leased is None:
            model._steps.give_back(found)
            return None
        found.append(leased)
    return found
