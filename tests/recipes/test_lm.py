"""The language model recipe on a text short enough for a test."""

import csv
import json
import shutil
from dataclasses import replace

import pytest
from empty_pictures import pictures_saved_empty
from pages import faults_of

import rnnkit
from rnnkit import runs
from rnnkit.data import train_tokenizer
from rnnkit.errors import ConfigError, DataError
from rnnkit.recipes import lm_results
from rnnkit.recipes.interface import DataRequest
from rnnkit.recipes.lm import Fit, Model, awd, lm, tang, tinyshakespeare
from rnnkit.recipes.text_source import TextSource, Vocabulary
from rnnkit.runs.settings import override, restore
from rnnkit.tasks.language_modelling import stored_separators

WORDS = "the cat sat on the mat. the dog sat on the log. 猫坐在垫子上。"


@pytest.fixture
def recipe(tmp_path, monkeypatch):
    return small(tmp_path, monkeypatch)


@pytest.fixture(scope="module")
def learned(tmp_path_factory):
    """The folder of a run of the recipe, whose pictures were drawn, and its figures; the text is that of each test."""
    folder = tmp_path_factory.mktemp("learned")
    with pytest.MonkeyPatch.context() as patch:
        chosen = small(folder, patch)
        with runs.start("lm", chosen, folder / "run") as run:
            metrics = chosen.prepare().run(run)
    return folder / "run", metrics


def small(folder, patch):
    """Write a text into a folder, go there, and return the recipe that learns it."""
    patch.chdir(folder)
    patch.setenv("RNNKIT_CACHE", str(folder / "cache"))
    patch.setattr(lm_results, "SAMPLE_TOKENS", 20)
    (folder / "text.txt").write_text(WORDS * 60, encoding="utf-8")
    model = Model(hidden_size=32, num_layers=1, embedding_size=16, hidden_dropout=0.0, output_dropout=0.1)
    return replace(
        lm(),
        model=model,
        fit=Fit(epochs=12, batch_size=8, window=30, lr=1e-2, dynamic_evaluation=True),
        data=TextSource(path="text.txt", validation=0.1, test=0.1),
        prompt="the ",
    )


def test_it_learns_measures_and_writes(recipe, learned, tmp_path):
    folder, metrics = learned
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
    assert metrics["validation"]["loss"] < min(losses)  # the best epoch's weights, calibrated
    assert 0.25 <= metrics["temperature"] < 1  # a text that repeats itself
    assert "last 10%" in metrics["split"]
    assert json.loads((folder / "metrics.json").read_text(encoding="utf-8")) == metrics
    assert recipe.evaluate(folder) == pytest.approx(test, rel=1e-5)
    assert recipe.validate(folder) == pytest.approx(metrics["validation"], rel=1e-5)
    assert (folder / "sample.txt").read_text(encoding="utf-8").startswith("the ")
    model, tokenizer, *_ = recipe.language_model(folder)
    assert tokenizer.kind == "char"
    assert model.vocabulary == len(tokenizer)
    other = tmp_path / "other.txt"
    other.write_text(WORDS, encoding="utf-8")
    assert recipe.evaluate(folder, DataRequest(other))["loss"] < 2
    other.write_text(WORDS + "雪" * len(WORDS), encoding="utf-8")
    with pytest.warns(UserWarning, match=r"50\.\d% of .* tokens are unknown to the model. They are cheap to predict"):
        recipe.evaluate(folder, DataRequest(other))
    found = rnnkit.diagnose(*recipe.inspection_data(folder)[:3], loss="cross_entropy")
    assert found.steps == 20  # the text held back gives 16 rows of so many


def test_the_best_epoch_is_kept_unless_told_otherwise():
    assert lm().fit.fit_settings()["restore_best"] is True
    assert Fit(keep_best=False).fit_settings()["restore_best"] is False


def test_a_resumed_run_has_the_same_bits(recipe, tmp_path):
    whole, cut = tmp_path / "whole", tmp_path / "cut"
    for folder in (whole, cut):
        folder.mkdir()
    recipe = replace(recipe, fit=replace(recipe.fit, epochs=3))  # of 11 steps
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


