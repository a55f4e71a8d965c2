"""A picture into a sentence: ReNet reads made pictures of shapes, a decoder with attention writes what is there.

    picture 48 × 48 → convolutions → ReNet → 12 × 12 places, read as 144 steps → GRU with attention → words

A picture has one group of shapes or two: one to three circles, squares or triangles of a colour, in the left and right
halves or in the upper and lower ones. The sentence says number, colour, shape and place of each group:

    two red circles on the left and one blue square on the right

The sentences follow a grammar, so each word can be checked: a sentence that was written is taken apart again, and its
numbers, colours, shapes and places are compared with those of the picture (`check`). The decoder is
`rnnkit.EncoderDecoder`, which translates texts, too; the only part of its own is the encoder, in a dozen lines.

Run: python examples/caption.py [--pictures 4000] [--epochs 12] [--out captions.png]
"""

from __future__ import annotations

import argparse
import time
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

import rnnkit
from rnnkit.generation import beam_search, encoded
from rnnkit.layers.picture_front import PictureFront
from rnnkit.types import Sequences

SIDE = 48
NUMBERS = ("one", "two", "three")
COLOURS = {"red": (0.9, 0.2, 0.2), "green": (0.2, 0.75, 0.3), "blue": (0.2, 0.3, 0.9), "yellow": (0.95, 0.9, 0.2)}
SHAPES = ("circle", "square", "triangle")
PLACES = {"left": "on the left", "right": "on the right", "top": "at the top", "bottom": "at the bottom"}
HALVES = (("left", "right"), ("top", "bottom"))
START, END = 0, 1
WORDS = ["<start>", "<end>", "and", "on", "at", "the", *NUMBERS, *COLOURS, *SHAPES, *(f"{s}s" for s in SHAPES), *PLACES]
IDS = {word: number for number, word in enumerate(WORDS)}
KINDS = ("number", "colour", "shape", "place")


@dataclass(frozen=True)
class Group:
    """Shapes that stand together."""

    number: int
    colour: str
    shape: str
    place: str

    def sentence(self) -> str:
        """Return what it is in words."""
        plural = "s" if self.number > 1 else ""
        return f"{NUMBERS[self.number - 1]} {self.colour} {self.shape}{plural} {PLACES[self.place]}"


def sentence_of(groups: tuple[Group, ...]) -> str:
    """Return the sentence about a picture; left comes before right, and top before bottom."""
    return " and ".join(group.sentence() for group in groups)


def parsed(sentence: str) -> tuple[Group, ...] | None:
    """Return the groups that a sentence tells; None where it follows no rule of the grammar."""
    groups = []
    for part in sentence.split(" and "):
        words = part.split(" ")
        if len(words) != 6 or words[0] not in NUMBERS or words[1] not in COLOURS or words[5] not in PLACES:
            return None
        number, shape = NUMBERS.index(words[0]) + 1, words[2].removesuffix("s")
        group = Group(number, words[1], shape, words[5])
        if shape not in SHAPES or group.sentence() != part:  # wrong endings, or "at the left"
            return None
        groups.append(group)
    return tuple(groups)


def check(sentence: str, groups: tuple[Group, ...]) -> dict[str, bool]:
    """Compare a sentence with a picture, and return whether all of a kind of words are right, by the kind.

    The key "grammar" says whether the sentence can be taken apart and tells of as many groups.
    """
    found = parsed(sentence)
    if found is None or len(found) != len(groups):
        return {"grammar": False, **dict.fromkeys(KINDS, False)}
    pairs = list(zip(found, groups, strict=True))
    right = {kind: all(getattr(one, kind) == getattr(true, kind) for one, true in pairs) for kind in KINDS}
    return {"grammar": True, **right}


def scene(random: np.random.Generator) -> tuple[np.ndarray, tuple[Group, ...]]:
    """Make a picture [3, 48, 48], and return it with what is in it."""
    picture = np.full((3, SIDE, SIDE), 0.95, np.float32) + 0.02 * random.standard_normal((1, SIDE, SIDE), np.float32)
    halves = HALVES[int(random.integers(2))]
    chosen = halves if random.random() < 0.6 else (halves[int(random.integers(2))],)
    groups = []
    for place in chosen:
        group = Group(int(random.integers(1, 4)), str(random.choice(list(COLOURS))), str(random.choice(SHAPES)), place)
        # Each shape has a field of 12 × 12 to itself: 2 × 4 fields of a half.
        along, across = random.permutation(8)[: group.number], 0
        for field in along.tolist():
            first, second = divmod(int(field), 2)
            across = second + (2 if place in ("right", "bottom") else 0)
            top, left = (first, across) if place in ("left", "right") else (across, first)
            _draw(picture, group, 12 * top + int(random.integers(0, 3)), 12 * left + int(random.integers(0, 3)))
        groups.append(group)
    return picture.clip(0, 1), tuple(groups)


