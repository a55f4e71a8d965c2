"""How well the pixels of pictures are named: intersection over union, Dice, and Otsu's threshold beside.

Over all judged pixels of all pictures, with TP_k the pixels of class k that were named k, FP_k others that were, and
FN_k those of class k that were not,

    IoU_k = TP_k / (TP_k + FP_k + FN_k)          Dice_k = 2 TP_k / (2 TP_k + FP_k + FN_k)

The mean is over the classes that are there or were named, without the background; 1 where there is none.
``foreground_iou`` is that of all classes but the background as one. ``otsu_iou`` is the same for a threshold of each
picture's brightness (Otsu 1979, "A threshold selection method from gray-level histograms"), which knows nothing of
classes; the side of it that has fewer pixels is taken for the foreground. ``picture_iou`` and ``otsu_picture_iou`` are
means over the pictures of the same in each, so that a picture with little foreground counts as much as one with much.

Legend: C classes with the background, H height, W width, N pictures.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from ..data.images.colours import gray_of
from ..errors import DataError

_LEVELS = 256


class PixelScores(NamedTuple):
    """What was counted.

    Attributes:
        classes: names without the background.
        counts: int64 [C, C]: pixels of each true class (rows) that were named each class.
        each: the mean IoU of each picture; of one without judged pixels 1.
        foreground: the IoU of the foreground of each picture; 1 where none is there and none was named.
        otsu: int64 [2, 2], the counts of Otsu's threshold; None: no pictures were given.
        otsu_foreground: as `foreground`, of Otsu's threshold.
    """

    classes: tuple[str, ...]
    counts: Tensor
    each: list[float]
    foreground: list[float]
    otsu: Tensor | None = None
    otsu_foreground: Sequence[float] = ()

    @property
    def iou(self) -> list[float]:
        """IoU of each class, the background first; NaN of a class that is nowhere."""
        return _ious(self.counts).tolist()

    @property
    def dice(self) -> list[float]:
        """Dice of each class, the background first; NaN of a class that is nowhere."""
        found: list[float] = (2 * _ious(self.counts) / (1 + _ious(self.counts))).tolist()
        return found

    @property
    def figures(self) -> dict[str, float]:
        """Numbers by their names."""
        iou = _ious(self.counts)
        found = {
            "mean_iou": _mean(iou[1:]),
            "mean_dice": _mean(2 * iou[1:] / (1 + iou[1:])),
            "foreground_iou": float(_ious(_as_two(self.counts))[1]),
            "picture_iou": _mean(torch.tensor(self.foreground, dtype=torch.float64)),
            "pixel_accuracy": float(self.counts.diagonal().sum() / self.counts.sum().clamp(min=1)),
        }
        if self.otsu is not None:
            found["otsu_iou"] = float(_ious(self.otsu)[1])
            found["otsu_picture_iou"] = _mean(torch.tensor(self.otsu_foreground, dtype=torch.float64))
        return {name: _or_all(value) for name, value in found.items()}


def count_pixels(true: Tensor, found: Tensor, classes: int) -> Tensor:
    """Return how many pixels of each true class (rows) were named each class, int64 [C, C].

    Args:
        true: [H, W], below 0 where a pixel is not judged.
        found: [H, W].
        classes: C.

    Example:
        >>> count_pixels(torch.tensor([[0, 1, 1, -100]]), torch.tensor([[0, 1, 0, 1]]), 2).tolist()
        [[1, 0], [1, 1]]
    """
    judged = true >= 0
    pairs = true[judged].long() * classes + found[judged].long()
    return torch.bincount(pairs, minlength=classes * classes).reshape(classes, classes)


def score_pixels(
    true: Sequence[Tensor], found: Sequence[Tensor], classes: Sequence[str], images: Sequence[Tensor] = ()
) -> PixelScores:
    """Compare what pixels were named with what they are.

    Args:
        true: the class of each pixel of each picture [H, W], 0 background, below 0 where it is not judged.
        found: what they were named.
        classes: names without the background.
        images: the pictures [I, H, W], for Otsu's threshold; (): none.

    Raises:
        DataError: not as many maps, or of other sizes.

    Example:
        >>> true, found = torch.tensor([[0, 0, 1, 1]]), torch.tensor([[0, 1, 1, 1]])
        >>> scores = score_pixels([true], [found], ["leaf"])
        >>> {name: round(value, 3) for name, value in scores.figures.items()}
        {'mean_iou': 0.667, 'mean_dice': 0.8, 'foreground_iou': 0.667, 'picture_iou': 0.667, 'pixel_accuracy': 0.75}
    """
    if len(true) != len(found):
        raise DataError(f"{len(found)} named pictures arrived for {len(true)}; expected as many")
    size = len(classes) + 1
    total, otsu = torch.zeros(size, size, dtype=torch.int64), torch.zeros(2, 2, dtype=torch.int64)
    each: list[float] = []
    foreground: list[float] = []
    otsu_foreground: list[float] = []
    for number, (one, other) in enumerate(zip(true, found, strict=True)):
        if one.shape != other.shape:
            raise DataError(f"picture {number} was named in {list(other.shape)}; expected {list(one.shape)}")
        counts = count_pixels(one, other, size)
        total += counts
        each.append(_or_all(_mean(_ious(counts)[1:])))
        foreground.append(_or_all(float(_ious(_as_two(counts))[1])))
        if images:
            by_otsu = count_pixels(one.clamp(max=1), otsu_map(images[number]), 2)
            otsu += by_otsu
            otsu_foreground.append(_or_all(float(_ious(by_otsu)[1])))
    return PixelScores(tuple(classes), total, each, foreground, otsu if images else None, otsu_foreground)


def otsu_map(image: Tensor) -> Tensor:
    """Return the foreground by Otsu's threshold, int64 [H, W]: 1 on the side that has fewer pixels.

    Args:
        image: [I, H, W] in [0, 1].

    Example:
        >>> otsu_map(torch.tensor([[[0.1, 0.12, 0.1, 0.8, 0.9]]])).tolist()
        [[0, 0, 0, 1, 1]]
    """
    gray = gray_of(image).squeeze(0)
    low, high = gray.min(), gray.max()
    levels = ((gray - low) / (high - low).clamp(min=1e-9) * (_LEVELS - 1)).round().long()
    counts = torch.bincount(levels.flatten(), minlength=_LEVELS).double()
    below = counts.cumsum(0)
    moments = (counts * torch.arange(_LEVELS, dtype=torch.float64)).cumsum(0)
    above = below[-1] - below
    means = moments / below.clamp(min=1), (moments[-1] - moments) / above.clamp(min=1)
    between = below * above * (means[0] - means[1]) ** 2
    bright = levels > int(between.argmax())
    return (bright if int(bright.sum()) * 2 <= bright.numel() else ~bright).long()


def _or_all(value: float) -> float:
    """Return 1 in place of NaN: nothing is there, and nothing was named."""
    return 1.0 if value != value else value


def _ious(counts: Tensor) -> Tensor:
    right = counts.diagonal().double()
    return right / (counts.sum(0) + counts.sum(1) - counts.diagonal())


def _as_two(counts: Tensor) -> Tensor:
    """Counts of background and foreground."""
    return torch.stack(
        [
            torch.stack([counts[0, 0], counts[0, 1:].sum()]),
            torch.stack([counts[1:, 0].sum(), counts[1:, 1:].sum()]),
        ]
    )


def _mean(values: Tensor) -> float:
    known = values[~values.isnan()]
    return float(known.mean()) if len(known) else float("nan")
