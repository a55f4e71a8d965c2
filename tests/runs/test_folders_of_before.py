"""Run folders that were written before runs, recipes and tasks had packages of their own still open."""

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from rnnkit import runs
from rnnkit.cli.arguments import recipe_of
from rnnkit.cli.main import app
from rnnkit.recipes.classify import Classify
from rnnkit.runs import listing, resuming, stored
from rnnkit.tasks.settings import Fit, Model

# As they were written; nothing here may follow the code.
RECIPE = """{
  "recipe": "classify",
  "settings": {
    "model": {
      "cell": "gru", "hidden_size": 6, "num_layers": 1, "bidirectional": true, "init": "keras", "pooling": "concat",
      "dropout": 0.3, "front": "conv", "channels": 6, "kernel_sizes": [3, 9, 27], "front_dropout": 0.1,
      "max_steps": 160, "jitter": 0.05, "scale": 0.1, "warp": 0.1
    },
    "fit": {
      "epochs": 4, "steps": null, "batch_size": null, "lr": 0.002, "schedule": "warmup_cosine", "optimizer": "adamw",
      "weight_decay": 0.01, "clip_norm": 1.0, "label_smoothing": 0.1, "loss": "mse", "class_weights": null,
      "early_stopping": null
    },
    "data": {
      "path": "my.csv", "test": null, "test_share": 0.2, "validation": 0.0, "split": "random", "split_seed": 0,
      "format": null, "layout": null, "id": null, "time": null, "group": null, "values": ["a,b"], "ignore": [],
      "encoding": null, "delimiter": null, "decimal": null, "header": null, "time_format": null,
      "duplicates": "keep", "scale": "standard", "missing": "fill", "label": null
    },
    "seed": 0,
    "device": "cpu"
  }
}"""
METRICS = """{
  "test": {"loss": 0.6857284982450453, "balanced_accuracy": 0.5, "accuracy": 0.5},
  "split": "test: 20% of my.csv at random (split_seed 0)",
  "rows": {"train": 24, "test": 6},
  "chosen_on": "last epoch; nothing was chosen on test data",
  "epochs": 4, "seconds": 1.3799048840000978, "samples_per_second": 331.16484637175796, "stopped": "finished"
}"""
VERSIONS = """{
  "started": "2026-11-28T11:10:42+00:00", "seed": 0, "device": "cpu", "threads": 1, "python": "3.11.7",
  "rnnkit": "0.1.0.dev0", "torch": "2.13.0+cpu", "lightning-fabric": "2.6.6", "torchmetrics": "1.9.0",
  "safetensors": "0.8.0", "numpy": "2.4.6", "native core": "avx512", "platform": "Linux"
}"""
OTHERS = {
    "mnist": {
        "model": {"cell": "lstm", "hidden_size": 16, "num_layers": 1, "nonlinearity": "relu", "init": "auto",
                  "chrono": False, "bidirectional": False, "dropout": 0.0, "pooling": "last"},
        "fit": {"epochs": 2, "batch_size": 32, "lr": 0.001, "schedule": "warmup_cosine", "optimizer": "adam",
                "eps": None, "weight_decay": 0.0, "recurrent_l2": 0.0, "clip_norm": None, "early_stopping": None},
        "data": {"root": None, "holdout": 0, "order": "rows", "shift": 0, "limit": None},
        "seed": 3, "device": "cpu",
    },
    "adding": {
        "model": {"cell": "gru", "hidden_size": 64, "nonlinearity": "tanh", "init": "keras", "chrono": True},
        "fit": {"epochs": 2, "batch_size": 50, "lr": 0.005, "clip_norm": 1.0, "schedule": "warmup_cosine"},
        "data": {"steps": 5, "rows": 40},
        "seed": 3, "device": "cpu",
    },
}  # fmt: skip


@pytest.fixture
def folder():
    folder = Path("runs/classify")
    folder.mkdir(parents=True)
    for name, text in ((runs.RECIPE, RECIPE), (runs.METRICS, METRICS), (runs.VERSIONS, VERSIONS)):
        (folder / name).write_text(text)
    (folder / runs.HISTORY).write_text("epoch,loss,samples_per_second\n1,0.7,300\n2,0.69,310\n")
    return folder


def test_the_recipe_comes_back_with_its_settings(folder):
    recipe = recipe_of(folder, None)
    assert type(recipe) is Classify
    assert recipe.model == Model(hidden_size=6, channels=6)
    assert recipe.fit == Fit(epochs=4)
    assert (recipe.data.path, recipe.data.values, recipe.data.size) == ("my.csv", ("a,b",), None)
    assert (recipe.seed, recipe.device) == (0, "cpu")
    resuming.check_settings(folder, recipe, recipe)


@pytest.mark.parametrize("name", OTHERS)
def test_the_other_recipes_come_back_too(folder, name):
    (folder / runs.RECIPE).write_text(json.dumps({"recipe": name, "settings": OTHERS[name]}))
    recipe = recipe_of(folder, None)
    assert (recipe.fit.epochs, recipe.seed, recipe.model.hidden_size) == (2, 3, OTHERS[name]["model"]["hidden_size"])


def test_they_are_listed_and_compared(folder):
    (run,) = listing.find(Path("runs"))
    assert (run.recipe, run.epochs, run.stopped, run.problems) == ("classify", 4, "finished", ())
    assert run.figures["test.accuracy"] == 0.5
    assert run.settings["data.values"] == ["a,b"]
    assert [row["loss"] for row in stored.read_history(folder)] == [0.7, 0.69]
    result = CliRunner().invoke(app, ["runs", "--json"])
    assert json.loads(result.stdout)[0]["figures"]["test.loss"] == 0.6857284982450453
