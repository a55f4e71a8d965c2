"""How pictures with boxes or masks are changed at random. Importing loads no torch."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Annotated, Any, ClassVar

from .ranges import NotNegative, Range, Settings, Share


@dataclass(frozen=True)
class AugmentSettings(Settings):
    """How pictures are changed at random while training; see :class:`rnnkit.data.images.PictureAugment`.

    Attributes:
        flip: how often left and right are exchanged.
        flip_vertical: how often top and bottom are.
        quarter_turns: how often a picture is turned by 90, 180 or 270 degrees.
        degrees: the most by which it is turned further, either way.
        scale: by how much the size of things varies, as a share.
        brightness: the most by which a factor of all values differs from 1.
        contrast: the most by which a factor of the contrast does.
        hue: the most by which colours are turned, a share of the full circle.
        noise: the largest standard deviation of noise, of values from 0 to 1.
    """

    group_name: ClassVar[str] = "augment"

    flip: Share = 0.5
    flip_vertical: Share = 0.0
    quarter_turns: Share = 0.0
    degrees: NotNegative = 0.0
    scale: Annotated[float, Range(least=0, below=1)] = 0.2
    brightness: Share = 0.2
    contrast: Share = 0.2
    hue: Annotated[float, Range(least=0, below=0.5)] = 0.02
    noise: NotNegative = 0.0

    def arguments(self) -> dict[str, Any]:
        """Return the arguments of `PictureAugment`."""
        same = {one.name: getattr(self, one.name) for one in fields(self)}
        return same | {"scale": (1 - self.scale, 1 / (1 - self.scale)), "noise": (0.0, self.noise)}
