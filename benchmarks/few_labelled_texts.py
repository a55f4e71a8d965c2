"""What pretraining on texts is worth with few labels: `python -m benchmarks.few_labelled_texts`.

SNIPS (`RNNKIT_DATA/snips`): a language model reads the training sentences without their labels, from shards of tokens,
and becomes a classifier with 10 labelled sentences an intent (ULMFiT). Beside it the recipe for classes of texts, from
scratch on the same 10. Both are judged on the 700 test sentences, which choose nothing. 700 of the training sentences
are read by neither: settings were chosen on them. Each step is a command, as a user types it.
"""

from __future__ import annotations

import argparse
import csv
import json
import os
import random
import subprocess
import sys
import tempfile
from collections import defaultdict
from pathlib import Path

from rnnkit.data import read_tagged_texts

LABELLED = 10
CHOSEN_ON = 700
AT_LEAST = 0.10
SHARDS = ("--unit", "line", "--tokens", "word", "--minimum-count", "2", "--lowercase", "--processes", "1")
LANGUAGE_MODEL = {
    "model.hidden_size": 400, "model.embedding_size": 200, "model.tied": "true", "model.embedding_dropout": 0.05,
    "model.input_dropout": 0.2, "model.output_dropout": 0.3, "model.weight_dropout": 0.2, "fit.window": 40,
    "data.test": 0, "prompt": "play",
}  # fmt: skip
SCRATCH = {"fit.epochs": 60, "fit.batch_size": 16}
Rows = list[tuple[str, str]]


def main(arguments: list[str] | None = None) -> int:
    """Measure and print; 1 where the figure is missed."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.few_labelled_texts", description=__doc__)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--epochs", type=int, default=12, help="of the pretraining")
    parser.add_argument("--from", dest="source", choices=("shards", "text"), default="shards")
    wanted = parser.parse_args(arguments)
    snips = Path(os.environ["RNNKIT_DATA"]) / "snips"
    train, test = sentences(snips, "train"), sentences(snips, "validate")
    random.Random(0).shuffle(train)
    rest = train[CHOSEN_ON:]
    gains = []
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        write_table(folder / "test.csv", test)
        (folder / "sentences.txt").write_text("\n".join(text for _, text in rest), encoding="utf-8")
        pretrain(folder, wanted.epochs, wanted.source)
        for seed in wanted.seeds:
            write_table(folder / "few.csv", draw(rest, seed))
            data = {"data.test": "test.csv", "data.validation": 0, "data.minimum_count": 1}
            scratch = ("train", "text-classify", "few.csv")
            alone = accuracy(folder, f"scratch{seed}", *scratch, seed=seed, **data, **SCRATCH)
            goal = ("finetune", "lm", "few.csv", "--task", "classify")
            tuned = accuracy(folder, f"tuned{seed}", *goal, seed=seed, **data)
            gains.append(tuned - alone)
            print(f"seed {seed}: from scratch {alone:.1%}, pretrained {tuned:.1%}", flush=True)
    mean = sum(gains) / len(gains)
    print(f"gain {mean:+.1%} (at least {AT_LEAST:+.0%})")
    return int(mean < AT_LEAST)


def pretrain(folder: Path, epochs: int, source: str) -> None:
    """Train the language model, the run folder `lm`, on shards of the sentences or on their file."""
    settings = {**LANGUAGE_MODEL, "fit.epochs": epochs}
    if source == "shards":
        rnnkit(folder, "shards", "make", "sentences.txt", "--out", "tokens", *SHARDS)
        rnnkit(folder, "train", "lm", "--out", "lm", **{"data.shards": "tokens", **settings})
        return
    words = {"vocabulary.tokens": "word", "vocabulary.minimum_count": 2, "vocabulary.lowercase": "true"}
    rnnkit(folder, "train", "lm", "sentences.txt", "--out", "lm", **{"data.unit": "line", **words, **settings})


def accuracy(folder: Path, out: str, *words: str, **settings: object) -> float:
    """Run a verb, and return the accuracy on the test sentences."""
    rnnkit(folder, *words, "--out", out, **settings)
    return float(json.loads((folder / out / "metrics.json").read_text())["test"]["accuracy"])


def rnnkit(folder: Path, *words: str, **settings: object) -> None:
    """Run a command in a folder."""
    chosen = [word for name, value in settings.items() for word in ("--set", f"{name}={value}")]
    subprocess.run([sys.executable, "-m", "rnnkit", *words, *chosen], cwd=folder, check=True, stdout=sys.stderr)


def sentences(folder: Path, kind: str) -> Rows:
    """Return (intent, sentence) of the files of a kind, "train" or "validate"."""
    files = sorted(folder.glob(f"{kind}_*.json"))
    return [(one.intent, one.text) for file in files for one in read_tagged_texts(file).texts]


def write_table(path: Path, rows: Rows) -> None:
    """Write labels and texts as a table."""
    with path.open("w", encoding="utf-8", newline="") as file:
        csv.writer(file).writerows([("label", "text"), *rows])


def draw(rows: Rows, seed: int) -> Rows:
    """Return 10 rows of each intent."""
    by_intent = defaultdict(list)
    for row in rows:
        by_intent[row[0]].append(row)
    drawn = random.Random(seed)
    return [row for _, found in sorted(by_intent.items()) for row in drawn.sample(found, LABELLED)]


if __name__ == "__main__":
    raise SystemExit(main())
