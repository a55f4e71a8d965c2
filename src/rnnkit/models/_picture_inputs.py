"""What detectors make of pictures in front of their convolutions."""

from __future__ import annotations

import torch

from ..errors import ConfigError

Tensor = torch.Tensor
_COLOURS = 3


def check_front(channels: int, patch: int) -> None:
    """Raise ConfigError where a front does not take what `patches_of` makes."""
    wanted = _COLOURS * patch * patch
    if channels not in (wanted, wanted + 1):
        raise ConfigError(
            f"front takes {channels} channels; with patch={patch} expected {wanted}, or {wanted + 1} with one that is "
            f"1 everywhere: build it with input_size={wanted + 1}"
        )


def patches_of(x: Tensor, channels: int, patch: int) -> Tensor:
    """Return pictures [B, 3, H, W] around 0, with the pixels of each patch as channels, and maybe one of ones behind.

    :class:`~rnnkit.layers.picture_front.PictureFront` normalises each pixel without a bias in front, so that all areas
    of one colour would look alike, however bright they are. Beside a channel of ones they differ.

    Args:
        x: in [0, 1]; what a last patch lacks is grey.
        channels: 3 p², or one more.
        patch: p.

    Example:
        >>> patches_of(torch.ones(1, 3, 2, 2), 4, 1)[0, :, 0, 0].tolist()
        [0.5, 0.5, 0.5, 1.0]
        >>> patches_of(torch.ones(1, 3, 5, 4), 13, 2).shape
        torch.Size([1, 13, 3, 2])
    """
    x = x - 0.5
    if patch > 1:
        height, width = x.shape[2:]
        x = torch.nn.functional.pad(x, (0, -width % patch, 0, -height % patch))
        x = torch.nn.functional.pixel_unshuffle(x, patch)
    if channels == x.shape[1]:
        return x
    return torch.cat([x, x.new_ones(len(x), 1, *x.shape[2:])], 1)
