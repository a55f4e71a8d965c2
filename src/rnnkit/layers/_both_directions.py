"""Short sequences through a layer of both directions, by weights that were packed once."""

from __future__ import annotations

from typing import Any

import torch

from ..ops.native_stream import NativeStream
from ..types import State
from ._base import RecurrentBase
from ._packed_layers import StreamState, pack_direction, snapshot

Tensor = torch.Tensor


class BothDirections(StreamState):
    """Run whole sequences, one step after the other in each direction; every row has all its steps.

    A call of the layer packs its weights anew, which takes longer than the steps of a sentence.

    Legend: B batch, T time, I input, L layers, D = 2 directions, P projected (H without a projection).

    Args:
        layer: it runs in both directions, and the native core serves it; later changes of its weights do not reach
            this object. Dropout is off and zoneout takes its expectation.
        batch: B.

    Example:
        >>> import torch, rnnkit
        >>> layer, x = rnnkit.GRU(3, 5, batch_first=True, bidirectional=True), torch.randn(2, 7, 3)
        >>> y, state = BothDirections(layer, batch=2)(x)
        >>> torch.allclose(y, layer(x)[0], atol=1e-6)
        True
    """

    def __init__(self, layer: RecurrentBase, batch: int) -> None:
        with torch.inference_mode(False):  # buffers made inside it could not be written outside
            frozen = snapshot(layer)
            super().__init__(frozen.initial_state(batch), frozen.state_batch_axis)
            self._layers = [
                [pack_direction(frozen, self._state, batch, index, reverse=reverse) for reverse in (False, True)]
                for index in range(frozen.num_layers)
            ]

    def __call__(self, x: Tensor) -> tuple[Tensor, State]:
        """Return the outputs [B, T, D·P] of x [B, T, I], and the state [L·D, B, ...] after them."""
        self.reset()
        for forward, backward in self._layers:
            steps = x.unbind(1)
            y = [_outputs(forward, steps), _outputs(backward, steps[::-1])[::-1]]
            x = torch.cat([torch.stack(one, 1) for one in y], 2)
        return x, self.state

    def __reduce__(self) -> tuple[Any, ...]:
        raise TypeError("packed weights are made anew, not copied")


def _outputs(stream: NativeStream, steps: tuple[Tensor, ...]) -> list[Tensor]:
    found = []
    for x in steps:
        stream.step(x)
        found.append(stream.output.clone())
    return found
