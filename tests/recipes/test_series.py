import csv
import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from series_files import write_waves as write

from rnnkit import runs
from rnnkit.errors import ConfigError, DataError, MissingExtraError
from rnnkit.recipes import DataRequest
from rnnkit.recipes import classify as classify_recipe
from rnnkit.recipes import regress as regress_recipe
from rnnkit.recipes.classify import Classify, classify
from rnnkit.recipes.regress import Regress, regress
from rnnkit.recipes.wording import in_settings
from rnnkit.runs import tables
from rnnkit.runs.settings import override, restore, settings, show
from rnnkit.tasks import find
from rnnkit.tasks.settings import Fit, Model

SMALL = {"model": Model(hidden_size=6, channels=6), "fit": Fit(steps=40, lr=0.01), "device": "cpu"}
PICTURES = {"curves.png"}
FILES = {
    "recipe.json",
    "versions.json",
    "data.json",
    "metrics.json",
    "history.csv",
    "diagnostics.json",
    "model.safetensors",
    "predictions.csv",
} | PICTURES


def train(recipe, name):
    with runs.start(name, recipe, Path(name)) as folder:
        return folder, recipe.prepare().run(folder)


def read(path):
    with Path(path).open(newline="") as file:
        return list(csv.DictReader(file))


@pytest.mark.usefixtures("whole_pictures")
def test_classes_from_a_file_of_ones_own():
    recipe = Classify(**SMALL, data=classify_recipe.Data(path=write("my.csv"), validation=0.2))
    folder, metrics = train(recipe, "run")
    assert {path.name for path in folder.iterdir()} - {"training.safetensors"} == FILES | {"confusion.png"}
    assert json.loads((folder / "metrics.json").read_text()) == metrics
    assert metrics["rows"] == {"train": 18, "validation": 6, "test": 6}
    assert metrics["chosen_on"] == "last epoch; nothing was chosen on test data"
    assert metrics["split"] == (
        "validation: 20% of my.csv at random (split_seed 0); test: 20% of my.csv at random (split_seed 0)"
    )
    assert metrics["test"]["accuracy"] == 1
    assert recipe.evaluate(folder) == pytest.approx(metrics["test"])
    assert recipe.validate(folder) == pytest.approx(metrics["validation"])
    rows = read(folder / "predictions.csv")
    assert list(rows[0]) == ["id", "true", "prediction", "probability_fast", "probability_slow"]
    assert all(row["true"] == row["prediction"] for row in rows)
    assert all(float(row["probability_fast"]) + float(row["probability_slow"]) == pytest.approx(1) for row in rows)
    model, inputs, labels, loss, _ = recipe.inspection_data(folder)
    assert (len(inputs), len(labels), loss) == (6, 6, "cross_entropy")
    assert (model(inputs.values, lengths=inputs.lengths).argmax(1) == labels).all()
    # The same files without labels, and other rows with them.
    answers = recipe.predict(folder, DataRequest(Path(write("new.csv", labels=False))))
    assert answers["id"] == [f"s{row}" for row in range(30)]
    assert answers["prediction"] == ["slow", "fast"] * 15
    assert recipe.evaluate(folder, DataRequest(Path(write("more.csv", seed=1))))["accuracy"] == 1


@pytest.mark.usefixtures("whole_pictures")
def test_numbers_from_a_file_of_ones_own():
    data = regress_recipe.Data(path=write("my.csv", last="weight"), target=("weight",), test_share=0.3)
    fit = replace(SMALL["fit"], steps=120)
    folder, metrics = train(Regress(**(SMALL | {"fit": fit}), data=data), "run")
    assert {path.name for path in folder.iterdir()} - {"training.safetensors"} == FILES | {"errors.png"}
    assert metrics["rows"] == {"train": 21, "test": 9}
    assert metrics["test"]["r2"] > 0.5
    rows = read(folder / "predictions.csv")
    assert list(rows[0]) == ["id", "true", "prediction"]
    error = np.mean([(float(row["true"]) - float(row["prediction"])) ** 2 for row in rows]) ** 0.5
    assert error == pytest.approx(metrics["test"]["rmse"], rel=1e-5)


def test_a_test_file_is_used_whole_and_validation_may_choose():
    data = classify_recipe.Data(path=write("my.csv"), test=write("test.csv", 10, seed=1), validation=0.2)
    fit = Fit(epochs=6, early_stopping=2)
    _, metrics = train(Classify(**(SMALL | {"fit": fit}), data=data), "run")
    assert metrics["rows"] == {"train": 24, "validation": 6, "test": 10}
    assert metrics["split"].endswith("; test: test.csv")
    assert metrics["chosen_on"] == "validation (6 rows held out from training)"


def test_all_rows_can_be_trained_on():
    recipe = Classify(**(SMALL | {"fit": Fit(steps=2)}), data=classify_recipe.Data(path=write("my.csv"), test_share=0))
    folder, metrics = train(recipe, "run")
    assert "test" not in metrics
    assert not (folder / "predictions.csv").exists()
    with pytest.raises(DataError, match=r"data\.test_share=0\); name a file"):
        recipe.evaluate(folder)


