"""Streams: a recurrent layer one step at a time, with the least work a step."""

from __future__ import annotations

import time
from statistics import median
from typing import Any

import torch

from ..errors import BackendError, ConfigError, ShapeError
from ..ops.state import map_state
from ..types import State
from ._base import RecurrentBase
from ._packed_layers import StreamState, pack_layers, snapshot
from .description import short_repr

Tensor = torch.Tensor


class Stream(StreamState):
    """Run h_t = layer.step(x_t, h_{t-1}) and hold the state; ``layer.stream(batch)`` makes one.

    On the native core a step is one call. The weights were packed when the stream was made, so later changes of the
    layer's weights do not reach the stream. Small steps stay on the calling thread. Dropout is off and zoneout takes
    its expectation, also where the layer is in training mode. Where the core cannot serve (other devices and dtypes)
    the same object runs the layer's equations.

    Every step returns a new tensor. With ``reuse_output`` every step returns the same buffer and overwrites it; on the
    native core such a step allocates nothing.

    A stream can be copied and pickled, with its state and its own weights.

    Several threads may each have a stream. If two share one, their steps run one after the other, in no fixed order.

    Legend: B batch, I input, H hidden, L layers, P projected (H without a projection).

    Example:
        >>> import rnnkit
        >>> layer, x = rnnkit.LSTM(3, 5), torch.randn(7, 2, 3)
        >>> stream = layer.stream(batch=2)
        >>> outputs = torch.stack([stream(x_t) for x_t in x])
        >>> bool(torch.allclose(outputs, layer(x)[0], atol=1e-5))
        True
    """

    def __init__(self, layer: RecurrentBase, batch: int, *, reuse_output: bool = False) -> None:
        if layer.bidirectional:
            raise BackendError("a bidirectional layer needs the whole sequence and has no stream: call layer(x)")
        if isinstance(batch, bool) or not isinstance(batch, int) or batch < 1:
            raise ConfigError(f"batch={batch!r}; expected the number of rows that step together, at least 1")
        self._reuse_output = reuse_output
        weight = layer.weight_like
        self._shape, self._dtype, self._device = (batch, layer.input_size), weight.dtype, weight.device
        with torch.inference_mode(False):  # buffers made inside it could not be written outside
            self._build(layer, batch)

    def _build(self, layer: RecurrentBase, batch: int) -> None:
        weight = layer.weight_like
        frozen = self._layer = snapshot(layer)
        super().__init__(frozen.initial_state(batch), frozen.state_batch_axis)
        served = layer.backend_for(weight.device, weight.dtype) == "native"
        self._native = pack_layers(frozen, self._state, batch) if served else None
        self._output = weight.new_empty(batch, layer.output_size) if self._native is None else self._native.output

    def __call__(self, x: Tensor) -> Tensor:
        """Run one step.

        Args:
            x: [B, I], of the layer's dtype and device.

        Returns:
            the output [B, P]; with ``reuse_output`` in the stream's buffer, which the next step overwrites.

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
            x = x.clone()  # the stream's own buffer as input
        if self._native is not None:
            self._native.step(x)
        else:
            with torch.no_grad():
                output, following = self._layer.step(x, self._state)
                map_state(torch.Tensor.copy_, self._state, following)
                self._output.copy_(output)
        return self._output if self._reuse_output else self._output.clone()

    def advance(self, x: Tensor) -> Tensor:
        """As a call, unchecked: x [B, I] must fit, and the next step overwrites what is returned."""
        if self._native is None:
            return self(x)
        self._native.step(x)
        return self._output

    def __repr__(self) -> str:
        batch, serving = self._shape[0], self._layer.backend if self._native is None else "native"
        shared = ", reuse_output=True" if self._reuse_output else ""
        return f"Stream({short_repr(self._layer)}, batch={batch}{shared}), computed by {serving}"

    def __reduce__(self) -> tuple[Any, ...]:
        """What ``copy.deepcopy`` and ``pickle`` make a stream from: the native core packs the weights again."""
        return _rebuilt, (self._layer, self._shape[0], self._reuse_output, self.state)

    def steps_from(self, state: State, x: Tensor) -> tuple[Tensor, State]:
        """Take steps x [B, T, I] from a state, which is left as it is; return the outputs and the state after them."""
        self.state = state
        return torch.stack([self(one) for one in x.unbind(1)], 1), self.state

    def seconds_per_step(self, x: Tensor, repeats: int = 1000) -> float:
        """Measure the median time of a step on x [B, I], inside the core where it serves; the state moves on.

        Args:
            x: [B, I].
            repeats: the number of steps.

        Raises:
            ConfigError: ``repeats`` is below 1.
        """
        if repeats < 1:
            raise ConfigError(f"repeats={repeats!r}; expected at least 1")
        self(x)
        if self._native is not None:
            return self._native.seconds_per_step(x, repeats)
        seconds = []
        for _ in range(repeats):
            begin = time.perf_counter()
            self(x)
            seconds.append(time.perf_counter() - begin)
        return median(seconds)


def _rebuilt(layer: RecurrentBase, batch: int, reuse_output: bool, state: State) -> Stream:
    stream = Stream(layer, batch, reuse_output=reuse_output)
    stream.state = state
    return stream
