import json
from pathlib import Path

import numpy as np
import pytest
from commands import call, refused
from series_files import write_waves
from series_runs import QUICK, same, weights

import rnnkit
from rnnkit.errors import ConfigError
from rnnkit.recipes.classify import Classify
from rnnkit.runs.resuming import check_settings
from rnnkit.serialization import save_module
from rnnkit.tasks.settings import Fit


def test_train_evaluate_predict(train):
    trained = train()
    assert trained.stdout.splitlines()[-1].startswith("Accuracy: ")
    assert "Judged on 6 rows alone" in trained.stderr
    again = call("evaluate", "runs/classify")
    assert again.stdout.splitlines() == trained.stdout.splitlines()[-3:]
    write_waves("other.csv", 8, seed=1)
    assert call("evaluate", "runs/classify", "--data", "other.csv").exit_code == 0

    write_waves("new.csv", 3, labels=False)
    printed = call("predict", "runs/classify", "new.csv")
    assert [line.split()[0] for line in printed.stdout.splitlines()] == ["id", "s0", "s1", "s2"]
    written = call("predict", "runs/classify", "new.csv", "--out", "answers.json")
    assert written.stdout == "Wrote 3 rows to answers.json\n"
    rows = json.loads(Path("answers.json").read_text())
    assert list(rows[0]) == ["id", "prediction", "probability_fast", "probability_slow"]
    both = call("predict", "runs/classify", "new.csv", "other.csv", "--out", "answers.csv")
    assert both.stdout == "Wrote 11 rows to answers.csv\n"
    assert Path("answers.csv").read_text().startswith("file,id,prediction,")


def test_a_data_file_is_named_alike_for_every_verb():
    write_waves("my.csv")
    write_waves("new.csv", seed=3)
    quick = ["--epochs", 1, "--hidden", 6, "--set", "model.channels=6", "--device", "cpu", "--out"]
    forms = {"position": ["my.csv"], "option": ["--data", "my.csv"], "setting": ["--set", "data.path=my.csv"]}
    for name, form in forms.items():
        assert call("train", "classify", *form, *quick, name).exit_code == 0
        assert same(weights(name), weights("position"))
        assert json.loads(Path(name, "recipe.json").read_text())["settings"]["data"]["path"] == "my.csv"
    for verb in ("evaluate", "predict", "inspect"):
        results = [call(verb, "position", *form).stdout for form in (["new.csv"], ["--data", "new.csv"])]
        assert results[0] == results[1] != ""
    for name, form in (("one", ["new.csv"]), ("two", ["--data", "new.csv"])):
        tuned = call("finetune", "position", *form, "--epochs", 1, "--device", "cpu", "--out", name)
        assert tuned.exit_code == 0, tuned.output
    assert same(weights("one"), weights("two"))
    for verb in ("evaluate", "predict", "inspect", "finetune"):
        both = call(verb, "position", "new.csv", "--data", "new.csv")
        assert refused(both, "new.csv and --data new.csv arrived; expected one of them")
    assert refused(call("train", "classify", "my.csv", "--data", "my.csv"), "expected one of them")
    assert refused(call("finetune", "position"), "no data arrived", "`rnnkit finetune position FILE`")
    assert refused(call("predict", "position"), "no file arrived", "`rnnkit predict position FILE`")


