"""Intents and slots, on sentences that are made by patterns."""

import json
from dataclasses import replace

import pytest
import torch
from intent_texts import make, records
from pages import faults_of

import rnnkit
from rnnkit import runs
from rnnkit.errors import ConfigError, DataError
from rnnkit.recipes import find
from rnnkit.recipes.finetuning import FineTune, run_job
from rnnkit.recipes.intents import Fit, Intents, Model, intents
from rnnkit.recipes.intents_data import Data
from rnnkit.recipes.interface import DataRequest
from rnnkit.runs.settings import override

SMALL = Intents(
    model=Model(hidden_size=16, word_size=16, character_size=8, filters=8, intent_size=4),
    fit=Fit(epochs=6, batch_size=10, lr=2e-2, average=0.9),
)


def write(path, rows):
    path.write_text("".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows), "utf-8")
    return path


@pytest.fixture(autouse=True)
def one_thread():
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    folder = tmp_path_factory.mktemp("intents")
    recipe = replace(SMALL, data=Data(path=str(write(folder / "all.jsonl", records(make(150))))))
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    with runs.start("intents", recipe, folder / "run") as run:
        metrics = recipe.run(run)
    torch.set_num_threads(threads)
    return recipe, run, metrics


def test_it_learns_and_keeps_what_it_learned(trained):
    recipe, run, metrics = trained
    assert metrics["test"]["intent_accuracy"] == 1.0
    assert metrics["test"]["slot_f1"] > 0.9
    assert metrics["rows"] == {"train": 120, "validation": 15, "test": 15}
    assert "nothing was chosen on test data" in metrics["chosen_on"]
    assert recipe.evaluate(run) == metrics["test"]
    assert recipe.validate(run) == metrics["validation"]
    files = {path.name for path in run.iterdir()}
    assert {
        "model.safetensors",
        "metrics.json",
        "troubles.txt",
        "report.html",
        "mistakes.csv",
        "slots.csv",
        "curves.png",
    } <= files
    report = (run / "troubles.txt").read_text("utf-8")
    assert "tokens are unknown" in report
    assert "are equal to a text of train" in report  # few patterns come again and again
    page = (run / "report.html").read_text("utf-8")
    assert "The worst answers" in page
    assert faults_of(page) == []
    assert (run / "slots.csv").read_text("utf-8").startswith("slot,f1,count\n")
    header = (run / "history.csv").read_text("utf-8").partition("\n")[0]
    assert "val_slot_f1" in header


@pytest.mark.parametrize("name", ["a.txt", "a.jsonl", "a.csv", "a.conll"])
def test_it_answers_sentences_of_a_file(trained, tmp_path, name):
    recipe, run, _ = trained
    content = {
        "a.txt": "play Nina Simone now\n\nwill it rain in Oslo ?\n",
        "a.jsonl": '{"text": "play Nina Simone now"}\n{"text": "will it rain in Oslo ?"}\n',
        "a.csv": "id,text\n1,play Nina Simone now\n2,will it rain in Oslo ?\n",
        "a.conll": "play\nNina\nSimone\nnow\n\nwill\nit\nrain\nin\nOslo\n?\n",
    }
    (tmp_path / name).write_text(content[name], "utf-8")
    answer = recipe.predict(run, DataRequest(tmp_path / name))
    assert answer["text"] == ["play Nina Simone now", "will it rain in Oslo ?"]
    assert answer["prediction"] == ["music", "weather"]
    assert all(0.5 < sure <= 1 for sure in answer["confidence"])
    assert json.loads(answer["slots"][0]) == [{"slot": "singer", "text": "Nina Simone", "start": 5, "end": 16}]


def test_it_judges_on_other_files(trained, tmp_path):
    recipe, run, _ = trained
    rows = records(make(20, seed=5))
    assert recipe.evaluate(run, DataRequest(write(tmp_path / "b.jsonl", rows)))["intent_accuracy"] == 1.0
    rows[0]["intent"] = "other"
    file = write(tmp_path / "b.jsonl", rows)
    with pytest.warns(UserWarning, match=r"of intents that training has none of: other \(1\); they count"):
        figures = recipe.evaluate(run, DataRequest(file))
    assert figures["intent_accuracy"] == 19 / 20


