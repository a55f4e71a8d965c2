"""Checks at the door that every layer over sequences shares."""

from __future__ import annotations

from collections.abc import Sequence

import torch

from ..errors import ShapeError
from ..ops.backend import tracing

Tensor = torch.Tensor
Lengths = Tensor | Sequence[int]


def check_lengths(lengths: Lengths, batch: int, time: int) -> Tensor:
    """Lengths as int64 [B] on the CPU, each from 1 to T.

    Raises:
        ShapeError: they are no integers, not one a row, or out of range.
    """
    try:
        lengths = torch.as_tensor(lengths, dtype=None if isinstance(lengths, Tensor) or len(lengths) else torch.int64)
    except (TypeError, ValueError):
        raise ShapeError(f"lengths is {lengths!r}; expected {batch} integers, one a row") from None
    if lengths.shape == (batch, time) and lengths.dtype == torch.bool:
        left = (lengths[:, 1:] & ~lengths[:, :-1]).any(1).nonzero()
        raise ShapeError(
            "lengths is a mask; pass the number of valid steps of each row: lengths=mask.sum(1)"
            if len(left) == 0
            else f"lengths is a mask that is not right-padded (row {int(left[0])} begins or goes on after a gap); move "
            "each row's valid steps to its beginning and pass lengths=mask.sum(1)"
        )
    if lengths.shape != (batch,) or lengths.is_floating_point() or lengths.dtype == torch.bool:
        raise ShapeError(
            f"lengths has shape {tuple(lengths.shape)} and {lengths.dtype}; expected ({batch},) integers, one a row"
        )
    lengths = lengths.to("cpu", torch.int64)
    if not tracing() and batch > 0:
        low, high = int(lengths.min()), int(lengths.max())
        if low < 1 or high > time:
            raise ShapeError(
                f"lengths run from {low} to {high}; expected 1 to {time}, the steps of the input. "
                "Leave out rows that have no step"
            )
    return lengths


def check_resets(resets: Tensor, batch: int, time: int, bidirectional: bool) -> Tensor:
    """Resets as bool [B, T].

    Raises:
        ShapeError: the layer is bidirectional, or they have another shape or are no truth values.
    """
    if bidirectional:
        raise ShapeError("resets have no meaning for a bidirectional layer; split the rows at the resets instead")
    resets = torch.as_tensor(resets)
    if resets.shape != (batch, time):
        raise ShapeError(f"resets has shape {tuple(resets.shape)}; expected (batch, time) = ({batch}, {time})")
    if resets.is_floating_point() or resets.is_complex():
        raise ShapeError(f"resets is {resets.dtype}; expected bool: pass resets.bool()")
    return resets.bool()


def described(value: object) -> str:
    """What arrived, for messages: a tensor by its shape, anything else by its type."""
    return f"a tensor of shape {tuple(value.shape)}" if isinstance(value, Tensor) else f"a {type(value).__name__}"
