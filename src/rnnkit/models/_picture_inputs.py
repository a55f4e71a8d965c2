"""What detectors make of pictures in front of their convolutions."""

from __future__ import annotations

import torch

Tensor = torch.Tensor


def centred(x: Tensor, channels: int) -> Tensor:
    """Return pictures [B, C, H, W] around 0, with a channel of ones behind where one channel more is wanted.

    :class:`~rnnkit.layers.picture_front.PictureFront` normalises each pixel without a bias in front, so that all areas
    of one colour would look alike, however bright they are. Beside a channel of ones they differ.

    Args:
        x: in [0, 1].
        channels: C, or C + 1.

    Example:
        >>> centred(torch.ones(1, 3, 2, 2), 4)[0, :, 0, 0].tolist()
        [0.5, 0.5, 0.5, 1.0]
    """
    x = x - 0.5
    if channels != x.shape[1] + 1:
        return x
    return torch.cat([x, x.new_ones(len(x), 1, *x.shape[2:])], 1)
