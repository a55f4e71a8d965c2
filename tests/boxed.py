"""Made pictures of things: bright squares and dark discs on grey, with their boxes."""

import csv
from pathlib import Path

import numpy as np

SIZE = 48
CLASSES = ("square", "disc")


def picture_of(seed, *, most=3, names=CLASSES):
    """Return pixels [H, W, 3], and (class, left, top, right, bottom) of each thing; things do not touch."""
    draw = np.random.default_rng(seed)
    page = np.full((SIZE, SIZE, 3), 120, np.uint8) + draw.integers(0, 12, (SIZE, SIZE, 3), dtype=np.uint8)
    rows, columns = np.mgrid[:SIZE, :SIZE]
    taken, things = np.zeros((SIZE, SIZE), bool), []
    for _ in range(int(draw.integers(1, most + 1))):
        name, side = str(draw.choice(names)), int(draw.integers(8, 14))
        left, top = (int(one) for one in draw.integers(0, SIZE - side, 2))
        around = (slice(max(top - 2, 0), top + side + 2), slice(max(left - 2, 0), left + side + 2))
        if taken[around].any():
            continue
        taken[around] = True
        if name == "square":
            page[top : top + side, left : left + side] = 240
        elif name == "disc":
            page[((rows + 0.5 - top - side / 2) ** 2 + (columns + 0.5 - left - side / 2) ** 2) <= side**2 / 4] = 10
        else:
            page[top : top + side, left : left + side] = (230, 20, 20)
        things.append((name, left, top, left + side, top + side))
    return page, things


def write_boxed(folder, count, *, seed=0, most=3, names=CLASSES):
    """Write pictures and a table of their boxes, and return the folder."""
    from PIL import Image

    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / "boxes.csv").open("w", newline="") as file:
        table = csv.writer(file)
        table.writerow(("file", "class", "xmin", "ymin", "xmax", "ymax"))
        for number in range(count):
            page, things = picture_of(1000 * seed + number, most=most, names=names)
            Image.fromarray(page).save(folder / f"{number:03d}.png")
            table.writerows((f"{number:03d}.png", *one) for one in things)
    return folder