def test_it_is_inspected(trained):
    recipe, run, _ = trained
    data = recipe.inspection_data(run)
    assert data.model(data.inputs.values.float(), data.inputs.lengths).shape == (15, 2)
    assert "steps back" in str(rnnkit.diagnose(data.model, data.inputs, data.targets, loss=data.loss))


def test_a_run_that_was_interrupted_goes_on_to_the_same_bits(trained, tmp_path):
    recipe, run, _ = trained
    with runs.start("intents", recipe, tmp_path / "run") as folder:
        prepared = recipe.prepare()
        learner = prepared.learner()

        class Stop(Exception):
            pass

        def stop(learner, row):
            if row["epoch"] == 3:
                raise Stop

        from rnnkit.data import LengthBatches
        from rnnkit.tasks.intent_rows import IntentRows
        from rnnkit.tasks.intents import ValidationScores

        held = IntentRows(prepared.parts.validation, prepared.vocabulary, prepared.intents, prepared.tags)
        with pytest.raises(Stop):
            learner.fit(
                LengthBatches(prepared.rows, 10, seed=0),
                validation=LengthBatches(held, 64, shuffle=False),
                seed=0,
                checkpoint=folder,
                callbacks=[ValidationScores(prepared.vocabulary, prepared.parts.validation), stop],
                progress=False,
                **recipe.fit.fit_settings(),
            )
        recipe.run(folder)
    from safetensors.torch import load_file

    again, before = (load_file(path / "model.safetensors") for path in (folder, run))
    assert all(torch.equal(again[name], before[name]) for name in before)


def test_it_is_fine_tuned(trained, tmp_path):
    recipe, run, _ = trained
    new = make(30, seed=9)
    file = write(
        tmp_path / "new.jsonl", [{**row, "text": f"please {row['text']}", "slots": []} for row in records(new)]
    )
    settings = FineTune(epochs=1)
    job = recipe.fine_tune_job(run, DataRequest(file), settings)
    with runs.start("intents", recipe, tmp_path / "tuned") as folder:
        history = run_job(job, settings, folder)
    assert "slot_f1" in history.report.new.after
    page = (folder / "report.html").read_text(encoding="utf-8")
    assert ">Before and after</h2>" in page
    assert "please" in page[page.index(">Samples</h2>") :]
    assert "of validation" in (folder / "troubles.txt").read_text(encoding="utf-8")
    assert recipe.predict(folder, DataRequest(file))["prediction"] == [text.intent for text in new]
    write(file, [{"text": "a", "intent": "other", "slots": [{"slot": "x", "start": 0, "end": 1}]}])
    with pytest.raises(DataError, match=r"1 sentences are of intents that training has none of: other \(1\); 1 slots"):
        recipe.fine_tune_job(run, DataRequest(file), settings)


def test_snips_and_chinese(tmp_path, monkeypatch):
    monkeypatch.setenv("RNNKIT_DATA", str(tmp_path))
    (tmp_path / "snips").mkdir()

    def pieces(text, slot, rest):
        return {"data": [{"text": text}, {"text": slot, "entity": "singer"}, {"text": rest}]}

    for name, count in (("train_{}_full", 30), ("validate_{}", 2)):
        for intent in ("Play", "Stop"):
            rows = [pieces("播放" if intent == "Play" else "停止", "周杰伦", "的歌") for _ in range(count)]
            file = tmp_path / "snips" / f"{name.format(intent)}.json"
            file.write_text(json.dumps({intent: rows}, ensure_ascii=False), "utf-8")
    recipe = find("intents-snips")()
    recipe = replace(recipe, model=SMALL.model, fit=SMALL.fit, data=replace(recipe.data, validation=4))
    with runs.start("intents-snips", recipe, tmp_path / "run") as folder:
        metrics = recipe.run(folder)
    assert metrics["rows"] == {"train": 56, "validation": 4, "test": 4}
    assert metrics["test"] == dict.fromkeys(metrics["test"], 1.0)
    (tmp_path / "a.txt").write_text("停止周杰伦的歌", "utf-8")
    answer = recipe.predict(folder, DataRequest(tmp_path / "a.txt"))
    assert answer["prediction"] == ["Stop"]
    assert answer["slots"] == ['[{"slot": "singer", "text": "周杰伦", "start": 2, "end": 5}]']


