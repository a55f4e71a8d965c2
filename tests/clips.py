"""Made clips: a bright square that goes to the left, to the right, or stays."""

from pathlib import Path

import numpy as np
from PIL import Image

SIZE = 16
STEPS = {"left": -1, "right": 1, "stay": 0}


def frames_of(kind, count=8, seed=0):
    """Return frames [count, 16, 16] of bytes: a square of 4 × 4 on a dark ground that has some noise."""
    draw = np.random.default_rng(seed)
    frames = draw.integers(0, 30, (count, SIZE, SIZE)).astype(np.uint8)
    row, column = draw.integers(0, SIZE - 4), draw.integers(3, SIZE - 7)
    for number in range(count):
        at = int(np.clip(column + STEPS[kind] * number, 0, SIZE - 4))
        frames[number, row : row + 4, at : at + 4] = 230
    return frames


def write_frames(folder, frames):
    """Write a folder of PNG files, 0.png and so on, and return it."""
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    for number, frame in enumerate(frames):
        Image.fromarray(frame).save(folder / f"{number}.png")
    return folder


def write_animation(path, frames, **options):
    """Write an animated picture by its suffix, and return its path."""
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    images = [Image.fromarray(frame) for frame in frames]
    images[0].save(path, save_all=True, append_images=images[1:], duration=100, **options)
    return path


def write_clips(folder, count, kinds=("left", "right"), *, seed=0):
    """Write so many clips of each kind, folders of frames and GIF files in turn, and return the folder."""
    folder = Path(folder)
    for kind in kinds:
        for number in range(count):
            frames = frames_of(kind, 6 + number % 4, seed=seed * 1000 + 10 * number + list(STEPS).index(kind))
            if number % 2:
                write_animation(folder / kind / f"{number}.gif", frames)
            else:
                write_frames(folder / kind / str(number), frames)
    return folder
