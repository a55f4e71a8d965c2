"""A reader of the digits 0 to 4 learns 5 to 9 from 100 images of each: every way of fine-tuning, and what it forgets.

First with a new head of five, so that only the new digits count: the founding SimpleRNN(128) and an LSTM(256) read
MNIST's images row by row, are trained on 0 to 4, and then meet 500 images of 5 to 9, all of the network trained, its
head alone, its layers thawed one by one, or adapters; and for comparison networks that start from nothing. Then with
one head of ten, the old five rows kept: without protection, held by L2-SP or EWC, and with 20 old images of each digit
replayed. Here the rows pass convolutions and a GRU reads them in both directions.

What a network learned before decides what it learns from little and what it forgets. So all but the LSTM learn 0 to 4
in four positions, turned by 0, 90, 180 and 270 degrees, as 20 classes: they have then seen much that is no upright 2
before the first 5 comes.

Run: python examples/new_digits.py [--seeds 0 1 2] [--held-out]

Settings were chosen on the last 10,000 of the training images (--held-out judges on those); the test images were read
for the table alone. Trained base networks are kept in runs/new_digits and used again.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from statistics import mean
from typing import Any

import torch

import rnnkit
from rnnkit.data import mnist
from rnnkit.finetuning import EWC, L2SP, LoRA, Replay, memory, merge_adapters

FOLDER = Path("runs") / "new_digits"
HELD_OUT = 10_000
TURNED = tuple(digit + position for position in ("", " left", " down", " right") for digit in "01234")
PLAN: dict[str, Any] = {"schedule": "warmup_cosine", "batch_size": 16, "progress": False}
Pair = tuple[torch.Tensor, torch.Tensor]


@dataclass(frozen=True)
class Size:
    """How much of everything; a test takes less."""

    units: int = 128
    hidden: int = 256
    channels: int = 48
    per_class: int = 100
    memory: int = 20
    simple_epochs: int = 10
    lstm_epochs: int = 5
    reader_epochs: int = 2
    short: int = 10
    long: int = 40
    fisher_rows: int = 500


@dataclass(frozen=True)
class Digits:
    """Images and labels: old digits to train on, new ones to learn, some old ones to replay, both to judge by."""

    old: Pair
    new: Pair
    memory: Pair
    old_judged: Pair
    new_judged: Pair


class Moved(torch.nn.Module):
    """Images moved by up to 2 pixels, turned by up to 10° and scaled by up to 10%, each in its own way, in training."""

    def forward(self, images: torch.Tensor, lengths: Any = None) -> torch.Tensor:
        if not self.training:
            return images
        turn, scale, x, y = (torch.rand(4, len(images)) * 2 - 1) * torch.tensor([0.175, 0.1, 2 / 14, 2 / 14])[:, None]
        cos, sin = turn.cos() * (1 + scale), turn.sin() * (1 + scale)
        maps = torch.stack((torch.stack((cos, -sin, x), 1), torch.stack((sin, cos, y), 1)), 1)
        grid = torch.nn.functional.affine_grid(maps, [len(images), 1, 28, 28], align_corners=False)
        return torch.nn.functional.grid_sample(images[:, None], grid, align_corners=False)[:, 0]


def divide(seed: int, size: Size, *, held_out: bool) -> Digits:
    """MNIST's images for one seed; judged on held-out training images, or on the test images."""
    train, test = mnist.load()
    keep = min(HELD_OUT, len(train.labels) // 5)
    x, y = train.images[:-keep], train.labels[:-keep]
    judged = (train.images[-keep:], train.labels[-keep:]) if held_out else tuple(test)

    def part(pair: Any, old: bool) -> Pair:
        rows = (pair[1] < 5) == old
        return pair[0][rows], pair[1][rows]

    old = part((x, y), True)
    return Digits(
        old=old,
        new=memory(part((x, y), False), size.per_class, seed),
        memory=memory(old, size.memory, seed),
        old_judged=part(judged, True),
        new_judged=part(judged, False),
    )


def simple(size: Size, outputs: int) -> rnnkit.SequenceClassifier:
    return rnnkit.SequenceClassifier(rnnkit.SimpleRNN(28, size.units, nonlinearity="relu"), outputs)


def lstm(size: Size, outputs: int) -> rnnkit.SequenceClassifier:
    return rnnkit.SequenceClassifier(rnnkit.LSTM(28, size.hidden), outputs)


def reader(size: Size, outputs: int) -> rnnkit.SequenceClassifier:
    front = rnnkit.ConvFront(28, size.channels, (3, 5, 9))
    body = rnnkit.GRU(front.output_size, size.units, bidirectional=True, init="keras")
    return rnnkit.SequenceClassifier(body, outputs, pooling="concat", dropout=0.3, front=front)


@dataclass(frozen=True)
class Network:
    """A network, and how it learns 0 to 4."""

    make: Callable[[Size, int], rnnkit.SequenceClassifier]
    epochs: Callable[[Size], int]
    classes: tuple[str, ...] = TURNED
    moved: bool = False

    def fresh(self, size: Size, outputs: int, seed: int, *, moved: bool = False) -> rnnkit.SequenceClassifier:
        torch.manual_seed(seed)
        model = self.make(size, outputs)
        model.augment = Moved() if moved else None
        return model

    def trained(self, digits: Digits, size: Size, seed: int) -> rnnkit.Learner:
        """A learner with the network as it reads 0 to 4, trained now or as it was trained before."""
        file = FOLDER / f"{self.make.__name__}-{size.units}-{size.hidden}-{self.epochs(size)}-{seed}.safetensors"
        if not file.exists():
            model = self.fresh(size, len(self.classes), seed, moved=self.moved)
            learner = rnnkit.Learner(model, clip_norm=1.0)
            old = turned(digits.old) if self.classes == TURNED else digits.old
            plan = {"schedule": "warmup_cosine", "batch_size": 128 if self.classes == TURNED else 64, "seed": seed}
            learner.fit(old, epochs=self.epochs(size), progress=False, **plan)
            model.augment = None
            learner.save(file)
        return rnnkit.Learner(rnnkit.load(file), clip_norm=1.0)


SIMPLE = Network(simple, lambda size: size.simple_epochs, moved=True)
LSTM = Network(lstm, lambda size: size.lstm_epochs, tuple("01234"))
READER = Network(reader, lambda size: size.reader_epochs)


def turned(pair: Pair) -> Pair:
    """Images [N, 28, 28] in four positions [4 N, 28, 28], and their classes as in TURNED."""
    x, y = pair
    return torch.cat([torch.rot90(x, k, (1, 2)) for k in range(4)]), torch.cat([y + 5 * k for k in range(4)])


# --- a head of five: the new digits alone ----------------------------------------------------------------------------


def five(pair: Pair) -> Pair:
    return pair[0], pair[1] - 5


def from_nothing(
    digits: Digits, size: Size, seed: int, *, of: Network, epochs: int, lr: float = 2e-3, moved: bool = False
) -> dict[str, Any]:
    """A fresh network on the new images alone."""
    learner = rnnkit.Learner(of.fresh(size, 5, seed, moved=moved), lr=lr, clip_norm=1.0)
    history = learner.fit(five(digits.new), epochs=epochs, seed=seed, **PLAN)
    count = sum(one.numel() for one in learner.model.parameters())
    return {"new": learner.evaluate(five(digits.new_judged))["accuracy"], "trained": count, "seconds": history.seconds}


def of_five(digits: Digits, size: Size, seed: int, *, of: Network, moved: bool = False, **how: Any) -> dict[str, Any]:
    """The trained network with a new head of five."""
    plan = {**PLAN, "lr": 2e-3, "seed": seed, **how}
    learner = of.trained(digits, size, seed)
    learner.model.augment = Moved() if moved else None
    classes = {"classes": tuple("56789"), "old_classes": of.classes}
    report = learner.fine_tune(five(digits.new), validation=five(digits.new_judged), **classes, **plan).report
    if "adapters" in how:
        merge_adapters(learner.model)  # as it would be deployed
    return {"new": report.new.after["accuracy"], "trained": report.trained, "seconds": report.seconds}


# --- a head of ten: the old digits too -------------------------------------------------------------------------------


def of_ten(
    digits: Digits, size: Size, seed: int, *, moved: bool = False, share: float = 0.0, **how: Any
) -> dict[str, Any]:
    """The reader with a head of ten, the rows of the old five kept; ``share`` of each epoch are old rows."""
    plan = {**PLAN, "batch_size": 32, "lr": 2e-3, "epochs": size.long, "seed": seed, **how}
    learner = READER.trained(digits, size, seed)
    learner.model.augment = Moved() if moved else None
    before = _accuracy(learner, digits.old_judged)
    report = learner.fine_tune(
        digits.new,
        classes=tuple("0123456789"),
        old_classes=TURNED,
        validation=digits.new_judged,
        old_data=digits.old,
        replay=Replay(digits.memory, share) if share else None,
        **plan,
    ).report
    after = _accuracy(learner, digits.old_judged)
    found = {"new": report.new.after["accuracy"], "old": after, "lost": before - after}
    return {**found, "trained": report.trained, "seconds": report.seconds}


def _accuracy(learner: rnnkit.Learner, judged: Pair) -> float:
    """On upright digits: the network that knows them in other positions too is asked for the upright ones alone."""
    answers = learner.predict(judged[0])
    upright = answers[:, :5] if answers.shape[1] == len(TURNED) else answers
    return float((upright.argmax(1) == judged[1]).float().mean())


def methods(size: Size) -> dict[str, Callable[[Digits, int], dict[str, Any]]]:
    """Every way, by name, with the settings that were chosen on held-out images."""

    def way(run: Callable[..., dict[str, Any]], **how: Any) -> Callable[[Digits, int], dict[str, Any]]:
        return lambda digits, seed: run(digits, size, seed, **how)

    ulmfit = {"gradual_unfreezing": True, "discriminative": 2.6, "schedule": "slanted_triangular"}
    ewc, l2sp = EWC(1e3, rows=size.fisher_rows), L2SP(0.1)
    short, long = size.short, size.long
    return {
        "five: SimpleRNN, from nothing": way(from_nothing, of=SIMPLE, epochs=2 * long),
        "five: SimpleRNN, all of it": way(of_five, of=SIMPLE, epochs=2 * long),
        "five: SimpleRNN, images moved, from nothing": way(from_nothing, of=SIMPLE, epochs=2 * long, moved=True),
        "five: SimpleRNN, images moved, all of it": way(of_five, of=SIMPLE, epochs=2 * long, moved=True),
        "five: LSTM, from nothing": way(from_nothing, of=LSTM, epochs=short),
        "five: LSTM, from nothing, four times as long": way(from_nothing, of=LSTM, epochs=long, lr=1e-3),
        "five: LSTM, the head alone": way(of_five, of=LSTM, epochs=short, lr=3e-3, freeze="body"),
        "five: LSTM, all of it": way(of_five, of=LSTM, epochs=short),
        "five: LSTM, ULMFiT": way(of_five, of=LSTM, epochs=short, **ulmfit),
        "five: LSTM, LoRA of rank 8": way(of_five, of=LSTM, epochs=short, lr=6e-3, adapters=LoRA(8)),
        "ten: no protection": way(of_ten),
        "ten: L2-SP": way(of_ten, protect=l2sp),
        "ten: EWC": way(of_ten, protect=ewc),
        "ten: replay": way(of_ten, share=0.8),
        "ten: replay, EWC": way(of_ten, share=0.8, protect=ewc),
        "ten: replay, L2-SP": way(of_ten, share=0.8, protect=l2sp),
        "ten: replay, images moved": way(of_ten, share=0.8, moved=True),
        "ten: replay, images moved, L2-SP": way(of_ten, share=0.8, moved=True, protect=l2sp),
    }


def main(seeds: list[int], *, held_out: bool = False, size: Size = Size(), only: str = "") -> dict[str, Any]:
    """Runs every method for every seed, prints the table, and returns the figures by method, a dict a seed."""
    found: dict[str, list[dict[str, Any]]] = {}
    for seed in seeds:
        digits = divide(seed, size, held_out=held_out)
        for name, run in methods(size).items():
            if only in name:
                found.setdefault(name, []).append(run(digits, seed))
                print(f"seed {seed}: {name}: {_figures(found[name][-1:])}", file=sys.stderr, flush=True)
    print(f"accuracy on {'held-out training' if held_out else 'test'} images, mean of seeds {seeds}")
    for name, rows in found.items():
        print(f"{name:<42} {_figures(rows)}")
    FOLDER.mkdir(parents=True, exist_ok=True)
    (FOLDER / f"figures-{'held-out' if held_out else 'test'}.json").write_text(json.dumps(found, indent=2) + "\n")
    return found


def _figures(rows: list[dict[str, Any]]) -> str:
    new = f"5 to 9: {mean(row['new'] for row in rows):.2%}"
    old = ""
    if "old" in rows[0]:
        lost = 100 * mean(row["lost"] for row in rows)
        old = f"  0 to 4: {mean(row['old'] for row in rows):.2%} (lost {lost:.1f} points)"
    return f"{new}{old}  {rows[0]['trained']:,} trained"


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--seeds", type=int, nargs="+", default=[0])
    parser.add_argument("--held-out", action="store_true", help="judge on held-out training images")
    parser.add_argument("--only", default="", help="methods with this in their name")
    options = parser.parse_args()
    main(options.seeds, held_out=options.held_out, only=options.only)