def test_troubles_are_told(tmp_path):
    rows = records(make(60))
    rows += [{"text": "stop", "intent": "stop"}, {"text": "stop it", "intent": "stop"}]
    test = [*records(make(5, seed=1)), {"text": "sing", "intent": "sing"}]
    data = Data(path=str(write(tmp_path / "a.jsonl", rows)), test=str(write(tmp_path / "b.jsonl", test)), validation=0)
    from rnnkit.recipes.intents_data import troubles

    prepared = replace(SMALL, data=data).prepare()
    found = troubles(prepared.parts, prepared.vocabulary)
    assert "test: 1 sentences are of intents that training has none of: sing (1); they count as wrong." in found
    assert any("1 of 3 classes has fewer than 10 examples in train: 'stop' (2)" in one for one in found)
    assert prepared.parts.division == f"test: {tmp_path / 'b.jsonl'}"


def test_a_file_that_is_nowhere(tmp_path, monkeypatch):
    monkeypatch.delenv("RNNKIT_DATA", raising=False)
    with pytest.raises(DataError, match="snips: there is no such file or folder; let the variable RNNKIT_DATA name"):
        find("intents-snips")().prepare()
    monkeypatch.setenv("RNNKIT_DATA", str(tmp_path))
    with pytest.raises(DataError, match="nor in the folder RNNKIT_DATA"):
        find("intents-snips")().prepare()


def test_refused(tmp_path):
    with pytest.raises(ConfigError, match=r"data\.path is missing"):
        intents().prepare()
    with pytest.raises(ConfigError, match=r"data\.validation=1\.5 arrived"):
        override(intents(), ["data.validation=1.5"])
    one = write(tmp_path / "a.jsonl", [{"text": f"a {number}", "intent": "x"} for number in range(30)])
    with pytest.raises(DataError, match="all sentences have the intent 'x'"):
        replace(SMALL, data=Data(path=str(one))).prepare()
    with pytest.raises(DataError, match="30 rows arrived, of which 700 would be held out"):
        replace(SMALL, data=Data(path=str(one), validation=697)).prepare()
    odd = write(tmp_path / "b.jsonl", [{"words": "a b", "what": "x"}])
    with pytest.raises(DataError, match="has no intent; .*type --set data.intent="):
        replace(SMALL, data=Data(path=str(odd))).prepare()
    with pytest.raises(ConfigError, match=r"fit\.early_stopping needs"):
        replace(SMALL, data=Data(path=str(one), validation=0), fit=Fit(early_stopping=2)).prepare()


def test_old_sentences_that_are_gone_are_not_measured(trained, tmp_path):
    recipe, run, _ = trained
    moved = replace(recipe, data=replace(recipe.data, path=str(tmp_path / "gone.jsonl")))
    request = DataRequest(write(tmp_path / "new.jsonl", records(make(20, seed=9))))
    with pytest.raises(DataError, match=r"gone.jsonl.*without it add --set replay=none --set protect=none"):
        moved.fine_tune_job(run, request, FineTune(protect="ewc"))
    with pytest.warns(UserWarning, match="what it still knows of the old data is not measured"):
        job = moved.fine_tune_job(run, request, FineTune(replay=None))
    with runs.start("intents", moved, tmp_path / "tuned") as folder:
        assert run_job(job, FineTune(epochs=1, replay=None), folder).report.old is None


def test_sentences_in_another_encoding_name_the_option(trained, tmp_path):
    recipe, run, _ = trained
    for name, content in (("a.txt", "播放"), ("a.csv", "text\n播放\n"), ("a.jsonl", '{"text": "播放"}')):
        (tmp_path / name).write_text(content, "gb18030")
        with pytest.raises(DataError, match=r"type --encoding gb18030"):
            recipe.predict(run, DataRequest(tmp_path / name))
    (tmp_path / "a.jsonl").write_text("[" * 100_000, "utf-8")
    with pytest.raises(DataError, match=r"a.jsonl:1: the JSON is nested too deep"):
        recipe.predict(run, DataRequest(tmp_path / "a.jsonl"))
