"""Single steps of recurrent layers, from a state to the next, without gradients and with the least work."""

from __future__ import annotations

import threading
from collections import OrderedDict
from typing import Any

import torch

from ..errors import BackendError
from ..layers._recurrent import RecurrentLayer
from ..layers.sequence_adapters import SequenceInterface
from ..types import State

Tensor = torch.Tensor
_MOST = 8  # streams that are kept: layers times numbers of rows


class LayerSteps:
    """Run y, s' = layer.step(x, s) by a stream of the layer, whose packed weights are kept until the weights change.

    A call of a layer packs its weights anew, which takes longer than a step of a few rows. A copy of this object,
    pickled ones too, is empty.

    Example:
        >>> import rnnkit
        >>> layer, steps = rnnkit.GRU(3, 5), LayerSteps()
        >>> x, state = torch.randn(2, 3), layer.initial_state(2)
        >>> with torch.no_grad():
        ...     y, after = steps(layer, x, state)
        >>> bool(torch.allclose(y, layer.step(x, state)[0], atol=1e-6))
        True
    """

    def __init__(self) -> None:
        self._kept: OrderedDict[tuple[int, int], tuple[Any, Any]] = OrderedDict()
        self._lock = threading.Lock()

    def __reduce__(self) -> Any:
        return LayerSteps, ()

    def __call__(self, layer: RecurrentLayer, x: Tensor, state: State) -> tuple[Tensor, State]:
        """Return the output [B, F] and the next state; `state` is left as it is."""
        with self._lock:
            stream = self._stream(layer, len(x))
            stream.state = state
            return stream(x), stream.state

    def _stream(self, layer: RecurrentLayer, batch: int) -> Any:
        key, now = (id(layer), batch), [(one.data_ptr(), one._version) for one in layer.parameters()]
        kept = self._kept.get(key)
        if kept is None or kept[0] != (now, layer.backend):
            kept = (now, layer.backend), layer.stream(batch)
            self._kept[key] = kept
            if len(self._kept) > _MOST:
                self._kept.popitem(last=False)
        self._kept.move_to_end(key)
        return kept[1]


def step_layer(
    steps: LayerSteps, layers: SequenceInterface, x: Tensor, state: State, *, gradients: bool
) -> tuple[Tensor, State]:
    """Run some steps x [B, T, I] of a layer; a single one without gradients by `steps`, where the layer has streams."""
    module = getattr(layers, "module", None)
    if gradients or x.shape[1] != 1 or not isinstance(module, RecurrentLayer) or _is_unfit(module, x):
        return layers.forward_chunk(x, state)
    y, state = steps(module, x[:, 0], state)
    return y[:, None], state


def _is_unfit(layer: RecurrentLayer, x: Tensor) -> bool:
    """Whether the core cannot serve, or the weights do not tell whether they change."""
    if any(one.is_inference() for one in layer.parameters()):
        return True
    try:
        return layer.backend_for(x.device, x.dtype) != "native" or torch.is_autocast_enabled(x.device.type)
    except BackendError:
        return True
