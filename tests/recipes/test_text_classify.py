"""Classes of texts, on sentences that are made by patterns."""

import csv
import json
import random
import shutil
from dataclasses import replace

import pytest
import torch
from typer.testing import CliRunner

import rnnkit
from rnnkit import runs
from rnnkit.cli.main import app
from rnnkit.errors import ConfigError, DataError
from rnnkit.recipes.finetuning import FineTune, run_job
from rnnkit.recipes.interface import DataRequest
from rnnkit.recipes.text_classify import Fit, Model, TextClassify
from rnnkit.recipes.text_classify_data import Data, troubles
from rnnkit.runs.settings import override

THINGS = ["film", "book", "play", "song", "meal", "hotel", "train", "game"]
WORDS = {"good": ["great", "lovely", "superb", "fine"], "bad": ["awful", "dull", "poor", "boring"]}
SMALL = TextClassify(
    model=Model(hidden_size=8, embedding_size=16, input_dropout=0.0, dropout=0.0),
    fit=Fit(epochs=4, batch_size=10, lr=2e-2),
)


def make(count, seed=0):
    chosen = random.Random(seed)
    for _ in range(count):
        label = chosen.choice(["good", "bad"])
        yield f"the {chosen.choice(THINGS)} was {chosen.choice(WORDS[label])}, number {chosen.randrange(1000)}", label


def write(path, rows, names=("text", "label")):
    with path.open("w", encoding="utf-8", newline="") as file:
        csv.writer(file).writerows([names, *rows])
    return path


@pytest.fixture(autouse=True)
def one_thread():
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    folder = tmp_path_factory.mktemp("texts")
    recipe = replace(SMALL, data=Data(path=str(write(folder / "all.csv", make(150)))))
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    with runs.start("text-classify", recipe, folder / "run") as run:
        metrics = recipe.run(run)
    torch.set_num_threads(threads)
    return recipe, run, metrics


def test_it_learns_and_keeps_what_it_learned(trained):
    recipe, run, metrics = trained
    assert metrics["test"]["accuracy"] == metrics["test"]["f1_macro"] == 1.0
    assert metrics["rows"] == {"train": 120, "validation": 15, "test": 15}
    assert recipe.evaluate(run) == pytest.approx(metrics["test"])
    assert recipe.validate(run) == pytest.approx(metrics["validation"])
    files = {path.name for path in run.iterdir()}
    assert {
        "model.safetensors",
        "metrics.json",
        "troubles.txt",
        "report.html",
        "mistakes.csv",
        "confusion.png",
    } <= files
    assert "tokens are unknown" in (run / "troubles.txt").read_text("utf-8")
    model = rnnkit.load(run)
    assert model.class_names == ("bad", "good")


def test_it_answers_texts_of_a_file(trained, tmp_path):
    recipe, run, _ = trained
    (tmp_path / "a.txt").write_text("the meal was superb\n\na very long and boring film, number 3, was awful\n")
    with pytest.warns(UserWarning, match=r"% of \d+ tokens are unknown to the model; the most frequent are .*very"):
        answer = recipe.predict(run, DataRequest(tmp_path / "a.txt"))
    assert answer["text"][0] == "the meal was superb"
    assert answer["prediction"] == ["good", "bad"]
    assert answer["confidence"] == pytest.approx([answer["probability_good"][0], answer["probability_bad"][1]])
    table = write(tmp_path / "b.csv", [("1", "the meal was superb")], names=("id", "text"))
    assert recipe.predict(run, DataRequest(table))["prediction"] == ["good"]


def test_it_judges_on_other_files(trained, tmp_path):
    recipe, run, _ = trained
    file = write(tmp_path / "b.csv", make(20, seed=3))
    assert recipe.evaluate(run, DataRequest(file))["accuracy"] == 1.0
    with pytest.raises(DataError, match="the label 'odd' is none of the model's"):
        recipe.evaluate(run, DataRequest(write(tmp_path / "c.csv", [("a", "odd")])))
    with pytest.raises(DataError, match="which field holds the text.* call the fields as in the training data"):
        recipe.predict(run, DataRequest(write(tmp_path / "d.csv", [("1", "a")], names=("id", "body"))))
    with pytest.raises(DataError, match="column label: holds no text; expected text; take it out of the file"):
        recipe.evaluate(run, DataRequest(write(tmp_path / "e.csv", [("a", "")])))
    with pytest.raises(DataError, match="holds no text; expected text; type --set data.empty=skip to leave it out$"):
        replace(recipe, data=replace(recipe.data, path=str(tmp_path / "e.csv"))).prepare()
    data = recipe.inspection_data(run)
    assert len(data.inputs) == len(data.targets) == 15


