"""Every recipe's run goes on where Ctrl-C stopped it."""

import csv
import json
import signal
from datetime import date, timedelta
from pathlib import Path

import pytest
import torch
from boxed import write_boxed
from class_pictures import write_classes
from clips import write_clips
from lines import write_lines
from masks import write_class_masks, write_things
from series_files import write_waves
from sounds import tone, write_folder
from typer.testing import CliRunner

import rnnkit
from rnnkit.cli.main import app
from rnnkit.data.audio import write_wav
from rnnkit.recipes import RECIPES
from rnnkit.training.watching.progress import Progress

ADDING = ["data.steps=5", "data.rows=40", "fit.batch_size=20"]
SERIES = ["model.channels=4", "fit.steps=none", "data.path=my.csv"]
DIGITS = ["data.limit=10", "fit.batch_size=5"]
PAIRS = [
    "data.path=pairs.csv", "data.source=source", "data.target=target", "data.header=true", "data.tokenizer=word",
    "data.format=none", "data.validation=0", "model.embedding_size=4", "fit.batch_size=8",
    "search.width=1", "search.max_tokens=3",
    *(f"data.{name}=none" for name in ("target_path", "validation_path", "validation_target_path", "test_path",
                                       "test_target_path")),
]  # fmt: skip
TEXTS = {
    "lm": [
        "data.path=my.txt", "data.split=place", "fit.window=10", "fit.batch_size=8", "fit.keep_best=false",
        "fit.dynamic_evaluation=false", "model.num_layers=1", "vocabulary.minimum_count=1",
    ],
    "intents": ["data.path=home.jsonl", "fit.batch_size=8", "data.validation=0.1"],
    "text_classify": ["data.path=reviews.csv", "fit.batch_size=8"],
    "translate": PAIRS,
    "summarize": PAIRS,
}  # fmt: skip
FORECAST = [
    "data.path=steps.csv", "data.target=y", "horizon=2", "lookback=6", "fit.batch_size=8", "baselines=naive",
    "fit.early_stopping=none",
]  # fmt: skip
SOUND = [
    "features.bands=8", "model.channels=4", "model.kernel_sizes=3", "model.strides=2", "model.num_layers=1",
    "fit.batch_size=8", "augment.room=0",
]  # fmt: skip
VOICE = [
    "features.bands=8", "fit.batch_size=4", "scenes.count=8", "scenes.held=2", "scenes.seconds=1", "scenes.room=0",
    "data.path=digits", "data.layout=digits",
]  # fmt: skip
PICTURES = [
    "model.size=8", "model.units=3", "fit.batch_size=8",
]  # fmt: skip
FRAMES = ["model.size=16,16", "fit.batch_size=8"]
SEGMENT = ["model.channels=4,6", "model.blocks=0", "fit.crop=32", "fit.batch_size=4"]
READING = ["model.channels=2,4,4,4", "model.features=8", "fit.batch_size=8"]
DETECTION = [
    "model.size=48", "model.channels=4", "model.deep=4", "model.hidden_size=2", "model.features=4", "model.blocks=0",
    "fit.batch_size=8",
]  # fmt: skip
SMALL = {
    **TEXTS,
    "read": [*READING, "data.path=lines", "model.height=16"],
    "detect": [*DETECTION, "data.path=boxed"],
    "blood-cells": [*DETECTION, "data.path=boxed"],
    "digit-strings": [
        *READING,
        "data.strings=16",
        "data.held_strings=4",
        "data.test_strings=2",
        "data.longest=2",
        "data.holdout=40",
    ],
    "classify-images": [*PICTURES, "data.path=classes", "model.channels=4"],
    "mnist-renet": [*PICTURES, "data.limit=40"],
    "segment": [*SEGMENT, "data.path=masks"],
    "instances": [*SEGMENT, "data.path=things"],
    "nuclei": [*SEGMENT, "data.path=things", "data.test_pictures=2"],
    "speech": [*SOUND, "data.path=spoken", "data.tokens=word"],
    "speech-digits": [*SOUND, "data.path=digits", "data.strings=8", "data.test_strings=2", "data.longest_string=2"],
    "vad": VOICE,
    "vad-digits": VOICE,
    "sound-classify": [*SOUND, "data.path=digits", "data.layout=digits"],
    "spoken-intents": [*SOUND, "data.path=digits", "data.layout=digits"],
    "video": [*FRAMES, "model.channels=4", "model.strides=2", "model.features=4", "model.grid=2", "data.path=clips"],
    "next-frames": [*FRAMES, "model.coarse_size=4", "data.observed=2", "data.horizon=2", "data.path=clips"],
    "moving-digits": [
        "model.size=32,32",
        "model.coarse_size=4",
        "data.observed=2",
        "data.horizon=2",
        "data.clips=16",
        "data.held_clips=2",
        "data.test_clips=2",
        "data.holdout=40",
        "fit.batch_size=8",
    ],
    "adding": ADDING,
    "forecast": FORECAST,
    "forecast-energy": FORECAST,
    "forecast-etth1": [*FORECAST, "data.steps=60,15,15", "model.segment=2"],
    "forecast-stocks": [*FORECAST, "data.id=none"],
    "forecast-weather": [*FORECAST, "data.dates=2024-03-01,2024-03-15"],
    "classify": [*SERIES, "data.label=label"],
    "pretrain": ["model.channels=4", "fit.batch_size=8", "data.path=my.csv"],
    "regress": [*SERIES, "data.target=target"],
}


