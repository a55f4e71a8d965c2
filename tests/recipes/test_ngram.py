"""The recipe of n-gram models, in English and Chinese."""

import json
from dataclasses import replace
from pathlib import Path

import pytest
from typer.testing import CliRunner

from rnnkit.cli.main import app
from rnnkit.errors import ConfigError, DataError
from rnnkit.generation import NGramModel, train_ngram
from rnnkit.recipes.ngram import Model, Sentences, Words, ngram

ENGLISH = [
    f"the {one} {two} on the {three}" for one in ("cat", "dog", "owl") for two in ("sat", "lay") for three in "abcd"
]
CHINESE = [f"{one}{two}在{three}上" for one in "猫狗鸟鱼" for two in "坐睡站" for three in "床桌椅窗"]


def call(*arguments):
    return CliRunner().invoke(app, [str(argument) for argument in arguments])


@pytest.fixture(autouse=True)
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("english.txt").write_text("\n".join(ENGLISH), encoding="utf-8")
    Path("chinese.jsonl").write_text("\n".join(json.dumps({"text": text}) for text in CHINESE), encoding="utf-8")


@pytest.mark.parametrize(
    ("file", "settings", "words"),
    [("english.txt", (), "the"), ("chinese.jsonl", (), "猫"), ("chinese.jsonl", ("vocabulary.tokens=char",), "猫")],
)
def test_it_counts_measures_and_writes(file, settings, words):
    settings = (*settings, "data.split=text", "data.validation=0.2", "data.test=0.2")
    named = [word for one in settings for word in ("--set", one)]
    found = call("train", "ngram", file, "--order", 2, *named, "--out", "run")
    assert found.exit_code == 0, found.output
    assert "n-grams: " in found.output
    assert "Perplexity of validation by order: 1: " in found.output
    metrics = json.loads(Path("run/metrics.json").read_text(encoding="utf-8"))
    assert 1 < metrics["validation"]["perplexity"] < 8
    assert metrics["validation"]["unknown"] == 0
    assert metrics["rows"].keys() == {"validation", "test"}
    model = NGramModel.open("run")
    assert model.order == 2
    assert words in model
    for name in ("ngram.arpa.gz", "recipe.json", "report.html", "troubles.txt"):
        assert (Path("run") / name).is_file()
    again = call("evaluate", "run")
    assert f"Perplexity: {metrics['test']['perplexity']:.4g}" in again.output
    other = call("evaluate", "run", file)
    assert other.exit_code == 0, other.output
    assert "Unknown: 0" in other.output
    empty = Path("empty.txt")
    empty.write_text("\n", encoding="utf-8")
    assert call("evaluate", "run", empty).exit_code == 2
    assert "ngram" in call("runs", ".").output


def test_figures_are_those_of_the_model():
    recipe = replace(ngram(), data=Sentences(path="english.txt", validation=0.2, test=0.0))
    Path("run").mkdir()
    metrics = recipe.run(Path("run"))
    parts = recipe.data.parts()
    model = train_ngram(parts.train, 3)
    assert metrics["validation"]["perplexity"] == pytest.approx(model.perplexity(parts.validation))
    assert "test" not in metrics
    assert recipe.evaluate(Path("run")) == pytest.approx(metrics["validation"], rel=1e-5)
    Path("english.txt").write_text("\n".join(ENGLISH[::-1][:20]), encoding="utf-8")
    with pytest.raises(DataError, match=r"english.txt has changed"):
        recipe.evaluate(Path("run"))
    with pytest.raises(ConfigError, match="model.order=0 arrived"):
        Model(order=0)


def test_what_the_figures_tell():
    odd = ENGLISH + [f"word{number} other{number}" for number in range(40)]
    Path("odd.txt").write_text("\n".join(odd), encoding="utf-8")
    recipe = replace(
        ngram(), data=Sentences(path="odd.txt", validation=0.3, test=0.0), vocabulary=Words(minimum_count=2)
    )
    Path("run").mkdir()
    told = " ".join(recipe.run(Path("run"))["troubles"])
    assert "of the words of validation are unknown: add texts" in told
    assert "The text is too short to estimate the discounts" in told


def test_a_folder_without_a_model_says_so():
    assert call("train", "ngram", "english.txt", "--out", "run").exit_code == 0
    Path("run/ngram.arpa.gz").unlink()
    refused = call("evaluate", "run", "english.txt")
    assert refused.exit_code == 2
    assert "holds no ngram.arpa.gz" in refused.output
    assert "has no field 'model.order'" in call("train", "mnist", "--order", 3).output
