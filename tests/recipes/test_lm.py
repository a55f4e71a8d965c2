"""The language model recipe on a text short enough for a test."""

import csv
import json
from dataclasses import replace

import pytest

import rnnkit
from rnnkit import runs
from rnnkit.errors import ConfigError, DataError
from rnnkit.recipes.base import DataRequest
from rnnkit.recipes.lm import Fit, Model, awd, lm, tang, tinyshakespeare
from rnnkit.recipes.text_source import TextSource, Vocabulary

WORDS = "the cat sat on the mat. the dog sat on the log. 猫坐在垫子上。"


@pytest.fixture
def recipe(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("RNNKIT_CACHE", str(tmp_path / "cache"))
    (tmp_path / "text.txt").write_text(WORDS * 60, encoding="utf-8")
    model = Model(hidden_size=32, num_layers=1, embedding_size=16, hidden_dropout=0.0, output_dropout=0.1)
    return replace(
        lm(),
        model=model,
        fit=Fit(epochs=12, batch_size=8, window=30, lr=1e-2, dynamic_evaluation=True),
        data=TextSource(path="text.txt", validation=0.1, test=0.1),
        prompt="the ",
    )


def test_it_learns_measures_and_writes(recipe):
    with runs.start("lm", recipe) as folder:
        metrics = recipe.prepare().run(folder)
    test = metrics["test"]
    assert test["loss"] < 1.4
    assert test["perplexity"] == pytest.approx(2.718281828 ** test["loss"])
    assert test["bits_per_character"] / test["bits_per_byte"] == pytest.approx(
        len(WORDS.encode()) / len(WORDS), abs=0.1
    )
    assert metrics["dynamic_evaluation"]["loss"] < test["loss"] + 0.05
    assert "validation" in metrics["chosen_on"]
    with (folder / "history.csv").open(encoding="utf-8") as file:
        losses = [float(row["val_loss"]) for row in csv.DictReader(file)]
    assert metrics["validation"]["loss"] == pytest.approx(min(losses), rel=1e-4)  # the best epoch's weights
    assert "last 10%" in metrics["split"]
    assert json.loads((folder / "metrics.json").read_text(encoding="utf-8")) == metrics
    assert recipe.evaluate(folder) == pytest.approx(test, rel=1e-5)
    assert (folder / "sample.txt").read_text(encoding="utf-8").startswith("the ")
    model, tokenizer, *_ = recipe.language_model(folder)
    assert tokenizer.kind == "char"
    assert model.vocabulary == len(tokenizer)
    other = folder.parent / "other.txt"
    other.write_text(WORDS, encoding="utf-8")
    assert recipe.evaluate(folder, DataRequest(other))["loss"] < 2
    found = rnnkit.diagnose(*recipe.inspection_data(folder)[:3], loss="cross_entropy")
    assert found.steps == 20  # the text held back gives 16 rows of so many


def test_the_best_epoch_is_kept_unless_told_otherwise():
    assert lm().fit.fit_settings()["restore_best"] is True
    assert Fit(keep_best=False).fit_settings()["restore_best"] is False


def test_a_resumed_run_has_the_same_bits(recipe, tmp_path):
    whole, cut = tmp_path / "whole", tmp_path / "cut"
    for folder in (whole, cut):
        folder.mkdir()
    recipe.run(whole)

    class Interrupt(rnnkit.Callback):
        def on_step_end(self, learner, step):
            if step == 20:
                raise KeyboardInterrupt

    original = rnnkit.Learner.fit

    def interrupted(self, *arguments, **settings):
        return original(self, *arguments, callbacks=[Interrupt()], **settings)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(rnnkit.Learner, "fit", interrupted)
        with pytest.raises(KeyboardInterrupt):
            recipe.run(cut)
    recipe.run(cut)
    assert (whole / "model.safetensors").read_bytes() == (cut / "model.safetensors").read_bytes()


@pytest.mark.parametrize("tokens", ["byte", "word", "bpe", "unigram"])
def test_all_kinds_of_tokens_train(recipe, tmp_path, tokens):
    size = {"bpe": 300, "unigram": 60}.get(tokens)
    fit = Fit(epochs=1, batch_size=4, window=20)
    chosen = replace(recipe, vocabulary=Vocabulary(tokens=tokens, size=size), fit=fit)
    (tmp_path / "run").mkdir()
    metrics = chosen.run(tmp_path / "run")
    assert 0 < metrics["test"]["bits_per_byte"] < 12


def test_the_default_corpus_needs_no_download():
    parts = lm().data.parts()
    assert "assert" in next(iter(parts.train))[0].lower()
    assert parts.test is not None
    assert parts.validation is not None


def test_the_presets_are_complete():
    assert [one.data.corpus for one in (tinyshakespeare(), tang(), awd())] == ["tinyshakespeare", "tang", "python"]
    assert awd().model.tied
    assert awd().vocabulary.tokens == "word"
    assert awd().fit.ar == 2.0


def test_what_cannot_be_is_refused(recipe, tmp_path):
    with pytest.raises(ConfigError, match=r"keep_best=false"):
        replace(recipe, data=replace(recipe.data, validation=0.0)).prepare()
    (tmp_path / "empty.txt").write_text("", encoding="utf-8")
    with pytest.raises(DataError, match="empty"):
        replace(recipe, data=replace(recipe.data, path="empty.txt")).prepare()
    with pytest.raises(ConfigError, match=r"data.test=0.5"):
        TextSource(validation=0.5, test=0.5)
    with pytest.raises(ConfigError, match=r"model.tied=true"):
        Model(tied=True, cutoffs=(10,))


def test_it_is_fine_tuned_on_other_texts_and_learns_their_characters(recipe, tmp_path):
    (tmp_path / "run").mkdir()
    recipe.run(tmp_path / "run")
    runs_before = rnnkit.load(tmp_path / "run").vocabulary
    (tmp_path / "new.txt").write_text("Zwölf Boxkämpfer jagen Viktor über den Sylter Deich. " * 40, encoding="utf-8")
    settings = replace(recipe.fine_tune_defaults(), epochs=3, lr=1e-2)
    job = recipe.fine_tune_job(tmp_path / "run", DataRequest(tmp_path / "new.txt"), settings)
    job.check(settings)
    (tmp_path / "tuned").mkdir()
    report = job.run(settings, tmp_path / "tuned").report
    assert report.new.after["bits_per_character"] < report.new.before["bits_per_character"] - 1
    assert report.old.before["loss"] == pytest.approx(recipe.evaluate(tmp_path / "run")["loss"], abs=0.5)
    assert "test text of text.txt" in report.method["old data"]
    model, tokenizer, *_ = recipe.language_model(tmp_path / "tuned")
    assert model.vocabulary == len(tokenizer) > runs_before
    assert tokenizer.decode(tokenizer.encode("ö猫")) == "ö猫"


def test_a_replay_is_not_for_carried_states(recipe, tmp_path):
    (tmp_path / "run").mkdir()
    recipe.run(tmp_path / "run")
    settings = replace(recipe.fine_tune_defaults(), replay=0.5)
    job = recipe.fine_tune_job(tmp_path / "run", DataRequest(tmp_path / "text.txt"), settings)
    with pytest.raises(ConfigError, match="replay=none"):
        job.check(settings)


def test_its_page_tells_what_it_learned(recipe, tmp_path):
    (tmp_path / "run").mkdir()
    recipe.run(tmp_path / "run")
    page = (tmp_path / "run" / "report.html").read_text(encoding="utf-8")
    for part in ("Samples", "The worst answers", "The surest mistakes", "Learning curves", "bits per character", "猫"):
        assert part in page
    assert "unknown" in (tmp_path / "run" / "troubles.txt").read_text(encoding="utf-8")
