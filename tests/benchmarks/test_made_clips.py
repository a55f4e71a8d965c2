"""Made clips: the class is what their frames show, and what sees few frames cannot tell the order."""

from pathlib import Path

import numpy as np
import pytest
import torch

from benchmarks import made_clips as clips
from rnnkit.data.video import read_videos

LABELS = torch.arange(10)
IMAGES = torch.stack([torch.full((14, 14), 20 * (digit + 1), dtype=torch.uint8) for digit in range(10)])
STEPS = {"down": (1, 0), "right": (0, 1), "up": (-1, 0), "left": (0, -1)}


def corner(frame):
    rows, columns = frame[0].nonzero().unbind(1)
    return torch.tensor([rows.min(), columns.min()])


def test_a_digit_moves_as_its_class_says():
    random = np.random.default_rng(0)
    seen = set()
    for _ in range(60):
        label, frames = clips.direction(IMAGES, LABELS, random)
        seen.add(label)
        corners = torch.stack([corner(frame) for frame in frames])
        step = sum(torch.tensor(STEPS[part]) for part in label.split("_"))
        assert torch.equal(corners.diff(dim=0), step.expand(15, 2))
        assert bool((frames.flatten(1).count_nonzero(1) == 14 * 14).all())  # nothing leaves the picture
    assert seen == set(clips.DIRECTIONS)


def test_six_frames_do_not_tell_the_order():
    random = np.random.default_rng(0)
    labels = []
    for _ in range(200):
        label, frames = clips.order(IMAGES, LABELS, random)
        labels.append(label)
        shown = frames.flatten(1).amax(1)
        (first, second) = shown[shown > 0].unique_consecutive().tolist()
        assert (first, second) == ((20, 40) if label == "zero_first" else (40, 20))
        times = (shown > 0).nonzero().flatten()
        assert len(times) == 4
        assert times[0] >= 6
        assert times[2] - times[1] > 6
        assert times[3] < len(frames) - 6
    assert 80 < labels.count("zero_first") < 120


@pytest.mark.parametrize("task", sorted(clips.TASKS))
def test_clips_are_written_as_a_set_of_videos(tmp_path: Path, task):
    images = torch.rand(30, 28, 28)
    labels = torch.arange(30) % 2
    for part in ("train", "test"):
        clips.write_clips(task, images, labels, tmp_path, part, 12, np.random.default_rng(1))
    found = read_videos(tmp_path)
    assert len(found) == 24
    assert set(found.parts) == {"train", "test"}
    assert found.clip(0, mode="L").shape == (16 if task == "direction" else 28, 1, 32, 32)
