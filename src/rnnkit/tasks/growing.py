"""Things separated by their cores: what a network learns of the shape of things, and how things are grown of it.

Of each pixel p of a thing, with d_p its distance to the nearest pixel outside of the thing,

    t_p1 = d_p / max of d over the thing        1 in the middle of a thing of any size; 0 outside
    t_p2 = 1 where two things come within 2 pixels of p, else 0

A network says the classes q_p, and both as shares a_p1 and a_p2 (:mod:`rnnkit.ops.pixel_loss`). Then

    foreground   f_p = 1 − q_p(background),   p belongs to some thing where f_p ≥ θ_f
    cores        s_p = a_p1 (1 − a_p2), smoothed;   connected pixels with s_p ≥ θ_s
    things       cores grow over the foreground by a watershed on −s, the highest first

Connected foreground without a core is a thing by itself. What is smaller than θ_a pixels is left out. A thing has the
class of the largest mean q over its pixels, and as its score the mean of f over its pixels times the highest a_p1.

Sources: distances and watersheds as in Bai & Urtasun 2017 ("Deep watershed transform", arXiv:1611.08303); borders
between things as in the first places of the Data Science Bowl 2018 (Caicedo et al. 2019, Nature Methods 16).

Legend: H height, W width, C classes with the background, N things.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor

from ..data.images.masks import Masks
from ..errors import MissingExtraError
from .found_things import FoundThings

if TYPE_CHECKING:
    import numpy.typing as npt

SHAPES = 2  # of a pixel: how deep in its thing, and whether between two
_NEAR = 2  # pixels
_LEVELS = 16  # of a watershed
_SMOOTH = 1.0  # pixels, the standard deviation of the filter


@dataclass(frozen=True)
class Growing:
    """How things are grown.

    Attributes:
        foreground: θ_f.
        core: θ_s.
        smallest: θ_a.

    Example:
        >>> Growing.from_dict({"foreground": 0.5, "core": 0.4, "smallest": 8}).core
        0.4
    """

    foreground: float = 0.5
    core: float = 0.3
    smallest: int = 4

    def to_dict(self) -> dict[str, Any]:
        """Return JSON values."""
        return {"foreground": self.foreground, "core": self.core, "smallest": self.smallest}

    @staticmethod
    def from_dict(stored: Mapping[str, Any]) -> Growing:
        """Return what `to_dict` wrote."""
        return Growing(float(stored["foreground"]), float(stored["core"]), int(stored["smallest"]))


def shapes_of(things: Tensor) -> Tensor:
    """Return what a network learns of the shapes of things, float32 [2, H, W]: t_1 and t_2 of the module.

    Args:
        things: int32 [H, W], n for the pixels of thing n − 1, 0 for none.

    Raises:
        MissingExtraError: scipy is not installed.

    Example:
        >>> shapes = shapes_of(torch.tensor([[0, 1, 1, 1, 0, 0]], dtype=torch.int32))
        >>> shapes[0].tolist()
        [[0.0, 0.5, 1.0, 0.5, 0.0, 0.0]]
    """
    ndimage = _ndimage()
    numbers = things.numpy()
    depth = np.zeros(numbers.shape, np.float32)
    for number, place in enumerate(ndimage.find_objects(numbers), 1):
        if place is None:
            continue
        # A pixel around it, as far as the picture goes: its own edge is none of the thing.
        around = tuple(
            slice(max(side.start - 1, 0), min(side.stop + 1, size))
            for side, size in zip(place, numbers.shape, strict=True)
        )
        mask = numbers[around] == number
        if mask.all():  # it fills the picture
            depth[around] = 1
            continue
        distance = ndimage.distance_transform_edt(mask)
        depth[around][mask] = (distance / distance.max())[mask]
    size = 2 * _NEAR + 1
    highest = ndimage.maximum_filter(numbers, size)
    none = np.iinfo(numbers.dtype).max
    lowest = ndimage.minimum_filter(np.where(numbers == 0, none, numbers), size)
    between = (highest > 0) & (lowest != none) & (highest != lowest)
    return torch.from_numpy(np.stack([depth, between.astype(np.float32)]))


def grow(classes: Tensor, shapes: Tensor, growing: Growing) -> tuple[npt.NDArray[np.int32], int]:
    """Return the things of what a network says of a picture, int32 [H, W], and how many there are.

    Args:
        classes: q, [C, H, W].
        shapes: a, [2, H, W].
        growing: the thresholds.

    Example:
        >>> inside = torch.tensor([[0.0, 0.9, 0.9, 0.9, 0.0, 0.9, 0.9, 0.9, 0.0]])
        >>> deep = torch.tensor([[0.0, 0.5, 1.0, 0.5, 0.0, 0.5, 1.0, 0.5, 0.0]])
        >>> things, count = grow(torch.stack([1 - inside, inside]), torch.stack([deep, 0 * deep]), Growing(0.5, 0.3, 1))
        >>> things.tolist(), count
        ([[0, 1, 1, 1, 0, 2, 2, 2, 0]], 2)
    """
    ndimage = _ndimage()
    inside = (1 - classes[0] >= growing.foreground).numpy()
    score = core_scores(shapes)
    cores, count = ndimage.label((score >= growing.core) & inside)
    parts, whole = ndimage.label(inside)
    seeded = np.zeros(whole + 1, bool)
    seeded[parts[cores > 0]] = True
    alone = (~seeded[parts]) & inside
    cores[alone] = parts[alone] + count  # numbers above those of the cores
    grown = flood(score, cores.astype(np.int32), inside)
    found = np.zeros(grown.shape, np.int32)
    number = 0
    for value, place in enumerate(ndimage.find_objects(grown), 1):
        if place is None:
            continue
        mask = _largest_part(grown[place] == value, ndimage)
        if int(mask.sum()) >= growing.smallest:
            number += 1
            found[place][mask] = number
    return found, number


def flood(
    score: npt.NDArray[Any], cores: npt.NDArray[np.int32], inside: npt.NDArray[np.bool_]
) -> npt.NDArray[np.int32]:
    """Return cores grown over the foreground, int32 [H, W]: a watershed in steps of 1/16, from the highest score down.

    At each step the numbers spread to neighbours above, below, left and right whose score is that high, until none is
    left; where two meet, the higher number takes the pixel. ``scipy.ndimage.watershed_ift`` follows differences of
    neighbours, not heights, and is no substitute.

    Args:
        score: [H, W], from 0 to 1.
        cores: [H, W], their numbers, 0 for none.
        inside: [H, W], the foreground.

    Example:
        >>> score = np.array([[0.9, 0.5, 0.2, 0.6, 0.9]])
        >>> flood(score, np.array([[1, 0, 0, 0, 2]], np.int32), np.ones((1, 5), bool)).tolist()
        [[1, 1, 2, 2, 2]]
    """
    height, width = cores.shape
    grown = np.zeros((height + 2, width + 2), np.int32)  # with an edge that nothing spreads to
    middle = grown[1:-1, 1:-1]
    middle[:] = cores
    for level in reversed(range(_LEVELS)):
        free = inside & (middle == 0)
        if level:
            free &= score >= level / _LEVELS
        while True:
            beside = np.maximum(
                np.maximum(grown[:-2, 1:-1], grown[2:, 1:-1]), np.maximum(grown[1:-1, :-2], grown[1:-1, 2:])
            )
            reached = free & (beside > 0)
            if not reached.any():
                break
            middle[reached] = beside[reached]
            free &= ~reached
    return middle.copy()


def found_of(things: npt.NDArray[np.int32], count: int, classes: Tensor, shapes: Tensor) -> FoundThings:
    """Return grown things with their classes and scores; see the module.

    Args:
        things: int32 [H, W].
        count: N.
        classes: q, [C, H, W].
        shapes: a, [2, H, W].

    Example:
        >>> inside = torch.tensor([[0.0, 0.9, 0.9, 0.0]])
        >>> said = torch.stack([1 - inside, inside])
        >>> found = found_of(np.array([[0, 1, 1, 0]], np.int32), 1, said, torch.ones(2, 1, 4))
        >>> found.boxes.tolist(), found.labels.tolist(), round(float(found.scores), 2)
        ([[1.0, 0.0, 3.0, 1.0]], [0], 0.9)
    """
    ndimage = _ndimage()
    masks = Masks(torch.from_numpy(things), count)
    if not count:
        return FoundThings.of_masks(masks)
    index = np.arange(1, count + 1)
    means = np.stack([ndimage.mean(one, things, index) for one in classes.numpy()])  # [C, N]
    deepest = ndimage.maximum(shapes[0].numpy(), things, index)
    scores = ((1 - means[0]) * deepest).clip(0, 1)
    labels = means[1:].argmax(0)
    return FoundThings.of_masks(masks, torch.from_numpy(labels), torch.from_numpy(np.asarray(scores, np.float32)))


def core_scores(shapes: Tensor) -> npt.NDArray[Any]:
    """Return s, [H, W]."""
    deep, between = shapes.numpy()
    found: npt.NDArray[Any] = _ndimage().gaussian_filter(deep * (1 - between), _SMOOTH, mode="nearest")
    return found


def _largest_part(mask: npt.NDArray[np.bool_], ndimage: Any) -> npt.NDArray[np.bool_]:
    parts, count = ndimage.label(mask)
    if count <= 1:
        return mask
    found: npt.NDArray[np.bool_] = parts == np.bincount(parts.ravel())[1:].argmax() + 1
    return found


def _ndimage() -> Any:
    try:
        from scipy import ndimage
    except ImportError:
        raise MissingExtraError(
            "things are separated by scipy; install it with: pip install 'rnnkit[vision]'", remedy="pip install scipy"
        ) from None
    return ndimage
