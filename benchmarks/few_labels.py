"""What pretraining is worth with few labels: `python -m benchmarks.few_labels`.

SNIPS (`RNNKIT_DATA/snips`): a language model reads the training sentences without their labels, and becomes a
classifier with 10 labelled sentences an intent (ULMFiT). Beside it the recipe for classes of texts, from scratch on the
same 10. Both are judged on the 700 test sentences. 700 of the training sentences are read by neither.
"""

from __future__ import annotations

import argparse
import csv
import json
import os
import random
import tempfile
from collections import defaultdict
from dataclasses import replace
from pathlib import Path

from rnnkit.data import read_tagged_texts
from rnnkit.recipes.lm import Fit, Model, lm
from rnnkit.recipes.text_classify import text_classify
from rnnkit.recipes.text_source import TextSource, Vocabulary

LABELLED = 10
VALIDATION = 700
AT_LEAST = 0.10
Rows = list[tuple[str, str]]


def sentences(folder: Path, kind: str) -> Rows:
    """Return (intent, sentence) of the files of a kind, "train" or "validate"."""
    found = []
    for file in sorted(folder.glob(f"{kind}_*.json")):
        found += [(one.intent, one.text) for one in read_tagged_texts(file).texts]
    return found


def write_table(path: Path, rows: Rows) -> str:
    """Write labels and texts as a table."""
    with path.open("w", encoding="utf-8", newline="") as file:
        csv.writer(file).writerows([("label", "text"), *rows])
    return str(path)


def draw(rows: Rows, seed: int) -> Rows:
    """Return 10 rows of each intent."""
    by_intent = defaultdict(list)
    for row in rows:
        by_intent[row[0]].append(row)
    rng = random.Random(seed)
    return [row for _, found in sorted(by_intent.items()) for row in rng.sample(found, LABELLED)]


def pretrain(texts: list[str], folder: Path, epochs: int) -> Path:
    """Train the language model on sentences without labels."""
    file = folder / "sentences.txt"
    file.write_text("\n".join(texts), encoding="utf-8")
    recipe = replace(
        lm(),
        model=Model(
            hidden_size=400,
            num_layers=2,
            embedding_size=200,
            tied=True,
            embedding_dropout=0.05,
            input_dropout=0.2,
            hidden_dropout=0.2,
            output_dropout=0.3,
            weight_dropout=0.2,
        ),
        fit=Fit(epochs=epochs, batch_size=32, window=40, lr=3e-3),
        data=TextSource(path=str(file), unit="line", validation=0.05, test=0.0),
        vocabulary=Vocabulary(tokens="word", minimum_count=2, lowercase=True),
        prompt="play",
    )
    run = folder / "lm"
    run.mkdir()
    recipe.prepare().run(run)
    return run


def main() -> int:
    """Measure and print; 1 where the figure is missed."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.few_labels", description=__doc__)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--epochs", type=int, default=12, help="of the pretraining")
    wanted = parser.parse_args()
    snips = Path(os.environ["RNNKIT_DATA"]) / "snips"
    train, test = sentences(snips, "train"), sentences(snips, "validate")
    random.Random(0).shuffle(train)
    rest = train[VALIDATION:]
    gains = []
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        files = {part: write_table(folder / f"{part}.csv", rows) for part, rows in (("test", test),)}
        model = pretrain([text for _, text in rest], folder, wanted.epochs)
        for seed in range(wanted.seeds):
            few = write_table(folder / f"few{seed}.csv", draw(rest, seed))
            base = text_classify()
            data = replace(base.data, path=few, test=files["test"], validation=0.0, minimum_count=1)
            scratch = replace(base, data=data, fit=replace(base.fit, epochs=60, batch_size=16), seed=seed)
            (folder / f"scratch{seed}").mkdir()
            alone = scratch.prepare().run(folder / f"scratch{seed}")["test"]["accuracy"]
            goal = replace(base, data=data)
            settings = replace(goal.transfer_defaults(), seed=seed)
            (folder / f"tuned{seed}").mkdir()
            job = goal.transfer_job(model, settings)
            job.check(settings)
            job.run(settings, folder / f"tuned{seed}")
            tuned = json.loads((folder / f"tuned{seed}" / "metrics.json").read_text())["test"]["accuracy"]
            gains.append(tuned - alone)
            print(f"seed {seed}: from scratch {alone:.1%}, pretrained {tuned:.1%}", flush=True)
    mean = sum(gains) / len(gains)
    print(f"gain {mean:+.1%} (at least {AT_LEAST:+.0%})")
    return int(mean < AT_LEAST)


if __name__ == "__main__":
    raise SystemExit(main())
