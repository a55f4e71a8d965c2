"""Made pictures with masks: bright discs of two kinds on a dark ground, some of which touch."""

import json
from pathlib import Path

import numpy as np
from PIL import Image


def draw_discs(size, seed):
    """Return a picture [H, W, 3] uint8, the numbers of discs [H, W], and the kind of each, 1 or 2."""
    rng = np.random.default_rng(seed)
    height, width = size
    rows, columns = np.mgrid[:height, :width]
    image = rng.normal(40, 8, (height, width, 3))
    things, kinds = np.zeros(size, np.uint8), []
    for _ in range(12):
        radius = rng.integers(4, 8)
        y, x = rng.integers(radius, height - radius), rng.integers(radius, width - radius)
        disc = (rows - y) ** 2 + (columns - x) ** 2 < radius**2
        if len(kinds) == 5 or (things[disc] > 0).mean() > 0.05:
            continue
        kind = int(rng.integers(1, 3))
        things[disc & (things == 0)] = len(kinds) + 1
        image[disc] = rng.normal((200, 60, 60) if kind == 1 else (60, 160, 210), 12, (int(disc.sum()), 3))
        kinds.append(kind)
    return image.clip(0, 255).astype(np.uint8), things, kinds


def write_class_masks(folder, count, size=(40, 48), seed=0):
    """Write pictures with masks of classes 1 and 2, in ``images`` and ``masks``."""
    folder = Path(folder)
    for name in ("images", "masks"):
        (folder / name).mkdir(parents=True, exist_ok=True)
    for number in range(count):
        image, things, kinds = draw_discs(size, 1000 * seed + number)
        Image.fromarray(image).save(folder / "images" / f"{number:03d}.png")
        classes = np.array([0, *kinds], np.uint8)[things]
        Image.fromarray(classes).save(folder / "masks" / f"{number:03d}.png")
    return folder


def write_things(folder, count, size=(40, 48), seed=0):
    """Write pictures with masks in which each disc has a number, in ``images`` and ``masks``."""
    folder = Path(folder)
    for name in ("images", "masks"):
        (folder / name).mkdir(parents=True, exist_ok=True)
    for number in range(count):
        image, things, _ = draw_discs(size, 1000 * seed + number)
        Image.fromarray(image).save(folder / "images" / f"{number:03d}.png")
        Image.fromarray(things).save(folder / "masks" / f"{number:03d}.png")
    return folder


def write_coco(folder, count, size=(40, 48), seed=0, names=("red", "blue")):
    """Write pictures with COCO's JSON: runs of pixels of each disc."""
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    images, annotations = [], []
    for number in range(count):
        image, things, kinds = draw_discs(size, 1000 * seed + number)
        Image.fromarray(image).save(folder / f"{number:03d}.png")
        images.append({"id": number, "file_name": f"{number:03d}.png", "height": size[0], "width": size[1]})
        for thing, kind in enumerate(kinds, 1):
            mask = things == thing
            if not mask.any():
                continue
            flat = mask.T.ravel().astype(np.int8)
            changes = np.flatnonzero(np.diff(np.concatenate([[0], flat])))
            counts = np.diff(np.concatenate([[0], changes, [flat.size]])).tolist()
            rows, columns = mask.any(1).nonzero()[0], mask.any(0).nonzero()[0]
            box = [columns[0], rows[0], columns[-1] - columns[0] + 1, rows[-1] - rows[0] + 1]
            annotations.append(
                {
                    "id": len(annotations) + 1, "image_id": number, "category_id": kind, "iscrowd": 0,
                    "area": int(mask.sum()), "bbox": [int(one) for one in box],
                    "segmentation": {"size": list(size), "counts": counts},
                }
            )  # fmt: skip
    categories = [{"id": number, "name": name} for number, name in enumerate(names, 1)]
    content = {"images": images, "annotations": annotations, "categories": categories}
    (folder / "things.json").write_text(json.dumps(content))
    return folder
