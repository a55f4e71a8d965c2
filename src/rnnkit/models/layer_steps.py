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
from ..ops.backend import native_problem, tracing
from ..ops.native_linear import NativeLinear
from ..types import State

Tensor = torch.Tensor
_MOST = 12  # packed layers that are kept: layers times numbers of rows
_LEAST_WEIGHTS, _MOST_ROWS = 1 << 14, 16  # of a linear layer that is packed; else PyTorch's product is as fast


class LayerSteps:
    """Run y, s' = layer.step(x, s) by a stream of the layer, whose packed weights are kept until the weights change.

    A call of a layer packs its weights anew, which takes longer than a step of a few rows. :meth:`linear` does so with
    linear layers. A copy of this object, pickled ones too, is empty.

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
            stream = self._kept_of(layer, len(x), lambda: layer.stream(len(x)))
            stream.state = state
            return stream(x), stream.state

    def linear(self, layer: torch.nn.Module, x: Tensor) -> Tensor:
        """Return layer(x) of a few rows x [R, F]; other modules than linear ones are called."""
        if type(layer) is not torch.nn.Linear or not _is_worth_packing(layer, x):
            return layer(x)  # type: ignore[no-any-return]
        with self._lock:
            packed = self._kept_of(layer, len(x), lambda: NativeLinear(layer.weight, layer.bias, len(x)))
            return packed(x)  # type: ignore[no-any-return]

    def _kept_of(self, layer: torch.nn.Module, rows: int, make: Callable[[], Any]) -> Any:
        """What was packed of a layer for so many rows; anew where its weights changed."""
        key, now = (id(layer), rows), [(one.data_ptr(), one._version) for one in _weights(layer)]
        kept = self._kept.get(key)
        stands = now, getattr(layer, "backend", None)
        if kept is None or kept[0] != stands:
            kept = stands, make()
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
    if any(one.is_inference() for one in _weights(layer)):
        return True
    try:
        return layer.backend_for(x.device, x.dtype) != "native" or torch.is_autocast_enabled(x.device.type)
    except BackendError:
        return True


def _is_worth_packing(layer: torch.nn.Linear, x: Tensor) -> bool:
    """Whether the core can serve these rows, the product waits for its weights, and nobody watches the layer."""
    weight = layer.weight
    return (
        len(x) <= _MOST_ROWS
        and weight.numel() >= _LEAST_WEIGHTS
        and weight.dtype == x.dtype
        and not weight.is_inference()
        and not (layer._forward_hooks or layer._forward_pre_hooks)
        and not tracing()
        and native_problem(x.device, x.dtype) is None
    )


def _weights(layer: torch.nn.Module) -> list[Tensor]:
    """The parameters of a layer; without modules in it (an adapter's) they are found without a walk."""
    if layer._modules:
        return list(layer.parameters())
    return [one for one in layer._parameters.values() if one is not None]
