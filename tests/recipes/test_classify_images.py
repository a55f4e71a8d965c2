"""The recipes for classes of pictures and what is done with their runs, on made pictures."""

import csv
import json
import shutil

import pytest
import torch
from class_pictures import CLASSES, write_classes, write_idx
from commands import call, refused_alone, validates_again

import rnnkit
from rnnkit.recipes.classify_images_network import build
from rnnkit.tasks.picture_classes import load_picture_namer
from rnnkit.tasks.picture_settings import PictureNetwork

SMALL = (
    "model.size=16 model.channels=8 model.blocks=0 model.units=6 model.dropout=0 fit.batch_size=8 fit.epochs=8 "
    "fit.lr=0.01 fit.average=none augment.degrees=3 augment.flip=0 device=cpu"
)


def settings(text):
    return [part for one in text.split() for part in ("--set", one)]


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """A run on made pictures, the folder that it learned from, and what was told."""
    folder = tmp_path_factory.mktemp("classes")
    pictures = write_classes(folder / "pictures", 24)
    (pictures / "block" / "broken.png").write_bytes(b"no picture")
    shutil.copy(pictures / "block" / "03.png", pictures / "down" / "copied.png")
    result = call("train", "classify-images", pictures, *settings(SMALL), "--out", folder / "run")
    assert result.exit_code == 0, result.output
    return folder / "run", pictures, result.stdout


def test_a_run_learns_and_reports(trained):
    run, _, told = trained
    metrics = json.loads((run / "metrics.json").read_text())
    assert validates_again(run)
    assert metrics["test"]["accuracy"] > 0.8
    assert set(metrics["test"]) == {"accuracy", "macro_f1", "balanced_accuracy"}
    assert metrics["chosen_on"].startswith("the accuracy of validation (")
    assert "broken" in told
    assert "different labels" in told
    page = (run / "report.html").read_text()
    for part in ("Mistakes", "Which classes are taken for which", "mostly taken for", "Learning curves"):
        assert part in page
    header, *rows = (run / "predictions.csv").read_text().splitlines()
    assert header == "test,picture,class,prediction,confidence"
    assert len(rows) == metrics["rows"]["test"]
    with (run / "classes.csv").open() as file:
        assert [row["class"] for row in csv.DictReader(file)] == list(CLASSES)
    assert "val_macro_f1" in (run / "history.csv").read_text()


def test_evaluate_gives_the_same_figures_and_takes_other_pictures(trained, tmp_path):
    run, _, _ = trained
    metrics = json.loads((run / "metrics.json").read_text())
    result = call("evaluate", run)
    assert result.exit_code == 0, result.output
    assert f"Macro F1: {metrics['test']['macro_f1']:.4g}" in result.stdout
    others = write_classes(tmp_path / "others", 3, classes=("across", "down"), seed=7)
    (others / "down" / "empty.png").write_bytes(b"")
    result = call("evaluate", run, others)
    assert result.exit_code == 0, result.output
    assert "empty" in result.stderr  # it was left out
    assert (run / "confusion-others.png").exists()
    strange = write_classes(tmp_path / "strange", 2, classes=("down", "across"), seed=7)
    (strange / "across").rename(strange / "spiral")
    assert refused_alone(call("evaluate", run, strange), "'spiral'", "it knows across, block, down")


def test_predict_prints_tables_and_drawings(trained, tmp_path):
    run, pictures, _ = trained
    files = [pictures / name / "05.png" for name in CLASSES]
    result = call("predict", run, files[0])
    assert result.exit_code == 0, result.output
    name, answer, confidence = result.stdout.strip().split("\t")
    assert (name, answer in CLASSES, confidence.endswith("%")) == (str(files[0]), True, True)
    table = tmp_path / "answers.csv"
    assert call("predict", run, *files, "--out", table).exit_code == 0
    with table.open() as file:
        rows = list(csv.DictReader(file))
    assert [row["prediction"] == row["class_1"] for row in rows] == [True] * 3
    assert sum(float(rows[0][f"probability_{place}"]) for place in (1, 2, 3)) == pytest.approx(1, abs=1e-5)
    assert call("predict", run, files[1], "--out", tmp_path / "drawn").exit_code == 0
    assert {file.suffix for file in (tmp_path / "drawn").iterdir()} == {".json", ".png"}
    found = json.loads((tmp_path / "drawn" / "05.json").read_text())
    assert next(one["class"] for one in found["classes"]) == found["class"]
    broken = pictures / "block" / "broken.png"
    result = call("predict", run, broken, files[0])
    assert result.exit_code == 1
    assert "broken.png" in result.stderr


def test_finetune_learns_a_new_class_and_tells_what_is_forgotten(trained, tmp_path):
    run, _, _ = trained
    new = write_classes(tmp_path / "new", 10, classes=("block", "down"), seed=5)
    (new / "down").rename(new / "fence")
    result = call(
        "finetune",
        run,
        new,
        "--set",
        "epochs=6",
        "--set",
        "lr=0.01",
        "--set",
        "replay=0.5",
        "--out",
        tmp_path / "tuned",
    )
    assert result.exit_code == 0, result.output
    assert load_picture_namer(tmp_path / "tuned").classes == (*CLASSES, "fence")
    report = json.loads((tmp_path / "tuned" / "report.json").read_text())
    assert report["new"]["after"]["accuracy"] > report["new"]["before"]["accuracy"]
    assert {"accuracy", "loss"} <= set(report["old"]["after"])
    (new / "block").rename(tmp_path / "block")
    result = call("finetune", run, new, "--set", "epochs=1", "--out", tmp_path / "alone")  # a folder of one class
    assert result.exit_code == 0, result.output
    (tmp_path / "block").rename(new / "block")
    options = [part for one in ("epochs=1", "classes=replace", "replay=none") for part in ("--set", one)]
    result = call("finetune", run, new, *options, "--out", tmp_path / "replaced")
    assert result.exit_code == 0, result.output
    assert load_picture_namer(tmp_path / "replaced").classes == ("block", "fence")
    result = call("evaluate", tmp_path / "replaced")
    assert refused_alone(result, "was fine-tuned to the classes block, fence", "have 'across'", "--data FOLDER")


