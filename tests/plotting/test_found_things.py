"""Boxes, masks and labels that are drawn into pictures."""

import numpy as np
import pytest
from PIL import Image

from rnnkit.plotting.found_things import (
    DrawnThings,
    calibration_picture,
    found_things_grid,
    found_things_picture,
    precision_recall_picture,
)

BOXES = np.array([[2, 3, 20, 30], [30, 10, 60, 40]])
LABELS = np.array([0, 1])


def things(**others):
    return DrawnThings(BOXES, LABELS, ["0.93", "0.5 $x"], **others)


@pytest.mark.parametrize("image", [np.full((48, 64, 3), 0.5), np.zeros((48, 64))], ids=["RGB", "grey"])
def test_one_picture(tmp_path, image):
    masks = np.zeros((2, 48, 64), bool)
    masks[0, 3:30, 2:20] = True
    found_things_picture(image, things(masks=masks, dashed=[True, False]), ["cat", "_dog"], tmp_path / "a.png")
    with Image.open(tmp_path / "a.png") as drawn:
        colours = np.asarray(drawn.convert("RGB")).reshape(-1, 3)
    assert (np.abs(colours - np.array([0xD5, 0x5E, 0x00])).sum(1) < 30).any()  # the second class


def test_a_picture_without_things_and_a_narrow_one(tmp_path):
    nothing = DrawnThings(np.zeros((0, 4)), np.zeros(0, int))
    found_things_picture(np.zeros((3, 900, 3)), nothing, [], tmp_path / "a.png", title="nothing was found")
    assert (tmp_path / "a.png").exists()


def test_a_grid(tmp_path):
    many = DrawnThings(np.tile(BOXES, (40, 1)), np.tile(LABELS, 40), ["x"] * 80)
    found_things_grid([np.zeros((48, 64, 3)), np.zeros((64, 48))], [things(), many], ["one", "two"], tmp_path / "a.svg")
    assert "one" in (tmp_path / "a.svg").read_text() or (tmp_path / "a.svg").stat().st_size > 1000
    found_things_grid([], [], [], tmp_path / "none.png")


def test_curves(tmp_path):
    recall = np.linspace(0, 1, 101)
    precision_recall_picture([("cat", recall, 1 - recall)], tmp_path / "a.png")
    precision_recall_picture([], tmp_path / "b.png")
    calibration_picture([(0.1, 0.2, 5), (0.9, 0.8, 50)], tmp_path / "c.png")
    assert {file.name for file in tmp_path.iterdir()} == {"a.png", "b.png", "c.png"}