def test_a_tokenizer_that_is_there_is_used(recipe, tmp_path):
    tokenizer = train_tokenizer("word", [WORDS])
    tokenizer.save(tmp_path / "words.json")
    fit = Fit(epochs=1, batch_size=4, window=20)
    chosen = replace(recipe, vocabulary=Vocabulary(file="words.json"), fit=fit)
    (tmp_path / "run").mkdir()
    chosen.run(tmp_path / "run")
    assert chosen.language_model(tmp_path / "run").tokenizer == tokenizer
    train_tokenizer("word", [WORDS + " more"]).save(tmp_path / "words.json")
    with pytest.raises(DataError, match=r"words.json has changed"):
        chosen.prepare().check_data(tmp_path / "run")
    (tmp_path / "words.json").unlink()
    with pytest.raises(DataError, match=r"words.json: there is no such file"):
        chosen.prepare()


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


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        (["data.encoding=ascii"], "type --set data.encoding= with another name"),
        (["data.path=table.csv"], "type --set data.field=id, or --set data.field=body"),
        (["data.path=table.csv", "data.field=body", "data.encoding=utf9"], "data.encoding=utf9 arrived"),
        (["data.path=short.txt"], "type --set data.validation=0"),
        (["vocabulary.tokens=bpe", "vocabulary.size=9"], "vocabulary.size=9 arrived; expected at least 259"),
        (["model.cutoffs=20,900"], "model.cutoffs=20,900 arrived; expected rising numbers from 1 to"),
        (["model.cutoffs=5,3"], "model.cutoffs=5,3 arrived; expected rising numbers from 1 to"),
        (["fit.batch_size=99999"], "fit.batch_size=99999 arrived for"),
        (["data.path=ten.txt", "data.validation=0.2"], "1 token; expected 2 or more: add text, or"),
        (["data.test=0"], "fit.dynamic_evaluation chooses on the validation text"),
    ],
)
def test_what_is_wrong_is_told_before_there_is_a_folder(recipe, tmp_path, settings, words):
    (tmp_path / "table.csv").write_text("id,body\n1,one text\n2,another one\n", encoding="utf-8")
    (tmp_path / "short.txt").write_text("ab", encoding="utf-8")
    (tmp_path / "ten.txt").write_text("abcdefghij", encoding="utf-8")
    with pytest.raises((ConfigError, DataError)) as found:
        override(recipe, settings).prepare()
    assert words in str(found.value)


def test_a_sample_needs_no_prompt(recipe, tmp_path):
    (tmp_path / "run").mkdir()
    fit = Fit(epochs=1, batch_size=8, window=30)
    replace(recipe, fit=fit, prompt="").run(tmp_path / "run")
    sample = (tmp_path / "run" / "sample.txt").read_text(encoding="utf-8")
    assert sample
    (tmp_path / "again").mkdir()
    replace(recipe, fit=fit, prompt="雪").run(tmp_path / "again")  # none of the model's characters
    assert (tmp_path / "again" / "sample.txt").read_text(encoding="utf-8") == sample


@pytest.fixture(scope="module")
def table(tmp_path_factory):
    """A recipe for many short texts, the cells of a table, and the folder of its run and of the table."""
    folder = tmp_path_factory.mktemp("table")
    rows = "".join(f"{number},the cat sat on mat {number}\n" for number in range(200))
    (folder / "many.csv").write_text(f"id,body\n{rows}", encoding="utf-8")
    source = TextSource(path="many.csv", field="body", validation=0.1, test=0.1)
    (folder / "run").mkdir()
    with pytest.MonkeyPatch.context() as patch, pictures_saved_empty():
        recipe = replace(small(folder, patch), data=source, fit=Fit(epochs=1, batch_size=8, window=30))
        recipe.run(folder / "run")
    return recipe, folder


@pytest.fixture
def of_a_table(recipe, table, tmp_path):
    """The recipe for the table, beside copies of its run and of the table."""
    trained, folder = table
    shutil.copytree(folder / "run", tmp_path / "run")
    shutil.copy2(folder / "many.csv", tmp_path / "many.csv")
    return trained


