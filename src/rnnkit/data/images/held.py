"""Pictures with their classes that are held in memory, all of one size, a byte a value."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

import torch
from torch import Tensor

from ...errors import DataError
from .batches import fit_sample
from .picture_files import Mode
from .pictures import PictureSet
from .samples import Sample


class HeldPictures:
    """Pictures and the numbers of their classes.

    Args:
        pixels: bytes [N, C, H, W].
        labels: the number of each one's class, int64 [N].
        names: of each picture; None: its number.

    Raises:
        DataError: other shapes, no bytes, or none.

    Example:
        >>> held = HeldPictures(torch.zeros(3, 1, 28, 28, dtype=torch.uint8), torch.tensor([0, 1, 1]))
        >>> len(held), held.image(0).shape, held.rows()[0].dtype
        (3, torch.Size([1, 28, 28]), torch.float32)
    """

    def __init__(self, pixels: Tensor, labels: Tensor, names: Sequence[str] | None = None) -> None:
        fits = pixels.dim() == 4 and pixels.dtype == torch.uint8 and labels.shape == pixels.shape[:1]
        if not fits or not len(pixels):
            raise DataError(
                f"pictures {list(pixels.shape)} of {pixels.dtype} and labels {list(labels.shape)} arrived; expected "
                "bytes [N, C, H, W], at least one, and as many labels"
            )
        self.pixels, self.labels = pixels, labels
        self.names = [str(number) for number in range(len(labels))] if names is None else list(names)

    def __len__(self) -> int:
        return len(self.labels)

    def __repr__(self) -> str:
        return f"HeldPictures({list(self.pixels.shape)}, {len(self.labels.unique())} classes)"

    def image(self, row: int) -> Tensor:
        """Return a picture [C, H, W] in [0, 1]."""
        return self.pixels[row].float() / 255

    def rows(self) -> tuple[Tensor, Tensor]:
        """Return all pictures float32 [N, C, H, W] in [0, 1], and their labels [N], as `Learner.fit` takes them."""
        return self.pixels.float().div_(255), self.labels

    def subset(self, rows: Sequence[int]) -> HeldPictures:
        """Return some of the pictures."""
        chosen = torch.as_tensor(rows, dtype=torch.int64)
        return HeldPictures(self.pixels[chosen], self.labels[chosen], [self.names[row] for row in rows])

    def statistics(self) -> tuple[list[float], list[float]]:
        """Return mean and standard deviation of each channel, of values in [0, 1]; a deviation of 0 becomes 1."""
        means, deviations = [], []
        for channel in range(self.pixels.shape[1]):
            counts = torch.bincount(self.pixels[:, channel].flatten(), minlength=256).double()
            values = torch.arange(256, dtype=torch.float64) / 255
            mean = float((counts * values).sum() / counts.sum())
            variance = float((counts * (values - mean) ** 2).sum() / counts.sum())
            means.append(round(mean, 6))
            deviations.append(round(variance**0.5, 6) or 1.0)
        return means, deviations

    def fingerprint(self) -> str:
        """Return a digest of pixels and labels."""
        found = hashlib.sha256(repr(tuple(self.pixels.shape)).encode())
        found.update(self.pixels.contiguous().numpy().tobytes())
        found.update(self.labels.contiguous().numpy().tobytes())
        return found.hexdigest()


def as_pixels(image: Tensor, size: tuple[int, int], fill: float = 0.5) -> Tensor:
    """Return a picture [C, H, W] in [0, 1] as bytes of a size: scaled as a whole, with an even border where it is left.

    Example:
        >>> as_pixels(torch.ones(1, 10, 20), (8, 8))[0, :, 0].tolist()
        [128, 128, 255, 255, 255, 255, 128, 128]
    """
    fitted, _, _ = fit_sample(Sample(image), *size, fill=fill)
    return (fitted.image * 255).round().to(torch.uint8)


def hold_pictures(
    pictures: PictureSet, classes: Sequence[str], size: tuple[int, int], *, mode: Mode = "RGB"
) -> tuple[HeldPictures | None, list[str]]:
    """Read pictures with labels into memory.

    Args:
        pictures: each has a label.
        classes: whose place is a label's number.
        size: (H, W) that they are scaled into, as a whole.
        mode: "RGB" or "L".

    Returns:
        The pictures, None where none can be read; and the ids of those that cannot.

    Raises:
        DataError: a label is none of the classes.
    """
    numbers = {name: number for number, name in enumerate(classes)}
    kept, labels, names, damaged = [], [], [], []
    for row, picture in enumerate(pictures):
        if picture.label not in numbers:
            known = ", ".join(map(repr, list(classes)[:10]))
            raise DataError(f"{picture.path} is of the class {picture.label!r}; known: {known}")
        try:
            image = pictures.image(row, mode)
        except DataError:
            damaged.append(picture.id)
            continue
        kept.append(as_pixels(image, size))
        labels.append(numbers[picture.label])
        names.append(picture.id)
    if not kept:
        return None, damaged
    return HeldPictures(torch.stack(kept), torch.tensor(labels), names), damaged
