"""How well things are found in pictures: average precision of boxes or masks, as COCO counts it, and who is right.

A thing that was found is right where a true one of its class overlaps it by at least a share, the intersection over the
union (IoU), and no surer one took that. Average precision (AP) is the mean, over 101 recalls, of the highest precision
that is reached at this recall or a higher one. ``map50`` is the mean over the classes at IoU 0.5, ``map75`` at 0.75,
``map`` over the IoUs 0.5, 0.55 … 0.95. Things of ``crowd`` (COCO's ``iscrowd``, Pascal VOC's ``difficult``) are not
judged, and neither is what is found there. Classes of which nothing is there count in no mean.

The counting is that of faster-coco-eval. `match_things` says of each thing whether it is right by the same rule.

Legend: N things, C classes, R = 101 recalls.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from contextlib import redirect_stdout
from dataclasses import dataclass
from io import StringIO
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from ..data.images.boxes import box_overlaps
from ..errors import DataError, MissingExtraError
from .found_things import FoundThings, TrueThings, coco_dataset, coco_results

if TYPE_CHECKING:
    import numpy.typing as npt

NOT_JUDGED, WRONG = -2, -1
_FEWEST = 100  # things of a class that are judged in a picture; more where more are there


class PrecisionRecall(NamedTuple):
    """Precision over recall of one class at one IoU.

    Attributes:
        recall: [R], from 0 to 1.
        precision: [R], the highest at this recall or a higher one; 0 where the recall is not reached.
        scores: [R], of the thing with which the recall is reached; 0 where it is not.
    """

    recall: npt.NDArray[np.float64]
    precision: npt.NDArray[np.float64]
    scores: npt.NDArray[np.float64]


@dataclass(frozen=True)
class ClassScores:
    """How well the things of one class are found.

    Attributes:
        name: of the class.
        count: true things that are judged.
        ap: over the IoUs 0.5 to 0.95; NaN where nothing is there.
        ap50, ap75: at IoU 0.5 and 0.75.
        curve: at IoU 0.5; None where nothing is there.
    """

    name: str
    count: int
    ap: float
    ap50: float
    ap75: float
    curve: PrecisionRecall | None


@dataclass(frozen=True)
class FoundScores:
    """How well things are found.

    Attributes:
        classes: of each.
    """

    classes: tuple[ClassScores, ...]

    @property
    def figures(self) -> dict[str, float]:
        """``map50``, ``map75`` and ``map``; NaN where nothing is there."""
        named = {"map50": "ap50", "map75": "ap75", "map": "ap"}
        return {name: _mean([getattr(one, of_class) for one in self.classes]) for name, of_class in named.items()}


def score_found(
    true: Sequence[TrueThings], found: Sequence[FoundThings], classes: Sequence[str], *, masks: bool = False
) -> FoundScores:
    """Return how well things are found; see the module.

    Args:
        true: of each picture.
        found: of the same pictures.
        classes: names.
        masks: whether masks are compared, in place of boxes.

    Raises:
        DataError: unequally many pictures, or masks are missing. MissingExtraError: faster-coco-eval is not installed.

    Example:
        >>> from rnnkit.data.images import Boxes
        >>> true = [TrueThings((60, 80), Boxes.of([[0, 0, 20, 20], [40, 40, 50, 50]]))]
        >>> found = [FoundThings.of((60, 80), [[0, 0, 19, 20], [10, 40, 20, 50]], scores=[0.9, 0.8])]
        >>> scores = score_found(true, found, ("cat",))
        >>> {name: round(value, 3) for name, value in scores.figures.items()}
        {'map50': 0.505, 'map75': 0.505, 'map': 0.505}
    """
    _check(true, found, masks=masks)
    evaluation = _evaluated(true, found, classes, masks=masks)
    rows = []
    for number, name in enumerate(classes):
        count = sum(int(((one.boxes.labels == number) & ~one.boxes.crowd).sum()) for one in true)
        if evaluation is None or not count:
            value = 0.0 if count else math.nan
            curve = _no_curve() if count else None
            rows.append(ClassScores(name, count, value, value, value, curve))
            continue
        precision = evaluation["precision"][:, :, number, 0, -1]  # IoUs, recalls
        curve = PrecisionRecall(
            np.linspace(0, 1, precision.shape[1]), precision[0], evaluation["scores"][0, :, number, 0, -1]
        )
        rows.append(
            ClassScores(
                name, count, float(precision.mean()), float(precision[0].mean()), float(precision[5].mean()), curve
            )
        )
    return FoundScores(tuple(rows))


class Matches(NamedTuple):
    """Which things that were found in a picture are right.

    Attributes:
        of_found: int64 [N]: the number of the true thing; −1: it is wrong; −2: it is not judged.
        missed: bool: for each true thing whether none that was found is it; of those that are not judged false.
    """

    of_found: Tensor
    missed: Tensor


def match_things(true: TrueThings, found: FoundThings, *, least: float = 0.5, masks: bool = False) -> Matches:
    """Return which things that were found in a picture are right, as COCO decides: the surest ones choose first.

    Args:
        true: what is there.
        found: what was found.
        least: the intersection over the union from which on a thing is right.
        masks: whether masks are compared, in place of boxes.

    Raises:
        DataError: masks are missing.

    Example:
        >>> from rnnkit.data.images import Boxes
        >>> true = TrueThings((60, 80), Boxes.of([[0, 0, 20, 20], [40, 40, 50, 50]]))
        >>> found = FoundThings.of((60, 80), [[0, 0, 19, 20], [0, 0, 20, 20]], scores=[0.8, 0.9])
        >>> matches = match_things(true, found)
        >>> matches.of_found.tolist(), matches.missed.tolist()
        ([-1, 0], [False, True])
    """
    _check([true], [found], masks=masks)
    boxes = true.boxes
    overlaps = _mask_overlaps(true, found) if masks else box_overlaps(found.boxes, boxes.xyxy, boxes.crowd)
    of_found = torch.full((len(found),), WRONG)
    taken = torch.zeros(len(boxes), dtype=torch.bool)
    limit = min(least, 1 - 1e-10)
    for number in found.scores.argsort(descending=True, stable=True).tolist():
        near = (overlaps[number] >= limit) & (boxes.labels == found.labels[number])
        free = near & ~taken & ~boxes.crowd
        if bool(free.any()):
            chosen = int(torch.where(free, overlaps[number], -1.0).argmax())
            taken[chosen] = True
            of_found[number] = chosen
        elif bool((near & boxes.crowd).any()):
            of_found[number] = NOT_JUDGED
    return Matches(of_found, ~taken & ~boxes.crowd)


def _check(true: Sequence[TrueThings], found: Sequence[FoundThings], *, masks: bool) -> None:
    if len(true) != len(found):
        raise DataError(f"what was found in {len(found)} pictures arrived for {len(true)}; expected as many")
    if masks:
        for number, (own, other) in enumerate(zip(true, found, strict=True)):
            if own.masks is None or other.masks is None:
                side = "found" if other.masks is None else "true"
                raise DataError(f"the {side} things of picture {number} have no masks; compare boxes: masks=False")


def _evaluated(
    true: Sequence[TrueThings], found: Sequence[FoundThings], classes: Sequence[str], *, masks: bool
) -> dict[str, Any] | None:
    """Return what faster-coco-eval accumulates, arrays [IoUs, R, C, areas, limits]; None where nothing was found."""
    try:
        from faster_coco_eval import COCO, COCOeval_faster
    except ImportError:
        raise MissingExtraError(
            "average precision is counted by faster-coco-eval; install it with: pip install 'rnnkit[vision]'",
            remedy="pip install faster-coco-eval",
        ) from None
    results = coco_results(found)
    if not results or not classes:
        return None
    if not masks:
        results = [{name: one[name] for name in one if name != "segmentation"} for one in results]
    # Scores are compared as they are, not as they are rounded for a file.
    every = torch.cat([one.scores for one in found]).tolist()
    boxes = torch.cat([one.boxes for one in found]).tolist()
    for entry, score, (left, top, right, bottom) in zip(results, every, boxes, strict=True):
        entry |= {"score": score, "bbox": [left, top, right - left, bottom - top]}
    with redirect_stdout(StringIO()):
        dataset = COCO(coco_dataset(true, classes))
        evaluation = COCOeval_faster(dataset, dataset.loadRes(results), "segm" if masks else "bbox")
        most = max(_FEWEST, *(len(one.boxes) for one in true), *(len(one) for one in found))
        evaluation.params.maxDets = [1, 10, most]
        evaluation.evaluate()
        evaluation.accumulate()
    evaluated: dict[str, Any] = evaluation.eval
    return evaluated


def _mask_overlaps(true: TrueThings, found: FoundThings) -> Tensor:
    assert true.masks is not None
    assert found.masks is not None
    some, others = (one.stack().flatten(1).float() for one in (found.masks, true.masks))
    common = some @ others.T
    first, second = some.sum(1), others.sum(1)
    whole = torch.where(true.boxes.crowd, first[:, None].expand_as(common), first[:, None] + second - common)
    return common / whole.clamp(min=1)


def _no_curve() -> PrecisionRecall:
    recall = np.linspace(0, 1, 101)
    return PrecisionRecall(recall, np.zeros(101), np.zeros(101))


def _mean(values: Sequence[float]) -> float:
    known = [value for value in values if not math.isnan(value)]
    return sum(known) / len(known) if known else math.nan
