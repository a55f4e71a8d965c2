"""Vary pictures while training, with their boxes and masks, so that a network learns what changes no class."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import torch

from ...errors import ConfigError, check_number, check_whole
from . import colours
from .moves import crop, flip, quarter_turn, warp
from .samples import Sample


@dataclass(frozen=True)
class PictureAugment:
    """Vary pictures; each change is drawn again for each call, in the order of the attributes.

    Boxes, masks and class maps are moved along; `rnnkit.data.images.moves` says which boxes stay in a picture that is
    cut.

    Attributes:
        flip: how often left and right are exchanged.
        flip_vertical: how often top and bottom are.
        quarter_turns: how often the picture is turned by 90, 180 or 270 degrees.
        degrees: the most by which it is turned further, either way.
        scale: (smallest, largest) factor of things.
        shift: the most by which it is shifted, a share of its sides, either way.
        crop: (smallest, largest) share of each side that is cut out; the part lies anywhere.
        keep: the share of a box, or of its mask, that has to be left of it.
        brightness, contrast, saturation: the most by which a factor differs from 1, either way.
        hue: the most by which colours are turned, a share of the full circle, either way.
        gray: how often the colours are taken away.
        blur: (smallest, largest) standard deviation of a blur, in pixels.
        noise: (smallest, largest) standard deviation of noise; the picture's values reach from 0 to 1.
        cutouts: how many rectangles are hidden; boxes and masks stay.
        cutout_size: the most that a rectangle's sides are, a share of the picture's.
        fill: the value of what is hidden, or comes from outside of the picture.

    Raises:
        ConfigError: a value outside its range.

    Example:
        >>> from rnnkit.data.images import Boxes, Sample
        >>> augment = PictureAugment(flip=0.5, crop=(0.7, 1.0), brightness=0.2)
        >>> sample = Sample(torch.rand(3, 30, 40), Boxes.of([[10, 10, 20, 20]]))
        >>> varied = augment(sample, torch.Generator().manual_seed(1))
        >>> varied.image.shape, len(varied.boxes)
        (torch.Size([3, 24, 33]), 1)
        >>> torch.equal(varied.image, augment(sample, torch.Generator().manual_seed(1)).image)
        True
    """

    flip: float = 0.0
    flip_vertical: float = 0.0
    quarter_turns: float = 0.0
    degrees: float = 0.0
    scale: tuple[float, float] = (1.0, 1.0)
    shift: float = 0.0
    crop: tuple[float, float] = (1.0, 1.0)
    keep: float = 0.25
    brightness: float = 0.0
    contrast: float = 0.0
    saturation: float = 0.0
    hue: float = 0.0
    gray: float = 0.0
    blur: tuple[float, float] = (0.0, 0.0)
    noise: tuple[float, float] = (0.0, 0.0)
    cutouts: int = 0
    cutout_size: float = 0.2
    fill: float = 0.5

    def __post_init__(self) -> None:
        for name in ("flip", "flip_vertical", "quarter_turns", "gray", "keep", "fill", "cutout_size"):
            _check_share(getattr(self, name), name)
        for name in ("degrees", "shift"):
            check_number(getattr(self, name), name)
        for name in ("brightness", "contrast", "saturation"):
            check_number(getattr(self, name), name)
            _check_share(getattr(self, name), name)
        if not 0 <= self.hue <= 0.5:
            raise ConfigError.of("hue", self.hue, "expected a number from 0 to 0.5")
        _check_range(self.scale, "scale", least=1e-3)
        _check_range(self.crop, "crop", least=1e-3, most=1.0)
        _check_range(self.blur, "blur")
        _check_range(self.noise, "noise")
        check_whole(self.cutouts, "cutouts", 0)

    def __call__(self, sample: Sample, generator: torch.Generator | None = None) -> Sample:
        """Return a varied picture.

        Args:
            sample: the picture with its boxes and masks.
            generator: of random numbers, on the CPU; None: the global one.
        """
        draw = _Draw(generator)
        return self._coloured(self._moved(sample, draw), draw)

    def _moved(self, sample: Sample, draw: _Draw) -> Sample:
        if draw.happens(self.flip):
            sample = flip(sample)
        if draw.happens(self.flip_vertical):
            sample = flip(sample, vertical=True)
        if draw.happens(self.quarter_turns):
            sample = quarter_turn(sample, draw.whole(1, 3))
        if self.degrees or self.shift or self.scale != (1.0, 1.0):
            degrees = draw.between(-self.degrees, self.degrees)
            # Twice as large is as likely as half as large.
            scale = math.exp(draw.between(math.log(self.scale[0]), math.log(self.scale[1])))
            shift = (draw.between(-self.shift, self.shift), draw.between(-self.shift, self.shift))
            sample = warp(sample, degrees=degrees, scale=scale, shift=shift, fill=self.fill, keep=self.keep)
        if self.crop != (1.0, 1.0):
            high, wide = sample.image.shape[-2:]
            height = max(round(high * draw.between(*self.crop)), 1)
            width = max(round(wide * draw.between(*self.crop)), 1)
            top, left = draw.whole(0, high - height), draw.whole(0, wide - width)
            sample = crop(sample, top, left, height, width, keep=self.keep)
        return sample

    def _coloured(self, sample: Sample, draw: _Draw) -> Sample:
        image = sample.image
        for name in ("brightness", "contrast", "saturation"):
            most = getattr(self, name)
            if most:
                image = getattr(colours, name)(image, 1 + draw.between(-most, most))
        if self.hue:
            image = colours.hue(image, draw.between(-self.hue, self.hue))
        if draw.happens(self.gray):
            image = colours.gray(image)
        if self.blur[1]:
            image = colours.blur(image, draw.between(*self.blur))
        if self.noise[1]:
            image = colours.add_noise(image, draw.between(*self.noise), draw.generator)
        if self.cutouts:
            image = image.clone()
            high, wide = image.shape[-2:]
            for _ in range(self.cutouts):
                height, width = (round(side * draw.between(0, self.cutout_size)) for side in (high, wide))
                top, left = draw.whole(0, high - height), draw.whole(0, wide - width)
                image[:3, top : top + height, left : left + width] = self.fill
        return replace(sample, image=image)


class _Draw:
    """Random numbers of a generator."""

    def __init__(self, generator: torch.Generator | None) -> None:
        self.generator = generator

    def happens(self, probability: float) -> bool:
        return probability > 0 and float(torch.rand((), generator=self.generator)) < probability

    def between(self, low: float, high: float) -> float:
        return low + (high - low) * float(torch.rand((), generator=self.generator))

    def whole(self, low: int, high: int) -> int:
        return int(torch.randint(low, high + 1, (), generator=self.generator))


def _check_share(value: float, name: str) -> None:
    if not 0 <= value <= 1:
        raise ConfigError.of(name, value, "expected a number from 0 to 1")


def _check_range(pair: tuple[float, float], name: str, *, least: float = 0.0, most: float = math.inf) -> None:
    fits = isinstance(pair, tuple | list) and len(pair) == 2
    if not fits or not least <= pair[0] <= pair[1] <= most or not math.isfinite(pair[1]):
        limit = "" if most == math.inf else f" and at most {most:g}"
        raise ConfigError.of(name, pair, f"expected (smallest, largest), of at least {least:g}{limit}")