def test_images_of_mixed_sizes_are_resized_by_a_setting():
    from PIL import Image

    rng = np.random.default_rng(0)
    for at in range(12):
        folder = Path("pictures", "ab"[at % 2])
        folder.mkdir(parents=True, exist_ok=True)
        pixels = rng.integers(0, 99, (12 + at // 6, 10)) + 100 * (at % 2)
        Image.fromarray(pixels.astype(np.uint8)).save(folder / f"{at}.png")
    quick = ["--epochs", 1, "--hidden", 6, "--set", "model.channels=6", "--device", "cpu", "--out", "run"]
    assert refused(call("train", "classify", "pictures", *quick), "expected images of one size")
    trained = call("train", "classify", "pictures", *quick, "--set", "data.size=12,10")
    assert trained.exit_code == 0, trained.output
    assert call("predict", "run", "pictures/a/10.png", "pictures/a/0.png").exit_code == 0
    assert refused(call("train", "classify", "pictures", "--set", "data.size=0,10"), "data.size=0,10 arrived")


def test_files_that_do_not_fit_are_refused_and_nothing_is_written(train):
    train(epochs=1)
    text = Path(write_waves("new.csv", 3, labels=False)).read_text()
    Path("bad.csv").write_text(text.replace("width", "weight"))
    result = call("predict", "runs/classify", "bad.csv", "--out", "answers.csv")
    assert refused(result, "missing 'width'", "extra 'weight'")
    assert refused(call("predict", "runs/classify", "new.csv", "--out", "answers.xlsx"), ".csv, .json, .parquet")
    assert refused(call("predict", "runs/classify", "none.csv"), "none.csv")
    write_waves("odd.csv", 3)
    Path("odd.csv").write_text(Path("odd.csv").read_text().replace("slow", "still"))
    assert refused(call("evaluate", "runs/classify", "--data", "odd.csv"), "unseen class 'still'")
    assert refused(call("evaluate", "runs/classify", "--data", "new.csv"))
    assert sorted(path.name for path in Path().glob("answers*")) == []


@pytest.mark.parametrize("saved", ["saved", "saved/model.safetensors", "mine.safetensors"])
def test_an_estimator_that_was_saved_answers_for_a_file(saved):
    x = np.random.default_rng(0).normal(size=(6, 9, 2)).astype(np.float32)
    settings = {"steps": 2, "channels": 4}
    network = rnnkit.RNNClassifier(hidden_size=4, settings=settings, random_state=0, device="cpu").fit(
        x, list("ababab")
    )
    network.save("mine.safetensors" if saved.startswith("mine") else "saved")
    np.savez("new.npz", x=x)
    result = call("predict", saved, "new.npz", "--out", "answers.json")
    assert result.exit_code == 0, result.output
    assert [row["prediction"] for row in json.loads(Path("answers.json").read_text())] == network.predict(x).tolist()


def test_a_network_alone_answers_for_no_file():
    save_module(rnnkit.SequenceClassifier(rnnkit.GRU(2, 3), 2), "alone")
    assert refused(call("predict", "alone", "new.npz"), "without its preprocessing")


def test_answers_replace_neither_what_was_read_nor_a_file_of_the_run(train):
    train(epochs=1)
    write_waves("keep.csv", 3, labels=False)
    Path("link.csv").symlink_to("keep.csv")
    before = {path: path.read_bytes() for path in (Path("keep.csv"), *Path("runs/classify").iterdir())}
    for out in ("keep.csv", "./keep.csv", "link.csv"):
        assert refused(call("predict", "runs/classify", "keep.csv", "--out", out), "is data that is read")
    for out in ("runs/classify/predictions.csv", "runs/classify/new.csv"):
        assert refused(call("predict", "runs/classify", "keep.csv", "--out", out), "the run's folder runs/classify")
    assert {path: path.read_bytes() for path in (Path("keep.csv"), *Path("runs/classify").iterdir())} == before


def test_what_cannot_be_trained_leaves_nothing():
    assert refused(call("train", "classify"), "data.path is missing")
    assert refused(call("train", "classify", "--set", "data.path=none.csv"), "none.csv")
    assert refused(call("train"), "name one")
    assert not Path("runs").exists()


def test_files_in_another_encoding_than_the_training_file():
    text = Path(write_waves("my.csv")).read_text().replace("height", "高度").replace("slow", "慢")
    Path("my.csv").write_bytes(text.encode("gb18030"))
    assert refused(call("train", "classify", *QUICK), "type --set data.encoding=gb18030")
    unknown = call("train", "classify", *QUICK, "--set", "data.encoding=gb1803")
    assert refused(unknown, '--set data.encoding=gb1803 arrived; expected a name such as "gb18030"')
    option = call("train", "classify", *QUICK, "--encoding", "gb18030")
    assert refused(option, "no option --encoding; did you mean --set data.encoding=VALUE?")
    assert not Path("runs").exists()
    named = call("train", "classify", *QUICK, "--set", "data.encoding=gb18030", "--set", "fit.epochs=1")
    assert named.exit_code == 0, named.output
    Path("utf8.csv").write_text(text, encoding="utf-8")
    Path("utf16.csv").write_bytes(text.encode("utf-16-le"))
    assert call("predict", "runs/classify", "utf8.csv").stdout == call("predict", "runs/classify", "my.csv").stdout
    assert refused(call("predict", "runs/classify", "utf16.csv"), "--encoding utf-16-le")
    of_it = ["--encoding", "utf-16-le"]
    assert call("predict", "runs/classify", "utf16.csv", *of_it).exit_code == 0
    for verb in ("evaluate", "inspect"):
        result = call(verb, "runs/classify", "--data", "utf16.csv", *of_it)
        assert result.exit_code == 0, result.output
    assert refused(call("evaluate", "runs/classify", *of_it), "name it with --data FILE")
    tuned = call("finetune", "runs/classify", "--data", "utf16.csv", *of_it, "--set", "epochs=1", "--device", "cpu")
    assert tuned.exit_code == 0, tuned.output


@pytest.mark.parametrize(
    ("content", "fields", "words"),
    [
        ("id;time;x;label\na;0;1;w\n", ["data.delimiter=,"], ["type --set 'data.delimiter=;'"]),
        (
            "id,time,x,t5,label\na,0,1,u,w\na,1,2,v,w\nb,0,1,u,z\n",
            [],
            ["type --set data.ignore=t5 if the column is no channel"],
        ),
        ("time,a,b,label\n1,2,3,u\n", ["data.layout=wide", "data.values=a,c"], ["there is no column 'c'"]),
        ("id,time,x\na,0,1\na,1,1\nb,0,1\n", [], ["no column of labels found; type --set data.label=. Columns"]),
        ("id,time,x,label\na,0,1,\nb,0,1,u\n", [], ["the label is missing; give it or drop the line"]),
        ("1,2,1\n1,2,1\n2,2,2\n2,2,2\n", [], ["--set data.label=first", "--set data.label=last"]),
        ("id,x1,x2,label\na,1,2,u\nb,2,1,u\nc,2,2,u\n", [], ["my.csv: all 2 series", "--set data.label="]),
        ("id,x1,x2,label\na,1,2,u\nb,2,1,v\n", [], ["2 series, of which 1 would be held back", "data.test_share=0"]),
        (
            "id,x1,x2,label\n" + "".join(f"{n},1,{n},{n}.5\n" for n in range(20)),
            [],
            ["20 labels for 20 rows", "regress"],
        ),
        ("a,b,c\n1,2,3\n", [], ["type --set data.layout=long", "--set data.layout=wide"]),
    ],
)
def test_errors_of_readers_name_the_fields_of_the_recipe(content, fields, words):
    Path("my.csv").write_text(content)
    quick = [*QUICK, "--set", "fit.epochs=1"]
    result = call("train", "classify", *quick, *(part for field in fields for part in ("--set", field)))
    assert refused(result, *words)
    assert not any(word in result.stderr for word in ("_column", "targets=", "['"))


def test_warnings_of_readers_name_the_fields_of_the_recipe():
    text = "time,id,x,label\n" + "".join(f"{t},{n},{n + t},{'ab'[n % 2]}\n" for n in range(8) for t in (1, 1, 2))
    Path("my.csv").write_text(text)
    trained = call("train", "classify", *QUICK, "--set", "fit.epochs=1")
    said = "all are kept in the file's order; {} --set data.duplicates=first, or --set data.duplicates=last, or"
    assert said.format("type") in trained.stderr
    told = call("predict", "runs/classify", "my.csv")
    assert told.exit_code == 0, told.output
    assert said.format("train again with") in told.stderr  # of the training file: there is nothing to set now


def test_text_is_no_number_to_learn():
    write_waves("my.csv")
    result = call("train", "regress", *QUICK, "--set", "data.target=label")
    assert refused(result, "'slow' is no finite number", "--set data.target=", "use `rnnkit train classify`")
    assert "empty cell" not in result.stderr


def test_what_is_damaged_is_named_with_advice(train):
    train(epochs=1)
    Path("runs/classify/training.safetensors").write_bytes(b"damaged")
    assert refused(call("train", "--resume", "runs/classify"), "training.safetensors", "train again into a new folder")
    stored = json.loads(Path("runs/classify/recipe.json").read_text())
    Path("runs/classify/recipe.json").write_text(json.dumps(stored | {"recipe": "regress"}))
    assert refused(call("evaluate", "runs/classify"), "runs/classify/recipe.json: the recipe has no field 'data.label'")


def test_a_run_without_a_sound_model_says_what_helps(train):
    train()
    model, finetune = Path("runs/classify/model.safetensors"), Path("runs/classify/finetune.json")
    model.write_bytes(model.read_bytes()[:100])
    assert refused(call("evaluate", "runs/classify"), "damaged", "take a copy of it, or train again")
    model.unlink()
    assert refused(
        call("predict", "runs/classify", "my.csv"), "`rnnkit train --resume runs/classify` goes on with the training"
    )
    finetune.write_text('{"from": "runs/a", "data": "b.csv"}')
    assert refused(call("evaluate", "runs/classify"), "`rnnkit finetune --resume runs/classify` goes on with it")
    Path("runs/classify/training.safetensors").unlink()
    assert refused(call("evaluate", "runs/classify"), "`rnnkit finetune runs/a --data b.csv --out NEW` begins anew")


@pytest.mark.parametrize(("rows", "words"), [(1, "to train on: add more rows"), (2, "add --set data.test_share=0, or")])
def test_advice_for_few_rows_helps(rows, words):
    write_waves("my.csv", rows)
    assert refused(call("train", "classify", *QUICK), words)


def test_before_anything_is_trained_any_length_will_do(train):
    train()
    Path("runs/classify/training.safetensors").unlink()
    check_settings(Path("runs/classify"), *(Classify(fit=Fit(epochs=epochs)) for epochs in (None, 1)))
    with pytest.raises(ConfigError, match="begun with 4"):
        check_settings(Path("runs/classify"), *(Classify(fit=Fit(epochs=epochs)) for epochs in (4, 3)))