def test_a_run_that_was_interrupted_goes_on_to_the_same_bits(trained, tmp_path):
    from safetensors.torch import load_file

    from rnnkit.data import LengthBatches
    from rnnkit.recipes.text_classify_trained import Trained

    recipe, run, _ = trained

    class Stop(Exception):
        pass

    def stop(learner, row):
        if row["epoch"] == 2:
            raise Stop

    with runs.start("text-classify", recipe, tmp_path / "run") as folder:
        prepared = recipe.prepare()
        learner = prepared.learner()
        held = Trained(learner.model, prepared.tokenizer, prepared.classes, recipe).rows(prepared.parts.validation)
        with pytest.raises(Stop):
            learner.fit(
                LengthBatches(prepared.rows, 10, seed=0),
                validation=LengthBatches(held, 64, shuffle=False),
                seed=0,
                checkpoint=folder,
                callbacks=[stop],
                progress=False,
                **recipe.fit.fit_settings(),
            )
        recipe.run(folder)
    again, before = (load_file(path / "model.safetensors") for path in (folder, run))
    assert all(torch.equal(again[name], before[name]) for name in before)


def test_it_is_fine_tuned_to_a_new_class(trained, tmp_path):
    recipe, run, _ = trained
    rows = [(f"please send the {thing} to me", "order") for thing in THINGS * 4]
    settings = FineTune(epochs=10, lr=1e-2)
    file = write(tmp_path / "new.csv", rows)
    job = recipe.fine_tune_job(run, DataRequest(file), settings)
    with runs.start("text-classify", recipe, tmp_path / "tuned") as folder:
        run_job(job, settings, folder)
    assert rnnkit.load(folder).class_names == ("bad", "good", "order")
    page = (folder / "report.html").read_text(encoding="utf-8")
    assert "please send the" in page[page.index(">Samples</h2>") :]
    assert "Confusion matrix of 3 classes." in page
    assert "are equal to a text of train" in (folder / "troubles.txt").read_text(encoding="utf-8")
    (tmp_path / "a.txt").write_text("please send the song to me\nthe song was superb, number 7\n")
    assert recipe.predict(folder, DataRequest(tmp_path / "a.txt"))["prediction"] == ["order", "good"]
    assert json.loads((folder / "metrics.json").read_text())["test"]["accuracy"] > 0.9


def test_old_texts_that_are_gone_or_of_other_classes_are_not_measured(trained, tmp_path):
    recipe, run, _ = trained
    request = DataRequest(write(tmp_path / "new.csv", make(20, seed=4)))
    other = write(tmp_path / "other.csv", [(text, f"not {label}") for text, label in make(60)])
    for path, words in ((tmp_path / "gone.csv", "there is no such file"), (other, "none of the model's")):
        moved = replace(recipe, data=replace(recipe.data, path=str(path)))
        with pytest.raises(DataError, match=f"{words}.*without it add --set replay=none"):
            moved.fine_tune_job(run, request, FineTune())
        with pytest.warns(UserWarning, match=words):
            job = moved.fine_tune_job(run, request, FineTune(replay=None))
        assert job.old is None
        assert job.old_test is None
    with runs.start("text-classify", moved, tmp_path / "tuned") as folder:
        assert run_job(job, FineTune(replay=None, epochs=1), folder).report.old is None


