"""A task that needs far context, read by a ReNet and by convolutions of equal size: `python -m benchmarks.far_context`.

A picture of 96 × 96 pixels has three horizontal lines, each with a mark of 6 × 6 pixels at both ends, red or blue,
drawn alike and independently. The lines are 60 to 80 pixels long and lie anywhere, at least 16 pixels apart. The task
asks at each of the six marks: which colour has the mark at the other end of this line? Nothing within 48 pixels tells
it, so that a guess is right half of the time.

The networks: a convolution that takes every fourth pixel, then what joins places, to a map of 12 × 12, then a linear
layer at each place. In between stands a ReNet, convolutions of as many parameters, which see 43 × 43 pixels, or
nothing. All learn from pictures that are made anew; the ReNet for a number of steps, the others for as much time of the
processor as the ReNet took. A deeper network of convolutions, which sees the whole picture, may stand beside them
(`--contexts conv deep`).
"""

from __future__ import annotations

import argparse
import json
import math
import time
from dataclasses import dataclass
from statistics import mean
from typing import Any, Literal

import numpy as np
import torch
from torch import Tensor

import rnnkit
from rnnkit.diagnostics import receptive_field
from rnnkit.layers.picture_front import PictureFront
from rnnkit.recipes.equal_size import nearest_count

UNITS = 16
SIZE, MARK, STRIDE = 96, 6, 8
LINES, LENGTHS, GAP = 3, (60, 80), 16
COLOURS = ((0.9, 0.2, 0.2), (0.2, 0.3, 0.9))
NOT_ASKED = -100
RENET, CONVOLUTION = 0.95, 0.75
"""Wanted: at least, and at most."""
Context = Literal["renet", "conv", "deep", "none"]


