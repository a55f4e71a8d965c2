"""Change the colours of a picture, float32 [C, H, W] in [0, 1]: gray, RGB, or RGBA, whose opacity stays."""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor

_LUMA = (0.299, 0.587, 0.114)  # of ITU-R BT.601


def brightness(image: Tensor, factor: float) -> Tensor:
    """Multiply all values.

    Example:
        >>> brightness(torch.full((3, 1, 1), 0.5), 1.2)[0].tolist()
        [[0.6000000238418579]]
    """
    return _colour(image, image[:3] * factor)


def contrast(image: Tensor, factor: float) -> Tensor:
    """Move all values away from the mean gray (above 1), or towards it.

    Example:
        >>> contrast(torch.tensor([[[0.25, 0.75]]]), 0.5).tolist()
        [[[0.375, 0.625]]]
    """
    mean = gray_of(image).mean()
    return _colour(image, mean + (image[:3] - mean) * factor)


def saturation(image: Tensor, factor: float) -> Tensor:
    """Move all colours away from their gray (above 1), or towards it (0 is gray).

    Example:
        >>> saturation(torch.tensor([1.0, 0.0, 0.0]).reshape(3, 1, 1), 0.0).flatten().mul(1000).round().tolist()
        [299.0, 299.0, 299.0]
    """
    if len(image) == 1:
        return image
    gray = gray_of(image)
    return _colour(image, gray + (image[:3] - gray) * factor)


def hue(image: Tensor, turn: float) -> Tensor:
    """Turn the colours about the gray axis in the space YIQ.

    Args:
        image: the picture.
        turn: a share of the full circle; 1/3 takes red nearly to green.

    Example:
        >>> red = torch.tensor([0.8, 0.2, 0.2]).reshape(3, 1, 1)
        >>> turned = hue(red, 1 / 3).flatten()
        >>> int(turned.argmax()), bool((hue(red, 0.0) - red).abs().max() < 1e-6)
        (1, True)
    """
    if len(image) == 1:
        return image
    angle = -2 * math.pi * turn
    to_yiq = torch.tensor(
        [_LUMA, (0.595716, -0.274453, -0.321263), (0.211456, -0.522591, 0.311135)], dtype=torch.float64
    )
    cosine, sine = math.cos(angle), math.sin(angle)
    turned = torch.tensor([(1, 0, 0), (0, cosine, -sine), (0, sine, cosine)], dtype=torch.float64)
    matrix = (torch.linalg.inv(to_yiq) @ turned @ to_yiq).float()
    return _colour(image, torch.einsum("oc,chw->ohw", matrix, image[:3]))


def gray(image: Tensor) -> Tensor:
    """Take the colours away; the channels stay as many.

    Example:
        >>> gray(torch.tensor([1.0, 0.0, 0.0]).reshape(3, 1, 1)).shape
        torch.Size([3, 1, 1])
    """
    return image if len(image) == 1 else _colour(image, gray_of(image).expand(3, -1, -1))


def add_noise(image: Tensor, deviation: float, generator: torch.Generator | None = None) -> Tensor:
    """Add normal noise of a standard deviation to each value.

    Example:
        >>> noisy = add_noise(torch.full((1, 50, 50), 0.5), 0.1, torch.Generator().manual_seed(0))
        >>> round(float(noisy.std()), 2)
        0.1
    """
    noise = torch.randn(image[:3].shape, generator=generator)
    return _colour(image, image[:3] + noise * deviation)


def blur(image: Tensor, deviation: float) -> Tensor:
    """Blur by a normal window of a standard deviation in pixels; edges are mirrored.

    Example:
        >>> spot = torch.zeros(1, 9, 9)
        >>> spot[0, 4, 4] = 1.0
        >>> blurred = blur(spot, 1.0)
        >>> round(float(blurred.sum()), 3), round(float(blurred[0, 4, 4]), 2)
        (1.0, 0.16)
    """
    radius = min(max(math.ceil(3 * deviation), 1), min(image.shape[-2:]) - 1)
    if radius < 1 or deviation <= 0:
        return image
    places = torch.arange(-radius, radius + 1, dtype=torch.float32)
    window = torch.exp(-0.5 * (places / deviation).square())
    window = window / window.sum()
    found = F.pad(image[:, None], (radius,) * 4, mode="reflect")
    found = F.conv2d(F.conv2d(found, window[None, None, :, None]), window[None, None, None])
    return found[:, 0].clamp(0, 1)


def gray_of(image: Tensor) -> Tensor:
    """Return the gray of a picture, [1, H, W], by the weights of ITU-R BT.601.

    Example:
        >>> gray_of(torch.ones(3, 2, 2)).shape
        torch.Size([1, 2, 2])
    """
    if len(image) == 1:
        return image
    return torch.einsum("c,chw->hw", image.new_tensor(_LUMA), image[:3])[None]


def _colour(image: Tensor, changed: Tensor) -> Tensor:
    changed = changed.clamp(0, 1)
    return torch.cat([changed, image[3:]]) if len(image) == 4 else changed
