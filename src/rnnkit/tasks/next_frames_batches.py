"""Batches of windows of clips, of which a network predicts the next frames.

Legend: B batch, T frames observed, S frames to predict, C channels, H height, W width.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from typing import Any, Protocol

import torch
from torch import Tensor

from ..data.position import ResumableBatches
from ..errors import DataError, check_whole
from ..types import Batch


class Windows(Protocol):
    """Windows of clips, all of as many frames.

    Attributes:
        frames: of a window.
    """

    @property
    def frames(self) -> int: ...

    def __len__(self) -> int: ...

    def redraw(self, seed: int, epoch: int) -> None:
        """Draw other windows for an epoch, counted from 0."""
        ...

    def windows(self, rows: Sequence[int]) -> Tensor:
        """Return windows, uint8 [B, T + S, C, H, W]."""
        ...

    def fingerprint(self) -> str:
        """Return a digest of what windows are drawn of."""
        ...


class HeldVideos:
    """Clips that are held in memory, a byte a pixel and channel, and windows of them.

    A clip gives as many windows as fit after one another. Before `redraw` they lie so, from its first frame on; then
    each begins at a random frame.

    Args:
        clips: uint8 [T, C, H, W], all of one size, none shorter than a window.
        names: of each.
        frames: of a window.

    Raises:
        DataError: no clips, other sizes, or a clip that is too short.

    Example:
        >>> held = HeldVideos([torch.zeros(9, 1, 8, 8, dtype=torch.uint8)], ["a"], frames=4)
        >>> len(held), held.windows([0, 1]).shape
        (2, torch.Size([2, 4, 1, 8, 8]))
    """

    def __init__(self, clips: Sequence[Tensor], names: Sequence[str], *, frames: int) -> None:
        check_whole(frames, "frames", 2)
        if not clips or len(clips) != len(names) or len({tuple(one.shape[1:]) for one in clips}) > 1:
            raise DataError("no clips, or clips of several sizes arrived; expected clips of one size, each with a name")
        short = next((name for name, clip in zip(names, clips, strict=True) if len(clip) < frames), None)
        if short is not None:
            raise DataError(f"{short} has fewer than {frames} frames; leave it out")
        self.clips, self.names, self.frames = list(clips), list(names), frames
        self.places = [
            (number, begin) for number, clip in enumerate(clips) for begin in range(0, len(clip) - frames + 1, frames)
        ]

    def __len__(self) -> int:
        return len(self.places)

    def redraw(self, seed: int, epoch: int) -> None:
        """Let each window begin at a random frame of its clip."""
        generator = torch.Generator().manual_seed(seed)
        shares = torch.rand(len(self.places), generator=generator).tolist()
        self.places = [
            (number, int(share * (len(self.clips[number]) - self.frames + 1)))
            for (number, _), share in zip(self.places, shares, strict=True)
        ]

    def windows(self, rows: Sequence[int]) -> Tensor:
        """Return windows, uint8 [B, T + S, C, H, W]."""
        found = (self.places[row] for row in rows)
        return torch.stack([self.clips[number][begin : begin + self.frames] for number, begin in found])

    def fingerprint(self) -> str:
        """Return a digest of the clips."""
        digest = hashlib.sha256(repr((self.frames, len(self.places))).encode())
        for one in self.clips:
            digest.update(repr(tuple(one.shape)).encode() + one.contiguous().numpy().tobytes())
        return digest.hexdigest()


class WindowBatches(ResumableBatches):
    """Batches whose inputs are the observed frames [B, T, C, H, W], and whose targets are all frames but the first.

    While training, the network at first sees all frames but the last, and predicts each from the true ones before it.
    Then the frames at the end that it has to predict from its own predictions become more, from one to S: a curriculum
    as in Bengio et al. 2015 ("Scheduled sampling"), without the sampling.

    Args:
        windows: what to read.
        batch_size: B, windows of a batch at most.
        observed: T.
        shuffle: false: windows come in their order and are not drawn again, and S frames are predicted from the first
            epoch on.
        plain: this number of epochs begin in which each frame is predicted from the true ones.
        growing: in so many epochs after them more frames are predicted from predictions.
        seed: of all that is drawn.

    Example:
        >>> held = HeldVideos([torch.zeros(12, 1, 8, 8, dtype=torch.uint8)], ["a"], frames=6)
        >>> [batch] = WindowBatches(held, 2, observed=4, shuffle=False)
        >>> batch
        Batch(inputs [2, 4, 1, 8, 8], targets [2, 5, 1, 8, 8])
    """

    def __init__(
        self,
        windows: Windows,
        batch_size: int,
        *,
        observed: int,
        shuffle: bool = True,
        plain: int = 0,
        growing: int = 0,
        seed: int = 0,
    ) -> None:
        check_whole(batch_size, "batch_size")
        check_whole(observed, "observed")
        check_whole(plain, "plain", 0)
        check_whole(growing, "growing", 0)
        if observed >= windows.frames:
            raise DataError(f"windows of {windows.frames} frames arrived with observed={observed}; expected more")
        self.windows, self.batch_size, self.observed = windows, batch_size, observed
        self.shuffle, self.plain, self.growing, self.epoch = shuffle, plain, growing, 0
        super().__init__(seed, windows)

    @property
    def steps(self) -> int:
        """The number of batches of an epoch."""
        return -(-len(self.windows) // self.batch_size)

    @property
    def horizon(self) -> int:
        """The frames at the end that are predicted without a true one before the last of them, in this epoch."""
        whole = self.windows.frames - self.observed
        if not self.shuffle or self.epoch >= self.plain + self.growing:
            return whole
        grown = max(0, self.epoch + 1 - self.plain) / (self.growing + 1)
        return max(1, round(whole * grown))

    def __iter__(self) -> Iterator[Batch]:
        """Yield the batches of one epoch; after `load_state_dict` those that are left of it."""
        first = self.position.begin()
        order = list(range(len(self.windows)))
        if self.shuffle:
            self.windows.redraw(int(torch.randint(2**62, (), generator=self.generator)), self.epoch)
            order = torch.randperm(len(order), generator=self.generator).tolist()
        return self._rest(order, first)

    def state_dict(self) -> dict[str, Any]:
        """Return the position in the epoch, and the number of epochs that are over."""
        return {**super().state_dict(), "epoch": self.epoch}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Let the next iteration continue after that position, with the same batches to the bit."""
        super().load_state_dict(state)
        self.epoch = int(state["epoch"])

    def fingerprint(self) -> dict[str, Any]:
        """Return JSON values that distinguish the data and its order from others."""
        return {
            "data": self.windows.fingerprint(),
            "batch_size": self.batch_size,
            "observed": self.observed,
            "order": [self.seed, self.plain, self.growing] if self.shuffle else None,
        }

    def _rest(self, order: list[int], first: int) -> Iterator[Batch]:
        seen = self.windows.frames - self.horizon
        for number in range(first, self.steps):
            self.position.advance()
            rows = order[number * self.batch_size : (number + 1) * self.batch_size]
            frames = self.windows.windows(self.own(rows)).float() / 255
            yield self.marked(Batch(frames[:, :seen], frames[:, 1:]), rows)
        self.epoch += 1
        self.position.end()

    def __repr__(self) -> str:
        return f"WindowBatches({len(self.windows):,} windows, batch_size={self.batch_size}, observed={self.observed})"