@pytest.mark.parametrize(
    ("assignments", "message"),
    [
        ([], "data.path is missing"),
        (["data.path=none.csv"], "none.csv: there is no such file"),
        (["data.path=my.csv", "data.label=lable"], r"did you mean 'label'\? Columns: 'id'"),
        (["data.path=my.csv", "data.split=group"], "group"),
        (["data.path=my.csv", "data.test_share=0.99"], "expected at least 2"),
        (["data.path=my.csv", "data.test=odd.csv"], "unseen class"),
        (["data.path=my.csv", "data.test=narrow.csv"], "missing 'width'"),
        (["data.path=one.csv"], "at least two classes"),
        (["data.path=my.csv", "fit.early_stopping=3"], "data.validation=0.2"),
        (["data.path=my.csv", "fit.loss=l1"], "is for numbers"),
    ],
)
@pytest.mark.filterwarnings("ignore:the training part has no row")
def test_what_is_wrong_is_said_before_anything_is_written(assignments, message):
    write("my.csv")
    text = Path("my.csv").read_text()
    Path("odd.csv").write_text(text.replace("slow", "still"))
    Path("one.csv").write_text(text.replace("slow", "fast"))
    Path("narrow.csv").write_text(text.replace("width", "depth"))
    with pytest.raises((ConfigError, DataError), match=message):
        override(classify(), assignments).prepare()
    assert not Path("runs").exists()


@pytest.mark.parametrize(
    ("assignments", "message"),
    [
        (["data.test_share=1"], "data.test_share=1.0"),
        (["data.validation=-0.1"], "data.validation=-0.1"),
        (["data.validation=0.9"], "leave rows to train on"),
        (["model.hidden_size=0"], "model.hidden_size=0"),
        (["model.dropout=1"], "model.dropout=1.0"),
        (["fit.steps=0"], "fit.steps=0"),
        (["fit.lr=-1"], "fit.lr=-1"),
        (["fit.clip_norm=-1"], "fit.clip_norm=-1"),
        (["fit.weight_decay=-1"], "fit.weight_decay=-1"),
        (["model.kernel_sizes=3,-3"], "model.kernel_sizes=3,-3"),
        (["model.kernel_sizes="], "model.kernel_sizes="),
        (["model.jitter=-1"], "model.jitter=-1"),
        (["model.warp=0.5"], "model.warp=0.5"),
        (["model.channels=2"], "model.channels=2 and model.kernel_sizes=3,9,27"),
        (["fit.label_smoothing=1"], "fit.label_smoothing"),
    ],
)
def test_settings_out_of_range(assignments, message):
    with pytest.raises(ConfigError, match=message):
        override(classify(), assignments)


@pytest.mark.parametrize("recipe", [classify(), regress()])
def test_every_setting_can_be_set_and_comes_back(recipe):
    for name, setting in settings(recipe).items():
        if setting.value != ():  # nothing to type
            assert override(recipe, [f"{name}={show(setting.value)}"]) == recipe
    changed = override(recipe, ["data.values=a,b", "data.header=no", "data.split=time", "model.kernel_sizes=3,5"])
    assert changed.data.columns() == {"value_columns": ("a", "b"), "header": False}
    assert restore(recipe, json.loads(json.dumps({"data": {"values": ["a", "b"], "header": False}}))).data == replace(
        recipe.data, values=("a", "b"), header=False
    )


@pytest.mark.parametrize(
    ("text", "delimiter"), [("tab", "\t"), ("\\t", "\t"), ("\t", "\t"), ("blank", " "), (" ", " "), (";", ";")]
)
def test_a_delimiter_that_no_shell_passes_on_has_a_name(text, delimiter):
    chosen = override(classify(), [f"data.delimiter={text}"])
    assert chosen.data.columns() == {"delimiter": delimiter}


TABLE = {"id": ["a", "b,c"], "prediction": ["x", "ü"], "probability_x": [0.1, 1 / 3]}


def test_tables_read_back_the_same():
    for suffix in ("csv", "json", "parquet"):
        tables.write_table(TABLE, Path(f"deep/table.{suffix}"))
    rows = read("deep/table.csv")
    assert [float(row.pop("probability_x")) for row in rows] == TABLE["probability_x"]
    assert rows == [{"id": "a", "prediction": "x"}, {"id": "b,c", "prediction": "ü"}]
    stored = json.loads(Path("deep/table.json").read_text(encoding="utf-8"))
    assert stored == [dict(zip(TABLE, row, strict=True)) for row in zip(*TABLE.values(), strict=True)]
    from pyarrow import parquet

    assert parquet.read_table("deep/table.parquet").to_pydict() == TABLE
    assert tables.as_text(TABLE, most=2) == [
        "id   prediction", "a    x", "b,c  ü", "(1 more columns; --out FILE.csv writes all)",
    ]  # fmt: skip


def test_words_that_are_no_arguments_stay():
    with pytest.raises(DataError, match=r"^a.arff: expected the .arff format$"), in_settings(find("classify")):
        raise DataError("a.arff: expected the .arff format")


def test_a_table_in_json_is_strict():
    tables.write_table({"prediction": [0.5, float("nan"), float("inf")]}, Path("table.json"))
    found = json.loads(Path("table.json").read_text(), parse_constant=pytest.fail)
    assert found == [{"prediction": 0.5}, {"prediction": None}, {"prediction": None}]


def test_where_no_table_can_go(monkeypatch):
    with pytest.raises(ConfigError, match=r"\.csv, \.json, \.parquet"):
        tables.check_suffix(Path("table.xlsx"))
    Path("folder.csv").mkdir()
    with pytest.raises(ConfigError, match=r"folder\.csv/predictions\.csv"):
        tables.check_suffix(Path("folder.csv"))
    monkeypatch.setitem(__import__("sys").modules, "pyarrow", None)
    with pytest.raises(MissingExtraError, match=r"rnnkit\[tables\]"):
        tables.check_suffix(Path("table.parquet"))
