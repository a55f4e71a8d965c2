"""How things are grown: the thresholds that separate the things of some pictures best."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from rnnkit.recipes.segment_data import PixelItems
    from rnnkit.tasks.growing import Growing
    from rnnkit.tasks.segmentation import Segmenter

_PICTURES = 30  # that are looked at, at most
_FOREGROUND = (0.35, 0.45, 0.5, 0.55, 0.65)
_CORE = (0.2, 0.3, 0.4, 0.5, 0.6, 0.7)
_SMALL = 0.01  # quantile of the areas of true things


def choose_growing(segmenter: Segmenter, items: PixelItems) -> Growing:
    """Return the thresholds with the highest precision of things (``bowl_map``).

    They are chosen one after the other, twice. The smallest thing is tried as half of the area that 99% of the true
    ones exceed, as twice that area, and as a pixel.

    Args:
        segmenter: whose network is trained.
        items: the pictures to choose on; of many, some evenly spread ones.
    """
    from dataclasses import replace

    import numpy as np

    from rnnkit.data.images.masks import resized
    from rnnkit.tasks.bowl_scores import score_bowl
    from rnnkit.tasks.growing import Growing, grow

    rows = range(0, len(items), -(-len(items) // _PICTURES))
    said, true, areas = [], [], []
    for row in rows:
        classes, shapes = segmenter.probabilities(items.image(row, segmenter.reading.mode))
        masks = items.things(row).masks
        assert masks is not None
        numbers = resized(masks.map().numpy(), *classes.shape[1:])
        said.append((classes, shapes))
        true.append(numbers)
        areas += np.bincount(numbers.ravel())[1:].tolist()
    known = [area for area in areas if area]
    small = max(1, round(float(np.quantile(known, _SMALL)) / 2)) if known else 1

    def quality(growing: Growing) -> float:
        grown = [grow(classes, shapes, growing)[0] for classes, shapes in said]
        return score_bowl(true, grown).figures["bowl_map"]

    best = Growing(smallest=small)
    reached = {best: quality(best)}
    for name, values in (("core", _CORE), ("foreground", _FOREGROUND), ("smallest", (1, small, 4 * small))) * 2:
        for value in values:
            changed: dict[str, Any] = {name: value}
            other = replace(best, **changed)
            if other not in reached:
                reached[other] = quality(other)
            if reached[other] > reached[best]:
                best = other
    return best
