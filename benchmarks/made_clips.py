"""Sets of clips whose classes need a near or a far look back: `python -m benchmarks.made_clips TASK FOLDER`.

A clip has 16 or 28 frames of 32 × 32 black pixels with pictures of digits at half their size, 14 × 14: in the training
part of MNIST's training images, in the test part of its test images.

- `direction`: a digit moves by a pixel a frame, along a row, a column, or both, in 16 frames; the class is which
  of the eight ways. Two frames tell it.
- `order`: a 0 and a 1 are shown for two frames each, anywhere, with six black frames or more before them, in between,
  and behind them. The class is which of them comes first, drawn alike. So no six frames that follow each other tell it:
  they hold one of the two, and neither the beginning nor the end. With `data.frames=28` the network sees them all.

The clips are animated GIFs in a folder a class, as `rnnkit train video FOLDER` reads them.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from rnnkit.data import mnist
from rnnkit.data.video import write_gif

FRAMES, SIZE, DIGIT = 28, 32, 14
MOVES = 16  # frames of a digit that moves
SHOWN, BLACK = 2, 6  # frames of a digit that stands, and of nothing before and behind it, at least
DIRECTIONS = ("down", "down_right", "right", "up_right", "up", "up_left", "left", "down_left")


def direction(images: Tensor, labels: Tensor, random: np.random.Generator) -> tuple[str, Tensor]:
    """Make a clip of a digit that moves.

    Args:
        images: of single digits, uint8 [N, 14, 14].
        labels: of them [N]; they do not count.
        random: of all that is drawn.

    Returns:
        The class, and the frames, uint8 [T, 1, 32, 32].
    """
    way = int(random.integers(len(DIRECTIONS)))
    angle = way * np.pi / 4
    step = np.rint([np.cos(angle), np.sin(angle)]).astype(int)  # rows downwards, columns to the right
    room = SIZE - DIGIT
    span = step * (MOVES - 1)
    begin = random.integers(np.maximum(0, -span), room + 1 - np.maximum(0, span))
    image = images[int(random.integers(len(images)))]
    frames = torch.zeros(MOVES, 1, SIZE, SIZE, dtype=torch.uint8)
    for number in range(MOVES):
        _draw(frames[number, 0], image, *(begin + number * step).tolist())
    return DIRECTIONS[way], frames


def order(images: Tensor, labels: Tensor, random: np.random.Generator) -> tuple[str, Tensor]:
    """Make a clip in which a 0 comes before a 1, or behind it; arguments and results are those of `direction`."""
    last = FRAMES - SHOWN - BLACK
    first = int(random.integers(BLACK, last - SHOWN - BLACK + 1))
    second = int(random.integers(first + SHOWN + BLACK, last + 1))
    early = int(random.integers(2))
    frames = torch.zeros(FRAMES, 1, SIZE, SIZE, dtype=torch.uint8)
    for begin, digit in ((first, early), (second, 1 - early)):
        row = int(random.choice((labels == digit).nonzero().flatten().numpy()))
        corner = random.integers(SIZE - DIGIT + 1, size=2).tolist()
        for frame in frames[begin : begin + SHOWN, 0]:
            _draw(frame, images[row], *corner)
    return f"{'one' if early else 'zero'}_first", frames


TASKS: dict[str, Callable[[Tensor, Tensor, np.random.Generator], tuple[str, Tensor]]] = {
    "direction": direction,
    "order": order,
}


def _draw(frame: Tensor, image: Tensor, top: int, left: int) -> None:
    frame[top : top + DIGIT, left : left + DIGIT] = image


def halved(images: Tensor) -> Tensor:
    """Return pictures [N, 28, 28] in [0, 1] as bytes of half the size: means of 2 × 2 pixels."""
    small = torch.nn.functional.avg_pool2d(images[:, None], 2)[:, 0]
    return (small * 255).round().to(torch.uint8)


def write_clips(
    task: str, images: Tensor, labels: Tensor, folder: Path, part: str, count: int, random: np.random.Generator
) -> None:
    """Write clips to `folder/part/CLASS/NUMBER.gif`.

    Args:
        task: one of `TASKS`.
        images, labels: of single digits, [N, 28, 28] in [0, 1] and [N].
        folder: of the set.
        part: "train" or "test".
        count: clips.
        random: of all that is drawn.
    """
    small = halved(images)
    for number in range(count):
        label, frames = TASKS[task](small, labels, random)
        path = folder / part / label / f"{number:05}.gif"
        path.parent.mkdir(parents=True, exist_ok=True)
        write_gif(frames, path)


def main() -> None:
    """Write the clips that the command line asks for."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("task", choices=sorted(TASKS))
    parser.add_argument("folder", type=Path)
    parser.add_argument("--clips", type=int, nargs=2, default=[1000, 500], metavar=("TRAIN", "TEST"))
    parser.add_argument("--seed", type=int, default=0)
    asked = parser.parse_args()
    random = np.random.default_rng(asked.seed)
    for part, digits, count in zip(("train", "test"), mnist.load(), asked.clips, strict=True):
        write_clips(asked.task, digits.images, digits.labels, asked.folder, part, count, random)


if __name__ == "__main__":
    main()
