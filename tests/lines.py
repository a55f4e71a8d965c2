"""Made pictures of lines of text, whose characters are bars at three heights."""

import random
from pathlib import Path

import numpy as np

BARS = {"a": slice(1, 5), "b": slice(6, 10), "c": slice(11, 15), "d": slice(1, 15)}
HEIGHT, WIDTH = 16, 12


def picture_of(text):
    """Return grey values of a line, white paper: a column of each character has a bar, and a gap behind it."""
    page = np.full((HEIGHT, WIDTH * len(text) + 6), 255, np.uint8)
    for place, character in enumerate(text):
        if character != " ":
            page[BARS[character], 3 + WIDTH * place : 10 + WIDTH * place] = 20
    return page


def write_line(path, text):
    from PIL import Image

    Image.fromarray(picture_of(text)).save(path)


def write_lines(folder, count, *, letters="abc", most=4, seed=0):
    """Write pictures with a text file beside each, and return the folder."""
    folder, draw = Path(folder), random.Random(seed)
    folder.mkdir(parents=True, exist_ok=True)
    for number in range(count):
        text = "".join(draw.choice(letters) for _ in range(draw.randint(1, most)))
        write_line(folder / f"{number:03d}.png", text)
        (folder / f"{number:03d}.txt").write_text(text + "\n", encoding="utf-8")
    return folder
