"""Checks of pictures, their sizes, and sizes in pixels."""

from __future__ import annotations

from numbers import Integral
from typing import Any

import torch
from torch.nn.utils import parametrize

from ..errors import ConfigError, ShapeError
from ..ops.backend import tracing
from ._checks import Lengths, described

Tensor = torch.Tensor


def pair_of(value: Any, name: str, least: int = 1) -> tuple[int, int]:
    """Return one number of pixels, or a pair (height, width) of them, as a pair.

    Args:
        value: what arrived.
        name: of the argument, for the message.
        least: the smallest number that is taken.

    Raises:
        ConfigError: it is neither.

    Example:
        >>> pair_of(2, "patch"), pair_of([2, 3], "patch")
        ((2, 2), (2, 3))
    """
    pair = (value, value) if isinstance(value, Integral) else value
    if (
        isinstance(pair, tuple | list)
        and len(pair) == 2
        and all(isinstance(one, Integral) and not isinstance(one, bool) and int(one) >= least for one in pair)
    ):
        return int(pair[0]), int(pair[1])
    raise ConfigError.of(name, value, f"expected a whole number of at least {least}, or a pair (height, width) of them")


def check_pixels(x: Any, channels: int, module: torch.nn.Module) -> None:
    """Raise ShapeError where x is no [B, C, H, W] of numbers with that many channels.

    Args:
        x: what arrived.
        channels: C.
        module: what x was given to, for the message.
    """
    name = parametrize.type_before_parametrizations(module).__name__
    expected = f"{name} expects pictures [batch, {channels}, height, width]"
    if not isinstance(x, Tensor):
        raise ShapeError(f"x is {described(x)}; {expected}: torch.as_tensor(x)")
    shape = list(x.shape)
    if x.dim() == 3:
        hint = "x[:, None]" if channels == 1 and shape[0] != 1 else "x[None]"
        raise ShapeError.of("x", shape, f"; {expected}: type {hint}")
    if x.dim() != 4 or x.shape[1] != channels:
        last = ": type x.permute(0, 3, 1, 2)" if x.dim() == 4 and x.shape[3] == channels else ""
        raise ShapeError.of("x", shape, f"; {expected}{last}")
    if 0 in shape[2:]:
        raise ShapeError.of("x", shape, f": it has no pixel; {expected}")
    if not x.is_floating_point():
        raise ShapeError(f"x is {x.dtype}; {name} expects numbers with a fraction: type x.float() / 255")


def check_sizes(
    heights: Lengths | None, widths: Lengths | None, batch: int, height: int, width: int
) -> tuple[Tensor, Tensor] | None:
    """Return heights and widths as int64 [B] on the CPU; None where all pictures are full.

    Args:
        heights, widths: what the user gave; None for all.
        batch, height, width: those of the pictures.

    Raises:
        ShapeError: they are no integers, not one a picture, or out of range.
    """
    if heights is None and widths is None:
        return None
    return (_one_size(heights, "heights", batch, height), _one_size(widths, "widths", batch, width))


def _one_size(sizes: Lengths | None, name: str, batch: int, full: int) -> Tensor:
    if sizes is None:
        return torch.full((batch,), full)
    try:
        found = torch.as_tensor(sizes, dtype=None if batch else torch.int64)  # an empty list would become floats
    except (TypeError, ValueError):
        raise ShapeError(f"{name} is {sizes!r}; expected {batch} integers, one a picture") from None
    if found.shape != (batch,) or found.is_floating_point() or found.dtype == torch.bool:
        raise ShapeError(
            f"{name} has shape {tuple(found.shape)} and {found.dtype}; expected ({batch},) integers, one a picture"
        )
    found = found.to("cpu", torch.int64, copy=True)  # the user may change them before the backward pass
    if batch and not tracing() and (int(found.min()) < 1 or int(found.max()) > full):
        raise ShapeError(
            f"{name} run from {int(found.min())} to {int(found.max())}; expected 1 to {full}, the pixels of the "
            "pictures. Leave out pictures without a pixel"
        )
    return found
