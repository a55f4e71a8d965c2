"""Summaries end to end on made texts: copying words that are new, several references, sentences beside the model."""

import json
import random
from dataclasses import replace

import pytest
from typer.testing import CliRunner

from rnnkit.cli.main import app
from rnnkit.recipes import find
from rnnkit.recipes.summarize import split_sentences
from rnnkit.tasks.text_pairs import TextPair

SMALL = [
    "model.upper=false", "model.hidden_size=16", "model.embedding_size=12", "model.dropout=0.0",
    "fit.batch_size=8", "fit.lr=0.02",
    "search.width=2", "search.max_tokens=6", "search.min_tokens=0", "device=cpu",
]  # fmt: skip
VOCABULARY = ["we", "study", "a", "new", "model", "This", "is", "about", "It", "works", "well", "something", "else"]


def write_texts(path, count, start=0):
    """Each summary repeats the name after 'about', which occurs in no other text."""
    draw = random.Random(start)
    with path.open("w", encoding="utf-8") as file:
        for number in range(start, start + count):
            words = draw.choices(["we", "study", "a", "new", "model"], k=6)
            source = [" ".join(words) + ".", f"This is about net{number}.", "It works well."]
            print(json.dumps({"source": source, "target": [f"about net{number}", "something else"]}), file=file)


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    folder = tmp_path_factory.mktemp("summarize")
    for name, count, start in (("train", 60, 0), ("dev", 10, 100), ("test", 12, 200)):
        write_texts(folder / f"{name}.jsonl", count, start)
    named = [f"data.path={folder}/train.jsonl", f"data.validation_path={folder}/dev.jsonl"]
    named += [f"data.test_path={folder}/test.jsonl", "fit.choose_by=rougeL"]
    arguments = [part for one in (*SMALL, *named) for part in ("--set", one)]
    result = CliRunner().invoke(app, ["train", "summarize", "--epochs", "4", "--out", str(folder / "run"), *arguments])
    assert result.exit_code == 0, result.output
    return folder / "run"


def test_words_of_the_source_can_be_copied(run):
    answers = find("summarize")().summarizer(run)(["we study a new model. This is about zebra77. It works well."])
    assert set(answers[0].tokens) <= {*answers[0].source_tokens, *VOCABULARY}
    assert "zebra77" in answers[0].source_tokens
    (run.parent / "new.txt").write_text("we study a new model.\nThis is about zebra77.")
    shown = CliRunner().invoke(app, ["summarize", str(run), str(run.parent / "new.txt")])
    assert shown.exit_code == 0, shown.output
    assert len(shown.stdout.strip().splitlines()) == 1
    asked = CliRunner().invoke(app, ["summarize", str(run), "we study a new model."])
    assert "there is no file 'we study a new model.'; to summarize a text type `echo TEXT | rnnkit" in asked.output
    metrics = json.loads((run / "metrics.json").read_text())
    assert metrics["test"]["rouge1"] > 0
    assert not any("search.no_repeat_ngram=3" in one for one in metrics["troubles"])  # it is set
    assert metrics["chosen_on"] == "validation ROUGE-L of greedy answers (10 pairs)"
    assert metrics["baselines"]["first sentence"]["rouge1"] == 0
    assert set(metrics["baselines"]) == {"first sentence", "random sentence"}
    assert metrics["rows"] == {"train": 120, "validation": 10, "test": 12}
    assert metrics["signatures"]["rouge1"].startswith("F1|refs:best|")


def test_the_nearest_sentence_is_trained_on_where_that_is_asked_for():
    pairs = [TextPair("a b. c d.", ("c", "x"), ("a b.", "c d."))]
    recipe = find("summarize")()
    assert recipe.training_pairs(pairs) == pairs
    more = replace(recipe, nearest_sentence=True).training_pairs(pairs)
    assert more == [*pairs, TextPair("a b. c d.", ("c d.",))]


def test_sentences_are_those_of_the_data_or_cut_by_marks():
    recipe = find("summarize")()
    pairs = [TextPair("a b. c d.", ("x",), ("a b. c", "d.")), TextPair("It rains. It is 3.5 degrees.", ("x",))]
    found = recipe.baselines(pairs)
    assert found["first sentence"] == ["a b. c", "It rains."]
    assert found == recipe.baselines(pairs)
    assert split_sentences("今天下雨。我不去！") == ("今天下雨。", "我不去！")
    assert split_sentences("...") == ("...",)
