"""What pretraining on series without labels is worth, by the number of labelled examples.

Each set of the archives at hand (RNNKIT_DATA/ucr_uea) is pretrained on all its training series without their labels
(`rnnkit train pretrain`), then learns from so many labelled ones a class (`rnnkit finetune --task classify`). Beside it
the same network learns from these labels alone (`rnnkit train classify`). Accuracy is that of the set's own test part,
which chooses nothing. The labelled examples are drawn by the seed; all settings are the defaults.

    python benchmarks/few_labels.py [--labels 5 10] [--seeds 0 1 2] [--sets GunPoint]
"""

from __future__ import annotations

import argparse
import os
import tempfile
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

import numpy as np

from rnnkit.data import SeriesSet, read_series
from rnnkit.recipes import DataRequest, find
from rnnkit.tasks import series

SETS = ("GunPoint", "ItalyPowerDemand", "BasicMotions")


def main() -> None:
    """Measure, and print a line a set, number of labels and seed."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--labels", type=int, nargs="+", default=[10])
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--sets", nargs="+", default=list(SETS))
    options = parser.parse_args()
    root = Path(os.environ.get("RNNKIT_DATA", ".")) / "ucr_uea"
    gains = []
    for name in options.sets:
        for seed in options.seeds:
            for labels, alone, after in measure(root / name, name, options.labels, seed):
                gains.append(after - alone)
                told = f"labels alone {alone:.3f}, pretrained {after:.3f}"
                print(f"{name:18} seed {seed}  {labels:3} a class: {told}", flush=True)
    print(f"mean gain {100 * np.mean(gains):+.1f} points over {len(gains)}")


def measure(folder: Path, name: str, labels: list[int], seed: int) -> list[tuple[int, float, float]]:
    """Return for each number of labels the accuracy of labels alone, and after pretraining."""
    train, test = (read_series(folder / f"{name}_{part}.ts") for part in ("TRAIN", "TEST"))
    found = []
    with tempfile.TemporaryDirectory() as place:
        runs = Path(place)
        test = as_file(test, range(len(test)), runs / "test.npz")
        recipe = find("pretrain")()
        data = replace(recipe.data, path=str(folder / f"{name}_TRAIN.ts"), test_share=0.0)
        (runs / "pretrained").mkdir()
        replace(recipe, data=data, seed=seed).run(runs / "pretrained")
        for count in labels:
            file = runs / f"{count}.npz"
            few = as_file(train, draw_few(train.targets, count, seed), file)
            alone = series.classify(few, seed=seed).evaluate(test)["accuracy"]
            request = DataRequest(file)
            _, successor = recipe.successor("classify", request)
            settings = replace(successor.transfer_defaults(), seed=seed)
            chosen = replace(successor, data=replace(successor.data, test_share=0.0), seed=seed)
            target = runs / f"tuned-{count}"
            target.mkdir()
            chosen.transfer_job(runs / "pretrained", settings).run(settings, target)
            found.append((count, alone, series.load(target).evaluate(test)["accuracy"]))
    return found


def as_file(whole: SeriesSet, rows: Iterable[int], file: Path) -> SeriesSet:
    """Write some rows, all of one length, to an .npz file, and return what is read of it."""
    chosen = list(rows)
    assert whole.targets is not None
    np.savez(file, X=np.stack([whole.values[row] for row in chosen]), y=whole.targets[chosen])
    return read_series(file)


def draw_few(targets: np.ndarray, count: int, seed: int) -> np.ndarray:
    """Return so many rows of each class, drawn by the seed."""
    draw = np.random.default_rng(seed)
    return np.concatenate([draw.permutation(np.flatnonzero(targets == one))[:count] for one in np.unique(targets)])


if __name__ == "__main__":
    main()
