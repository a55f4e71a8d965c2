"""Frames of one size: scaled, and padded or cut where the shape is another.

Legend: T frames, C channels, H height, W width.
"""

from __future__ import annotations

from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor

from ...errors import DataError, check_choice

Fit = Literal["pad", "stretch", "crop"]
FITS: tuple[Fit, ...] = ("pad", "stretch", "crop")


def fit_frames(frames: Tensor, size: tuple[int, int], *, fit: Fit = "pad") -> Tensor:
    """Scale frames to a size.

    Args:
        frames: uint8 or float [T, C, H, W].
        size: (height, width) that come out.
        fit: "pad" keeps the shape and adds black rows or columns on both sides, "crop" keeps the shape and cuts both
            ends off, "stretch" scales height and width each on its own.

    Returns:
        [T, C, *size] of the same type.

    Raises:
        ConfigError: an unknown `fit`. DataError: frames of another number of axes.

    Example:
        >>> wide = torch.full((3, 1, 20, 40), 255, dtype=torch.uint8)
        >>> padded = fit_frames(wide, (16, 16))
        >>> padded.shape, padded[0, 0, :, 0].tolist()
        (torch.Size([3, 1, 16, 16]), [0, 0, 0, 0, 255, 255, 255, 255, 255, 255, 255, 255, 0, 0, 0, 0])
    """
    check_choice(fit, "fit", FITS)
    if frames.dim() != 4 or 0 in frames.shape:
        raise DataError(f"frames of shape {list(frames.shape)} arrived; expected [frames, channels, height, width]")
    height, width = frames.shape[2:]
    if (height, width) == tuple(size):
        return frames
    target = tuple(size)
    if fit != "stretch":
        ratios = (size[0] / height, size[1] / width)
        scale = min(ratios) if fit == "pad" else max(ratios)
        target = (max(1, round(height * scale)), max(1, round(width * scale)))
    found = F.interpolate(frames.float(), target, mode="bilinear", antialias=True, align_corners=False)
    spare = [wanted - there for wanted, there in zip(size, target, strict=True)]
    # Negative numbers cut.
    found = F.pad(found, (spare[1] // 2, spare[1] - spare[1] // 2, spare[0] // 2, spare[0] - spare[0] // 2))
    return found.round().clamp(0, 255).to(torch.uint8) if frames.dtype == torch.uint8 else found
