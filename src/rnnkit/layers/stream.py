"""Streams: one step at a time, as fast as the machine can."""

from __future__ import annotations

import copy
import time
from statistics import median
from typing import TYPE_CHECKING

import torch

from ..errors import BackendError, ConfigError, ShapeError
from ..ops.native_stream import NativeStream
from ..ops.state import map_state, reset, tensors
from ..types import State

if TYPE_CHECKING:
    from ._recurrent import RecurrentLayer

Tensor = torch.Tensor


class Stream:
    """h_t = layer.step(x_t, h_{t-1}) on buffers of its own; made by ``layer.stream(batch)``.

    On the native core a step is one call: the weights were packed when the stream was made, nothing is allocated, small
    steps stay on the calling thread. Later changes of the layer's weights do not reach the stream; dropout is off and
    zoneout takes its expectation, whatever mode the layer is in. Where the core does not serve (other devices and
    dtypes) the same object steps through the layer's equations.

    Several threads may each have a stream; two that share one take turns, in no particular order.

    Legend: B batch, I input, H hidden, L layers, P projected (H without a projection).

    Example:
        >>> import rnnkit
        >>> layer = rnnkit.LSTM(3, 5)
        >>> x = torch.randn(7, 2, 3)
        >>> stream = layer.stream(batch=2)
        >>> outputs = torch.stack([stream(x_t).clone() for x_t in x])
        >>> bool(torch.allclose(outputs, layer(x)[0], atol=1e-5))
        True
    """

    def __init__(self, layer: RecurrentLayer, batch: int) -> None:
        if layer.bidirectional:
            raise BackendError("a bidirectional layer needs the whole sequence and has no stream; call the layer")
        if isinstance(batch, bool) or not isinstance(batch, int) or batch < 1:
            raise ConfigError(f"batch={batch!r}; expected the number of rows that step together, at least 1")
        weight = layer.weight_ih_l0
        self._shape, self._dtype, self._device = (batch, layer.input_size), weight.dtype, weight.device
        with torch.inference_mode(False):  # buffers made inside it could not be written outside
            self._build(layer, batch)

    def _build(self, layer: RecurrentLayer, batch: int) -> None:
        weight = layer.weight_ih_l0
        frozen = copy.deepcopy(layer).eval().requires_grad_(False)
        self._initial: State = map_state(torch.clone, frozen.initial_state(batch))
        self._state: State = map_state(torch.clone, self._initial)
        served = layer.backend_for(weight.device, weight.dtype) == "native"
        self._native = _packed(frozen, self._state, batch) if served else None
        self._layer = None if served else frozen
        self._output = weight.new_empty(batch, layer.output_size) if self._native is None else self._native.output

    def __call__(self, x: Tensor) -> Tensor:
        """One step.

        Args:
            x: [B, I], of the layer's dtype and device.

        Returns:
            the output [B, P]: the stream's own buffer, overwritten by the next step; clone what is to be kept.

        Raises:
            ShapeError: x does not fit.
        """
        if not x.is_meta and torch.is_autocast_enabled(x.device.type):
            x = x.to(self._dtype)  # as the layer does
        if x.shape != self._shape or x.dtype != self._dtype or x.device != self._device:
            raise ShapeError(
                f"x is {x.dtype} of shape {tuple(x.shape)} on {x.device}; this stream takes {self._dtype} of shape "
                f"{self._shape} on {self._device}: make another with layer.stream(batch)"
            )
        if x.untyped_storage().data_ptr() == self._output.untyped_storage().data_ptr():
            x = x.clone()  # its own output, fed back
        if self._native is not None:
            self._native.step(x)
        elif self._layer is not None:
            with torch.no_grad():
                output, following = self._layer.step(x, self._state)
                map_state(torch.Tensor.copy_, self._state, following)
                self._output.copy_(output)
        return self._output

    @property
    def state(self) -> State:
        """The state after the last step, as the layer shapes it: a copy. Assign one to go on from there."""
        return map_state(torch.clone, self._state)

    @state.setter
    def state(self, state: State) -> None:
        expected, given = ([tuple(leaf.shape) for leaf in tensors(one)] for one in (self._state, state))
        if expected != given:
            raise ShapeError(f"state has shapes {given}; expected {expected}, those of this stream")
        with torch.no_grad():
            map_state(torch.Tensor.copy_, self._state, state)

    def reset(self, mask: Tensor | None = None) -> None:
        """Puts the rows where ``mask`` (bool [B]) is true, or all of them, back to the initial state."""
        self.state = self._initial if mask is None else reset(self._state, mask, self._initial)

    def seconds_per_step(self, x: Tensor, repeats: int = 1000) -> float:
        """The median time of a step on x [B, I], without what Python adds where the core serves; moves the state on."""
        if repeats < 1:
            raise ConfigError(f"repeats={repeats!r}; expected at least 1")
        self(x)
        if self._native is not None:
            return self._native.seconds_per_step(x, repeats)
        found = []
        for _ in range(repeats):
            begin = time.perf_counter()
            self(x)
            found.append(time.perf_counter() - begin)
        return median(found)


def _packed(layer: RecurrentLayer, state: State, batch: int) -> NativeStream:
    """The layers of ``layer`` on the native core, with the buffers of ``state``."""
    stream = NativeStream(batch, layer.input_size, layer.weight_ih_l0.dtype)
    for index in range(layer.num_layers):
        own = tensors(map_state(lambda leaf, at=index: leaf[at], state))
        options = layer._chosen(stream.output, batch, 1, index, False)
        stream.add(layer.kernel, layer.kind, layer._weights(index), own, options)
    return stream
