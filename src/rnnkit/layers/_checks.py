"""Checks of the arguments that all layers over sequences take."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch

from ..errors import ShapeError
from ..ops.backend import tracing
from ..ops.state import tensors
from ..types import State
from ._base import RecurrentBase

Tensor = torch.Tensor
Lengths = Tensor | Sequence[int]


def check_lengths(lengths: Lengths, batch: int, time: int) -> Tensor:
    """Return the lengths as int64 [B] on the CPU, each from 1 to T.

    Args:
        lengths: what the user gave.
        batch, time: B and T of the input.

    Raises:
        ShapeError: they are no integers, not one a row, or out of range.
    """
    try:
        lengths = torch.as_tensor(lengths, dtype=None if isinstance(lengths, Tensor) or len(lengths) else torch.int64)
    except (TypeError, ValueError):
        raise ShapeError(f"lengths is {lengths!r}; expected {batch} integers, one a row") from None
    if lengths.shape == (batch, time) and lengths.dtype == torch.bool:
        gaps = (lengths[:, 1:] & ~lengths[:, :-1]).any(1).nonzero()
        raise ShapeError(
            "lengths is a mask; pass the number of valid steps of each row: lengths=mask.sum(1)"
            if len(gaps) == 0
            else f"lengths is a mask that is not right-padded (row {int(gaps[0])} begins or goes on after a gap); move "
            "each row's valid steps to its beginning and pass lengths=mask.sum(1)"
        )
    if lengths.shape != (batch,) or lengths.is_floating_point() or lengths.dtype == torch.bool:
        raise ShapeError(
            f"lengths has shape {tuple(lengths.shape)} and {lengths.dtype}; expected ({batch},) integers, one a row"
        )
    lengths = lengths.to("cpu", torch.int64, copy=True)  # the user may change them before the backward pass
    if batch > 0 and not tracing() and not torch._C._functorch.is_functorch_wrapped_tensor(lengths):
        low, high = int(lengths.min()), int(lengths.max())
        if low < 1 or high > time:
            raise ShapeError(
                f"lengths run from {low} to {high}; expected 1 to {time}, the steps of the input. "
                "Leave out rows that have no step"
            )
    return lengths


def check_resets(resets: Tensor, batch: int, time: int, bidirectional: bool) -> Tensor:
    """Return the resets as bool [B, T].

    Args:
        resets: what the user gave.
        batch, time: B and T of the input.
        bidirectional: whether the layer is.

    Raises:
        ShapeError: the layer is bidirectional, or the resets have another shape or are no truth values.
    """
    if bidirectional:
        raise ShapeError("resets have no meaning for a bidirectional layer; split the rows at the resets instead")
    resets = torch.as_tensor(resets)
    if resets.shape != (batch, time):
        raise ShapeError(f"resets has shape {tuple(resets.shape)}; expected (batch, time) = ({batch}, {time})")
    if resets.is_floating_point() or resets.is_complex():
        raise ShapeError(f"resets is {resets.dtype}; expected bool: pass resets.bool()")
    return resets.to(torch.bool, copy=True)  # see check_lengths


def described(value: object) -> str:
    """Describe a value for a message: a tensor by its shape, anything else by its type."""
    return f"a tensor of shape {tuple(value.shape)}" if isinstance(value, Tensor) else f"a {type(value).__name__}"


def check_input(x: Tensor, layer: RecurrentBase) -> None:
    """Raise ShapeError unless x is [T, B, I] (or [B, T, I]) with the layer's features, device and dtype."""
    layout = "(batch, time, features)" if layer.batch_first else "(time, batch, features)"
    if x.dim() != 3:
        raise ShapeError.of("input", tuple(x.shape), f"; expected {layout}, or (time, features) unbatched")
    if x.shape[2] != layer.input_size:
        raise ShapeError.of(
            "input",
            tuple(x.shape),
            f", read as {layout}; expected {layer.input_size} features. "
            f"Build the layer with input_size={x.shape[2]} or check the order of the axes",
        )
    if x.shape[1 if layer.batch_first else 0] == 0:
        raise ShapeError.of("input", tuple(x.shape), f", read as {layout}: it has no time step")
    weight = layer.weight_like
    if x.device != weight.device:
        raise ShapeError(f"input is on {x.device} and the layer on {weight.device}; move one with .to(...)")
    if x.dtype != weight.dtype:
        raise ShapeError(f"input is {x.dtype} and the layer's weights are {weight.dtype}; convert one with .to(dtype)")


def check_state(state: State, layer: RecurrentBase, batch: int, x: Tensor) -> None:
    """Raise ShapeError unless the state has the layer's shapes for this batch, and the device and dtype of x."""
    expected = [tuple(leaf.shape) for leaf in tensors(layer.initial_state(batch, "meta"))]
    if not isinstance(state, Tensor | tuple | list) or any(not isinstance(leaf, Tensor) for leaf in _flat(state)):
        raise ShapeError(f"hx is {type(state).__name__}; expected the layer's state, tensors of {expected}")
    shapes = [tuple(leaf.shape) for leaf in tensors(state)]
    if shapes != expected or isinstance(state, Tensor) != (len(expected) == 1):
        form = "a tensor" if len(expected) == 1 else "a tuple of tensors"
        raise ShapeError(f"hx has shapes {shapes}; expected {form} of {expected} for a batch of {batch}")
    for leaf in tensors(state):
        if leaf.device != x.device:
            raise ShapeError(f"hx is on {leaf.device} and the input on {x.device}; move one with .to(...)")
        if leaf.dtype != x.dtype:
            raise ShapeError(f"hx is {leaf.dtype} and the input {x.dtype}; convert one with .to(dtype)")


def _flat(state: Any) -> list[Any]:
    return [leaf for part in state for leaf in _flat(part)] if isinstance(state, tuple | list) else [state]