def other_ends(count: int, seed: int) -> tuple[Tensor, Tensor]:
    """Make pictures of lines with marks at their ends; see the module.

    Args:
        count: pictures.
        seed: of all that is drawn.

    Returns:
        Pictures [N, 3, 96, 96], and what is asked: at the place of each mark, of 12 × 12, the colour at the other end
        of its line, 0 or 1; −100 elsewhere, [N, 12, 12].
    """
    random = np.random.default_rng(seed)
    noise = 0.5 + 0.05 * random.standard_normal((count, 1, SIZE, SIZE), np.float32)
    pixels = np.repeat(noise, 3, axis=1)
    asked = np.full((count, SIZE // STRIDE, SIZE // STRIDE), NOT_ASKED)
    colours = np.array(COLOURS, np.float32)[:, :, None, None]
    free = SIZE - MARK - (LINES - 1) * GAP  # rows that the gaps leave
    for picture, places in zip(pixels, asked, strict=True):
        rows = np.sort(random.integers(0, free, LINES)) + GAP * np.arange(LINES)
        for row in rows.tolist():
            length = int(random.integers(LENGTHS[0], LENGTHS[1] + 1))
            begin = int(random.integers(0, SIZE - length))
            ends = random.integers(0, 2, 2).tolist()
            picture[:, row + MARK // 2 - 1 : row + MARK // 2 + 1, begin : begin + length] = 0.1
            for left, own, other in ((begin, *ends), (begin + length - MARK, *ends[::-1])):
                picture[:, row : row + MARK, left : left + MARK] = colours[own]
                places[(row + MARK // 2) // STRIDE, (left + MARK // 2) // STRIDE] = other
    return torch.from_numpy(pixels), torch.from_numpy(asked)


@dataclass(frozen=True)
class Result:
    """How well a network does.

    Attributes:
        context: what joins the places of the map.
        seed: of weights and pictures.
        accuracy: share of the marks of new pictures whose other end is named.
        parameters: of the network.
        steps, seconds: of the training; seconds of the processor.
        field: which pixels a place of the last map sees, in words.
    """

    context: str
    seed: int
    accuracy: float
    parameters: int
    steps: int
    seconds: float
    field: str


def network(context: Context) -> torch.nn.Sequential:
    """Return the network with fresh weights, pictures [B, 3, 96, 96] → [B, 2, 12, 12]."""
    if context == "conv":
        wanted = parameters(network("renet"))
        return _network("conv", nearest_count(lambda channels: parameters(_network("conv", channels)), wanted))
    return _network(context, 24)


def _network(context: Context, channels: int) -> torch.nn.Sequential:
    front = PictureFront(3, (16,), (4,), blocks=0)
    middle: Any
    if context == "renet":
        middle = rnnkit.ReNet(16, UNITS, patch=2)
    elif context == "none":
        middle = PictureFront(16, (channels,), (2,), blocks=0)
    else:
        middle = PictureFront(16, (channels,), (2,), blocks=1 if context == "conv" else 4)
    return torch.nn.Sequential(front, middle, torch.nn.Conv2d(middle.output_size, len(COLOURS), 1))


def parameters(model: torch.nn.Module) -> int:
    """Return how many numbers a network learns."""
    return sum(one.numel() for one in model.parameters())


def train(
    context: Context,
    seed: int,
    *,
    steps: int | None = None,
    seconds: float = math.inf,
    batch: int = 32,
    rate: float = 4e-3,
    judged: int = 500,
) -> Result:
    """Train a network on pictures that are made anew, and judge it on others.

    Args:
        context: what joins the places of the map.
        seed: of weights and pictures.
        steps: of the training; None: as many as the seconds allow.
        seconds: of the processor, without those that make pictures.
        batch: pictures of a step.
        rate: the learning rate; it falls along a cosine.
        judged: new pictures.
    """
    torch.manual_seed(seed)
    model = network(context)
    optimizer = torch.optim.Adam(model.parameters(), rate)
    spent, step, done = 0.0, 0, 0.0
    while done < 1:
        x, y = other_ends(batch, 1_000_000 * (seed + 1) + step)
        began = time.process_time()
        for group in optimizer.param_groups:
            group["lr"] = rate * min(1.0, (step + 1) / 20) * 0.5 * (1 + math.cos(math.pi * done))
        loss = torch.nn.functional.cross_entropy(model(x - 0.5), y, ignore_index=NOT_ASKED)
        optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        spent += time.process_time() - began
        step += 1
        done = spent / seconds if steps is None else step / steps
    x, y = other_ends(judged, seed)
    model.eval()
    with torch.inference_mode():
        found = torch.cat([model(part - 0.5).argmax(1) for part in x.split(100)])
    right = (found == y)[y != NOT_ASKED]
    field = receptive_field(model, x[:4] - 0.5).extent
    return Result(context, seed, float(right.float().mean()), parameters(model), step, spent, field)


def main() -> None:
    """Train and judge all networks, and print a table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--steps", type=int, default=240)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--contexts", nargs="+", default=["conv", "none"], choices=["conv", "deep", "none"])
    parser.add_argument("--json", help="a file to write the results to")
    asked = parser.parse_args()
    torch.set_num_threads(1)
    results = []
    print("context   seed  accuracy  parameters  steps  processor s  a place sees")
    for seed in asked.seeds:
        first = train("renet", seed, steps=asked.steps)
        for one in (first, *(train(context, seed, seconds=first.seconds) for context in asked.contexts)):
            results.append(one)
            print(
                f"{one.context:8} {one.seed:5} {one.accuracy:9.1%} {one.parameters:11,} {one.steps:6} "
                f"{one.seconds:12.1f}  {one.field}",
                flush=True,
            )
    for context in ("renet", *asked.contexts):
        found = [one.accuracy for one in results if one.context == context]
        print(f"{context}: mean {mean(found):.1%}, worst {min(found):.1%}, best {max(found):.1%}")
    print(f"wanted: renet at least {RENET:.0%}, conv at most {CONVOLUTION:.0%}")
    if asked.json:
        with open(asked.json, "w", encoding="utf-8") as file:
            json.dump([vars(one) for one in results], file, indent=1)


if __name__ == "__main__":
    main()
