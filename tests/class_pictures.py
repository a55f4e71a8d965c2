"""Made pictures of classes, in colour and of unequal sizes: stripes across, stripes down, and a block."""

from pathlib import Path

import numpy as np

CLASSES = ("across", "block", "down")


def picture_of(name, random):
    """Return bytes [H, W, 3] of a picture of a class."""
    height, width = (int(side) for side in random.integers(18, 30, 2))
    page = random.integers(0, 60, (height, width, 3)).astype(np.uint8)
    colour = random.integers(150, 255, 3)
    if name == "across":
        page[int(random.integers(0, 3)) :: 6] = colour
    elif name == "down":
        page[:, int(random.integers(0, 3)) :: 6] = colour
    else:
        top, left = random.integers(2, 6, 2)
        page[top : top + 9, left : left + 9] = colour
    return page


def write_classes(folder, count, *, classes=CLASSES, seed=0):
    """Write so many pictures of each class into a folder of its name, and return the folder of all."""
    from PIL import Image

    folder, random = Path(folder), np.random.default_rng(seed)
    for name in classes:
        (folder / name).mkdir(parents=True, exist_ok=True)
        for number in range(count):
            Image.fromarray(picture_of(name, random)).save(folder / name / f"{number:02d}.png")
    return folder


def write_idx(folder, train=120, test=40, side=12, classes=(0, 1, 2)):
    """Write four IDX files of bars at the height of their class, and return the folder."""
    folder, random = Path(folder), np.random.default_rng(1)
    folder.mkdir(parents=True, exist_ok=True)
    for part, count in (("train", train), ("t10k", test)):
        labels = random.choice(classes, count).astype(np.uint8)
        images = random.integers(0, 30, (count, side, side)).astype(np.uint8)
        for image, label in zip(images, labels, strict=True):
            row = 1 + 4 * classes.index(label)
            image[row : row + 2, 1 : int(random.integers(6, side))] = 250
        for what, values in (("images-idx3", images), ("labels-idx1", labels)):
            head = bytes([0, 0, 8, values.ndim]) + b"".join(size.to_bytes(4, "big") for size in values.shape)
            (folder / f"{part}-{what}-ubyte").write_bytes(head + values.tobytes())
    return folder
