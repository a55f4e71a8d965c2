"""Every kind of fine-tuning that is killed goes on to the bits of one that was not."""

import json
import signal
from datetime import date, timedelta
from pathlib import Path

import pytest
import torch
from boxed import write_boxed
from lines import write_lines
from series_files import write_waves
from typer.testing import CliRunner

import rnnkit
from rnnkit.cli.main import app
from rnnkit.training.resuming import checkpoint
from rnnkit.training.watching.progress import Progress

STAGES = ["gradual_unfreezing=true", "discriminative=2.6"]
TEXTS = [
    "data.split=place", "model.num_layers=1", "model.hidden_size=4", "vocabulary.minimum_count=1", "fit.window=10",
    "fit.keep_best=false", "fit.dynamic_evaluation=false",
]  # fmt: skip
PRETRAINED = ["model.channels=4", "model.hidden_size=4"]
# A recipe with its data and small settings; then data and settings of the fine-tuning.
CASES = {
    "classify": (
        ["classify", "my.csv", "model.channels=4", "model.hidden_size=4", "fit.steps=none"],
        ["new.csv", "replay=8", "rank=2", *STAGES],
    ),
    "read": (
        ["read", "lines", "model.height=16", "model.channels=2,4,4,4", "model.features=8", "model.hidden_size=4"],
        ["more", "replay=0.5", "protect=l2-sp"],
    ),
    "detect": (
        ["detect", "boxed", "model.size=48", "model.channels=4", "model.deep=4", "model.hidden_size=2",
         "model.features=4", "model.blocks=0"],
        ["boxed", "replay=4"],
    ),
    "lm": (["lm", "my.txt", *TEXTS], ["new.txt", "rank=2"]),
    "lm to classes": (["lm", "my.txt", *TEXTS], ["reviews.csv", "--task=classify", *STAGES]),
    "pretrain to classes": (["pretrain", "my.csv", *PRETRAINED], ["my.csv", "--task=classify", "rank=2", "compare=2"]),
    "pretrain to forecasts": (
        ["pretrain", "steps.csv", "data.values=y", "data.cut=20", *PRETRAINED],
        ["steps.csv", "--task=forecast", "data.target=y", "horizon=2", "lookback=6", "baselines=naive", *STAGES],
    ),
}  # fmt: skip
INTERRUPTED = ("read", "pretrain to classes")  # by Ctrl-C; the others are killed


class Killed(Exception):
    """Ends a process as SIGKILL does: nothing is written behind it."""


def write_data(name):
    write_waves("my.csv")
    Path("new.csv").write_text(Path(write_waves("new.csv", seed=1)).read_text().replace("fast", "rapid"))
    rows = [(f"a fine and long day {number}", "good") for number in range(12)]
    rows += [(f"a dull and short night {number}", "bad") for number in range(12)]
    Path("my.txt").write_text("\n".join(text for text, _ in rows))
    Path("new.txt").write_text("\n".join(text.replace("long", "lang") for text, _ in rows))
    Path("reviews.csv").write_text("\n".join(["text,label", *(f"{text},{label}" for text, label in rows)]))
    days = [date(2024, 1, 1) + timedelta(day) for day in range(90)]
    Path("steps.csv").write_text("\n".join(["ds,y", *(f"{day},{day.day % 7 + day.day % 5}" for day in days)]))
    if name == "read":
        write_lines("lines", 12)
        write_lines("more", 12, letters="abd", seed=1)
    if name == "detect":
        write_boxed("boxed", 14)


def call(*arguments):
    return CliRunner().invoke(app, [str(argument) for argument in arguments])


def set_each(settings):
    return [word for one in settings for word in ([one] if one.startswith("--") else ["--set", one])]


@pytest.mark.parametrize("name", CASES)
def test_a_stopped_fine_tuning_goes_on_to_the_same_bits(monkeypatch, name):
    monkeypatch.setattr("rnnkit.recipes.lm_results.SAMPLE_TOKENS", 5)
    monkeypatch.setattr(checkpoint, "WITHIN_EPOCHS", timedelta(0))  # a state behind each step
    write_data(name)
    (recipe, data, *small), (new, *settings) = CASES[name]
    small += ["fit.epochs=1", "fit.batch_size=8", "device=cpu"]
    trained = call("train", recipe, data, "--out", "run", *set_each(small))
    assert trained.exit_code == 0, trained.output
    line = ["finetune", "run", "--data", new, "--epochs", 3, "--batch-size", 8, "--device", "cpu", *set_each(settings)]
    whole = call(*line, "--out", "whole")
    assert whole.exit_code == 0, whole.output

    steps = []

    def stop(*_):
        steps.append(0)
        if len(steps) == 2:
            if name not in INTERRUPTED:
                raise Killed
            signal.raise_signal(signal.SIGINT)

    def kill(write):
        def closed(*arguments):
            write(*arguments)
            raise Killed

        return closed

    with monkeypatch.context() as patch:
        patch.setattr(Progress, "step", stop)
        stopped = call(*line, "--out", "part")
    assert stopped.exit_code == (130 if name in INTERRUPTED else 1), stopped.output
    with monkeypatch.context() as patch:
        patch.setattr(checkpoint.Checkpoints, "on_epoch_closed", kill(checkpoint.Checkpoints.on_epoch_closed))
        assert isinstance(call("finetune", "--resume", "part").exception, Killed)
    resumed = call("finetune", "--resume", "part")
    assert resumed.exit_code == 0, resumed.output
    assert "Going on: 1 of 3 epochs are done" in resumed.stdout
    weights = [rnnkit.load(one).state_dict() for one in ("whole", "part")]
    assert weights[0].keys() == weights[1].keys()
    assert all(torch.equal(one, weights[1][name]) for name, one in weights[0].items())
    ours, theirs = (json.loads(Path(one, "report.json").read_text()) for one in ("part", "whole"))
    for part in ("new", "old", "method"):
        assert ours[part] == theirs[part]
    assert "part is finished" in call("finetune", "--resume", "part").stderr
    facts = json.loads(Path("part/finetune.json").read_text())
    assert facts.pop("ended")
    Path("part/finetune.json").write_text(json.dumps(facts))
    Path("part/report.json").unlink()  # as a kill between the metrics and the report leaves it
    assert call("finetune", "--resume", "part").exit_code == 0
    assert json.loads(Path("part/report.json").read_text())["new"] == theirs["new"]


def test_what_cannot_go_on_is_named():
    assert "gone does not exist" in call("finetune", "--resume", "gone").stderr
    Path("part").mkdir()
    Path("part/finetune.json").write_text(json.dumps({"from": "gone", "data": "new.csv", "settings": {}}))
    assert "part began with the run gone, which does not exist" in call("finetune", "--resume", "part").stderr
    assert "--epochs 3 arrived with --resume part" in call("finetune", "--resume", "part", "--epochs", 3).stderr
