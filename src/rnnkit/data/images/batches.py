"""Batches of pictures with their boxes and masks, of one size or padded, varied, and resumable.

Legend: B batch, C channels, H height, W width.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, Literal

import torch
from torch import Tensor

from ...errors import ConfigError, DataError, Place, check_choice, check_whole
from ..position import ResumableBatches
from .boxes import Boxes
from .masks import NOT_JUDGED
from .moves import pad, resize
from .picture_files import MODES, Mode
from .pictures import PictureSet
from .samples import Sample

Fit = Literal["letterbox", "stretch", "pad"]
Augment = Callable[[Sample, torch.Generator], Sample]
_SEEDS = 1 << 62


@dataclass(frozen=True)
class Placement:
    """Where a picture lies in a batch.

    Attributes:
        top, left: its corner, in pixels of the batch.
        scale: (down, right): pixels of the batch for a pixel of the picture.
        size: (H, W) of the picture.

    Example:
        >>> place = Placement(top=0, left=10, scale=(0.5, 0.5), size=(40, 80))
        >>> place.to_picture(torch.tensor([[10.0, 0.0, 30.0, 10.0]])).tolist()
        [[0.0, 0.0, 40.0, 20.0]]
    """

    top: int
    left: int
    scale: tuple[float, float]
    size: tuple[int, int]

    def to_picture(self, xyxy: Tensor) -> Tensor:
        """Return boxes [N, 4] of the batch in pixels of the picture, cut at its edges."""
        down, right = self.scale
        height, width = self.size
        moved = (xyxy - torch.tensor([self.left, self.top] * 2)) / torch.tensor([right, down] * 2)
        return torch.minimum(moved.clamp(min=0), torch.tensor([width, height] * 2, dtype=moved.dtype))


@dataclass(frozen=True, eq=False, repr=False)
class PictureBatch:
    """Pictures of one size, and what belongs to each.

    Attributes:
        images: float32 [B, C, H, W] in [0, 1].
        sizes: int64 [B, 2], the (height, width) of each picture without its padding.
        samples: each picture as it is in the batch, with its boxes and masks in pixels of the batch.
        places: where each picture lies, to bring boxes back to it.
    """

    images: Tensor
    sizes: Tensor
    samples: tuple[Sample, ...]
    places: tuple[Placement, ...]

    def __len__(self) -> int:
        return len(self.images)

    def __repr__(self) -> str:
        boxes = sum(len(one) for one in self.boxes if one is not None)
        return f"PictureBatch(images {list(self.images.shape)}, {boxes:,} boxes)"

    @property
    def boxes(self) -> tuple[Boxes | None, ...]:
        """The boxes of each picture."""
        return tuple(sample.boxes for sample in self.samples)

    @property
    def mask_maps(self) -> Tensor:
        """The things of each picture as numbers, int32 [B, H, W]; 0 for none."""
        empty = torch.zeros(self.images.shape[-2:], dtype=torch.int32)
        return torch.stack([empty if one.masks is None else one.masks.map() for one in self.samples])

    @property
    def class_maps(self) -> Tensor:
        """The classes of pixels, int64 [B, H, W]; −100 is not to be judged."""
        empty = torch.full(self.images.shape[-2:], NOT_JUDGED)
        return torch.stack([empty if one.class_map is None else one.class_map for one in self.samples])

    @property
    def labels(self) -> Tensor:
        """The class of each picture, int64 [B]; −100 where it is unknown."""
        return torch.tensor([NOT_JUDGED if one.label is None else one.label for one in self.samples])

    @property
    def texts(self) -> tuple[str | None, ...]:
        """The text of each picture."""
        return tuple(sample.text for sample in self.samples)

    @property
    def ids(self) -> tuple[str, ...]:
        """The id of each picture."""
        return tuple(sample.id for sample in self.samples)


class PictureBatches(ResumableBatches):
    """Batches of pictures; the last one of an epoch may be smaller.

    All that is random in an epoch, the order and the changes of each picture, follows from the generator's state when
    the epoch begins. So a run that was interrupted resumes with exactly the same batches.

    Args:
        pictures: the set.
        batch_size: B.
        size: (height, width) of all pictures; None: see "pad".
        fit: how a picture gets that size. "letterbox": it is scaled as a whole, and what is left is filled, half on
            each side. "stretch": its sides are scaled to the size. "pad": it keeps its scale, and is filled at the
            right and at the bottom up to the size, or up to the largest picture of the batch.
        multiple: with "pad" and no size: heights and widths are multiples of it.
        mode: "L", "RGB" or "RGBA".
        augment: a change of each picture, called with a `Sample` and a `torch.Generator`, such as `PictureAugment`.
        encode: what makes a batch of the `PictureBatch`, such as a `rnnkit.types.Batch` for a network; None: nothing.
        shuffle: whether each epoch has another order.
        fill: the value of what is filled.
        seed: of the orders and changes.

    Raises:
        ConfigError: an argument has no such value.
        DataError: the set is empty, or, with "pad", a picture is larger than the size.

    Example:
        >>> import pathlib, tempfile
        >>> from PIL import Image
        >>> from rnnkit.data.images import read_pictures
        >>> folder = pathlib.Path(tempfile.mkdtemp())
        >>> for name, size in {"a": (40, 30), "b": (20, 20), "c": (10, 30)}.items():
        ...     Image.new("RGB", size).save(folder / f"{name}.png")
        >>> batches = PictureBatches(read_pictures(folder), 2, size=(32, 32), shuffle=False)
        >>> [(batch.images.shape, batch.sizes.tolist()) for batch in batches]
        [(torch.Size([2, 3, 32, 32]), [[24, 32], [32, 32]]), (torch.Size([1, 3, 32, 32]), [[32, 11]])]
    """

    def __init__(
        self,
        pictures: PictureSet,
        batch_size: int,
        *,
        size: tuple[int, int] | None = None,
        fit: Fit = "letterbox",
        multiple: int = 1,
        mode: Mode = "RGB",
        augment: Augment | None = None,
        encode: Callable[[PictureBatch], Any] | None = None,
        shuffle: bool = True,
        fill: float = 0.5,
        seed: int = 0,
    ) -> None:
        check_whole(batch_size, "batch_size")
        check_whole(multiple, "multiple")
        check_choice(fit, "fit", ("letterbox", "stretch", "pad"))
        check_choice(mode, "mode", MODES)
        if size is not None:
            if not isinstance(size, tuple | list) or len(size) != 2:
                raise ConfigError.of("size", size, "expected (height, width)")
            for side in size:
                check_whole(side, "size")
        elif fit != "pad":
            raise ConfigError.of("size", None, f'expected (height, width) for fit={fit!r}, or fit="pad"')
        if not len(pictures):
            raise DataError("no pictures arrived; expected at least one", Place(pictures.source))
        self.pictures, self.batch_size, self.size, self.fit = pictures, batch_size, size, fit
        self.multiple, self.mode, self.augment, self.encode = multiple, mode, augment, encode
        self.shuffle, self.fill = shuffle, fill
        super().__init__(seed, pictures)

    def __repr__(self) -> str:
        return f"PictureBatches({self.pictures!r}, batch_size={self.batch_size}, size={self.size}, fit={self.fit!r})"

    @property
    def steps(self) -> int:
        """The number of batches of an epoch."""
        return -(-len(self.pictures) // self.batch_size)

    def __iter__(self) -> Iterator[Any]:
        """Yield the batches of one epoch; after `load_state_dict` those that are left of it."""
        first = self.position.begin()
        count = len(self.pictures)
        order = torch.randperm(count, generator=self.generator) if self.shuffle else torch.arange(count)
        seeds = torch.randint(_SEEDS, (count,), generator=self.generator)
        return self._rest(order.tolist(), seeds.tolist(), first)

    def _rest(self, order: list[int], seeds: list[int], first: int) -> Iterator[Any]:
        for begin in range(first * self.batch_size, len(order), self.batch_size):
            chosen = slice(begin, begin + self.batch_size)
            rows, drawn = self.own(order[chosen]), self.own(seeds[chosen])
            batch = self.collate([self._varied(row, seed) for row, seed in zip(rows, drawn, strict=True)])
            self.position.advance()
            yield self.marked(batch if self.encode is None else self.encode(batch), order[chosen])
        self.position.end()

    def _varied(self, row: int, seed: int) -> Sample:
        sample = self.pictures.sample(row, self.mode)
        return sample if self.augment is None else self.augment(sample, torch.Generator().manual_seed(seed))

    def collate(self, samples: list[Sample]) -> PictureBatch:
        """Bring pictures to one size, and join them."""
        if self.size is None:
            sides = torch.tensor([sample.image.shape[-2:] for sample in samples]).amax(0)
            height, width = ((sides + self.multiple - 1) // self.multiple * self.multiple).tolist()
        else:
            height, width = self.size
        placed = [fit_sample(sample, height, width, fit=self.fit, fill=self.fill) for sample in samples]
        images = torch.stack([sample.image for sample, _, _ in placed])
        sizes = torch.tensor([size for _, _, size in placed])
        return PictureBatch(images, sizes, tuple(one for one, _, _ in placed), tuple(place for _, place, _ in placed))

    def fingerprint(self) -> dict[str, Any]:
        """Return JSON values that distinguish the data and its order from others."""
        settings = [self.size, self.fit, self.multiple, self.mode, self.fill]
        return {
            "data": self.pictures.fingerprint(),
            "batch_size": self.batch_size,
            "seed": self.seed if self.shuffle or self.augment is not None else None,
            "form": [list(one) if isinstance(one, tuple) else one for one in settings],
            "augment": None if self.augment is None else repr(self.augment),
        }


def fit_sample(
    sample: Sample, height: int, width: int, *, fit: Fit = "letterbox", fill: float = 0.5
) -> tuple[Sample, Placement, tuple[int, int]]:
    """Bring a picture to a size, as `PictureBatches` says.

    Returns:
        The picture, where it lies, and its (height, width) without what is filled.

    Raises:
        DataError: with "pad", the picture is larger than the size.

    Example:
        >>> sample = Sample(torch.zeros(1, 10, 20), Boxes.of([[0, 0, 10, 10]]), size=(10, 20))
        >>> fitted, place, size = fit_sample(sample, 20, 20)
        >>> fitted.boxes.xyxy.tolist(), place.to_picture(fitted.boxes.xyxy).tolist(), size
        ([[0.0, 5.0, 10.0, 15.0]], [[0.0, 0.0, 10.0, 10.0]], (10, 20))
    """
    high, wide = sample.image.shape[-2:]
    if fit == "pad":
        if high > height or wide > width:
            raise DataError(
                f"the picture {sample.id} of {high} × {wide} arrived; expected at most {height} × {width}",
                remedy='take fit="letterbox", or a larger size',
            )
        new, top, left = (high, wide), 0, 0
    elif fit == "stretch":
        new, top, left = (height, width), 0, 0
    else:
        factor = min(height / high, width / wide)
        new = (min(max(round(high * factor), 1), height), min(max(round(wide * factor), 1), width))
        top, left = (height - new[0]) // 2, (width - new[1]) // 2
    before = sample.size if all(sample.size) else (high, wide)
    placed = pad(resize(sample, *new), top, left, height, width, fill=fill)
    return placed, Placement(top, left, (new[0] / before[0], new[1] / before[1]), before), new
