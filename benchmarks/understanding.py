"""Understanding of speech, on voices that were not trained on: `python -m benchmarks.understanding`.

Spoken commands are made with espeak-ng (`rnnkit.data.audio.spoken_commands`; 4,000 to train on, 800 of other voices and
with other texts; `--seen-texts` lets texts be the same, as 54% of the 800 then are).
Trained are the one network from sound to intent (`spoken-intents`), which must understand 90% of the intents, and
beside it a recogniser (`speech`) and a model of texts (`intents`) on the transcripts of the same commands, joined as
`rnnkit understand` joins them. Finished runs are kept in runs/understanding and used again; `--fresh` trains them anew.
"""

from __future__ import annotations

import argparse
import json
import shutil
import sys
from pathlib import Path
from typing import Any

from benchmarks.tables import table, verdict
from rnnkit import recipes, runs
from rnnkit.data.audio.spoken_commands import CommandSettings, make_commands, tell_progress
from rnnkit.errors import DataError
from rnnkit.recipes import spoken_cascade
from rnnkit.runs.settings import override
from rnnkit.tasks.spoken_understanding import SpokenUnderstanding

FOLDER = Path("runs") / "understanding"
REQUIRED = 0.90
PARTS = {
    "spoken-intents": ("data.path={commands}",),
    "speech": (
        "data.path={commands}/train.jsonl", "data.test={commands}/test.jsonl", "data.tokens=word",
        "model.hidden_size=160", "model.num_layers=2", "fit.epochs=20", "fit.lr=0.002", "fit.curriculum=4",
        "fit.average=0.99",
    ),
    "intents": ("data.path={commands}", "data.validation=0.1"),
}  # fmt: skip
"""The recipes, and the settings of each."""


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.understanding", description=__doc__)
    parser.add_argument("--fresh", action="store_true", help="train again what was trained before")
    parser.add_argument("--count", type=int, default=4000, help="commands to train on (%(default)s)")
    parser.add_argument("--test-count", type=int, default=800, help="commands of other voices (%(default)s)")
    parser.add_argument("--seed", type=int, default=0, help="of weights and order (%(default)s)")
    parser.add_argument("--seen-texts", action="store_true", help="let texts to judge by be among those to train on")
    parser.add_argument("--set", action="append", default=[], metavar="RECIPE:FIELD=VALUE", help="change a setting")
    given = parser.parse_args(arguments)
    try:
        settings = CommandSettings(given.count, given.test_count, unseen_texts=not given.seen_texts)
        commands = make_commands(settings=settings, progress=tell_progress)
    except DataError as error:
        print(f"left out: {error}", file=sys.stderr)
        return 0
    folders = {name: trained(name, commands, given) for name in PARTS}
    alone = json.loads((folders["spoken-intents"] / runs.METRICS).read_text("utf-8"))["test"]["accuracy"]
    hears = recipes.find("speech")().transcriber(folders["speech"])
    understands = recipes.find("intents")().understander(folders["intents"])
    speech = spoken_cascade.read_tagged_speech(commands)
    figures = spoken_cascade.score(SpokenUnderstanding(hears, understands), speech).figures
    spoken_cascade.write_scores(folders["intents"], folders["speech"], commands, figures, len(speech.texts))
    print(render(alone, figures))
    print(spoken_cascade.summary(figures))
    return 0 if alone >= REQUIRED else 1


def trained(name: str, commands: Path, given: argparse.Namespace) -> Path:
    """Return the folder of a finished run of a recipe on the commands; it is trained where there is none."""
    folder = FOLDER / f"{name}-{commands.name}-{given.seed}"
    if not given.fresh and finished(folder):
        return folder
    changes = [one.partition(":")[2] for one in given.set if one.partition(":")[0] == name]
    settings = [one.format(commands=commands) for one in PARTS[name]]
    recipe: Any = override(recipes.find(name)(), [*settings, f"seed={given.seed}", *changes])
    shutil.rmtree(folder, ignore_errors=True)
    print(f"{name}: training into {folder}", file=sys.stderr)
    prepared = recipe.prepare()
    with runs.start(name, recipe, folder):
        prepared.run(folder)
    if not finished(folder):
        raise SystemExit(f"{name}: the run in {folder} was ended early; repeat the command")
    return folder


def finished(folder: Path) -> bool:
    """Return whether the folder holds a whole run."""
    file = folder / runs.METRICS
    return file.is_file() and json.loads(file.read_text("utf-8"))["stopped"] != "interrupted"


def render(alone: float, figures: dict[str, float]) -> str:
    """Return the table: both ways, and the models of texts on true words."""
    header = ["way", "intents right", "slot F1", "all right", ""]
    rows = [["one network (spoken-intents)", f"{alone:.1%}", "", "", verdict(alone >= REQUIRED)]]
    for what, before in (
        (f"recogniser ({figures['wer']:.1%} word errors) and intents", ""),
        ("intents on true words", "true_words_"),
    ):
        shown = (f"{figures[before + name]:.1%}" for name in ("intent_accuracy", "slot_f1", "sentence_accuracy"))
        rows.append([what, *shown, ""])
    return table(header, rows)


if __name__ == "__main__":
    sys.exit(main())
