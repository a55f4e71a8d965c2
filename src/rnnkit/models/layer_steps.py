"""Single steps and short sequences of recurrent and linear layers, without gradients and with the least work."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable, Iterable
from functools import partial
from typing import Any, NamedTuple, cast

import torch

from ..errors import BackendError
from ..layers._adapters import Result
from ..layers._both_directions import BothDirections
from ..layers._checks import Lengths, check_lengths
from ..layers._packed_layers import is_watched
from ..layers._partial_stream import PartialStream, partial_stream
from ..layers._recurrent import RecurrentLayer
from ..layers.chain import Chain
from ..layers.sequence_adapters import Chained, SequenceInterface
from ..ops.backend import tracing, transforming
from ..ops.native_linear import NativeLinear, packed_columns, packed_linear
from ..types import State
from .product_rows import ProductRows, product_rows

Tensor = torch.Tensor
_MOST = 16  # packed layers that are kept: layers times numbers of rows
_FEW = 16  # rows times steps up to which steps one by one take less time than a call, which packs the weights anew
_WEIGHTS_A_ROW = 10_000  # likewise for both directions: as many as are packed while a row takes a step by itself


class LayerSteps:
    """Run single steps of layers by packed copies of their weights, which are kept until the weights change.

    A call of a layer packs its weights anew, or reads them in an order of their own: either takes longer than a step of
    a few rows. A copy of this object, pickled ones too, is empty. What is written to a weight through its attribute
    ``data`` counts as no change, as everywhere in PyTorch.

    Example:
        >>> import rnnkit
        >>> layer, steps = rnnkit.GRU(3, 5), LayerSteps()
        >>> x, state = torch.randn(2, 4, 3), layer.initial_state(2)
        >>> with torch.no_grad():
        ...     y, after = steps.recurrent(layer, x, state)
        >>> bool(torch.allclose(y, layer(x.transpose(0, 1))[0].transpose(0, 1), atol=1e-6))
        True
    """

    def __init__(self) -> None:
        self._kept: OrderedDict[tuple[Any, ...], Packed] = OrderedDict()
        self._lock = threading.Lock()

    def __reduce__(self) -> Any:
        return LayerSteps, ()

    def recurrent(self, layer: RecurrentLayer, x: Tensor, state: State) -> tuple[Tensor, State] | None:
        """Return the outputs [B, T, F] of the steps from a state on and the state behind them.

        Args:
            layer: it runs in one direction.
            x: [B, T, I].
            state: it is left as it is.

        Returns:
            None where the core cannot serve.
        """
        with self._lock:
            stream = self._packed(layer, x[:, 0], _stream).made
            return None if stream is None else stream.steps_from(state, x)

    def sequences(self, layer: RecurrentLayer, x: Tensor) -> tuple[Tensor, State] | None:
        """Return the outputs [B, T, F] of sequences without padding, and the state behind them.

        Args:
            layer: it runs in both directions.
            x: [B, T, I], T from 1 on.

        Returns:
            None where the core cannot serve.
        """
        with self._lock:
            both = self._packed(layer, x[:, 0], _both_directions).made
            return None if both is None else both(x)

    def linear(self, layer: torch.nn.Module, x: Tensor) -> Tensor:
        """Return layer(x) of a few rows x [R, F]."""
        found: Tensor = self.packed(layer, x)(x)
        return found

    def products(self, embedding: torch.nn.Embedding, layer: RecurrentLayer, weight: Tensor) -> ProductRows | None:
        """Return W e_i of the embeddings e_i, which is kept as packed layers are.

        Args:
            embedding: of the e_i.
            layer: that W belongs to.
            weight: W of its first layer, as a stream of the layer has it.

        Returns:
            None where the products are not kept.
        """
        with self._lock:
            made = self._packed(layer, weight, lambda *_: product_rows(embedding.weight, weight), beside=embedding).made
            return cast("ProductRows | None", made)

    def columns(self, layer: torch.nn.Module, x: Tensor) -> NativeLinear | None:
        """Return what multiplies x [R, F] by the first F columns of a linear layer's weight, or None."""
        with self._lock:
            return cast("NativeLinear | None", self._packed(layer, x, _columns, partial=True).made)

    def packed(self, layer: torch.nn.Module, x: Tensor) -> Callable[[Tensor], Tensor]:
        """Return what computes layer(x) of a few rows x [R, F] in the least time; it may be used again and again."""
        with self._lock:
            made = self._packed(layer, x, _linear).made
        return layer if made is None else made

    def lease(self, layer: RecurrentLayer, x: Tensor, *, partial: bool = False) -> Packed | None:
        """Take a stream of a layer for rows as x [B, I], which nobody else then has; None where the core cannot serve.

        `give_back` puts it back. What was packed of the layer is kept, so the next one needs no packing.

        Args:
            layer: it runs in one direction.
            x: its shape and type matter alone.
            partial: whether x are the first of the inputs alone, see
                :class:`rnnkit.layers._partial_stream.PartialStream`.
        """
        with self._lock:
            found = self._packed(layer, x, _partial_stream if partial else _stream, partial=partial)
            self._kept.pop(found.key, None)
        return None if found.made is None else found

    def give_back(self, leased: Iterable[Packed]) -> None:
        """Keep what `lease` gave."""
        with self._lock:
            self._kept.update((one.key, one) for one in leased)
            while len(self._kept) > _MOST:
                self._kept.popitem(last=False)

    def _packed(
        self,
        layer: Any,
        x: Tensor,
        make: Callable[[Any, Tensor], Any],
        *,
        partial: bool = False,
        beside: torch.nn.Module | None = None,
    ) -> Packed:
        """What was packed of a layer for so many rows, anew where weights of it or of a layer beside it changed."""
        key = id(layer), x.shape, x.dtype, partial, id(beside)
        if tracing() or transforming() or torch.is_autocast_enabled(x.device.type):
            return Packed(key, [], layer, None)
        weights = _weights(layer) + ([] if beside is None else _weights(beside))
        stands: list[Any] = [
            getattr(layer, "backend", None),
            is_watched(layer),
        ]
        for weight in weights:
            if weight.is_inference():  # it does not tell whether it changes
                return Packed(key, [], layer, None)
            stands += (weight.data_ptr(), weight._version)
        kept = self._kept.get(key)
        if kept is None or kept.stands != stands:
            kept = self._kept[key] = Packed(key, stands, (layer, beside, weights), make(layer, x))
            if len(self._kept) > _MOST:
                self._kept.popitem(last=False)
        self._kept.move_to_end(key)
        return kept


