"""Made-up variants of pictures while training: turned, scaled, moved, bent, mirrored, lighter, noisy.

With p the place of a pixel from the middle of the picture, and one draw of all that is random for each picture,

    y(p) = g · x(A p + t + d(p)) + b + ε        x between pixels by linear interpolation, its edge behind its edge
    A    = [turn by α] · [shear by h] · diag(1 / s_y, 1 / s_x)
    d    = a smooth field: 5 × 5 numbers of N(0, elastic²), joined by cubic interpolation

α ∈ ±degrees, log s ∈ ±scale (and the ratio of both sides by half of that), h ∈ ±shear, t ∈ ±shift, g − 1 and b ∈
±contrast and ±brightness, all drawn alike within their ranges; ε ~ N(0, noise²). Values stay within 0 and 1. Smooth
random fields for digits: Simard, Steinkraus & Platt 2003 ("Best practices for convolutional neural networks applied to
visual document analysis"), who smooth noise of every pixel; few numbers joined smoothly cost less.

Legend: B pictures, C channels, H height, W width.
"""

from __future__ import annotations

import math
from typing import Any

import torch
from torch.nn import functional as F

from ..errors import check_number
from ._exports import NotScriptable

Tensor = torch.Tensor

_KNOTS = 5  # numbers of a smooth field along each side
_NAMES = ("degrees", "scale", "shift", "shear", "elastic", "flip", "brightness", "contrast", "noise")


class PictureWarp(NotScriptable):
    """Changes pictures at random while training, and nothing in evaluation; see the module for the equations.

    Args:
        degrees: the most by which a picture is turned, either way.
        scale: the most by which the logarithm of its size changes, about a share: 0.1 is 10%.
        shift: the most pixels by which it is moved along each side.
        shear: the most by which a row is moved aside for each row above the middle.
        elastic: the spread, in pixels, of the field that bends it.
        flip: how often left and right are exchanged.
        brightness: the most that is added to all its values, or taken off.
        contrast: the most by which its values' factor differs from 1.
        noise: the spread of the noise of each value.

    Shapes:
        x [B, C, H, W] in [0, 1] → the same shape.

    Raises:
        ConfigError: a number below 0.

    Example:
        >>> import torch, rnnkit
        >>> x = torch.rand(2, 1, 28, 28)
        >>> warp = rnnkit.PictureWarp(degrees=10, shift=2)
        >>> bool((warp(x) != x).any()), bool((warp.eval()(x) == x).all())
        (True, True)
    """

    def __init__(
        self,
        *,
        degrees: float = 0.0,
        scale: float = 0.0,
        shift: float = 0.0,
        shear: float = 0.0,
        elastic: float = 0.0,
        flip: float = 0.0,
        brightness: float = 0.0,
        contrast: float = 0.0,
        noise: float = 0.0,
    ) -> None:
        super().__init__()
        self.degrees, self.scale, self.shift, self.shear, self.elastic = degrees, scale, shift, shear, elastic
        self.flip, self.brightness, self.contrast, self.noise = flip, brightness, contrast, noise
        for name in _NAMES:
            check_number(getattr(self, name), name)

    def config(self) -> dict[str, Any]:
        """Builder and arguments that make this module again, for ``rnnkit.load``."""
        return {"builder": "PictureWarp", "arguments": {name: getattr(self, name) for name in _NAMES}}

    def forward(self, x: Tensor) -> Tensor:
        """Map pictures [B, C, H, W] to one variant of each."""
        if not self.training:
            return x
        moves = (self.degrees, self.scale, self.shift, self.shear, self.elastic)
        if self.flip:
            x = torch.where(self._draw(x, 0.5).abs() < 0.5 * self.flip, x.flip(-1), x)
        if any(moves):
            x = F.grid_sample(x, self._places(x), padding_mode="border", align_corners=False)
        if self.contrast:
            x = (x - 0.5) * (1 + self._draw(x, self.contrast)) + 0.5
        if self.brightness:
            x = x + self._draw(x, self.brightness)
        if self.noise:
            x = x + self.noise * torch.randn_like(x)
        return x.clamp(0, 1) if self.contrast or self.brightness or self.noise else x

    def extra_repr(self) -> str:
        return ", ".join(f"{name}={value}" for name in _NAMES if (value := getattr(self, name)))

    @staticmethod
    def _draw(x: Tensor, most: float) -> Tensor:
        """One number a picture within ±most, [B, 1, 1, 1]."""
        return most * (2 * torch.rand(len(x), 1, 1, 1, dtype=x.dtype, device=x.device) - 1)

    def _places(self, x: Tensor) -> Tensor:
        """Where each pixel comes from, as `grid_sample` takes it, [B, H, W, 2]."""
        batch, _, height, width = x.shape
        angle, log, ratio, shear, down, right = (
            self._draw(x, most)[:, 0]
            for most in (math.radians(self.degrees), self.scale, 0.5 * self.scale, self.shear, self.shift, self.shift)
        )
        cosine, sine = angle.cos(), angle.sin()
        wide, high = torch.exp(-log), torch.exp(-log - ratio)
        rows = torch.arange(height, dtype=x.dtype, device=x.device)[:, None] + 0.5 - height / 2
        columns = torch.arange(width, dtype=x.dtype, device=x.device) + 0.5 - width / 2
        v, u = high * rows, wide * columns
        u = u + shear * v
        places = torch.stack([cosine * u + sine * v + right, cosine * v - sine * u + down], 3)
        if self.elastic:
            knots = self.elastic * torch.randn(batch, 2, _KNOTS, _KNOTS, dtype=x.dtype, device=x.device)
            field = F.interpolate(knots, (height, width), mode="bicubic", align_corners=True)
            places = places + field.permute(0, 2, 3, 1)
        found: Tensor = places * torch.tensor([2 / width, 2 / height], dtype=x.dtype, device=x.device)
        return found
