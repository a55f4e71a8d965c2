"""Single steps of recurrent and linear layers, without gradients and with the least work."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable
from typing import Any

import torch

from ..errors import BackendError
from ..layers._recurrent import RecurrentLayer
from ..layers.sequence_adapters import SequenceInterface
from ..ops.backend import tracing, transforming
from ..ops.native_linear import packed_linear
from ..types import State

Tensor = torch.Tensor
_MOST = 12  # packed layers that are kept: layers times numbers of rows


class LayerSteps:
    """Run single steps of layers by packed copies of their weights, which are kept until the weights change.

    A call of a layer packs its weights anew, or reads them in an order of their own: either takes longer than a step of
    a few rows. A copy of this object, pickled ones too, is empty.

    Example:
        >>> import rnnkit
        >>> layer, steps = rnnkit.GRU(3, 5), LayerSteps()
        >>> x, state = torch.randn(2, 3), layer.initial_state(2)
        >>> with torch.no_grad():
        ...     y, after = steps.recurrent(layer, x, state)
        >>> bool(torch.allclose(y, layer.step(x, state)[0], atol=1e-6))
        True
    """

    def __init__(self) -> None:
        self._kept: OrderedDict[tuple[Any, ...], tuple[Any, Any]] = OrderedDict()
        self._lock = threading.Lock()

    def __reduce__(self) -> Any:
        return LayerSteps, ()

    def recurrent(self, layer: RecurrentLayer, x: Tensor, state: State) -> tuple[Tensor, State] | None:
        """Return the output [B, F] of layer.step(x, state) and the next state, or None where the core cannot serve.

        Args:
            layer: it runs in one direction.
            x: [B, I].
            state: it is left as it is.
        """

        def make() -> Any:
            try:
                return layer.stream(len(x)) if layer.backend_for(x.device, x.dtype) == "native" else None
            except BackendError:
                return None

        with self._lock:
            stream = self._packed(layer, x, make)
            return None if stream is None else stream.step_from(state, x)

    def linear(self, layer: torch.nn.Module, x: Tensor) -> Tensor:
        """Return layer(x) of a few rows x [R, F]."""
        with self._lock:
            packed = self._packed(layer, x, lambda: packed_linear(layer, len(x)))
        found: Tensor = layer(x) if packed is None else packed(x)
        return found

    def _packed(self, layer: Any, x: Tensor, make: Callable[[], Any]) -> Any:
        """What was packed of a layer for so many rows, anew where its weights changed; None: nothing can be."""
        if tracing() or transforming() or torch.is_autocast_enabled(x.device.type):
            return None
        stands: list[Any] = [getattr(layer, "backend", None), bool(layer._forward_hooks or layer._forward_pre_hooks)]
        for weight in _weights(layer):
            if weight.is_inference():  # it does not tell whether it changes
                return None
            stands += (weight.data_ptr(), weight._version)
        key = id(layer), x.shape, x.dtype
        kept = self._kept.get(key)
        if kept is None or kept[0] != stands:
            kept = self._kept[key] = stands, make()
            if len(self._kept) > _MOST:
                self._kept.popitem(last=False)
        self._kept.move_to_end(key)
        return kept[1]


def step_layer(
    steps: LayerSteps, layers: SequenceInterface, x: Tensor, state: State, *, gradients: bool
) -> tuple[Tensor, State]:
    """Run some steps x [B, T, I] of a layer; a single one without gradients by `steps`, where the layer has streams."""
    module = getattr(layers, "module", None)
    if not gradients and x.shape[1] == 1 and isinstance(module, RecurrentLayer):
        found = steps.recurrent(module, x[:, 0], state)
        if found is not None:
            return found[0][:, None], found[1]
    return layers.forward_chunk(x, state)


def _weights(layer: torch.nn.Module) -> list[Tensor]:
    """The parameters of a layer; without modules in it (an adapter's) they are found without a walk."""
    if layer._modules:
        return list(layer.parameters())
    return [one for one in layer._parameters.values() if one is not None]
