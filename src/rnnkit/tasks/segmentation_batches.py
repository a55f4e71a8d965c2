"""Batches of pictures with the class of each pixel, and of the shapes of things, for a network that names pixels.

Legend: B batch, I channels, H height, W width, S shapes.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from ..data.images.augmentation import PictureAugment
from ..data.images.batches import PictureBatch, PictureBatches
from ..data.images.masks import NOT_JUDGED
from ..data.images.moves import crop
from ..data.images.samples import Sample
from ..types import Batch

if TYPE_CHECKING:
    from ..data.images.boxes import Boxes
    from ..data.images.masks import Masks
    from ..data.images.picture_files import Mode
    from ..data.images.pictures import Picture

_DARK, _BRIGHT = 0.01, 0.998  # quantiles
_SEEN = 1 << 20  # pixels that quantiles are taken of


def stretch(image: Tensor) -> Tensor:
    """Scale the values of a picture so that its 1% and its 99.8% quantile become 0 and 1, and cut them there.

    Example:
        >>> stretch(torch.linspace(0.2, 0.4, 1001).reshape(1, 7, 143)).aminmax()
        torch.return_types.aminmax(
        min=tensor(0.),
        max=tensor(1.))
    """
    values = image.flatten()
    if len(values) > _SEEN:
        values = values[:: len(values) // _SEEN + 1]
    low, high = torch.quantile(values, torch.tensor([_DARK, _BRIGHT], dtype=values.dtype))
    found: Tensor = ((image - low) / (high - low).clamp(min=1e-6)).clamp(0, 1)
    return found


def class_map_of(size: tuple[int, int], boxes: Boxes | None, masks: Masks | None, class_map: Tensor | None) -> Tensor:
    """Return the class of each pixel, int64 [H, W]: 0 background, n for class number n − 1, below 0 not judged.

    Where there are only masks of things, a pixel has the class of its thing; those of ``boxes.crowd`` are not judged.

    Args:
        size: (H, W).
        boxes: of the things, with their classes.
        masks: of the things.
        class_map: what is returned where it is there.

    Example:
        >>> from rnnkit.data.images import Boxes, Masks
        >>> masks = Masks(torch.tensor([[0, 1, 2]], dtype=torch.int32), 2)
        >>> class_map_of((1, 3), Boxes.of([[1, 0, 2, 1], [2, 0, 3, 1]], [0, 4]), masks, None).tolist()
        [[0, 1, 5]]
    """
    if class_map is not None:
        return class_map
    if masks is None or boxes is None:
        return torch.zeros(size, dtype=torch.int64)
    numbers = torch.where(boxes.crowd, NOT_JUDGED, boxes.labels + 1)
    return torch.cat([torch.zeros(1, dtype=torch.int64), numbers])[masks.map().long()]


def renumbered(class_map: Tensor, numbers: Sequence[int]) -> Tensor:
    """Return a class map in other numbers.

    Args:
        class_map: 0 background, n for class number n − 1, below 0 not judged.
        numbers: the new number of each class, from 0.

    Example:
        >>> renumbered(torch.tensor([[0, 1, 2, -100]]), [4, 0]).tolist()
        [[0, 5, 1, -100]]
    """
    known = torch.tensor([0, *(one + 1 for one in numbers)])
    return torch.where(class_map > 0, known[class_map.clamp(min=0)], class_map)


def true_class_map(picture: Picture) -> Tensor:
    """Return the class of each pixel of a picture's file; see `class_map_of`."""
    size = (picture.height, picture.width)
    masks, class_map = (None, None) if picture.masks is None else picture.masks.read(*size)
    return class_map_of(size, picture.boxes, masks, class_map)


