"""Small pictures for the tests of data sets."""

import json

import numpy as np
from PIL import Image


def picture(path, width=40, height=30, seed=None, mode="RGB"):
    """Save a picture of noise; equal seeds give equal pictures."""
    path.parent.mkdir(parents=True, exist_ok=True)
    random = np.random.default_rng(sum(map(ord, path.name)) if seed is None else seed)
    array = random.integers(0, 256, (height, width, 3), np.uint8)
    Image.fromarray(array).convert(mode).save(path)
    return path


def write(path, content):
    """Write text, or a value as JSON."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(content if isinstance(content, str) else json.dumps(content), encoding="utf-8")
    return path


def boxes_of(pictures, index=0):
    """Return the class and the corners of each box of a picture."""
    boxes = pictures[index].boxes
    if boxes is None:
        return None
    pairs = zip(boxes.labels.tolist(), boxes.xyxy.tolist(), strict=True)
    return [(pictures.classes[label], corners) for label, corners in pairs]


def mask(path, values):
    """Save numbers as a mask."""
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.asarray(values, np.uint8)).save(path)


def square(left, top, right, bottom, value=1, width=40, height=30):
    """Return a mask [30, 40] in which a square has a value."""
    values = np.zeros((height, width), np.uint8)
    values[top:bottom, left:right] = value
    return values


def packed(counts):
    """COCO's text of counts, written by its description."""
    text = ""
    for number, count in enumerate(counts):
        value = count - counts[number - 2] if number > 2 else count
        more = True
        while more:
            bits = value & 31
            value >>= 5
            more = value != -1 if bits & 16 else value != 0
            text += chr(bits + (32 if more else 0) + 48)
    return text


def coco(folder, annotations, images=None, name="annotations.json", **more):
    """Write a data set in COCO's form."""
    images = images or [{"id": 1, "file_name": "a.png", "width": 40, "height": 30}]
    categories = [{"id": 7, "name": "dog"}, {"id": 3, "name": "cat"}]
    write(folder / name, {"images": images, "annotations": annotations, "categories": categories, **more})


def thing(box=None, segmentation=None, image=1, category=3, **more):
    """Return an annotation in COCO's form."""
    found = {"image_id": image, "category_id": category, **more}
    found |= {} if box is None else {"bbox": box}
    return found | ({} if segmentation is None else {"segmentation": segmentation})
