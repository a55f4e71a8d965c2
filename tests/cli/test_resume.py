"""Every recipe's run goes on where Ctrl-C stopped it."""

import json
import signal
from pathlib import Path

import pytest
import torch
from series_files import write_waves
from typer.testing import CliRunner

import rnnkit
from rnnkit.cli.main import app
from rnnkit.recipes import RECIPES
from rnnkit.training.watching.progress import Progress

ADDING = ["data.steps=5", "data.rows=40", "fit.batch_size=20"]
SERIES = ["model.channels=4", "fit.steps=none", "data.path=my.csv"]
DIGITS = ["data.limit=10", "fit.batch_size=5"]
SMALL = {"adding": ADDING, "classify": [*SERIES, "data.label=label"], "regress": [*SERIES, "data.target=target"]}


def call(*arguments):
    return CliRunner().invoke(app, [str(argument) for argument in arguments])


@pytest.mark.parametrize("name", RECIPES)
def test_a_stopped_run_of_any_recipe_goes_on_to_the_same_bits(monkeypatch, name):
    module = RECIPES[name][0]
    write_waves("my.csv", last="target" if module == "regress" else "label")
    monkeypatch.setattr("rnnkit.recipes.mnist.draw", lambda *_: None)
    monkeypatch.setattr("rnnkit.diagnostics.pictures._write", lambda *_: None)
    small = ["fit.epochs=2", "model.hidden_size=4", "device=cpu", *SMALL.get(module, DIGITS)]
    line = ["train", name, *(word for one in small for word in ("--set", one))]
    assert call(*line, "--out", "whole").exit_code == 0

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