def test_inspect_looks_into_it(trained):
    run, _, _ = trained
    result = call("inspect", run)
    assert result.exit_code == 0, result.output
    assert "Page: " in result.stdout


def test_a_table_and_bad_data(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert refused_alone(
        call("train", "classify-images"), "data.path is missing", "rnnkit train classify-images FOLDER"
    )
    assert refused_alone(call("train", "classify-images", "missing"), "missing")
    pictures = write_classes("flat", 4, classes=("block",))
    result = call("train", "classify-images", pictures / "block")
    assert refused_alone(result, "no picture with a class is left", "a folder for each class, such as cat/1.jpg")
    result = call("train", "classify-images", pictures)
    assert refused_alone(result, "All of them lie in the folder block; expected two or more folders with pictures")
    write_classes("two", 4, classes=("block", "down"))
    for setting, words in (
        ("model.size=30", "expected a multiple of 4"),
        ("model.units=0", "model.units=0 arrived"),
        ("model.context=none model.channels=none", "leave no layer"),
        ("data.validation=0 fit.early_stopping=3", "fit.early_stopping needs pictures to judge by"),
    ):
        assert refused_alone(call("train", "classify-images", "two", *settings(setting)), words)
    with open("two/labels.csv", "w", encoding="utf-8") as file:
        file.write("file,kind\n" + "".join(f"{name}/0{n}.png,{name}\n" for name in ("block", "down") for n in range(4)))
    table = "data.label_column=kind data.validation=0 data.test_share=0.25 fit.epochs=1"
    result = call("train", "classify-images", "two/labels.csv", *settings(f"{SMALL} {table}"), "--out", "run")
    assert result.exit_code == 0, result.output
    assert json.loads((tmp_path / "run" / "metrics.json").read_text())["rows"] == {"train": 6, "test": 2}


@pytest.mark.parametrize("channels", [(8, 16), None])
def test_contexts_and_the_convolution_has_as_many_parameters(channels):
    pooling = "concat" if channels else "flatten"
    networks = {
        context: build(PictureNetwork(context=context, channels=channels, size=32, pooling=pooling), ["a", "b"])
        for context in ("renet", "conv", *(["none"] if channels else []))
    }
    for network in networks.values():
        assert tuple(network(torch.rand(2, 3, 32, 32)).shape) == (2, 2)
        assert type(rnnkit.models.build(network.config())) is rnnkit.PictureClassifier
    renet, conv = (sum(one.numel() for one in networks[name].parameters()) for name in ("renet", "conv"))
    assert abs(renet - conv) < 0.03 * renet


def test_mnist_renet_learns_idx_files_of_any_size_and_classes(tmp_path):
    folder = write_idx(tmp_path / "bars", classes=(2, 5, 7))
    small = "model.size=12 model.units=4,6 fit.epochs=6 fit.batch_size=8 fit.lr=0.02 fit.average=none device=cpu"
    quiet = "augment.degrees=0 augment.scale=0 augment.shift=0 augment.shear=0 augment.elastic=0.2"
    result = call("train", "mnist-renet", folder, *settings(f"{small} {quiet}"), "--out", tmp_path / "run")
    assert result.exit_code == 0, result.output
    metrics = json.loads((tmp_path / "run" / "metrics.json").read_text())
    assert metrics["test"]["accuracy"] > 0.9
    assert metrics["rows"] == {"train": 110, "validation": 10, "test": 40}
    namer = load_picture_namer(tmp_path / "run")
    assert (namer.classes, namer.form) == (("2", "5", "7"), "plain")
    assert call("evaluate", tmp_path / "run", folder).exit_code == 0
    (folder / "train-labels-idx1-ubyte").write_bytes(b"\0\0\x08\x01\0\0\0\x09")
    assert refused_alone(call("train", "mnist-renet", folder), "train-labels-idx1-ubyte", "expected 17 for shape (9,)")
    (folder / "train-labels-idx1-ubyte").unlink()
    (tmp_path / "empty").mkdir()
    assert refused_alone(call("train", "mnist-renet", folder), "lacks the file of train labels")
    assert refused_alone(call("train", "mnist-renet", tmp_path / "empty"), "holds no IDX files")


def test_mnist_renet_takes_made_digits_and_pictures_of_them(tmp_path):
    from PIL import Image, ImageDraw

    small = "data.limit=60 model.units=4,6 fit.epochs=1 fit.batch_size=20 device=cpu"
    result = call("train", "mnist-renet", *settings(small), "--out", tmp_path / "run")
    assert result.exit_code == 0, result.output
    page = Image.new("L", (80, 60), 255)
    ImageDraw.Draw(page).line((40, 10, 38, 50), fill=0, width=5)
    page.save(tmp_path / "one.png")
    assert load_picture_namer(tmp_path / "run").form == "digits"
    result = call("predict", tmp_path / "run", tmp_path / "one.png")
    assert result.exit_code == 0, result.output
    assert result.stdout.split("\t")[1] in "0123456789"
