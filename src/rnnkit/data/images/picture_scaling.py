"""Pixels scaled down to a longer side.

Legend: C channels, H height, W width.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor


def shrunk_size(height: int, width: int, longest: int | None) -> tuple[int, int]:
    """Return (H, W) with a longer side of at most `longest` pixels, as near to the shape as whole pixels allow.

    Example:
        >>> shrunk_size(30, 40, 20), shrunk_size(30, 40, 50), shrunk_size(30, 40, None)
        ((15, 20), (30, 40), (30, 40))
    """
    if longest is None or max(height, width) <= longest:
        return height, width
    factor = longest / max(height, width)
    return max(round(height * factor), 1), max(round(width * factor), 1)


def shrink(pixels: Tensor, longest: int | None) -> Tensor:
    """Scale pixels [C, H, W], bytes or floats, down to a longer side; smaller ones stay.

    Example:
        >>> shrink(torch.zeros(3, 30, 40, dtype=torch.uint8), 20).shape
        torch.Size([3, 15, 20])
    """
    height, width = pixels.shape[-2:]
    return scaled(pixels, shrunk_size(height, width, longest))


def scaled(pixels: Tensor, size: tuple[int, int]) -> Tensor:
    """Scale pixels [C, H, W], bytes or floats in [0, 1], to (H, W), linearly, over all that a pixel covers."""
    if tuple(pixels.shape[-2:]) == size:
        return pixels
    found: Tensor = F.interpolate(pixels[None], size, mode="bilinear", antialias=True)[0]
    return found if pixels.dtype == torch.uint8 else found.clamp(0, 1)
