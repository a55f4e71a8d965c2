"""What ``rnnkit inspect`` measures of a network that names pixels: the network itself, on parts of pictures."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rnnkit.recipes.interface import InspectionData

if TYPE_CHECKING:
    from rnnkit.recipes.segment_data import PixelItems
    from rnnkit.tasks.segmentation import Segmenter

_LARGEST = 256  # pixels of a part's sides, so that measuring takes seconds


def looked_into(segmenter: Segmenter, items: PixelItems) -> InspectionData:
    """Return the network, and the middle of each picture, all of one size.

    Args:
        segmenter: of the run.
        items: the pictures.
    """
    import torch

    reading = segmenter.reading
    images = [reading.prepared(items.image(index, reading.mode)) for index in range(len(items))]
    height, width = (min(_LARGEST, *(image.shape[axis] for image in images)) for axis in (1, 2))
    parts = []
    for image in images:
        top, left = (image.shape[1] - height) // 2, (image.shape[2] - width) // 2
        parts.append(image[:, top : top + height, left : left + width])
    return InspectionData(segmenter.model, torch.stack(parts), None, None)
