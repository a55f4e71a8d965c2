"""Small tables of series, for the tests of the recipes and of the command line."""

from pathlib import Path

import numpy as np


def write_waves(path, count=30, labels=True, seed=0, last="label"):
    """A long table of slow and fast waves of 12 to 17 steps; the column ``last`` tells a class, or else a number."""
    random = np.random.default_rng(seed)
    lines = ["id,time,height,width" + f",{last}" * labels]
    for row in range(count):
        fast, phase = row % 2, random.uniform(0, 6)
        answer = ["slow", "fast"][fast] if last == "label" else f"{3 + 2 * fast + phase / 100:.4f}"
        for step in range(random.integers(12, 18)):
            values = np.sin(phase + step * (0.3 + fast)) + random.normal(0, 0.1, 2)
            lines.append(",".join([f"s{row}", str(step), *(f"{value:.4f}" for value in values), *[answer] * labels]))
    Path(path).write_text("\n".join(lines) + "\n", encoding="utf-8")
    return str(path)
