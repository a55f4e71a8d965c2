"""The losses of detectors: maps of centres, and cells that predict things one by one."""

import math

import numpy as np
import pytest
import torch

from rnnkit.errors import DataError, ShapeError
from rnnkit.ops.box_sides import generalised_overlaps
from rnnkit.ops.cell_loss import boxes_of_cells, cell_loss
from rnnkit.ops.centre_loss import centre_loss, predicted_boxes

STRIDE = 8


def targets(*rows):
    """Targets [1, S, 5] of rows (class, left, top, right, bottom), and their count [1]."""
    return torch.tensor(rows, dtype=torch.float32).reshape(1, -1, 5), torch.tensor([len(rows)])


def test_generalised_overlaps_against_pixels():
    draw = np.random.default_rng(0)
    for _ in range(20):
        masks, boxes = [], []
        for _ in range(2):
            left, top = draw.integers(0, 12, 2)
            width, height = draw.integers(1, 9, 2)
            mask = np.zeros((24, 24), bool)
            mask[top : top + height, left : left + width] = True
            masks.append(mask)
            boxes.append([left, top, left + width, top + height])
        union, common = (masks[0] | masks[1]).sum(), (masks[0] & masks[1]).sum()
        rows, columns = np.nonzero(masks[0] | masks[1])
        around = (np.ptp(rows) + 1) * (np.ptp(columns) + 1)
        one, other = (torch.tensor([box], dtype=torch.float32) for box in boxes)
        expected = common / union - (around - union) / around
        assert generalised_overlaps(one, other).item() == pytest.approx(expected, abs=1e-6)


# Maps of centres


def centre_map(classes=2, height=6, width=8):
    return torch.full((1, classes + 4, height, width), -12.0)


def test_a_right_map_of_centres_costs_nothing_and_is_decoded():
    output = centre_map()
    output[0, 1, 2, 3] = 12.0  # the middle (28, 20)
    output[0, 2:] = torch.tensor([12.0, 10, 4, 6]).div(STRIDE).log()[:, None, None]
    wanted, count = targets((1, 16, 10, 32, 26))
    # Places beside the centre tell the same box.
    middle = STRIDE * (torch.stack(torch.meshgrid(torch.arange(8), torch.arange(6), indexing="xy"), -1) + 0.5)
    sides = torch.cat([middle - wanted[0, 0, 1:3], wanted[0, 0, 3:] - middle], -1).clamp(min=0.1)
    output[0, 2:] = sides.div(STRIDE).log().movedim(-1, 0)
    assert centre_loss(output, wanted, count, STRIDE).item() == pytest.approx(0, abs=0.02)
    assert torch.allclose(predicted_boxes(output[:, 2:], STRIDE)[0, 2, 3], wanted[0, 0, 1:], atol=1e-4)


def test_what_is_not_judged_changes_no_score():
    output = centre_map()
    wanted, count = targets((-1, 8, 8, 40, 40))
    empty = centre_loss(output, wanted, torch.tensor([0]), STRIDE)
    assert centre_loss(output, wanted, count, STRIDE) <= empty
    output[0, 0, 2, 2] = 5.0  # within the box of class −1
    assert centre_loss(output, wanted, count, STRIDE).item() == pytest.approx(0, abs=1e-3)
    assert centre_loss(output, wanted, torch.tensor([0]), STRIDE) > 1


@pytest.mark.parametrize("label", [-1, -2, -3])
def test_a_crowd_of_a_class_sets_its_scores_aside_alone(label):
    wanted, count = targets((label, 8, 8, 40, 40))
    output = centre_map()
    output[0, 0, 2, 2] = 5.0
    assert (centre_loss(output, wanted, count, STRIDE) < 1e-3) == (label in (-1, -2))
    output = cells()
    tell(output, (1, 1, 0), 0)
    crowd, count = targets((label, 0, 0, 32, 24))
    assert (cell_loss(output, crowd, count, STRIDE) < 1e-3) == (label in (-1, -2))


