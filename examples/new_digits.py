"""A reader of the digits 0 to 4 learns 5 to 9 from 100 images of each: every way of fine-tuning, and what it forgets.

An LSTM(256) reads MNIST's images row by row. It is trained on the images of 0 to 4, and then meets 500 images of 5 to
9. First with a new head of five, so that only the new digits count: all of the network trained, its head alone, its
layers thawed one by one, adapters, and for comparison a network that starts from nothing. Then with one head of ten,
the old five rows kept: without protection, held by L2-SP or EWC, and with 20 old images of each digit replayed.

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
PLAN: dict[str, Any] = {"schedule": "warmup_cosine", "batch_size": 16, "progress": False}
Pair = tuple[torch.Tensor, torch.Tensor]


@dataclass(frozen=True)
class Size:
    """How much of everything; a test takes less."""

    hidden: int = 256
    per_class: int = 100
    memory: int = 20
    base_epochs: int = 5
    epochs: int = 10
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


def network(size: Size, outputs: int, seed: int) -> rnnkit.SequenceClassifier:
    torch.manual_seed(seed)
    return rnnkit.SequenceClassifier(rnnkit.LSTM(28, size.hidden, batch_first=True), classes=outputs)


def base(digits: Digits, size: Size, seed: int) -> rnnkit.Learner:
    """A learner with the network that reads 0 to 4, trained or as it was trained before."""
    file = FOLDER / f"base-{size.hidden}-{size.base_epochs}-{seed}.safetensors"
    if not file.exists():
        learner = rnnkit.Learner(network(size, 5, seed), clip_norm=1.0)
        plan = {"epochs": size.base_epochs, "batch_size": 64, "schedule": "warmup_cosine", "seed": seed}
        learner.fit(digits.old, progress=False, **plan)
        learner.save(file)
    return rnnkit.Learner(rnnkit.load(file), clip_norm=1.0)


# --- a head of five: the new digits alone ----------------------------------------------------------------------------


def five(pair: Pair) -> Pair:
    return pair[0], pair[1] - 5


def from_nothing(digits: Digits, size: Size, seed: int, *, lr: float, times: int = 1) -> dict[str, Any]:
    """A fresh network on the new images alone, for so many times the epochs."""
    learner = rnnkit.Learner(network(size, 5, seed), lr=lr, clip_norm=1.0)
    history = learner.fit(five(digits.new), epochs=times * size.epochs, seed=seed, **PLAN)
    count = sum(one.numel() for one in learner.model.parameters())
    return {"new": learner.evaluate(five(digits.new_judged))["accuracy"], "trained": count, "seconds": history.seconds}


def of_five(digits: Digits, size: Size, seed: int, **how: Any) -> dict[str, Any]:
    """The trained network with a new head of five."""
    plan = {**PLAN, "epochs": size.epochs, "seed": seed, **how}
    learner = base(digits, size, seed)
    classes = {"classes": tuple("56789"), "old_classes": tuple("01234")}
    report = learner.fine_tune(five(digits.new), validation=five(digits.new_judged), **classes, **plan).report
    if "adapters" in how:
        merge_adapters(learner.model)  # as it would be deployed
    return {"new": report.new.after["accuracy"], "trained": report.trained, "seconds": report.seconds}


# --- a head of ten: the old digits too -------------------------------------------------------------------------------


def of_ten(digits: Digits, size: Size, seed: int, *, moved: bool = False, **how: Any) -> dict[str, Any]:
    """The trained network with a head of ten, the rows of the old five kept; judged on all ten."""
    plan = {**PLAN, "epochs": size.epochs, "seed": seed, **how}
    learner = base(digits, size, seed)
    if moved:
        learner.model.augment = Moved()
    judged = {"validation": digits.new_judged, "old_data": digits.old, "old_validation": digits.old_judged}
    report = learner.fine_tune(digits.new, classes=10, **judged, **plan).report
    return {
        "new": report.new.after["accuracy"],
        "old": report.old.after["accuracy"],
        "lost": report.old.before["accuracy"] - report.old.after["accuracy"],
        "trained": report.trained,
        "seconds": report.seconds,
    }


def methods(size: Size) -> dict[str, Callable[[Digits, int], dict[str, Any]]]:
    """Every way, by name, with the settings that were chosen on held-out images."""

    def way(run: Callable[..., dict[str, Any]], **how: Any) -> Callable[[Digits, int], dict[str, Any]]:
        return lambda digits, seed: run(digits, size, seed, **how)

    old = Replay(rows=0.8)
    ulmfit = {"gradual_unfreezing": True, "discriminative": 2.6, "schedule": "slanted_triangular"}
    return {
        "five: from nothing": way(from_nothing, lr=3e-3),
        "five: from nothing, four times the epochs": way(from_nothing, lr=1e-3, times=4),
        "five: the head alone": way(of_five, lr=3e-3, freeze="body"),
        "five: all of it": way(of_five, lr=2e-3),
        "five: ULMFiT": way(of_five, lr=2e-3, **ulmfit),
        "five: LoRA of rank 8": way(of_five, lr=6e-3, adapters=LoRA(8)),
        "ten: no protection": way(of_ten, lr=1e-3),
        "ten: L2-SP": way(of_ten, lr=1e-3, protect=L2SP(0.1)),
        "ten: EWC": way(of_ten, lr=1e-3, protect=EWC(1e4, rows=size.fisher_rows)),
        "ten: replay": way(of_ten_replayed, lr=1e-3, replay=old),
        "ten: replay, images moved": way(of_ten_replayed, lr=1e-3, replay=old, moved=True),
        "ten: replay, images moved, L2-SP": way(of_ten_replayed, lr=1e-3, replay=old, moved=True, protect=L2SP(0.1)),
        "ten: replay, images moved, LoRA": way(of_ten_replayed, lr=3e-3, replay=old, moved=True, adapters=LoRA(8)),
    }


def of_ten_replayed(digits: Digits, size: Size, seed: int, *, replay: Replay, **how: Any) -> dict[str, Any]:
    return of_ten(digits, size, seed, replay=Replay(digits.memory, replay.rows), **how)


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