def test_a_text_of_the_command_line_is_utf_8_whatever_the_files_are(trained, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    recipe, run, _ = trained
    in_chinese = replace(recipe, data=replace(recipe.data, encoding="gb18030"))
    with runs.start("text-classify", in_chinese, tmp_path / "run") as folder:
        for file in run.glob("m*"):
            shutil.copy(file, folder)
    text = "这部电影很好看"
    for arguments, arrived in ((["--text", text], None), ([], text.encode()), ([], text.encode("gb18030"))):
        found = CliRunner().invoke(app, ["predict", str(folder), *arguments], input=arrived)
        assert found.exit_code == 0, found.output
        assert text in found.stdout


def test_plain_text_and_missing_columns_are_told_in_settings(tmp_path):
    (tmp_path / "a.txt").write_text("a text\n")
    with pytest.raises(
        DataError, match=r"has no labels.*--set data.format=tsv if .*a folder of .txt files for each class"
    ):
        replace(SMALL, data=Data(path=str(tmp_path / "a.txt"))).prepare()
    write(tmp_path / "a.csv", make(20))
    with pytest.raises(DataError, match=r"no column 'no'.*type --set data.text=NAME --set data.label=NAME"):
        replace(SMALL, data=Data(path=str(tmp_path / "a.csv"), label="no")).prepare()


def test_chinese_and_folders(tmp_path):
    for label, words in {"好评": "很好看", "差评": "太难看"}.items():
        (tmp_path / "data" / label).mkdir(parents=True)
        for number in range(20):
            text = f"这部{'电影' if number % 2 else '小说'}{words}了{'。' * (number % 3)}"
            (tmp_path / "data" / label / f"{number}.txt").write_text(text, "utf-8")
    recipe = replace(
        SMALL, data=Data(path=str(tmp_path / "data"), minimum_count=1), fit=Fit(epochs=8, batch_size=8, lr=0.02)
    )
    with runs.start("text-classify", recipe, tmp_path / "run") as folder:
        metrics = recipe.run(folder)
    assert metrics["test"]["accuracy"] == 1.0
    (tmp_path / "a.txt").write_text("小说很好看\n", "utf-8")
    assert recipe.predict(folder, DataRequest(tmp_path / "a.txt"))["prediction"] == ["好评"]


def test_troubles_are_told(tmp_path):
    rows = [*make(60), *(("an odd thing " * 50, "odd") for _ in range(4))]
    prepared = replace(
        SMALL, data=Data(path=str(write(tmp_path / "a.csv", rows)), max_tokens=50, validation=0)
    ).prepare()
    found = troubles(prepared.parts, prepared.tokenizer, prepared.rows.cut, 50)
    assert any("1 of 3 classes has fewer than 10 examples in train: 'odd' (" in one for one in found)
    assert any("The classes are uneven" in one and "fit.class_weights=balanced" in one for one in found)
    assert any("have more than 50 tokens" in one for one in found)
    assert any("of test" in one and "equal to a text of train" in one for one in found)


def test_balanced_classes_weigh_alike(tmp_path):
    rows = [(text, label) for text, label in make(100) if label == "good" or text.endswith("7")]
    file = write(tmp_path / "a.csv", rows)
    recipe = replace(SMALL, data=Data(path=str(file), validation=0), fit=Fit(class_weights="balanced"))
    prepared = recipe.prepare()
    counts = torch.bincount(torch.tensor(prepared.rows.labels))
    weights = torch.tensor(prepared.learner().class_weights)
    assert (counts * weights).tolist() == pytest.approx([len(prepared.rows) / 2] * 2)


def test_refused(tmp_path):
    with pytest.raises(ConfigError, match=r"data\.path is missing"):
        TextClassify().prepare()
    with pytest.raises(ConfigError, match=r"data\.test_share=2\.5"):
        override(TextClassify(), ["data.test_share=2.5"])
    with pytest.raises(DataError, match="all texts have the label 'x'"):
        replace(SMALL, data=Data(path=str(write(tmp_path / "a.csv", [(f"a {n}", "x") for n in range(30)])))).prepare()
    unique = write(tmp_path / "b.csv", [(f"a {n}", f"label {n}") for n in range(30)])
    with pytest.raises(DataError, match="labels for 24 texts.*data.label="):
        replace(SMALL, data=Data(path=str(unique))).prepare()
    wide = write(tmp_path / "c.csv", [("1", "2", "3")], names=("text", "b", "c"))
    with pytest.raises(DataError, match="type --set data.label=b, or --set data.label=c"):
        replace(SMALL, data=Data(path=str(wide))).prepare()
    file = write(tmp_path / "d.csv", make(30))
    with pytest.raises(ConfigError, match=r"fit\.early_stopping needs"):
        replace(SMALL, data=Data(path=str(file), validation=0), fit=Fit(early_stopping=2)).prepare()