@pytest.mark.parametrize("loss", ["centre", "cell"])
def test_padding_is_not_read_and_gradients_are_finite(loss):
    generator = torch.Generator().manual_seed(0)
    shape = (2, 6, 6, 8) if loss == "centre" else (2, 6, 8, 2, 7)
    compute = centre_loss if loss == "centre" else cell_loss
    output = (3 * torch.randn(shape, generator=generator)).requires_grad_()
    wanted = torch.tensor([[[0.0, 3, 3, 20, 19], [1, 30, 10, 30.5, 44]], [[-1.0, 0, 0, 60, 40], [0, 1, 1, 9, 9]]])
    count = torch.tensor([2, 1])
    poisoned = torch.cat([wanted, torch.full((2, 1, 5), 1e6)], 1)
    poisoned[1, 1] = 7.0
    found = compute(output, wanted, count, STRIDE)
    found.backward()
    assert output.grad.isfinite().all()
    assert found.isfinite()
    assert torch.allclose(compute(output, poisoned, count, STRIDE), found)
    nothing = compute(output, torch.zeros(2, 1, 5), torch.tensor([0, 0]), STRIDE)
    assert nothing.isfinite()
    assert compute(1e4 * output.detach(), wanted, count, STRIDE).isfinite()


def test_shapes_that_do_not_fit():
    with pytest.raises(ShapeError, match=r"expected \[B, C \+ 4, H, W\]"):
        centre_loss(torch.zeros(1, 4, 3, 3), *targets((0, 0, 0, 1, 1)), STRIDE)
    with pytest.raises(ShapeError, match=r"expected \[B, H, W, K, C \+ 5\]"):
        cell_loss(torch.zeros(1, 3, 3, 6), *targets((0, 0, 0, 1, 1)), STRIDE)
    with pytest.raises(DataError, match="a picture has 3 boxes, and its cells predict 2 things at most"):
        cell_loss(torch.zeros(1, 1, 1, 2, 6), *targets(*[(0, 0, 0, 5, 5)] * 3), STRIDE)


# Cells


def cells(height=3, width=4, steps=2, classes=2):
    """Cells that are sure of nothing being there, and tell boxes of their own size."""
    output = torch.zeros(1, height, width, steps, classes + 5)
    output[..., classes] = 12.0
    return output


def tell(output, place, label, numbers=(0, 0, 0, 0)):
    output[(0, *place)] = 0.0
    output[(0, *place, label)] = 12.0
    output[0, *place, -4:] = torch.tensor(numbers, dtype=torch.float32)


def test_right_cells_cost_nothing_in_any_order_of_the_boxes():
    output = cells()
    tell(output, (1, 2, 0), 1)
    tell(output, (1, 2, 1), 0, (0.25, 0, math.log(2), 0))
    boxes = [(1, 16, 8, 24, 16), (0, 14, 8, 30, 16)]
    for rows in (boxes, boxes[::-1]):
        assert cell_loss(output, *targets(*rows), STRIDE).item() == pytest.approx(0, abs=1e-3)
    assert torch.allclose(boxes_of_cells(output[..., -4:], STRIDE)[0, 1, 2], torch.tensor(boxes)[:, 1:].float())


def test_of_two_cells_beside_a_box_the_surer_one_is_to_tell_it():
    wanted = targets((0, 12.2, 8, 20.2, 16))  # its middle, 16.2, lies just in the third cell
    left, right = (0.525, 0, 0, 0), (-0.475, 0, 0, 0)  # numbers with which the second and the third cell tell it
    for sure, other in (((1, 1, 0), (1, 2, 0)), ((1, 2, 0), (1, 1, 0))):
        output = cells()
        tell(output, sure, 0, left if sure[1] == 1 else right)
        output[(0, *other)][-4:] = torch.tensor(left if other[1] == 1 else right)
        assert cell_loss(output, *wanted, STRIDE).item() == pytest.approx(0, abs=0.15)
        tell(output, other, 0, left if other[1] == 1 else right)  # told twice
        assert cell_loss(output, *wanted, STRIDE) > 5


def test_a_cell_far_away_cannot_tell_a_box():
    output = cells()
    tell(output, (0, 0, 0), 0, (2, 1, 0, 0))  # the right box, told by a cell two sides away
    assert cell_loss(output, *targets((0, 16, 8, 24, 16)), STRIDE) > 10


def test_cells_in_a_crowd_may_tell_things():
    output = cells()
    tell(output, (1, 1, 0), 0)
    assert cell_loss(output, *targets((-1, 0, 0, 32, 24)), STRIDE).item() == pytest.approx(0, abs=1e-3)
    assert cell_loss(output, *targets((-1, 0, 0, 7, 7)), STRIDE) > 5


def test_more_boxes_in_a_cell_than_it_tells_go_to_its_neighbours():
    output = cells(steps=1).requires_grad_()
    cell_loss(output, *targets(*[(0, 8, 8, 16, 16)] * 3), STRIDE).backward()
    assert output.grad.isfinite().all()
