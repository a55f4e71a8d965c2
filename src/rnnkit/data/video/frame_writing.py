"""Frames as PNG files and animated GIF.

Legend: T frames, C channels, H height, W width.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from ...errors import DataError, check_number
from ...serialization import replacing

if TYPE_CHECKING:
    from PIL.Image import Image


def write_png(frame: Tensor, path: str | os.PathLike[str]) -> None:
    """Write a frame [C, H, W], uint8 or float in [0, 1], of 1 or 3 channels.

    Raises:
        DataError: another shape.

    Example:
        >>> import tempfile
        >>> from rnnkit.data.images import read_picture
        >>> file = tempfile.mkdtemp() + "/a.png"
        >>> write_png(torch.ones(1, 4, 6), file)
        >>> read_picture(file, mode="L").shape
        torch.Size([1, 4, 6])
    """
    with replacing(path) as temporary:
        _image(frame).save(temporary)


def write_gif(frames: Tensor | Sequence[Tensor], path: str | os.PathLike[str], *, rate: float = 10.0) -> None:
    """Write an animated GIF, which is shown again and again; equal frames stay frames of their own.

    Args:
        frames: [T, C, H, W], uint8 or float in [0, 1].
        path: the file.
        rate: frames a second, at least 0.002; a frame of GIF lasts 655.35 seconds at most.

    Raises:
        DataError: no frame, or another shape. ConfigError: a lower rate.

    Example:
        >>> import tempfile
        >>> from rnnkit.data.video import clip_info
        >>> file = tempfile.mkdtemp() + "/a.gif"
        >>> write_gif(torch.rand(5, 1, 16, 16), file)
        >>> clip_info(file).frames
        5
    """
    check_number(rate, "rate", least=0.002)
    images = [_image(frame) for frame in frames]
    if not images:
        raise DataError("no frame arrived; expected at least one")
    from PIL import GifImagePlugin, Image

    # Pillow's `save` joins equal frames to one that is shown for longer, so that fewer would be read.
    indexed = [image.convert("P", palette=Image.Palette.ADAPTIVE) for image in images]
    header, _ = GifImagePlugin.getheader(indexed[0].copy(), info={"loop": 0})
    duration = max(20, round(1000 / rate))
    with replacing(path) as temporary, open(temporary, "wb") as file:
        file.writelines(header)
        for image in indexed:
            file.writelines(GifImagePlugin.getdata(image, duration=duration, include_color_table=True))
        file.write(b";")


def _image(frame: Tensor) -> Image:
    from PIL import Image as images

    if frame.dim() != 3 or frame.shape[0] not in (1, 3):
        raise DataError(f"a frame of shape {list(frame.shape)} arrived; expected [1, height, width] or [3, ...]")
    pixels = frame if frame.dtype == torch.uint8 else (frame.clamp(0, 1) * 255).round().to(torch.uint8)
    array = pixels.cpu().permute(1, 2, 0).numpy()
    return images.fromarray(array[:, :, 0] if array.shape[2] == 1 else array)
