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
