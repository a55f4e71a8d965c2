"""Clips of digits that move and bounce, made of pictures of single digits: Moving MNIST (Srivastava et al. 2015).

A clip has D digits on a black square of S pixels. Each is a picture of 28 × 28 pixels of MNIST's form, ink 1. With the
room R = S − 28, positions and steps as shares of it, and for each digit

    p_0 ∈ [0, 1)², θ ∈ [0, 2π), both uniform;   v = 0.1 · (sin θ, cos θ)
    for each frame:   p ← p + v;   an axis on which p ≤ 0 or p ≥ 1 is put to 0 or 1, and its v changes its sign
                      the digit's left upper pixel is ⌊R p⌋, the row first
    frame = the maximum of the digits at each pixel

So a digit moves 3.6 pixels a frame where S is 64, and the first frame is already one step from p_0. These are the rules
of the program of Srivastava et al. ("Unsupervised learning of video representations using LSTMs") as later papers use
it. Digits of a clip are drawn alike from all pictures, and may be the same.

Legend: N clips, T frames, D digits, S pixels of a side.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from ..errors import ConfigError, DataError, check_whole

if TYPE_CHECKING:
    import numpy.typing as npt
    import torch

DIGIT = 28  # pixels of a digit's picture
SPEED = 0.1  # of the room, for each frame


class MovingDigits:
    """Clips of moving digits, made again by `redraw`; see the module for how.

    Args:
        images: of single digits, [N, 28, 28] in [0, 1], ink 1.
        count: clips of an epoch.
        frames: T.
        digits: D.
        size: S.
        speed: of the room, for each frame.
        seed: of the first epoch.

    Raises:
        DataError: no images, or another shape. ConfigError: a number outside its range.

    Example:
        >>> import torch
        >>> clips = MovingDigits(torch.rand(20, 28, 28), count=3, frames=5)
        >>> clips.windows([0, 2]).shape
        torch.Size([2, 5, 1, 64, 64])
    """

    def __init__(
        self,
        images: torch.Tensor,
        count: int,
        *,
        frames: int = 20,
        digits: int = 2,
        size: int = 64,
        speed: float = SPEED,
        seed: int = 0,
    ) -> None:
        import torch

        for name, value in (("count", count), ("frames", frames), ("digits", digits)):
            check_whole(value, name)
        check_whole(size, "size", DIGIT)
        if not 0 <= speed < 1:
            raise ConfigError.of("speed", speed, "expected a share of the room from 0 to less than 1")
        if images.dim() != 3 or tuple(images.shape[1:]) != (DIGIT, DIGIT) or not len(images):
            raise DataError(f"images of shape {list(images.shape)} arrived; expected [N, {DIGIT}, {DIGIT}], at least 1")
        self.images = (images * 255).round().to(torch.uint8).numpy()
        self.count, self.frames, self.digits, self.size = count, frames, digits, size
        self.speed, self._seed = float(speed), seed
        self.redraw(seed, 0)

    def __len__(self) -> int:
        return self.count

    def redraw(self, seed: int, epoch: int) -> None:
        """Make other clips.

        Args:
            seed: of all that is drawn.
            epoch: counted from 0; it changes nothing.
        """
        random = np.random.default_rng(seed)
        shape = (self.count, self.digits)
        self.chosen = random.integers(len(self.images), size=shape)
        starts, angles = random.random((*shape, 2)), random.random(shape) * 2 * np.pi
        self.corners = paths(starts, angles, self.frames, self.size - DIGIT, self.speed)

    def windows(self, rows: Sequence[int]) -> torch.Tensor:
        """Return clips, uint8 [N, T, 1, S, S]."""
        import torch

        picked = list(rows)
        room = self.size - DIGIT
        found = np.zeros((len(picked), self.frames, self.size, self.size), np.uint8)
        each = np.arange(len(picked))[:, None]
        for digit in range(self.digits):
            # All places of a digit are views of its picture in a wide frame.
            wide = np.pad(self.images[self.chosen[picked, digit]], ((0, 0), (room, room), (room, room)))
            views = np.lib.stride_tricks.sliding_window_view(wide, (self.size, self.size), (1, 2))
            corners = room - self.corners[picked, digit]
            np.maximum(found, views[each, corners[..., 0], corners[..., 1]], out=found)
        return torch.from_numpy(found)[:, :, None]

    def fingerprint(self) -> str:
        """Return a digest of the pictures and of how clips are made."""
        rules = (self.count, self.frames, self.digits, self.size, self.speed, self._seed)
        return hashlib.sha256(repr(rules).encode() + self.images.tobytes()).hexdigest()


def paths(
    starts: npt.NDArray[np.float64], angles: npt.NDArray[np.float64], frames: int, room: int, speed: float = SPEED
) -> npt.NDArray[np.int64]:
    """Return the left upper pixels of digits, rows first.

    Args:
        starts: p_0, [..., 2] in [0, 1).
        angles: θ, [...].
        frames: T.
        room: R pixels.
        speed: of the room, for each frame.

    Returns:
        [..., T, 2].

    Example:
        >>> paths(np.array([0.85, 0.5]), np.array(np.pi / 2), 3, 36)[:, 0].tolist()
        [34, 36, 32]
    """
    places, steps = starts, np.stack([np.sin(angles), np.cos(angles)], -1) * speed
    found = np.empty((*starts.shape[:-1], frames, 2), np.int64)
    for frame in range(frames):
        places = places + steps
        steps = np.where((places <= 0) | (places >= 1), -steps, steps)
        places = places.clip(0, 1)
        found[..., frame, :] = (room * places).astype(np.int64)
    return found
