"""Batches of pictures of lines for a recogniser: changed at random as they are needed.

Legend: B batch, H rows, W columns, U tokens.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
import torch
from torch import Tensor

from ..data.line_pictures import LineAugment, columns_of
from ..errors import DataError
from .recognition_batches import Readable, TokenBatches

if TYPE_CHECKING:
    import numpy.typing as npt

    from ..data.text.tokenizer import Tokenizer


class Lines(Readable, Protocol):
    """Pictures of lines, with what is written in them.

    Attributes:
        texts: of each.
        widths: columns of each, [N].
    """

    @property
    def widths(self) -> npt.NDArray[Any]: ...

    @property
    def height(self) -> int: ...

    def picture(self, index: int) -> Tensor:
        """Return a picture [H, W], ink 1 on paper 0."""
        ...


class HeldLines:
    """Pictures of lines that are held in memory, a byte a pixel.

    Args:
        pictures: of each, [H, W] in [0, 1], ink 1, all of one height.
        texts: what is written in each.

    Raises:
        DataError: not as many texts as pictures, none, or other heights.

    Example:
        >>> held = HeldLines([torch.zeros(32, 90), torch.zeros(32, 40)], ["one", "two"])
        >>> len(held), held.widths.tolist(), held.height
        (2, [90, 40], 32)
    """

    def __init__(self, pictures: Sequence[Tensor], texts: Sequence[str]) -> None:
        if len(pictures) != len(texts) or not pictures:
            raise DataError(f"{len(texts)} texts arrived for {len(pictures)} pictures; expected as many, at least one")
        heights = sorted({one.shape[0] for one in pictures})
        if len(heights) > 1:
            raise DataError(f"pictures of {heights[0]} to {heights[-1]} rows arrived; expected one height")
        self.height: int = heights[0]
        self._pictures = [(one * 255).round().to(torch.uint8) for one in pictures]
        self.texts: list[str] = list(texts)
        self.widths = np.array([one.shape[1] for one in pictures])

    def __len__(self) -> int:
        return len(self.texts)

    def picture(self, index: int) -> Tensor:
        """Return a picture [H, W] in [0, 1]."""
        return self._pictures[index].float() / 255

    def redraw(self, seed: int, epoch: int) -> None:
        """Leave the pictures as they are."""

    def subset(self, rows: Sequence[int]) -> HeldLines:
        """Return some of the pictures."""
        return HeldLines([self.picture(row) for row in rows], [self.texts[row] for row in rows])

    def fingerprint(self) -> str:
        """Return a digest of pictures and texts."""
        found = hashlib.sha256(repr(self.texts).encode("utf-8", "surrogatepass"))
        for one in self._pictures:
            found.update(repr(tuple(one.shape)).encode())
            found.update(one.contiguous().numpy().tobytes())
        return found.hexdigest()


class LineBatches(TokenBatches):
    """Batches of pictures of lines: their columns as inputs [B, W, H], tokens as targets; see :class:`TokenBatches`.

    Args:
        lines: the pictures.
        tokenizer: of the texts.
        batch_size: B, pictures of a batch at most.
        augment: changes pictures while training; None: nothing does.
        shuffle: false: all are always sorted by width, and nothing is drawn again.
        curriculum: this number of epochs come from short to long.
        plain: this number of epochs begin without augmentation.
        seed: of all that is drawn.

    Example:
        >>> from rnnkit.data import train_tokenizer
        >>> held = HeldLines([torch.zeros(32, 90), torch.zeros(32, 40)], ["one", "two!"])
        >>> [batch] = LineBatches(held, train_tokenizer("char", held.texts), batch_size=2)
        >>> batch, batch.input_lengths.tolist()
        (Batch(inputs [2, 90, 32], targets [2, 4], input_lengths [2], target_lengths [2]), [40, 90])
    """

    def __init__(
        self,
        lines: Lines,
        tokenizer: Tokenizer,
        batch_size: int,
        *,
        augment: LineAugment | None = None,
        shuffle: bool = True,
        curriculum: int = 0,
        plain: int = 0,
        seed: int = 0,
    ) -> None:
        self.lines, self.augment = lines, augment
        super().__init__(lines, tokenizer, batch_size, shuffle=shuffle, curriculum=curriculum, plain=plain, seed=seed)

    def sizes(self) -> npt.NDArray[Any]:
        """Return the width of each picture."""
        return self.lines.widths

    def inputs(self, rows: list[int], generator: torch.Generator | None) -> tuple[Tensor, Tensor]:
        """Return columns [B, W, H] and the widths [B], changed at random where a generator is given."""
        lines, widths = columns_of([self.lines.picture(row) for row in rows])
        if generator is not None and self.augment is not None:
            lines, widths = self.augment(lines, widths, generator)
        return lines.transpose(1, 2), widths

    def drawn_by(self) -> list[Any]:
        """Return what changes pictures."""
        return [repr(self.augment)]

    def __repr__(self) -> str:
        return f"LineBatches({len(self.lines):,} lines, batch_size={self.batch_size})"
