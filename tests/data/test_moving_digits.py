"""Clips of moving digits: the paths, the pixels, and what is fixed by a seed."""

import numpy as np
import pytest
import torch

from rnnkit.data.moving_digits import MovingDigits, paths
from rnnkit.errors import ConfigError, DataError


def plain_path(start, angle, frames, room):
    """The rules once more, digit by digit and axis by axis."""
    place, step = list(start), [0.1 * np.sin(angle), 0.1 * np.cos(angle)]
    found = []
    for _ in range(frames):
        for axis in (0, 1):
            place[axis] += step[axis]
            if place[axis] <= 0:
                place[axis], step[axis] = 0.0, -step[axis]
            if place[axis] >= 1:
                place[axis], step[axis] = 1.0, -step[axis]
        found.append([int(room * place[0]), int(room * place[1])])
    return found


def test_paths_bounce_off_the_edges():
    draw = np.random.default_rng(0)
    starts, angles = draw.random((20, 2)), draw.random(20) * 2 * np.pi
    found = paths(starts, angles, 40, 36)
    assert found.tolist() == [plain_path(start, angle, 40, 36) for start, angle in zip(starts, angles, strict=True)]
    assert found.min() == 0
    assert found.max() == 36


def test_frames_have_the_digits_at_their_places():
    images = torch.rand(5, 28, 28, generator=torch.Generator().manual_seed(0))
    clips = MovingDigits(images, 4, frames=6, seed=3)
    for row, clip in enumerate(clips.windows(range(4))):
        for frame in (0, 5):
            expected = np.zeros((64, 64), np.uint8)
            for digit in (0, 1):
                top, left = clips.corners[row, digit, frame]
                part = expected[top : top + 28, left : left + 28]
                np.maximum(part, clips.images[clips.chosen[row, digit]], out=part)
            assert np.array_equal(clip[frame, 0].numpy(), expected)


def test_a_seed_fixes_the_clips_and_another_epoch_draws_others():
    images = torch.rand(5, 28, 28)
    one, two = MovingDigits(images, 3, seed=1), MovingDigits(images, 3, seed=1)
    assert torch.equal(one.windows([0, 2]), two.windows([0, 2]))
    assert one.fingerprint() == two.fingerprint()
    two.redraw(5, 1)
    assert not torch.equal(one.windows([0]), two.windows([0]))
    assert MovingDigits(images, 3, seed=2).fingerprint() != one.fingerprint()


def test_numbers_and_shapes_that_do_not_fit_are_refused():
    with pytest.raises(ConfigError, match="size=20"):
        MovingDigits(torch.rand(2, 28, 28), 3, size=20)
    with pytest.raises(ConfigError, match="speed=1"):
        MovingDigits(torch.rand(2, 28, 28), 3, speed=1)
    with pytest.raises(DataError, match=r"\[2, 20, 20\] arrived"):
        MovingDigits(torch.rand(2, 20, 20), 3)
