"""The few labelled sentences of SNIPS: which commands are run, and what their figures become."""

import json

import pytest

from benchmarks import few_labelled_texts
from rnnkit.recipes import open_recipe
from rnnkit.runs.settings import override


@pytest.fixture
def commands(tmp_path, monkeypatch):
    """A small SNIPS, and the commands that are run on it; the pretrained network is right more often."""
    folder = tmp_path / "snips"
    folder.mkdir()
    for intent in ("Play", "Book"):
        for kind, count in (("train", 20), ("validate", 3)):
            said = [{"data": [{"text": f"{intent} number {number} please"}]} for number in range(count)]
            (folder / f"{kind}_{intent}_full.json").write_text(json.dumps({intent: said}))
    monkeypatch.setenv("RNNKIT_DATA", str(tmp_path))
    monkeypatch.setattr(few_labelled_texts, "CHOSEN_ON", 12)
    monkeypatch.setattr(few_labelled_texts, "LABELLED", 2)
    run = []

    def pretend(place, *words, **settings):
        run.append((words, settings))
        if "few.csv" in words:
            assert len((place / "few.csv").read_text().splitlines()) == 5
            out = place / words[words.index("--out") + 1]
            out.mkdir()
            right = 0.9 if words[0] == "finetune" else 0.7
            (out / "metrics.json").write_text(json.dumps({"test": {"accuracy": right}}))

    monkeypatch.setattr(few_labelled_texts, "rnnkit", pretend)
    return run


@pytest.mark.parametrize("source", ["shards", "text"])
def test_the_gain_is_that_of_pretraining(commands, source, capsys):
    assert few_labelled_texts.main(["--seeds", "0", "1", "--from", source]) == 0
    assert capsys.readouterr().out.splitlines()[-1] == "gain +20.0% (at least +10%)"
    verbs = [words[:2] for words, _ in commands]
    begun = [("shards", "make"), ("train", "lm")] if source == "shards" else [("train", "lm")]
    assert verbs == begun + [("train", "text-classify"), ("finetune", "lm")] * 2
    for words, settings in commands:
        if words[0] == "train":
            override(open_recipe(words[1]), [f"{name}={value}" for name, value in settings.items()])
