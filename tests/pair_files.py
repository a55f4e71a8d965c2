"""Pairs of texts for translators: numbers in English and Chinese."""

import csv
import random

NUMBERS = {"one": "一", "two": "二", "three": "三", "four": "四", "five": "五", "six": "六"}


def write_pairs(path, count=120, seed=0):
    draw = random.Random(seed)
    found = {" ".join(draw.choices(list(NUMBERS), k=draw.randint(1, 4))) for _ in range(4 * count)}
    rows = [(text, "".join(NUMBERS[word] for word in text.split())) for text in sorted(found)[:count]]
    with path.open("w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows([("source", "target"), *rows])
    return rows
