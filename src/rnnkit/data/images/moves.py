"""Move a picture with its boxes, masks and class map: flips, turns, crops, scales, resizing, padding.

A box whose picture is cut stays where at least the share `keep` of its pixels is left: of its mask where there is one,
else of its area. It is cut at the edges then. What is left of others is in the picture, without a box. A box of a
picture that is turned by any angle becomes the smallest upright box around its mask, or, without a mask, around its
four turned corners, which is larger than the thing.

Legend: C channels, H height, W width, N boxes.
"""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from ...errors import ConfigError, check_number, check_whole
from .boxes import Boxes
from .masks import NOT_JUDGED, Masks
from .samples import Sample

_SMALLEST = 1.0  # pixels of a box's side


def flip(sample: Sample, *, vertical: bool = False) -> Sample:
    """Mirror a picture left to right, or top to bottom.

    Example:
        >>> sample = Sample(torch.zeros(1, 4, 10), Boxes.of([[1, 0, 3, 4]]))
        >>> flip(sample).boxes.xyxy.tolist()
        [[7.0, 0.0, 9.0, 4.0]]
    """
    axis = -2 if vertical else -1
    length = sample.image.shape[axis]

    def corners(xyxy: Tensor) -> Tensor:
        left, top, right, bottom = xyxy.unbind(1)
        if vertical:
            return torch.stack([left, length - bottom, right, length - top], 1)
        return torch.stack([length - right, top, length - left, bottom], 1)

    return _each(sample, lambda values: values.flip(axis), corners)


def quarter_turn(sample: Sample, turns: int = 1) -> Sample:
    """Turn a picture by 90 degrees, so many times, against the clock.

    Example:
        >>> sample = Sample(torch.zeros(1, 4, 10), Boxes.of([[1, 0, 3, 4]]))
        >>> turned = quarter_turn(sample)
        >>> turned.image.shape, turned.boxes.xyxy.tolist()
        (torch.Size([1, 10, 4]), [[0.0, 7.0, 4.0, 9.0]])
    """
    turns %= 4

    def corners(xyxy: Tensor) -> Tensor:
        height, width = sample.image.shape[-2:]
        for _ in range(turns):
            left, top, right, bottom = xyxy.unbind(1)
            xyxy = torch.stack([top, width - right, bottom, width - left], 1)
            height, width = width, height
        return xyxy

    turned = _each(sample, lambda values: values.rot90(turns, (-2, -1)), corners)
    return replace(turned, size=sample.size[::-1] if turns % 2 else sample.size)


def crop(sample: Sample, top: int, left: int, height: int, width: int, *, keep: float = 0.25) -> Sample:
    """Cut a part out of a picture; see the module for the boxes that stay.

    Args:
        sample: the picture.
        top, left: the corner of the part, in pixels.
        height, width: of the part.
        keep: the share of a box, or of its mask, that has to be left.

    Raises:
        ConfigError: the part does not lie in the picture.

    Example:
        >>> sample = Sample(torch.zeros(1, 8, 8), Boxes.of([[0, 0, 4, 4], [6, 6, 8, 8]]))
        >>> crop(sample, 2, 2, 4, 4).boxes.xyxy.tolist()
        [[0.0, 0.0, 2.0, 2.0]]
    """
    high, wide = sample.image.shape[-2:]
    if not (top >= 0 and left >= 0 and height > 0 and width > 0 and top + height <= high and left + width <= wide):
        raise ConfigError(
            f"a part of {height} × {width} from row {top} and column {left} arrived; expected one in {high} × {wide}"
        )

    def pixels(values: Tensor) -> Tensor:
        return values[..., top : top + height, left : left + width]

    shift = torch.tensor([left, top, left, top], dtype=torch.float32)
    return _kept(_each(sample, pixels, lambda xyxy: xyxy - shift), sample, keep, (height, width))


