"""A speaker who was not trained on, each in turn: `python -m benchmarks.kept_out`.

Of the free spoken digits (3,000 recordings, 6 speakers), each speaker is kept out once: a network of `sound-classify`
learns single digits from all recordings of the other five and from voices that espeak-ng makes, and is judged on all
recordings of the one. None of these chooses anything: there is no validation part, and the last epoch's averaged
weights are judged. Their labels are used for nothing but the figures. `SETTINGS` says what differs from the recipe's
defaults, and how that was chosen.

Features are normalised by speaker, so it matters how much of him was heard. Each network is judged in three ways:
with mean and variance of all of his recordings (which the required figure is of), of ten that are drawn, and of each
recording by itself.

Runs are kept in runs/kept_out: finished ones are used again, an interrupted one goes on; `--fresh` trains all anew.
Figures are printed as a table and written to runs/kept_out/kept_out.json.
"""

from __future__ import annotations

import argparse
import json
import random
import shutil
import statistics
import sys
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from benchmarks.tables import table, verdict
from rnnkit import recipes, runs
from rnnkit.data.audio import leave_out_speaker, read_clips
from rnnkit.errors import RnnkitError
from rnnkit.recipes.labelled_sounds import labelled
from rnnkit.recipes.sound_classify import Trained
from rnnkit.recipes.speech_digits import free_spoken_digits
from rnnkit.runs.settings import override

FOLDER = Path("runs") / "kept_out"
FIGURES = "kept_out.json"
REQUIRED, GOAL = 0.85, 0.92
"""The mean over the speakers of the share of digits that are known: what is asked for, and what is hoped for."""
WAYS = {"all": "all of his recordings", "ten": "ten of them", "alone": "each by itself"}
SETTINGS = (
    "features.norm=speaker", "features.trim=25", "data.voices=40", "model.hidden_size=64", "model.channels=64",
    "model.kernel_sizes=5,5", "model.layer_norm=false", "fit.batch_size=64", "fit.lr=0.003", "fit.epochs=10",
    "fit.plain=1",
)  # fmt: skip
"""What differs from the defaults of `sound-classify`.

Chosen without george and jackson: lucas and nicolas were kept out in turn, and networks were trained on the others of
lucas, nicolas, theo and yweweler.
"""


def trained(path: str, speaker: str, given: argparse.Namespace) -> Path:
    """Return the folder of a finished run without a speaker; it is trained where there is none.

    Args:
        path: the recordings.
        speaker: who is kept out.
        given: the options.
    """
    settings = [
        f"data.path={path}", "data.layout=digits", f"data.without={speaker}", "data.validation=0",
        *SETTINGS, f"seed={given.seed}", *given.set,
    ]  # fmt: skip
    recipe: Any = override(recipes.find("sound-classify")(), settings)
    folder = given.out / f"{speaker}-{given.seed}"
    same = not given.fresh and begun(folder, recipe)
    if same and finished(folder):
        return folder
    if not same:
        shutil.rmtree(folder, ignore_errors=True)
    print(f"without {speaker}: training into {folder}", file=sys.stderr, flush=True)
    prepared = recipe.prepare()
    with runs.start("sound-classify", recipe, folder, again=same):
        prepared.run(folder)
    if not finished(folder):
        raise SystemExit(f"without {speaker}: the run in {folder} was ended early; repeat the command to go on")
    return folder


def begun(folder: Path, recipe: Any) -> bool:
    """Return whether the folder holds a run of these settings, finished or not."""
    settings = json.loads(json.dumps(asdict(recipe)))
    return (folder / runs.RECIPE).is_file() and runs.read_recipe(folder).settings == settings


def finished(folder: Path) -> bool:
    """Return whether the folder holds a whole run."""
    file = folder / runs.METRICS
    return file.is_file() and json.loads(file.read_text("utf-8"))["stopped"] != "interrupted"