def _draw(picture: np.ndarray, group: Group, top: int, left: int) -> None:
    rows, columns = np.mgrid[0:9, 0:9]
    inside = {
        "circle": (rows - 4) ** 2 + (columns - 4) ** 2 <= 18,
        "square": (rows < 8) & (columns < 8),
        "triangle": np.abs(columns - 4) <= rows / 2,
    }[group.shape]
    part = picture[:, top : top + 9, left : left + 9]
    part[:, inside] = np.array(COLOURS[group.colour], np.float32)[:, None]


def scenes(count: int, seed: int) -> tuple[Tensor, list[tuple[Group, ...]]]:
    """Make pictures [N, 3, 48, 48], and return them with what is in each."""
    random = np.random.default_rng(seed)
    found = [scene(random) for _ in range(count)]
    return torch.from_numpy(np.stack([picture for picture, _ in found])), [groups for _, groups in found]


def ids_of(groups: list[tuple[Group, ...]]) -> Sequences:
    """Return the ids of the sentences' words, each with an end."""
    rows = [[*(IDS[word] for word in sentence_of(one).split(" ")), END] for one in groups]
    return Sequences.from_list([torch.tensor(row) for row in rows])


class Places(rnnkit.SequenceModule):
    """Reads pictures [B, 48 rows, 3 · 48 numbers] as the places of a map, row after row: [B, 144, 2 U]."""

    def __init__(self, units: int) -> None:
        super().__init__()
        self.front = PictureFront(3, (16, 24), (2, 2), blocks=0)
        self.context = rnnkit.ReNet(24, units)
        self.input_size, self.output_size = 3 * SIDE, self.context.output_size

    def forward(self, x: Tensor, lengths: Any = None) -> tuple[Tensor, Any, None]:
        """Map pictures to (places, None, None)."""
        pictures = x.unflatten(2, (3, SIDE)).transpose(1, 2)
        return self.context(self.front(pictures - 0.5)).flatten(2).transpose(1, 2).contiguous(), None, None


def as_rows(pictures: Tensor) -> Tensor:
    """Return pictures [N, 3, H, W] as an encoder takes them, [N, H, 3 · W]."""
    return pictures.transpose(1, 2).flatten(2)


def network(units: int) -> rnnkit.EncoderDecoder:
    """Return the network with fresh weights."""
    encoder = Places(units)
    decoder = rnnkit.GRU(units, 2 * units, batch_first=True)
    return rnnkit.EncoderDecoder(encoder, decoder, None, len(WORDS), attention="additive", start=START)


def captions(model: rnnkit.EncoderDecoder, pictures: Tensor, *, width: int = 1) -> list[str]:
    """Return a sentence about each picture."""
    model.eval()
    written = []
    with torch.inference_mode():
        for part in as_rows(pictures).split(100):
            for [best, *_] in beam_search(encoded(model, part), [START], end=END, max_tokens=16, width=width):
                written.append(" ".join(WORDS[one] for one in best.ids if one != END))
    return written


def main(
    pictures: int = 4000, epochs: int = 12, *, units: int = 32, judged: int = 500, out: Path | None = None
) -> dict[str, float]:
    """Train, print how many words are right, and return the shares."""
    from rnnkit.plotting.picture_grid import picture_grid

    torch.manual_seed(0)
    x, groups = scenes(pictures, seed=0)
    new, truth = scenes(judged, seed=1)
    model = network(units)
    learner = rnnkit.Learner(model, lr=3e-3, clip_norm=1.0)
    began = time.perf_counter()
    learner.fit((as_rows(x), ids_of(groups)), epochs=epochs, batch_size=32, schedule="warmup_cosine", seed=0)
    seconds = time.perf_counter() - began
    written = captions(model, new)
    counts: Counter[str] = Counter()
    for sentence, one in zip(written, truth, strict=True):
        counts.update(kind for kind, right in check(sentence, one).items() if right)
        counts["sentence"] += sentence == sentence_of(one)
    shares = {kind: counts[kind] / judged for kind in ("grammar", *KINDS, "sentence")}
    print(f"{pictures:,} pictures, {epochs} epochs, {seconds:.0f} s; of {judged} new pictures are right:")
    for kind, share in shares.items():
        print(f"  {'whole ' if kind == 'sentence' else ''}{kind:10} {share:.1%}")
    for sentence, one in list(zip(written, truth, strict=True))[:4]:
        print(f"  {sentence}" + ("" if sentence == sentence_of(one) else f"   (there: {sentence_of(one)})"))
    if out is not None:
        picture_grid([one.numpy() for one in new[:12]], written[:12], out, columns=4, inches=2.0)
    return shares


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--pictures", type=int, default=4000, help="to learn from")
    parser.add_argument("--epochs", type=int, default=12)
    parser.add_argument("--out", type=Path, help="a picture of new ones with their sentences")
    given = parser.parse_args()
    main(given.pictures, given.epochs, out=given.out)
