"""The objective of pixels."""

import pytest
import torch
from tolerances import assert_close

import rnnkit
from rnnkit.errors import ConfigError, DataError, ShapeError
from rnnkit.ops.pixel_loss import pixel_loss
from rnnkit.training import PixelObjective
from rnnkit.types import Batch


def batch(classes=3, shapes=2, count=5):
    generator = torch.Generator().manual_seed(0)
    targets = torch.cat(
        [
            torch.randint(-1, classes, (count, 1, 6, 7), generator=generator).float(),
            torch.rand(count, shapes, 6, 7, generator=generator),
        ],
        1,
    )
    return torch.randn(count, classes + shapes, 6, 7, generator=generator), targets


def test_the_cross_entropy_is_that_of_torch():
    output, targets = batch(shapes=0)
    wanted = torch.nn.functional.cross_entropy(output, targets[:, 0].long(), ignore_index=-1, reduction="none").sum(
        (1, 2)
    ) / (targets[:, 0] >= 0).sum((1, 2))
    assert_close(pixel_loss(output, targets, dice=0.0), wanted)


def test_two_uneven_batches_have_the_loss_of_one():
    output, targets = batch()
    objective, inputs = PixelObjective(0.7), torch.zeros(5, 1, 6, 7)
    whole = objective(output, Batch(inputs, targets))
    parts = [objective(output[part], Batch(inputs[part], targets[part])) for part in (slice(2), slice(2, 5))]
    assert_close(sum(one.loss * one.count for one in parts), whole.loss * whole.count)


def test_pixels_that_are_not_judged_count_nowhere():
    output, targets = batch()
    other = torch.where((targets[:, :1] < 0).expand_as(output), 1e3, output)
    assert_close(pixel_loss(other, targets), pixel_loss(output, targets))
    assert pixel_loss(output, torch.full_like(targets, -1.0)).abs().max() == 0


def test_dice_of_right_pixels_is_one():
    targets = torch.tensor([[[[0.0, 1, 2, 2]]]])
    output = 50 * torch.nn.functional.one_hot(targets[:, 0].long(), 3).permute(0, 3, 1, 2).float()
    assert pixel_loss(output, targets).item() < 1e-6


def test_targets_that_do_not_fit_are_refused():
    model = rnnkit.PictureSegmenter(1, 2, (4, 8), blocks=0)
    learner = rnnkit.Learner(model)
    x = torch.rand(4, 1, 8, 8)
    with pytest.raises(ShapeError, match="the class of each pixel"):
        learner.fit((x, torch.zeros(4, 8, 9, dtype=torch.int64)), epochs=1, progress=False)
    with pytest.raises(DataError, match="whole numbers from 0 to 1"):
        learner.fit((x, torch.full((4, 8, 8), 2)), epochs=1, progress=False)
    shaped = rnnkit.Learner(rnnkit.PictureSegmenter(1, 2, (4, 8), blocks=0, shapes=1))
    with pytest.raises(DataError, match="expected them from 0 to 1"):
        shaped.fit((x, torch.full((4, 2, 8, 8), 1.5).index_fill(1, torch.tensor(0), 1)), epochs=1, progress=False)
    with pytest.raises(ConfigError, match="dice"):
        PixelObjective(-1)
    with pytest.raises(ConfigError, match="has its own loss"):
        rnnkit.Learner(model, loss="mse")