@dataclass(frozen=True)
class Parts:
    """Change a picture at random, and cut a part out of it.

    Attributes:
        size: pixels of each side of the part; a smaller picture stays whole.
        augment: what changes the picture before; None: nothing, and the part is the middle.
        contrast: whether `stretch` comes first.

    Example:
        >>> sample = Sample(torch.rand(1, 40, 30))
        >>> Parts(32)(sample, torch.Generator()).image.shape
        torch.Size([1, 32, 30])
    """

    size: int
    augment: PictureAugment | None = None
    contrast: bool = False

    def __call__(self, sample: Sample, generator: torch.Generator) -> Sample:
        """Return the part."""
        if self.contrast:
            sample = replace(sample, image=stretch(sample.image))
        if self.augment is not None:
            sample = self.augment(sample, generator)
        high, wide = sample.image.shape[-2:]
        height, width = min(high, self.size), min(wide, self.size)
        if (height, width) == (high, wide):
            return sample
        if self.augment is None:
            top, left = (high - height) // 2, (wide - width) // 2
        else:
            top = int(torch.randint(0, high - height + 1, (), generator=generator))
            left = int(torch.randint(0, wide - width + 1, (), generator=generator))
        return crop(sample, top, left, height, width, keep=0.0)


@dataclass(frozen=True)
class EncodePixels:
    """Make a batch for a network of pictures: the class of each pixel, and maybe the shapes of things.

    Attributes:
        shapes: whether the shapes are wanted; see :mod:`rnnkit.tasks.growing`.

    Example:
        >>> sample = Sample(torch.rand(1, 2, 3), class_map=torch.tensor([[0, 1, 1], [0, 0, 2]]))
        >>> batch = PictureBatch(sample.image[None], torch.tensor([[2, 3]]), (sample,), ())
        >>> EncodePixels()(batch)
        Batch(inputs [1, 1, 2, 3], targets [1, 1, 2, 3])
    """

    shapes: bool = False

    def __call__(self, batch: PictureBatch) -> Batch:
        """Return pictures [B, I, H, W] and targets [B, 1 + S, H, W]."""
        targets = [self._target(sample, size) for sample, size in zip(batch.samples, batch.sizes.tolist(), strict=True)]
        return Batch(batch.images, torch.stack(targets))

    def _target(self, sample: Sample, size: list[int]) -> Tensor:
        from .growing import shapes_of

        high, wide = sample.image.shape[-2:]
        classes = class_map_of((high, wide), sample.boxes, sample.masks, sample.class_map)
        inside = torch.zeros(high, wide, dtype=torch.bool)
        inside[: size[0], : size[1]] = True
        found = torch.where(inside, classes, NOT_JUDGED)[None].float()
        if not self.shapes:
            return found
        things = torch.zeros(high, wide, dtype=torch.int32) if sample.masks is None else sample.masks.map()
        return torch.cat([found, shapes_of(things)])


class PixelBatches(PictureBatches):
    """Batches of parts of pictures with the class of each pixel; see `Parts` and `EncodePixels`.

    Args:
        items: have `sample(row, mode)`, a `Sample` in the numbers of the network's classes, `source`, and
            `fingerprint()`, as a ``PictureSet`` does. If they have `redraw(seed)`, each epoch begins with it.
        batch_size: B.
        size: H and W.
        mode: "L" or "RGB".
        shapes: as in `EncodePixels`.
        augment, contrast: as in `Parts`.
        shuffle, seed: as in `PictureBatches`.

    Example:
        >>> import pathlib, tempfile
        >>> from PIL import Image
        >>> from rnnkit.data.images import read_pictures
        >>> folder = pathlib.Path(tempfile.mkdtemp())
        >>> for name in ("a.png", "a_mask.png"):
        ...     Image.new("L", (40, 30), 1).save(folder / name)
        >>> next(iter(PixelBatches(read_pictures(folder), 1, 16)))
        Batch(inputs [1, 3, 16, 16], targets [1, 1, 16, 16])
    """

    def __init__(
        self,
        items: Any,
        batch_size: int,
        size: int,
        *,
        mode: Mode = "RGB",
        shapes: bool = False,
        augment: PictureAugment | None = None,
        contrast: bool = False,
        shuffle: bool = True,
        seed: int = 0,
    ) -> None:
        super().__init__(
            items,
            batch_size,
            size=(size, size),
            fit="pad",
            mode=mode,
            augment=Parts(size, augment, contrast),
            encode=EncodePixels(shapes),
            shuffle=shuffle,
            fill=0.0,
            seed=seed,
        )

    def __iter__(self) -> Iterator[Any]:
        """Yield the batches of one epoch; after `load_state_dict` those that are left of it."""
        redraw = getattr(self.pictures, "redraw", None)
        if redraw is not None:
            redraw(int(torch.randint(1 << 62, (), generator=self.generator)))
        return super().__iter__()
