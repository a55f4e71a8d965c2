"""PixelFront: images read one pixel a step."""

import pytest
import torch

import rnnkit
from rnnkit.errors import ConfigError, ShapeError


def test_pixels_come_in_reading_order_and_standardised():
    images = torch.rand(4, 3, 5)
    x, lengths, _ = rnnkit.PixelFront(3, 5, mean=0.25, std=0.5)(images)
    assert lengths is None
    assert torch.allclose(x, ((images.reshape(4, 15) - 0.25) / 0.5)[:, :, None])


def test_a_permutation_is_fixed_and_loses_nothing():
    images = torch.rand(4, 3, 5)
    first, second, third = (rnnkit.PixelFront(3, 5, permutation=seed)(images)[0] for seed in (1, 1, 2))
    assert torch.equal(first, second)
    assert not torch.equal(first, third)
    assert torch.equal(first.flatten(1).sort().values, images.flatten(1).sort().values)


def test_shifts_move_the_image_while_training_alone():
    images = torch.zeros(500, 5, 5)
    images[:, 2, 2] = 1
    front = rnnkit.PixelFront(5, 5, shift=1).train()
    torch.manual_seed(0)
    moved = front(images)[0].view(500, 5, 5)
    assert (moved.sum((1, 2)) == 1).all()
    seen = moved.sum(0)
    assert (seen[1:4, 1:4] > 20).all()  # each of the nine places
    assert seen[1:4, 1:4].sum() == 500
    assert torch.equal(front.eval()(images)[0].view(500, 5, 5), images)


def test_a_model_keeps_its_permutation_in_its_file(tmp_path):
    torch.manual_seed(0)
    front = rnnkit.PixelFront(4, 4, permutation=7, mean=0.1, std=0.3, shift=1)
    model = rnnkit.SequenceClassifier(rnnkit.GRU(1, 6), 3, front=front).eval()
    rnnkit.Learner(model).save(tmp_path)
    again = rnnkit.load(tmp_path)
    images = torch.rand(5, 4, 4)
    assert torch.equal(again(images), model(images))
    assert torch.equal(again.front.order, front.order)


def test_refused():
    with pytest.raises(ConfigError, match="std=0"):
        rnnkit.PixelFront(2, 2, std=0)
    with pytest.raises(ShapeError, match=r"\[B, 2, 3\]"):
        rnnkit.PixelFront(2, 3)(torch.zeros(1, 3, 2))
    with pytest.raises(ShapeError, match="lengths"):
        rnnkit.PixelFront(2, 3)(torch.zeros(1, 2, 3), lengths=[6])