def write_texts():
    """Write a text, texts with classes and intents, pairs of texts, and a series of days."""
    rows = [("good", "a fine and long day"), ("bad", "a dull and short night")]
    named = [(f"day {number} {text}", label) for number in range(30) for label, text in rows]
    Path("my.txt").write_text("\n".join(text for text, _ in named), encoding="utf-8")
    with Path("steps.csv").open("w", encoding="utf-8") as file:
        print("ds,y", file=file)
        for day in range(90):
            print(f"{date(2024, 1, 1) + timedelta(day)},{day % 7 + day % 5}", file=file)
    tables = {
        "reviews.csv": [("text", "label"), *named],
        "pairs.csv": [("source", "target"), *((text, " ".join(reversed(text.split()))) for text, _ in named)],
    }
    for name, lines in tables.items():
        with Path(name).open("w", encoding="utf-8", newline="") as file:
            csv.writer(file).writerows(lines)
    with Path("home.jsonl").open("w", encoding="utf-8") as file:
        for text, label in named:
            slots = [{"slot": "number", "start": 4, "end": text.index(" ", 4)}]
            print(json.dumps({"text": text, "intent": label, "slots": slots}), file=file)


def write_sounds():
    """Write sentences, and recordings of two digits by two speakers."""
    write_folder("spoken", 16)
    Path("digits").mkdir()
    for digit, word in ((0, "low"), (7, "high")):
        for speaker in ("ann", "bob"):
            for index in (0, 5, 10, 11):
                write_wav(Path("digits") / f"{digit}_{speaker}_{index}.wav", tone(word, seed=index), 8000)


def call(*arguments):
    return CliRunner().invoke(app, [str(argument) for argument in arguments])


# Settings with which a recipe trains another kind of network, by the recipe and a word for them.
VARIANTS = {
    ("speech", "transducer"): ["model.head=transducer", "model.predictor_size=4", "model.joiner_size=4"],
    ("detect", "set"): ["model.head=set", "model.decoder_size=4", "model.steps=2"],
    ("speech", "attention"): ["model.head=attention", "model.decoder_size=4", "fit.sampling=0.5"],
}
# Recipes that are others on data of their own, which the test replaces by the same small files; and one that counts
# and has no epochs.
LEFT_OUT = {
    "blood-cells", "forecast-energy", "forecast-stocks", "forecast-weather", "intents-snips", "lm-tang", "ngram",
    "nuclei", "summarize-scitldr", "translate-multi30k", "translate-tatoeba", "vad-digits",
}  # fmt: skip
NAMES = [name for name in RECIPES if name not in LEFT_OUT]
CASES = [(name, []) for name in NAMES] + [(name, more) for (name, _), more in VARIANTS.items()]


@pytest.mark.parametrize(("name", "more"), CASES, ids=NAMES + ["-".join(key) for key in VARIANTS])
def test_a_stopped_run_of_any_recipe_goes_on_to_the_same_bits(monkeypatch, name, more):
    module = RECIPES[name][0]
    write_waves("my.csv", last="target" if module == "regress" else "label")
    write_texts()
    if module == "classify_images":
        write_classes("classes", 8)
    if module == "read":
        write_lines("lines", 16)
    if module in ("video", "next_frames"):
        write_clips("clips", 10)
    if module in ("segment", "instances"):
        write_class_masks("masks", 10)
        write_things("things", 10)
    if module in ("detect", "blood_cells"):
        write_boxed("boxed", 20)
    if module in ("speech", "speech_digits", "sound_classify", "spoken_intents", "vad"):
        write_sounds()
    monkeypatch.setattr("rnnkit.recipes.mnist.draw", lambda *_: None)
    monkeypatch.setattr("rnnkit.recipes.lm_results.SAMPLE_TOKENS", 5)
    size = [] if module in ("classify_images", "mnist_renet") else ["model.hidden_size=4"]
    small = ["fit.epochs=2", *size, "device=cpu", *SMALL.get(name, SMALL.get(module, DIGITS)), *more]
    line = ["train", name, *(word for one in small for word in ("--set", one))]
    whole = call(*line, "--out", "whole")
    assert whole.exit_code == 0, whole.output

    with monkeypatch.context() as patch:
        patch.setattr(Progress, "step", lambda *_: signal.raise_signal(signal.SIGINT))
        stopped = call(*line, "--out", "part")
    assert stopped.exit_code == 130, stopped.output
    metrics = json.loads(Path("part/metrics.json").read_text())
    assert metrics["chosen_on"] == "last step before Ctrl-C; nothing was chosen on test data"
    assert metrics["samples_per_second"] is None
    resumed = call("train", "--resume", "part")
    assert resumed.exit_code == 0, resumed.output
    whole, part = (rnnkit.load(folder).state_dict() for folder in ("whole", "part"))
    assert all(torch.equal(whole[key], part[key]) for key in whole)
    assert json.loads(Path("part/metrics.json").read_text())["samples_per_second"] > 0