class Packed(NamedTuple):
    """What was packed of a layer.

    Attributes:
        key: the layer, the shape and type of its inputs.
        stands: the addresses and versions of its weights then.
        alive: the layers and these weights, so that no others get their addresses.
        made: the stream or the packed product; None where the core cannot serve.
    """

    key: tuple[Any, ...]
    stands: list[Any]
    alive: Any
    made: Any


def step_layer(
    steps: LayerSteps, layers: SequenceInterface, x: Tensor, state: State, *, gradients: bool
) -> tuple[Tensor, State]:
    """Run some steps x [B, T, I] of a layer; few of them without gradients by `steps`, where the layer has streams."""
    if gradients:
        return layers.forward_chunk(x, state)
    if isinstance(layers, Chain):
        layers = layers._chained()
    if isinstance(layers, Chained):
        return layers.each(partial(step_layer, steps, gradients=False), x, state)
    module = getattr(layers, "module", None)
    if isinstance(module, RecurrentLayer) and (x.shape[1] == 1 or x.shape[:2].numel() <= _FEW):
        found = steps.recurrent(module, x, state)
        if found is not None:
            return found
    return layers.forward_chunk(x, state)


def read_sequences(
    steps: LayerSteps, layers: SequenceInterface, x: Tensor, lengths: Lengths | None, *, gradients: bool
) -> Result:
    """Run whole sequences x [B, T, I]; short ones without gradients by `steps`, where the layer has both directions."""
    module = getattr(layers, "module", None)
    if not gradients and isinstance(module, RecurrentLayer) and module.bidirectional and _short(module, x, lengths):
        found = steps.sequences(module, x)
        if found is not None:
            return found[0], lengths, found[1]
    return layers(x, lengths)


def _short(layer: RecurrentLayer, x: Tensor, lengths: Lengths | None) -> bool:
    """Return whether a call on x [B, T, I] would spend most of its time on packing; no row may have padding."""
    batch, time, features = x.shape
    weights = sum(map(torch.numel, _weights(layer))) // layer.num_layers
    if features != layer.input_size or not 0 < batch * time <= max(_FEW, weights // _WEIGHTS_A_ROW):
        return False
    if tracing() or transforming():
        return False
    return lengths is None or bool((check_lengths(lengths, batch, time) == time).all())


def _served(layer: RecurrentLayer, x: Tensor) -> bool:
    """Return whether the core serves a layer on rows as x, and no hook asks for calls."""
    if is_watched(layer):
        return False
    try:
        return layer.backend_for(x.device, x.dtype) == "native"
    except BackendError:
        return False


def _stream(layer: RecurrentLayer, x: Tensor) -> Any:
    return layer.stream(len(x)) if _served(layer, x) else None


def _partial_stream(layer: RecurrentLayer, x: Tensor) -> PartialStream | None:
    return partial_stream(layer, *x.shape) if _served(layer, x) else None


def _both_directions(layer: RecurrentLayer, x: Tensor) -> BothDirections | None:
    return BothDirections(layer, len(x)) if x.dtype == layer.weight_like.dtype and _served(layer, x) else None


def _linear(layer: torch.nn.Module, x: Tensor) -> Any:
    return packed_linear(layer, len(x))


def _columns(layer: torch.nn.Module, x: Tensor) -> NativeLinear | None:
    return packed_columns(layer, *x.shape)


def _weights(layer: torch.nn.Module) -> list[Tensor]:
    """The weights of a layer; without modules in it (an adapter's) they are found without a walk."""
    if layer._modules:
        return [*layer.parameters(), *layer.buffers()]
    return [one for one in (*layer._parameters.values(), *layer._buffers.values()) if one is not None]
