"""A picture in memory with its boxes and masks, and a memory of decoded pixels."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor

from ...errors import check_number, check_whole
from .boxes import Boxes
from .masks import Masks
from .picture_files import Mode, read_scaled


@dataclass(frozen=True, eq=False, repr=False)
class Sample:
    """A picture with what belongs to it; augmentation takes one and returns one.

    Legend: C channels, H height, W width.

    Attributes:
        image: float32 [C, H, W] in [0, 1].
        boxes: in pixels of the image; None: it has no annotation.
        masks: the pixels of each box, in the order of the boxes; None: there are none.
        class_map: int64 [H, W]: 0 background, n the class of number n − 1, −100 not to be judged; None: there is none.
        label: the number of the class of the whole picture.
        text: what is written in the picture.
        id: of the picture.
        size: (H, W) of the picture before it was resized: as it lies in its file, or as it was cut.

    Example:
        >>> import torch
        >>> Sample(torch.zeros(3, 30, 40), Boxes.of([[1, 2, 9, 9]]), label=1)
        Sample(image [3, 30, 40], boxes Boxes(1 of 1 classes), label 1)
    """

    image: Tensor
    boxes: Boxes | None = None
    masks: Masks | None = None
    class_map: Tensor | None = None
    label: int | None = None
    text: str | None = None
    id: str = ""
    size: tuple[int, int] = (0, 0)

    def __repr__(self) -> str:
        named = {"boxes": self.boxes, "masks": self.masks, "label": self.label, "text": self.text}
        parts = [f"{name} {value!r}" for name, value in named.items() if value is not None]
        parts += [f"class_map {list(self.class_map.shape)}"] if self.class_map is not None else []
        return f"Sample({', '.join([f'image {list(self.image.shape)}', *parts])})"


class PixelCache:
    """Decoded pixels, kept as bytes; what does not fit any more is read again each time.

    Args:
        megabytes: the most that is kept.
        longest: pixels of the longer side above which a picture is scaled down before it is kept; None: never.

    Raises:
        ConfigError: a number below 0.

    Example:
        >>> PixelCache(100).megabytes
        100
    """

    def __init__(self, megabytes: float, longest: int | None = None) -> None:
        check_number(megabytes, "megabytes")
        check_whole(longest, "longest", optional=True)
        self.megabytes, self.longest = megabytes, longest
        self._kept: dict[tuple[str, Mode], Tensor] = {}
        self._bytes = 0

    def get(self, path: str, mode: Mode) -> Tensor:
        """Return the pixels of a file as `read_scaled` does."""
        found = self._kept.get((path, mode))
        if found is None:
            found, _ = read_scaled(path, self.longest, mode=mode)
            size = found.numel() * found.element_size()
            # An epoch reads each picture once, so taking out older ones would leave nothing to be found.
            if self._bytes + size <= self.megabytes * 1e6:
                self._kept[path, mode] = found
                self._bytes += size
        return found
