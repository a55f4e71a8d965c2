"""Batches of clips for a network: frames are sampled and changed at random as they are needed.

Legend: B batch, T frames, C channels, H height, W width.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from ..data.video import sample_frames
from ..errors import DataError
from ..types import pad_rows
from .recognition_batches import TokenBatches

if TYPE_CHECKING:
    import numpy.typing as npt

    from .video_settings import ClipAugmentation


class HeldClips:
    """Clips that are held in memory, a byte a pixel and channel.

    Args:
        clips: of each, uint8 [T, C, H, W], all of one size.
        labels: the class of each.
        names: of each.
        most: frames that a network sees of a clip, at most.

    Raises:
        DataError: not as many labels as clips, none, or other sizes.

    Example:
        >>> held = HeldClips([torch.zeros(9, 1, 8, 8, dtype=torch.uint8)], ["left"], ["a"], most=4)
        >>> held.frames(0).shape, held.lengths.tolist()
        (torch.Size([4, 1, 8, 8]), [4])
    """

    def __init__(self, clips: Sequence[Tensor], labels: Sequence[str], names: Sequence[str], *, most: int) -> None:
        if len(clips) != len(labels) or len(clips) != len(names) or not clips:
            raise DataError(f"{len(labels)} classes arrived for {len(clips)} clips; expected as many, at least one")
        if len({tuple(one.shape[1:]) for one in clips}) > 1:
            raise DataError("clips of several sizes arrived; expected one")
        self.clips, self.texts, self.names, self.most = list(clips), list(labels), list(names), most
        self.lengths = np.array([min(len(one), most) for one in clips])

    def __len__(self) -> int:
        return len(self.clips)

    def frames(self, index: int, generator: torch.Generator | None = None) -> Tensor:
        """Return frames of a clip, uint8 [T, C, H, W]; see `rnnkit.data.video.sample_frames`."""
        clip = self.clips[index]
        return clip[sample_frames(len(clip), self.most, generator=generator)]

    def redraw(self, seed: int, epoch: int) -> None:
        """Leave the clips as they are."""

    def subset(self, rows: Sequence[int]) -> HeldClips:
        """Return some of the clips."""
        labels, names = ([values[row] for row in rows] for values in (self.texts, self.names))
        return HeldClips([self.clips[row] for row in rows], labels, names, most=self.most)

    def fingerprint(self) -> str:
        """Return a digest of clips and classes."""
        found = hashlib.sha256(repr((self.texts, self.most)).encode("utf-8", "surrogatepass"))
        for one in self.clips:
            found.update(repr(tuple(one.shape)).encode())
            found.update(one.contiguous().numpy().tobytes())
        return found.hexdigest()


class ClipBatches(TokenBatches):
    """Batches of clips [B, T, C, H, W] with the numbers of their classes; see :class:`TokenBatches`.

    Args:
        clips: them.
        classes: the names of the classes.
        batch_size: B, clips of a batch at most.
        augment: changes clips while training; None: nothing does, and frames are taken from fixed places.
        shuffle: false: all are sorted by length, always.
        seed: of all that is drawn.

    Example:
        >>> frames = [torch.zeros(length, 1, 8, 8, dtype=torch.uint8) for length in (3, 9)]
        >>> held = HeldClips(frames, ["left", "right"], ["a", "b"], most=4)
        >>> [batch] = ClipBatches(held, ("left", "right"), 2)
        >>> batch, batch.input_lengths.tolist()
        (Batch(inputs [2, 4, 1, 8, 8], targets [2], input_lengths [2]), [3, 4])
    """

    def __init__(
        self,
        clips: Any,
        classes: tuple[str, ...],
        batch_size: int,
        *,
        augment: ClipAugmentation | None = None,
        shuffle: bool = True,
        seed: int = 0,
    ) -> None:
        self.clips, self.augment = clips, augment
        super().__init__(clips, classes, batch_size, shuffle=shuffle, seed=seed)

    def sizes(self) -> npt.NDArray[Any]:
        """Return the number of frames of each clip."""
        return self.clips.lengths  # type: ignore[no-any-return]

    def inputs(self, rows: list[int], generator: torch.Generator | None) -> tuple[Tensor, Tensor]:
        """Return frames [B, T, C, H, W] and the lengths [B], sampled and changed at random by a generator."""
        drawn = None if self.augment is None else generator
        clips = [scaled(self.clips.frames(row, drawn)) for row in rows]
        if drawn is not None and self.augment is not None:
            clips = [changed(clip, self.augment, drawn) for clip in clips]
        return pad_rows(clips)

    def drawn_by(self) -> list[Any]:
        """Return what changes clips."""
        return [repr(self.augment)]

    def __repr__(self) -> str:
        return f"ClipBatches({len(self.clips):,} clips, batch_size={self.batch_size})"


def scaled(frames: Tensor) -> Tensor:
    """Return bytes as a network for classes reads them, float32 from −1 (black) to 1 (white).

    Example:
        >>> scaled(torch.tensor([0, 255], dtype=torch.uint8)).tolist()
        [-1.0, 1.0]
    """
    return frames.float() / 127.5 - 1


def changed(clip: Tensor, augment: ClipAugmentation, generator: torch.Generator) -> Tensor:
    """Return a clip moved, mirrored, and with another light, all its frames alike.

    Args:
        clip: float32 [T, C, H, W] from −1 to 1.
        augment: by how much.
        generator: of what is drawn.
    """
    place = torch.rand(2, generator=generator)
    light, contrast, flip = torch.rand(3, generator=generator).tolist()
    height, width = clip.shape[2:]
    down, right = round(augment.shift * height), round(augment.shift * width)
    if down or right:
        top, left = int(place[0] * (2 * down + 1)), int(place[1] * (2 * right + 1))
        padded = F.pad(clip, (right, right, down, down), mode="replicate")
        clip = padded[:, :, top : top + height, left : left + width]
    if flip < augment.flip:
        clip = clip.flip(3)
    if augment.light or augment.contrast:
        clip = clip * (1 + augment.contrast * (2 * contrast - 1)) + 2 * augment.light * (2 * light - 1)
        clip = clip.clamp(-1, 1)
    return clip