def test_a_run_on_a_table_takes_other_texts_of_any_format(of_a_table, tmp_path):
    (tmp_path / "other.txt").write_text("the cat sat on mat 7", encoding="utf-8")
    (tmp_path / "other.jsonl").write_text('{"body": "the cat sat on mat 7"}\n', encoding="utf-8")
    found = [
        of_a_table.evaluate(tmp_path / "run", DataRequest(tmp_path / f"other.{kind}")) for kind in ("txt", "jsonl")
    ]
    assert found[0] == found[1]
    (tmp_path / "other.csv").write_text("id,content\n1,the cat\n", encoding="utf-8")
    with pytest.raises(DataError, match="has no column 'body'.*call the field of the text 'body'"):
        of_a_table.evaluate(tmp_path / "run", DataRequest(tmp_path / "other.csv"))
    (tmp_path / "other.csv").write_text("id,body\n1,the cat\n", encoding="utf-8")  # as it says
    assert of_a_table.evaluate(tmp_path / "run", DataRequest(tmp_path / "other.csv"))["loss"] > 0
    assert of_a_table.inspection_data(tmp_path / "run", DataRequest(tmp_path / "other.txt")).inputs.shape[1] == 1


def test_other_texts_end_as_those_of_the_training_do(recipe, of_a_table, tmp_path):
    whole = tmp_path / "whole"
    whole.mkdir()
    once = replace(recipe, fit=Fit(epochs=1, batch_size=8, window=30))
    once.run(whole)
    assert not stored_separators(whole)
    assert stored_separators(tmp_path / "run")
    tail = next(iter(once.data.parts().test))[0]
    (tmp_path / "tail.txt").write_text(tail, encoding="utf-8")
    assert once.evaluate(whole, DataRequest(tmp_path / "tail.txt")) == pytest.approx(once.evaluate(whole))


def test_fine_tuning_measures_the_old_text_as_the_run_did(of_a_table, tmp_path):
    (tmp_path / "new.txt").write_text("ein neuer Text ist das. " * 60, encoding="utf-8")
    settings = replace(of_a_table.fine_tune_defaults(), epochs=1)
    job = of_a_table.fine_tune_job(tmp_path / "run", DataRequest(tmp_path / "new.txt"), settings)
    (tmp_path / "tuned").mkdir()
    report = job.run(settings, tmp_path / "tuned").report
    # The vocabulary has grown, so that some probability is of tokens that the old text lacks.
    assert report.old.before["loss"] == pytest.approx(of_a_table.evaluate(tmp_path / "run")["loss"], abs=0.7)
    assert (tmp_path / "tuned" / "data.json").read_text() == (tmp_path / "run" / "data.json").read_text()
    assert not stored_separators(tmp_path / "tuned")


def test_a_run_is_fine_tuned_without_its_first_text(of_a_table, tmp_path):
    (tmp_path / "many.csv").write_text("id,body\n1,another text\n2,a second one\n", encoding="utf-8")
    (tmp_path / "new.txt").write_text("the dog sat on a mat. " * 60, encoding="utf-8")
    settings = replace(of_a_table.fine_tune_defaults(), epochs=1)
    request = DataRequest(tmp_path / "new.txt")
    with pytest.warns(UserWarning, match="what it still knows of the old data is not measured: .*has changed"):
        assert of_a_table.fine_tune_job(tmp_path / "run", request, settings).old is None
    (tmp_path / "many.csv").unlink()
    with pytest.warns(UserWarning, match="not measured: many.csv: there is no such file"):
        job = of_a_table.fine_tune_job(tmp_path / "run", request, settings)
    (tmp_path / "tuned").mkdir()
    assert job.run(settings, tmp_path / "tuned").report.old is None


