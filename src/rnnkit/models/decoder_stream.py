"""Single steps of an encoder–decoder's decoder, whose state stays in place.

Legend: B rows, S steps of a source, E embedding, H of the decoder, F of the encoder, V vocabulary.
"""

from __future__ import annotations

from typing import Any

import torch

from ..layers._recurrent import RecurrentLayer
from ..layers.sequence_stream import row_lookup
from ..ops.state import tensors
from ..types import State

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
        self._rows = row_lookup(model.embedding)
        for stream, own in zip(self._streams, state, strict=False):
            stream.state = own
        values, keys, padding = memory[:3]
        self._covered = model._off_axis(state[-1]) if model.attention.coverage else None
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
    found: list[Any] = []
    for layer in layers:
        leased = model._steps.lease(layer, memory[0].new_empty(len(memory[0]), layer.input_size))
        if leased is None:
            model._steps.give_back(found)
            return None
        found.append(leased)
    return DecoderStream(model, state, memory, found)
