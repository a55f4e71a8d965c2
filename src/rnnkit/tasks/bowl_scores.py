"""How well things are separated, as the Data Science Bowl 2018 counts it.

At a share t, a thing that was found is right where its intersection over the union (IoU) with a true one is above t.
From 0.5 on, a true thing has one such partner at most. With TP_t right ones, FP_t others, and FN_t true ones that were
not found, the precision of a picture at t is

    P_t = TP_t / (TP_t + FP_t + FN_t)

``bowl_ap50`` is the mean of P_0.5 over the pictures, ``bowl_map`` that of the mean of P_t over t = 0.5, 0.55 … 0.95.
Scores of things do not count, as they do for COCO (:mod:`rnnkit.tasks.found_scores`). A picture without things in which
none are found has the precision 1. Source: Caicedo et al. 2019, "Nucleus segmentation across imaging experiments: the
2018 Data Science Bowl", Nature Methods 16.

Legend: N things found, M true things, H height, W width.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from ..errors import ShapeError

if TYPE_CHECKING:
    import numpy.typing as npt

SHARES = tuple(round(0.5 + 0.05 * step, 2) for step in range(10))


class BowlScores(NamedTuple):
    """What was counted.

    Attributes:
        each: P_t of each picture at each share, [pictures, 10].

    Example:
        >>> BowlScores(np.array([[1.0] * 5 + [0.0] * 5])).figures
        {'bowl_ap50': 1.0, 'bowl_map': 0.5}
    """

    each: npt.NDArray[np.float64]

    @property
    def figures(self) -> dict[str, float]:
        """Numbers by their names."""
        if not len(self.each):
            return {}
        return {"bowl_ap50": float(self.each[:, 0].mean()), "bowl_map": float(self.each.mean())}


def bowl_precision(
    true: npt.NDArray[np.integer], found: npt.NDArray[np.integer], judged: npt.NDArray[np.bool_] | None = None
) -> npt.NDArray[np.float64]:
    """Return P_t of a picture at each share of `SHARES`.

    Args:
        true: [H, W], the numbers of true things from 1 on, 0 for none.
        found: [H, W], those of things that were found.
        judged: [H, W], the pixels that count; None: all.

    Raises:
        ShapeError: the sizes differ.

    Example:
        >>> bowl_precision(np.array([[1, 1, 1, 0, 2]]), np.array([[3, 3, 3, 0, 0]])).tolist()[0]
        0.5
    """
    if true.shape != found.shape:
        raise ShapeError(
            f"things of {list(found.shape)} arrived for true ones of {list(true.shape)}; expected one size"
        )
    if judged is not None:
        true, found = np.where(judged, true, 0), np.where(judged, found, 0)
    ids, first = np.unique(true, return_inverse=True)
    others, second = np.unique(found, return_inverse=True)
    pairs = np.bincount(first.ravel() * len(others) + second.ravel(), minlength=len(ids) * len(others))
    common = pairs.reshape(len(ids), len(others)).astype(np.float64)
    whole = common.sum(1, keepdims=True) + common.sum(0, keepdims=True) - common
    overlaps = (common / whole)[ids > 0][:, others > 0]
    best = overlaps.max(1) if overlaps.size else np.zeros(len(overlaps))
    right = np.array([(best > share).sum() for share in SHARES], np.float64)
    all_of_both = overlaps.shape[0] + overlaps.shape[1]
    if not all_of_both:
        return np.ones(len(SHARES))
    precision: npt.NDArray[np.float64] = right / (all_of_both - right)
    return precision


def score_bowl(
    true: Sequence[npt.NDArray[np.integer]],
    found: Sequence[npt.NDArray[np.integer]],
    judged: Sequence[npt.NDArray[np.bool_]] | None = None,
) -> BowlScores:
    """Return the precision of each picture at each share.

    Args:
        true, found, judged: of each picture, as in `bowl_precision`.

    Example:
        >>> things = [np.array([[1, 1, 0, 2]])]
        >>> score_bowl(things, things).figures
        {'bowl_ap50': 1.0, 'bowl_map': 1.0}
    """
    rows = [
        bowl_precision(one, other, None if judged is None else judged[number])
        for number, (one, other) in enumerate(zip(true, found, strict=True))
    ]
    return BowlScores(np.array(rows).reshape(len(rows), len(SHARES)))
