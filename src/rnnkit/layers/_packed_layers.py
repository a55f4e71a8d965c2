"""What every kind of stream is made of: a copy of the layer, its packed weights, and a state that stays in place."""

from __future__ import annotations

import copy
from typing import Any

import torch
from torch.nn.utils import parametrize, prune
from torch.nn.utils.spectral_norm import SpectralNorm
from torch.nn.utils.weight_norm import WeightNorm

from ..errors import ShapeError
from ..ops.native_stream import NativeStream
from ..ops.state import map_state, reorder, reset, tensors
from ..types import State
from ._base import RecurrentBase
from ._stack import state_row

Tensor = torch.Tensor
_WEIGHT_HOOKS = (WeightNorm, SpectralNorm, prune.BasePruningMethod)  # they set weights before a call


class StreamState:
    """A state that steps change in place.

    Args:
        initial: the state before the first step.
        batch_axis: the axis of the batch in its tensors.
    """

    def __init__(self, initial: State, batch_axis: int) -> None:
        self._initial: State = map_state(torch.clone, initial)
        self._state: State = map_state(torch.clone, initial)
        self._batch_axis = batch_axis

    @property
    def own_state(self) -> State:
        """The state itself, of which `state` is a copy; what is written into it takes effect at the next step."""
        return self._state

    @property
    def state(self) -> State:
        """A copy of the state after the last step, in the layer's shapes. Assign a state to continue from it."""
        return map_state(torch.clone, self._state)

    @state.setter
    def state(self, state: State) -> None:
        own, given = tensors(self._state), tensors(state)
        expected, shapes = ([tuple(leaf.shape) for leaf in leaves] for leaves in (own, given))
        if expected != shapes:
            raise ShapeError(f"state has shapes {shapes}; expected {expected}, those of this stream")
        with torch.no_grad():
            for to, leaf in zip(own, given, strict=True):
                to.copy_(leaf)

    def reset(self, mask: Tensor | None = None) -> None:
        """Put the rows where ``mask`` (bool [B]) is true, or all of them, back to the initial state."""
        self.state = self._initial if mask is None else reset(self._state, mask, self._initial)

    def reorder(self, index: Tensor) -> None:
        """Let row ``index[i]`` continue as row i, as beam search needs.

        Args:
            index: integers [B], as many as the stream has rows.
        """
        self.state = reorder(self._state, index, self._batch_axis)


def is_watched(layer: torch.nn.Module) -> bool:
    """Return whether a hook sees or changes what goes into a layer or comes out; packed weights call none."""
    before = any(not isinstance(hook, _WEIGHT_HOOKS) for hook in layer._forward_pre_hooks.values())
    return before or bool(layer._forward_hooks)


def snapshot(layer: RecurrentBase) -> RecurrentBase:
    """Return a copy of the layer in evaluation mode, with plain weights: those that a call would use now."""
    # Hooks of weight_norm, spectral_norm and pruning set weights that have a graph, which PyTorch refuses to copy.
    computed = [value for value in vars(layer).values() if isinstance(value, Tensor) and not value.is_leaf]
    frozen = copy.deepcopy(layer, {id(weight): weight.detach().clone() for weight in computed})
    frozen.eval().requires_grad_(False)
    with torch.no_grad():
        for hook in frozen._forward_pre_hooks.values():
            if isinstance(hook, _WEIGHT_HOOKS):
                hook(frozen, ())
        if parametrize.is_parametrized(frozen):
            # By hand: parametrize.remove_parametrizations changes the class, which the copy shares with the layer.
            plain: Any = parametrize.type_before_parametrizations(frozen)
            parametrizations: Any = frozen._modules.pop("parametrizations")
            weights = {name: parametrization() for name, parametrization in parametrizations.items()}
            frozen.__class__ = plain
            for name, weight in weights.items():
                frozen.register_parameter(name, torch.nn.Parameter(weight.clone()))
    for name, hooks in vars(frozen).items():
        if name.endswith("_hooks") and isinstance(hooks, dict):
            hooks.clear()  # a stream calls none of them, and pickle refuses local functions
    return frozen.requires_grad_(False)


def pack_layers(
    layer: RecurrentBase, state: State, batch: int, inputs: int | None = None, added: Tensor | None = None
) -> NativeStream:
    """Pack the layers of ``layer``, of one direction, for the native core, with ``state`` as its state buffers.

    Args:
        layer, state, batch: see above.
        inputs: so many inputs of the first layer are multiplied; None: all.
        added: what is added to W x of the first layer, see :class:`rnnkit.layers._partial_stream.PartialStream`.
    """
    inputs = layer.input_size if inputs is None else inputs
    stream = NativeStream(batch, inputs, layer.weight_like.dtype)
    for index in range(layer.num_layers):
        _add_layer(stream, layer, state, index, inputs=inputs, added=added if index == 0 else None)
    return stream


def pack_direction(layer: RecurrentBase, state: State, batch: int, index: int, *, reverse: bool) -> NativeStream:
    """Pack one layer in one direction, which reads the inputs in the order in which it gets them.

    Args:
        layer, state, batch: as for `pack_layers`; the layer may run in both directions.
        index: of the layer.
        reverse: whether it is the direction from the last step to the first.
    """
    features = layer.input_size if index == 0 else layer.output_size
    stream = NativeStream(batch, features, layer.weight_like.dtype)
    _add_layer(stream, layer, state, index, reverse=reverse)
    return stream


def _add_layer(
    stream: NativeStream,
    layer: RecurrentBase,
    state: State,
    index: int,
    *,
    reverse: bool = False,
    inputs: int | None = None,
    added: Tensor | None = None,
) -> None:
    own = tensors(state_row(state, layer.num_directions * index + reverse))
    options = layer._direction_options(stream.output, len(stream.output), 1, index, reverse)
    weights = layer._direction_weights(index, reverse)
    if added is not None:
        weights = weights._replace(w_ih=weights.w_ih[:, :inputs])
    stream.add(layer.kernel, layer.kernel_variant, weights, own, options, added)
