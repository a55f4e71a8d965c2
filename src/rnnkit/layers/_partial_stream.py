"""Streams of layers of which a part of the products is known before a step."""

from __future__ import annotations

from typing import Any

import torch

from ..ops.native_int8 import is_int8
from ._base import RecurrentBase
from ._packed_layers import StreamState, pack_layers, snapshot

Tensor = torch.Tensor


class PartialStream(StreamState):
    """Steps that multiply the first inputs; the products of W with the others are there beforehand.

        W x = W[:, :n] x[:n] + added, with added = W[:, n:] x[n:]

    So it serves where these products are known, as those of embeddings are. A step then reads a part of W alone.

    Legend: B batch, I input, G gates, H hidden, n inputs that a step multiplies; all of the first layer.

    Args:
        layer, batch: as for a :class:`rnnkit.layers.stream.Stream`; `partial_stream` says which layers have one.
        inputs: n.

    Attributes:
        added: [B, G·H]; it is filled before each step.
        further: W[:, n:], [G·H, I − n].
    """

    def __init__(self, layer: RecurrentBase, batch: int, inputs: int) -> None:
        with torch.inference_mode(False):  # buffers made inside it could not be written outside
            frozen = snapshot(layer)
            super().__init__(frozen.initial_state(batch), frozen.state_batch_axis)
            weight = frozen._direction_weights(0).w_ih
            self.further = weight[:, inputs:].T.contiguous().T  # its products with rows then read it in order
            self.added = weight.new_zeros(batch, len(weight))
            self._nothing = weight.new_empty(batch, 0)
            self._native = pack_layers(frozen, self._state, batch, inputs, self.added)

    def advance(self, x: Tensor | None = None) -> Tensor:
        """Take a step on x [B, n], None where n is 0; the next step overwrites what is returned."""
        self._native.step(self._nothing if x is None else x)
        return self._native.output

    def __reduce__(self) -> tuple[Any, ...]:
        raise TypeError("a partial stream is made anew, not copied")


def partial_stream(layer: RecurrentBase, batch: int, inputs: int) -> PartialStream | None:
    """Return a stream whose steps multiply the first inputs; None where the core has no such steps.

    So it is for layers with layer normalisation or with weights in 8 bits, and on other devices.

    Args:
        layer: it runs in one direction.
        batch: the number of rows.
        inputs: n, 0 or more.
    """
    weight = layer.weight_like
    if layer.options.layer_norm or is_int8(layer._direction_weights(0)):
        return None
    if layer.backend_for(weight.device, weight.dtype) != "native":
        return None
    return PartialStream(layer, batch, inputs)