def judge(folder: Path, path: str, speaker: str) -> dict[str, float]:
    """Return the share of a speaker's digits that a run knows, by how much of him was heard: see `WAYS`.

    Args:
        folder: of the run, which was trained without him.
        path: the recordings.
        speaker: his name.
    """
    trained = Trained.load(folder, "cpu")
    _, own = leave_out_speaker(read_clips(path, layout="digits"), speaker)
    digits = labelled(own, trained.front.rate, known=trained.classes)
    sounds = digits.waveforms
    ten = random.Random(0).sample(sounds, min(10, len(sounds)))
    known = {
        "all": trained.front.hear(sounds, [None] * len(sounds)),
        "ten": (trained.front.hear(ten, [None] * len(ten)) or [])[:1] * len(sounds) or None,
        "alone": None,
    }
    found = {}
    for way, heard in known.items():
        said = trained.shares(sounds, heard).argmax(1).tolist()
        found[way] = statistics.fmean(
            trained.classes[one] == true for one, true in zip(said, digits.texts, strict=True)
        )
    return found


def summary(accuracies: Mapping[str, Mapping[str, float]]) -> dict[str, dict[str, Any]]:
    """Return for each way the mean of the speakers' accuracies, and the worst one by name.

    Args:
        accuracies: of each speaker, those of each way.
    """
    found = {}
    for way in WAYS:
        each = {speaker: one[way] for speaker, one in accuracies.items()}
        worst = min(each, key=each.__getitem__)
        found[way] = {"mean": statistics.fmean(each.values()), "worst": each[worst], "worst_speaker": worst}
    return found


def render(accuracies: Mapping[str, Mapping[str, float]]) -> str:
    """Return the table: a row a speaker, a column a way; the mean, and the worst by name."""
    found = summary(accuracies)
    rows = [[f"without {speaker}", *(f"{one[way]:.1%}" for way in WAYS)] for speaker, one in accuracies.items()]
    rows.append([f"mean (≥ {REQUIRED:.0%}, goal {GOAL:.0%})", *(f"{found[way]['mean']:.1%}" for way in WAYS)])
    rows.append(["worst", *(f"{found[way]['worst']:.1%} ({found[way]['worst_speaker']})" for way in WAYS)])
    rows.append(["", verdict(found["all"]["mean"] >= REQUIRED), "", ""])
    return table(["known by", *WAYS.values()], rows)


def main(arguments: Sequence[str] | None = None) -> int:
    """Train and judge, print and write; 1 where the figure is missed."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.kept_out", description=__doc__)
    parser.add_argument("path", nargs="?", help="recordings such as 7_jackson_32.wav; else the free spoken digits")
    parser.add_argument("--speakers", nargs="+", help="keep out these alone; figures are written where all are judged")
    parser.add_argument("--seed", type=int, default=0, help="of weights, order and augmentation (%(default)s)")
    parser.add_argument("--out", type=Path, default=FOLDER, help="where the runs are kept (%(default)s)")
    parser.add_argument("--fresh", action="store_true", help="train again what was trained before")
    parser.add_argument("--set", action="append", default=[], metavar="FIELD=VALUE", help="change a setting")
    given = parser.parse_args(arguments)
    try:
        path = str(free_spoken_digits()) if given.path is None else given.path
        known = read_clips(path, layout="digits").speakers
        accuracies = {}
        for speaker in given.speakers or known:
            accuracies[speaker] = judge(trained(path, speaker, given), path, speaker)
            told = ", ".join(f"{one:.1%} by {WAYS[way]}" for way, one in accuracies[speaker].items())
            print(f"without {speaker}: {told}", file=sys.stderr, flush=True)
    except RnnkitError as error:
        print(f"Error: {error}", file=sys.stderr)
        return 2
    print(render(accuracies))
    found = summary(accuracies)
    if set(accuracies) == set(known):
        written = {"accuracy": accuracies, **found, "seed": given.seed, "settings": [*SETTINGS, *given.set]}
        (given.out / FIGURES).write_text(json.dumps(written, indent=1) + "\n", "utf-8")
    return 0 if found["all"]["mean"] >= REQUIRED else 1


if __name__ == "__main__":
    sys.exit(main())
