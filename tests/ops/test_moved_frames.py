"""Moved fields against the sum that defines them, and their gradients."""

import pytest
import torch

from rnnkit.errors import ShapeError
from rnnkit.ops.moved_frames import move_fields


def weights(*shape):
    return torch.rand(*shape, generator=torch.Generator().manual_seed(1), dtype=torch.float64).softmax(-1)


def plain(frames, down, right, cell):
    """The sum, pixel by pixel, with edges repeated."""
    count, channels, height, width = frames.shape
    motions, reach = down.shape[3], down.shape[4] // 2
    found = torch.zeros(count, motions, channels, height, width, dtype=frames.dtype)
    for y in range(height):
        for x in range(width):
            for i in range(-reach, reach + 1):
                for j in range(-reach, reach + 1):
                    v = down[:, y // cell, x // cell, :, i + reach]
                    h = right[:, y // cell, x // cell, :, j + reach]
                    seen = frames[:, :, min(max(y + i, 0), height - 1), min(max(x + j, 0), width - 1)]
                    found[..., y, x] += (v * h)[:, :, None] * seen[:, None]
    return found


@pytest.mark.parametrize("channels", [1, 3])
def test_fields_are_the_sum_that_defines_them(channels):
    frames = torch.rand(2, channels, 8, 12, dtype=torch.float64)
    down, right = weights(2, 2, 3, 2, 5), weights(2, 2, 3, 2, 5).flip(-1)
    torch.testing.assert_close(move_fields(frames, down, right, 4), plain(frames, down, right, 4))


def test_gradients_are_those_of_differences():
    frames = torch.rand(1, 1, 4, 4, dtype=torch.float64, requires_grad=True)
    down, right = (weights(1, 2, 2, 1, 3).requires_grad_() for _ in range(2))
    assert torch.autograd.gradcheck(lambda *values: move_fields(*values, 2), (frames, down, right))


def test_shapes_that_do_not_fit_are_refused():
    with pytest.raises(ShapeError, match="expected"):
        move_fields(torch.rand(1, 1, 8, 9), weights(1, 2, 2, 1, 3), weights(1, 2, 2, 1, 3), 4)
    with pytest.raises(ShapeError, match="an odd number of shifts"):
        move_fields(torch.rand(1, 1, 8, 8), weights(1, 2, 2, 1, 4), weights(1, 2, 2, 1, 4), 4)