def warp(
    sample: Sample,
    *,
    degrees: float = 0.0,
    scale: float = 1.0,
    shift: tuple[float, float] = (0.0, 0.0),
    fill: float = 0.5,
    keep: float = 0.25,
) -> Sample:
    """Turn, scale and shift a picture about its centre; its size stays.

    Args:
        sample: the picture.
        degrees: against the clock.
        scale: above 1 things become larger.
        shift: (down, right), shares of the height and the width.
        fill: of what was outside of the picture. In a class map such pixels are not judged.
        keep: the share of a box, or of its mask, that has to be left.

    Raises:
        ConfigError: a scale of 0 or below.

    Example:
        >>> sample = Sample(torch.zeros(1, 8, 8), Boxes.of([[2, 3, 4, 5]]))
        >>> warp(sample, scale=2.0).boxes.xyxy.tolist()
        [[0.0, 2.0, 4.0, 6.0]]
    """
    check_number(scale, "scale", above=0)
    height, width = sample.image.shape[-2:]
    angle = math.radians(degrees)
    cosine, sine = math.cos(angle), math.sin(angle)
    centre = torch.tensor([width / 2, height / 2], dtype=torch.float64)
    moved = torch.tensor([shift[1] * width, shift[0] * height], dtype=torch.float64)
    # y points down, so that a turn against the clock has this sign.
    forward = scale * torch.tensor([[cosine, sine], [-sine, cosine]], dtype=torch.float64)
    back = torch.linalg.inv(forward)
    (xx, xy), (yx, yy) = back.tolist()
    begin = (centre - back @ (centre + moved)).tolist()
    columns, rows = torch.arange(width) + 0.5, (torch.arange(height) + 0.5)[:, None]
    # Where each pixel was before, [H, W].
    x, y = xx * columns + xy * rows + begin[0], yx * columns + yy * rows + begin[1]
    scaled = torch.stack([x * (2 / width) - 1, y * (2 / height) - 1], -1)[None]
    image = (F.grid_sample(sample.image[None] - fill, scaled, align_corners=False)[0] + fill).clamp(0, 1)
    if sample.masks is not None or sample.class_map is not None:
        inside = (x >= 0) & (x < width) & (y >= 0) & (y < height)
        places = y.clamp(0, height - 1).long() * width + x.clamp(0, width - 1).long()

    def nearest(values: Tensor) -> Tensor:
        outside = NOT_JUDGED if values is sample.class_map else 0
        picked = values.flatten(-2)[..., places.flatten()].unflatten(-1, (height, width))
        return torch.where(inside, picked, torch.as_tensor(outside, dtype=values.dtype))

    def corners(xyxy: Tensor) -> Tensor:
        points = torch.stack([xyxy[:, [0, 1]], xyxy[:, [2, 1]], xyxy[:, [2, 3]], xyxy[:, [0, 3]]], 1).double()
        points = (points - centre) @ forward.T + centre + moved
        return torch.cat([points.amin(1), points.amax(1)], 1).float()

    found = _each(replace(sample, image=image), nearest, corners, image=False)
    return _kept(found, sample, keep, (height, width), grown=scale * scale)


def resize(sample: Sample, height: int, width: int) -> Sample:
    """Resize a picture, linearly and without aliasing; masks take the nearest pixel. All boxes stay.

    Example:
        >>> sample = Sample(torch.zeros(1, 8, 8), Boxes.of([[2, 4, 4, 8]]))
        >>> resize(sample, 4, 16).boxes.xyxy.tolist()
        [[4.0, 2.0, 8.0, 4.0]]
    """
    check_whole(height, "height")
    check_whole(width, "width")
    high, wide = sample.image.shape[-2:]
    if (high, wide) == (height, width):
        return sample
    rows = ((torch.arange(height) + 0.5) * high / height).long()
    columns = ((torch.arange(width) + 0.5) * wide / width).long()
    ratio = torch.tensor([width / wide, height / high] * 2)
    return _each(
        replace(sample, image=resize_image(sample.image, height, width)),
        lambda values: values[..., rows[:, None], columns[None]],
        lambda xyxy: xyxy * ratio,
        image=False,
    )