def test_an_adaptive_softmax_keeps_its_tokens_in_fine_tuning(recipe, tmp_path):
    trained = replace(recipe, model=replace(recipe.model, cutoffs=(5, 10)), fit=Fit(epochs=1, batch_size=8, window=30))
    (tmp_path / "run").mkdir()
    trained.run(tmp_path / "run")
    (tmp_path / "new.txt").write_text("the äöü sat. " * 100, encoding="utf-8")
    settings = trained.fine_tune_defaults()
    with pytest.warns(UserWarning, match=r"3 characters or words of the new texts stay unknown"):
        job = trained.fine_tune_job(tmp_path / "run", DataRequest(tmp_path / "new.txt"), settings)
    assert len(job.tokenizer) == rnnkit.load(tmp_path / "run").vocabulary


def test_large_texts_are_not_compared(recipe, monkeypatch):
    parts = recipe.data.parts()
    tokenizer = recipe.vocabulary.train(parts.train)
    assert parts.train.size == parts.test.size == len((WORDS * 60).encode())
    assert "unknown" in lm_results.troubles(parts, tokenizer, [])[0]
    monkeypatch.setattr("rnnkit.data.text.texts.LONGEST", 100)
    assert "was not compared with train: a text has more than" in lm_results.troubles(parts, tokenizer, [])[0]
    monkeypatch.setattr(lm_results, "LARGEST_COMPARED", 100)
    assert "was not compared with train, which has more" in lm_results.troubles(parts, tokenizer, [])[0]


def test_it_is_fine_tuned_on_other_texts_and_learns_their_characters(recipe, learned, tmp_path):
    run, _ = learned
    runs_before = rnnkit.load(run).vocabulary
    (tmp_path / "new.txt").write_text("Zwölf Boxkämpfer jagen Viktor über den Sylter Deich. " * 40, encoding="utf-8")
    settings = replace(recipe.fine_tune_defaults(), epochs=3, lr=1e-2)
    job = recipe.fine_tune_job(run, DataRequest(tmp_path / "new.txt"), settings)
    job.check(settings)
    (tmp_path / "tuned").mkdir()
    report = job.run(settings, tmp_path / "tuned").report
    assert report.new.after["bits_per_character"] < report.new.before["bits_per_character"] - 1
    assert report.old.before["loss"] == pytest.approx(recipe.evaluate(run)["loss"], abs=0.5)
    assert "test text of text.txt" in report.method["old data"]
    page = (tmp_path / "tuned" / "report.html").read_text(encoding="utf-8")
    for section in ("Before and after", "What the data and the output show", "Samples", "The worst answers", "Curves"):
        assert f">{section}</h2>" in page
    assert (tmp_path / "tuned" / "sample.txt").read_text(encoding="utf-8").startswith(recipe.prompt)
    troubles = json.loads((tmp_path / "tuned" / "metrics.json").read_text())["troubles"]
    assert (tmp_path / "tuned" / "troubles.txt").read_text(encoding="utf-8").splitlines() == troubles != []
    model, tokenizer, *_ = recipe.language_model(tmp_path / "tuned")
    assert model.vocabulary == len(tokenizer) > runs_before
    assert tokenizer.decode(tokenizer.encode("ö猫")) == "ö猫"


def test_runs_from_before_layer_normalisation_and_temperature_go_on_without_them():
    recipe = restore(lm(), {"model": {"hidden_size": 5}, "fit": {"epochs": 2}, "prompt": "a"})
    assert (recipe.model.hidden_size, recipe.model.layer_norm, recipe.fit.calibrate) == (5, False, False)
    assert restore(lm(), {"model": {"layer_norm": True}}).model.layer_norm


def test_a_replay_is_not_for_carried_states(recipe, learned, tmp_path):
    settings = replace(recipe.fine_tune_defaults(), replay=0.5)
    job = recipe.fine_tune_job(learned[0], DataRequest(tmp_path / "text.txt"), settings)
    with pytest.raises(ConfigError, match="replay=none"):
        job.check(settings)


def test_its_page_tells_what_it_learned(learned):
    run, _ = learned
    page = (run / "report.html").read_text(encoding="utf-8")
    assert faults_of(page) == []
    for part in ("Samples", "The worst answers", "The surest mistakes", "Learning curves", "bits per character", "猫"):
        assert part in page
    assert "unknown" in (run / "troubles.txt").read_text(encoding="utf-8")
