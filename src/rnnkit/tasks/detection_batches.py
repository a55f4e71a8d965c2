"""Batches of pictures with boxes for a detector: scaled to one size, varied, and encoded.

Legend: B batch, S boxes of a picture at most.
"""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor

from ..data.images import Boxes, PictureAugment, PictureBatch, PictureBatches, PictureSet
from ..types import Batch


def detection_batches(
    pictures: PictureSet,
    batch_size: int,
    *,
    size: int,
    multiple: int,
    augment: PictureAugment | None = None,
    shuffle: bool = True,
    seed: int = 0,
) -> PictureBatches:
    """Return batches of pictures whose longer sides have so many pixels, with their boxes as targets.

    Inputs are [B, 3, H, W], with H and W the smallest multiples that hold every picture; what is left is grey, half on
    each side. Targets are [B, S, 5], see :mod:`rnnkit.tasks.detection_objectives`.

    Args:
        pictures: with boxes.
        batch_size: B.
        size: pixels of the longer side.
        multiple: H and W are multiples of it.
        augment: changes pictures while training.
        shuffle: whether each epoch has another order.
        seed: of all that is drawn.

    Example:
        >>> from rnnkit.data.images import Picture, read_pictures
        >>> import pathlib, tempfile
        >>> from PIL import Image
        >>> file = pathlib.Path(tempfile.mkdtemp()) / "a.png"
        >>> Image.new("RGB", (80, 60)).save(file)
        >>> pictures = PictureSet((Picture(str(file), 80, 60, boxes=Boxes.of([[10, 10, 30, 20]])),), ("cat",))
        >>> [batch] = detection_batches(pictures, 1, size=64, multiple=16)
        >>> batch.inputs.shape, batch.targets.tolist()
        (torch.Size([1, 3, 48, 64]), [[[0.0, 8.0, 8.0, 24.0, 16.0]]])
    """
    return PictureBatches(
        pictures,
        batch_size,
        size=canvas(pictures, size, multiple),
        augment=augment,
        encode=encode,
        shuffle=shuffle,
        seed=seed,
    )


def canvas(pictures: PictureSet, size: int, multiple: int) -> tuple[int, int]:
    """Return the smallest (height, width), multiples of a number, that holds every picture at a longer side of `size`.

    Example:
        >>> from rnnkit.data.images import Picture
        >>> canvas(PictureSet((Picture("a", 80, 60), Picture("b", 100, 50))), 320, 16)
        (240, 320)
    """
    height = width = 1.0
    for one in pictures:
        factor = size / max(one.height, one.width)
        height, width = max(height, round(one.height * factor)), max(width, round(one.width * factor))
    return math.ceil(height / multiple) * multiple, math.ceil(width / multiple) * multiple


def encode(batch: PictureBatch) -> Batch:
    """Return pictures with their boxes as targets; the class of crowds is −(class + 2)."""
    rows = [_rows(one) for one in batch.boxes]
    counts = torch.tensor([len(one) for one in rows])
    targets = (
        torch.nn.utils.rnn.pad_sequence(rows, batch_first=True) if int(counts.max()) else torch.zeros(len(rows), 1, 5)
    )
    return Batch(batch.images, targets, None, counts)


def _rows(boxes: Boxes | None) -> Tensor:
    if boxes is None:
        return torch.zeros(0, 5)
    labels: Any = torch.where(boxes.crowd, -boxes.labels - 2, boxes.labels).float()
    return torch.cat([labels[:, None], boxes.xyxy], 1)
