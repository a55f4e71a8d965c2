"""From a language model to a classifier of texts, in Python and from the command line, on made sentences."""

import csv
import json
import random
from dataclasses import replace

import pytest
from commands import call, refused
from empty_pictures import pictures_saved_empty

import rnnkit
from rnnkit.cli.arguments import trained_recipe_of
from rnnkit.recipes.interface import DataRequest
from rnnkit.recipes.lm import Fit, Model, lm
from rnnkit.recipes.text_source import TextSource, Vocabulary
from rnnkit.runs.folders import start
from rnnkit.serialization import read_config

GOOD, BAD = ("schön", "gut", "prima", "好"), ("schlecht", "fade", "mies", "坏")


def sentence(rng, words):
    return f"der film war {rng.choice(words)} und {rng.choice(words)} ."


@pytest.fixture(scope="module")
def pretrained(tmp_path_factory):
    """A run of a language model on sentences without labels."""
    folder, rng = tmp_path_factory.mktemp("lm"), random.Random(0)
    texts = "\n".join(sentence(rng, rng.choice((GOOD, BAD))) for _ in range(300))
    (folder / "texts.txt").write_text(texts, encoding="utf-8")
    recipe = replace(
        lm(),
        model=Model(hidden_size=24, num_layers=2, embedding_size=16, hidden_dropout=0.0, output_dropout=0.1),
        fit=Fit(epochs=4, batch_size=8, window=20, lr=1e-2),
        data=TextSource(path=str(folder / "texts.txt"), unit="line", split="place"),
        vocabulary=Vocabulary(tokens="word"),
        prompt="der",
    )
    with start("lm", recipe, folder / "run") as run, pictures_saved_empty():
        recipe.run(run)
    return folder / "run"


@pytest.fixture
def reviews(tmp_path):
    rng = random.Random(1)
    rows = [(name, sentence(rng, words)) for _ in range(40) for name, words in (("gut", GOOD), ("schlecht", BAD))]
    with (tmp_path / "reviews.csv").open("w", encoding="utf-8", newline="") as file:
        csv.writer(file).writerows([("label", "text"), *rows])
    return tmp_path / "reviews.csv"


def test_a_language_model_becomes_a_classifier(pretrained, reviews, tmp_path):
    out = tmp_path / "classes"
    # The language model has seen too little for rates that fall from layer to layer.
    quickly = ("--epochs", 12, "--lr", 0.02, "--set", "discriminative=none", "--set", "gradual_unfreezing=false")
    ended = call("finetune", pretrained, "--task", "classify", "--data", reviews, *quickly, "--out", out)
    assert ended.exit_code == 0, ended.output
    model, before = rnnkit.load(out), rnnkit.load(pretrained)
    assert isinstance(model, rnnkit.SequenceClassifier)
    assert model.class_names == ("gut", "schlecht")
    assert read_config(out)["extra"]["tokenizer"] == read_config(pretrained)["extra"]["tokenizer"]
    assert model.front.weight.shape == before.front.weight.shape
    figures = json.loads((out / "metrics.json").read_text(encoding="utf-8"))
    assert figures["test"]["accuracy"] > 0.8
    (tmp_path / "new.txt").write_text("der film war 好 und prima .\nder film war mies und fade .\n", encoding="utf-8")
    found = DataRequest(tmp_path / "new.txt")
    assert trained_recipe_of(out, None).predict(out, found)["prediction"] == ["gut", "schlecht"]
    assert call("evaluate", out).exit_code == 0


def test_data_settings_are_those_of_the_new_task(pretrained, reviews, tmp_path):
    out = tmp_path / "classes"
    settings = ("--set", "data.text=text", "--set", "data.test_share=0.25", "--set", "freeze=front")
    ended = call(
        "finetune", pretrained, "--task", "classify", "--data", reviews, "--epochs", 1, "--out", out, *settings
    )
    assert ended.exit_code == 0, ended.output
    figures = json.loads((out / "metrics.json").read_text(encoding="utf-8"))
    assert figures["rows"]["test"] == 20
    assert rnnkit.load(out).front.weight.equal(rnnkit.load(pretrained).front.weight)


def test_what_a_model_cannot_become_is_refused(pretrained, reviews, tmp_path):
    wrong = call("finetune", pretrained, "--task", "translate", "--data", reviews, "--out", tmp_path / "x")
    assert refused(wrong, "--task", "translate", "classify")
    replayed = call(
        "finetune", pretrained, "--task", "classify", "--data", reviews, "--set", "replay=0.5", "--out", tmp_path / "x"
    )
    assert refused(replayed, "replay=none")
    assert not (tmp_path / "x").exists()


def test_new_texts_are_read_as_the_first_were(pretrained, reviews, tmp_path):
    wrong = call("finetune", pretrained, reviews, "--set", "data.field=label", "--out", tmp_path / "x")
    assert refused(wrong, "data.field=label arrived; new data is read as the run's own was: leave data.field out")


def test_a_text_that_is_too_short_to_be_divided_is_refused(pretrained, tmp_path):
    (tmp_path / "one.txt").write_text("der film war gut .", encoding="utf-8")
    out = tmp_path / "tuned"
    short = call("finetune", pretrained, "--data", tmp_path / "one.txt", "--out", out)
    assert refused(short, "one.txt", "part has 1 token; expected 2 or more: add text")
    assert not out.exists()