def resize_image(image: Tensor, height: int, width: int) -> Tensor:
    """Return a picture float [C, H, W] at another size, linearly and without aliasing.

    Example:
        >>> resize_image(torch.ones(3, 8, 6), 4, 3).shape
        torch.Size([3, 4, 3])
    """
    if image.shape[-2:] == (height, width):
        return image
    found: Tensor = F.interpolate(image[None], (height, width), mode="bilinear", antialias=True)[0]
    return found.clamp(0, 1)  # rounding


def pad(sample: Sample, top: int, left: int, height: int, width: int, *, fill: float = 0.5) -> Sample:
    """Place a picture in a larger one of height × width; the rest has the value `fill`, in class maps −100.

    Example:
        >>> sample = Sample(torch.zeros(1, 2, 2), Boxes.of([[0, 0, 2, 2]]))
        >>> padded = pad(sample, 1, 0, 3, 4)
        >>> padded.image.shape, padded.boxes.xyxy.tolist(), float(padded.image[0, 0, 0])
        (torch.Size([1, 3, 4]), [[0.0, 1.0, 2.0, 3.0]], 0.5)
    """
    high, wide = sample.image.shape[-2:]
    sides = (left, width - wide - left, top, height - high - top)
    if not any(sides):
        return sample

    def pixels(values: Tensor) -> Tensor:
        value = fill if values is sample.image else NOT_JUDGED if values is sample.class_map else 0
        found: Tensor = F.pad(values, sides, value=value)
        return found

    shift = torch.tensor([left, top, left, top], dtype=torch.float32)
    return _each(sample, pixels, lambda xyxy: xyxy + shift)


def _each(sample: Sample, pixels: Any, corners: Any, *, image: bool = True) -> Sample:
    """Apply a function to all that has pixels, [..., H, W] (maybe but the image), and one to the boxes' corners."""
    boxes = sample.boxes
    return replace(
        sample,
        image=pixels(sample.image) if image else sample.image,
        boxes=None if boxes is None else boxes.moved(corners(boxes.xyxy)),
        masks=None if sample.masks is None else sample.masks.changed(pixels(sample.masks.values)),
        class_map=None if sample.class_map is None else pixels(sample.class_map),
    )


def _kept(moved: Sample, before: Sample, keep: float, size: tuple[int, int], grown: float = 1.0) -> Sample:
    """Leave out the boxes of which too little is left, and cut the others at the edges.

    Args:
        moved: the picture with boxes that may reach out of it.
        before: the picture before it was moved.
        keep: the share that has to be left.
        size: (H, W) of the moved picture.
        grown: by what factor areas grew.
    """
    boxes, masks = moved.boxes, moved.masks
    moved = replace(moved, size=size)
    if boxes is None:
        return moved
    cut = boxes.clipped(*size)
    if masks is None or before.masks is None:
        left = cut.areas / boxes.areas.clamp(min=1e-9)
    else:
        drawn = before.masks.areas > 0  # a box may have no mask
        whole = (before.masks.areas * grown).clamp(min=1e-9)
        left = torch.where(drawn, masks.areas / whole, cut.areas / boxes.areas.clamp(min=1e-9))
        cut = cut.moved(torch.where((masks.areas > 0)[:, None] & drawn[:, None], masks.boxes(), cut.xyxy))
    stay = (left >= keep) & (cut.widths >= _SMALLEST) & (cut.heights >= _SMALLEST)
    return replace(moved, boxes=cut.select(stay), masks=None if masks is None else masks.select(stay))


__all__ = ["Boxes", "Masks", "crop", "flip", "pad", "quarter_turn", "resize", "resize_image", "warp"]
