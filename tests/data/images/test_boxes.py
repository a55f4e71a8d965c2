"""Boxes, outlines and masks by themselves."""

import numpy as np
import pytest
import torch
from data.images.drawing import packed, square

from rnnkit.data.images import Boxes, Masks, mend_boxes
from rnnkit.data.images.masks import fill_outlines, turn_boxes, turn_upright
from rnnkit.data.images.outlines import Runs, fill_polygon, fill_runs, read_runs, runs_of
from rnnkit.errors import DataError, ShapeError


def test_boxes_have_one_form():
    with pytest.raises(ShapeError, match=r"xyxy has shape \[2, 3\]"):
        Boxes(torch.zeros(2, 3), torch.zeros(2), torch.zeros(2))
    with pytest.raises(ShapeError, match=r"labels has shape \[1\].*\[2\], one a box"):
        Boxes.of([[0, 0, 1, 1]] * 2, [0])
    empty = Boxes.of([])
    assert (len(empty), empty.areas.tolist(), len(empty.select([]))) == (0, [], 0)
    assert mend_boxes(empty, 5, 5)[0].xyxy.shape == (0, 4)


def test_a_box_that_is_no_number_is_left_out():
    written = Boxes.of([[float("nan"), 0, 1, 1], [0, 0, 1, 1], [0, 0, float("inf"), 1]])
    boxes, kept, faults = mend_boxes(written, 5, 5)
    assert (boxes.xyxy.tolist(), kept.tolist(), dict(faults)) == ([[0, 0, 1, 1]], [1], {"no numbers": 2})


def test_a_pixel_behind_the_edge_is_cut_without_a_word():
    boxes, _, faults = mend_boxes(Boxes.of([[-1, -0.5, 6, 6]]), 5, 5)
    assert (boxes.xyxy.tolist(), dict(faults)) == ([[0, 0, 5, 5]], {})


def test_boxes_of_unlike_classes_at_one_place_stay():
    boxes, _, faults = mend_boxes(Boxes.of([[0, 0, 4, 4]] * 3, [0, 1, 0]), 5, 5)
    assert (boxes.labels.tolist(), dict(faults)) == ([0, 1], {"doubled": 1})


def test_polygons_fill_the_pixels_whose_centres_they_hold():
    triangle = fill_polygon(np.array([[0, 0], [4, 0], [0, 4]], float), 4, 4)
    assert triangle.astype(int).tolist() == [[1, 1, 1, 0], [1, 1, 0, 0], [1, 0, 0, 0], [0, 0, 0, 0]]
    # Two halves of a square share no pixel, and leave none out.
    other = fill_polygon(np.array([[4, 0], [4, 4], [0, 4]], float), 4, 4)
    assert (triangle ^ other).all()
    outside = fill_polygon(np.array([[-9, -9], [90, -9], [90, 90], [-9, 90]], float), 4, 4)
    assert outside.all()
    crossed = fill_polygon(np.array([[0, 0], [4, 4], [4, 0], [0, 4]], float), 4, 4)  # a bow tie
    assert crossed.sum() == 6 or crossed.sum() == 8


def test_a_round_polygon_has_its_area():
    angle = np.linspace(0, 2 * np.pi, 100, endpoint=False)
    circle = np.stack([50 + 30 * np.cos(angle), 50 + 30 * np.sin(angle)], 1)
    assert abs(fill_polygon(circle, 100, 100).sum() / (np.pi * 900) - 1) < 0.01


def test_runs_there_and_back():
    random = np.random.default_rng(0)
    for shape in ((1, 1), (7, 5), (40, 60)):
        for share in (0, 0.03, 0.5, 1):
            drawn = random.random(shape) < share
            runs = runs_of(drawn)
            assert np.array_equal(fill_runs(runs), drawn)
            counts = runs.counts.tolist()
            for written in (counts, packed(counts), packed(counts).encode()):
                assert read_runs(written, shape).counts.tolist() == counts


def test_a_text_of_runs_that_another_tool_wrote():
    # The mask of 2 × 3 pixels with one pixel in the first row, second column.
    assert fill_runs(read_runs("213", [2, 3])).astype(int).tolist() == [[0, 1, 0], [0, 0, 0]]


@pytest.mark.parametrize("written", ["\x01", "o", [1, -1], [5], None, "ab"])
def test_damaged_runs(written):
    with pytest.raises(DataError, match="runs of"):
        read_runs(written, [2, 3])


def test_masks_that_overlap_are_a_stack():
    one, two = square(0, 0, 3, 3, width=6, height=4), square(2, 2, 6, 4, width=6, height=4)
    masks = Masks.of_stack(torch.from_numpy(np.stack([one, two]).astype(bool)))
    assert masks.is_stack
    assert masks.areas.tolist() == [9, 8]
    assert masks.boxes().tolist() == [[0, 0, 3, 3], [2, 2, 6, 4]]
    assert int(masks.map()[2, 2]) == 2  # the smaller one is seen
    alone = masks.select([1])
    assert not alone.is_stack
    assert alone.boxes().tolist() == [[2, 2, 6, 4]]
    assert torch.equal(alone.stack()[0], torch.from_numpy(two.astype(bool)))
    nothing = Masks.of_stack(torch.zeros(0, 4, 6, dtype=torch.bool))
    assert (len(nothing), nothing.values.shape, nothing.boxes().shape) == (0, (4, 6), (0, 4))


@pytest.mark.parametrize("orientation", range(1, 9))
def test_boxes_turn_as_pixels_do(orientation):
    drawn = square(1, 2, 4, 7, width=12, height=9)
    turned = turn_upright(drawn, orientation)
    found = Masks(torch.from_numpy(turned.astype(np.int32)), 1).boxes()
    assert torch.equal(turn_boxes(torch.tensor([[1.0, 2.0, 4.0, 7.0]]), orientation, 12, 9), found)


def test_runs_of_the_wrong_size_are_scaled():
    assert fill_outlines([Runs(np.array([0, 4]), (2, 2))], 4, 4).all()
