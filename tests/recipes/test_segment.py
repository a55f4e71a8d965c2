"""The recipes that name pixels and tell things apart, and what is done with their runs, on made pictures of discs."""

import csv
import json

import numpy as np
import pytest
from commands import call, refused_alone, validates_again
from masks import write_class_masks, write_coco, write_things
from PIL import Image

from rnnkit.tasks.growing import Growing
from rnnkit.tasks.segmentation import load_segmenter

SMALL = (
    "model.channels=8,16 model.blocks=0 model.dropout=0 model.hidden_size=4 fit.crop=48 fit.batch_size=4 fit.lr=0.01 "
    "fit.average=none fit.repeats=4 augment.degrees=0 augment.scale=0 data.validation=0.2 data.test_share=0.2 "
    "device=cpu"
)


def settings(text=SMALL):
    return [part for one in text.split() for part in ("--set", one)]


@pytest.fixture(scope="module")
def classes(tmp_path_factory):
    """A run on masks of two classes, and the folder that it learned from."""
    folder = tmp_path_factory.mktemp("segment")
    write_class_masks(folder / "set", 20)
    (folder / "set" / "images" / "lonely.png").write_bytes((folder / "set" / "images" / "000.png").read_bytes())
    result = call("train", "segment", folder / "set", *settings(), "--set", "fit.epochs=4", "--out", folder / "run")
    assert result.exit_code == 0, result.output
    return folder / "run", folder / "set", result.stdout


@pytest.fixture(scope="module")
def things(tmp_path_factory):
    """A run on outlines of COCO, and the folder that it learned from."""
    folder = tmp_path_factory.mktemp("instances")
    write_coco(folder / "set", 20)
    result = call("train", "instances", folder / "set", *settings(), "--set", "fit.epochs=4", "--out", folder / "run")
    assert result.exit_code == 0, result.output
    return folder / "run", folder / "set", result.stdout


def test_classes_of_pixels_are_learnt_and_reported(classes):
    run, _, told = classes
    metrics = json.loads((run / "metrics.json").read_text())
    assert validates_again(run)
    assert metrics["test"]["foreground_iou"] > 0.8
    assert metrics["test"]["otsu_iou"] > 0.9  # discs are bright
    assert "mean IoU of validation (" in metrics["chosen_on"]
    assert "has no mask: images/lonely" in told
    assert "type --set data.mask_values=instances if they are not" in told
    header, *rows = (run / "predictions.csv").read_text().splitlines()
    assert header == "test,picture,mean_iou,things,share_1,share_2"
    assert len(rows) == metrics["rows"]["test"]
    page = (run / "report.html").read_text()
    for part in ("Classes", "The worst ones", "Learning curves", "by Otsu"):
        assert part in page


def test_things_are_told_apart_and_reported(things):
    run, _, _ = things
    metrics = json.loads((run / "metrics.json").read_text())
    assert metrics["test"]["foreground_iou"] > 0.6
    assert set(metrics["test"]) >= {"bowl_ap50", "bowl_map", "coco_map50", "coco_map", "otsu_iou"}
    assert metrics["validation"]["bowl_ap50"] > 0.2
    assert "precision of things at IoU 0.5 to 0.95 of validation" in metrics["chosen_on"]
    assert "Precision and recall" in (run / "report.html").read_text()
    assert load_segmenter(run).growing is not None


def test_evaluate_gives_the_same_figures_and_takes_other_pictures(classes, things, tmp_path):
    for run, write, name in ((classes[0], write_class_masks, "mean_iou"), (things[0], write_coco, "bowl_map")):
        metrics = json.loads((run / "metrics.json").read_text())
        result = call("evaluate", run)
        assert f": {metrics['test'][name]:.4g}" in result.stdout, result.output
        others = write(tmp_path / name, 4, seed=7)
        result = call("evaluate", run, others, "--set", "decode.flips=true")
        assert result.exit_code == 0, result.output
    others = write_class_masks(tmp_path / "first", 4, seed=7)
    for file in (others / "masks").iterdir():
        Image.fromarray(np.array(Image.open(file)) % 2).save(file)
    result = call("evaluate", classes[0], others)
    assert result.exit_code == 0, result.output
    assert "The class foreground of the masks is taken for the class 1 of the network." in result.stderr
    assert "data.mask_values" not in result.stderr  # which a trained run has
    write_coco(tmp_path / "green", 4, seed=7, names=("red", "green"))
    result = call("evaluate", things[0], tmp_path / "green")
    assert refused_alone(result, "holds the class 'green', which the network does not know", "red, blue")


def test_predict_prints_writes_masks_and_draws(classes, things, tmp_path):
    run, folder, _ = classes
    picture = folder / "images" / "003.png"
    result = call("predict", run, picture, "--out", tmp_path / "classes")
    assert result.exit_code == 0, result.output
    mask = np.asarray(Image.open(tmp_path / "classes" / "003_mask.png"))
    assert mask.shape == (40, 48)
    found = json.loads((tmp_path / "classes" / "003.json").read_text())
    assert found["classes"]["1"]["share"] == pytest.approx((mask == 1).mean(), abs=1e-5)
    assert (tmp_path / "classes" / "003.png").exists()
    whole = call("predict", run, folder)
    assert [line.split("\t")[0] for line in whole.stdout.splitlines()] == [
        str(file) for file in sorted((folder / "images").iterdir())
    ]  # no mask is a picture
    run, folder, _ = things
    result = call("predict", run, folder / "003.png", "--out", tmp_path / "things", "--set", "decode.smallest=3")
    assert result.exit_code == 0, result.output
    found = json.loads((tmp_path / "things" / "003.json").read_text())
    mask = np.asarray(Image.open(tmp_path / "things" / "003_mask.png"))
    assert len(found) == mask.max() > 0
    assert all(one["segmentation"]["size"] == [40, 48] for one in found)
    assert {one["category"] for one in found} <= {"red", "blue"}
    result = call("predict", run, folder / "003.png", "--out", tmp_path / "things.csv", "--set", "decode.smallest=3")
    rows = list(csv.DictReader((tmp_path / "things.csv").open()))
    assert [int(row["pixels"]) for row in rows] == np.bincount(mask.ravel())[1:].tolist()
    assert [row["prediction"] for row in rows] == [one["category"] for one in found]
    call("predict", classes[0], picture, "--out", tmp_path / "shares.csv")
    rows = list(csv.DictReader((tmp_path / "shares.csv").open()))
    assert all(row["file"] == str(picture) and 0 < float(row["share"]) < 1 for row in rows)
    again = call("predict", run, folder / "003.png", "--set", "decode.least=0.99999")
    assert again.stdout.split("\t")[1] == "nothing"
    assert refused_alone(call("predict", run, folder / "003.png", "--set", "decode.tile=8"), "decode.tile=8", "64")
    assert refused_alone(call("predict", run, folder / "003.png", "--out", folder), "a picture to predict on")
    broken = tmp_path / "broken.png"
    broken.write_bytes(b"no picture")
    result = call("predict", run, broken, folder / "003.png")
    assert result.exit_code == 1
    assert "broken.png" in result.stderr


def test_finetune_learns_new_classes_and_tells_what_is_forgotten(things, tmp_path):
    run, _, _ = things
    new = write_coco(tmp_path / "new", 6, seed=3, names=("red", "green"))
    result = call("finetune", run, new, "--set", "epochs=2", "--set", "lr=0.01", "--out", tmp_path / "tuned")
    assert result.exit_code == 0, result.output
    assert "New classes (1): green." in result.stdout
    report = json.loads((tmp_path / "tuned" / "report.json").read_text())
    assert set(report["old"]["after"]) == set(report["new"]["before"]) == {"bowl_ap50", "bowl_map", "mean_iou"}
    assert load_segmenter(tmp_path / "tuned").classes == ("red", "blue", "green")
    assert refused_alone(call("finetune", run, new, "--set", "protect=ewc"), "a segmenter does not measure")


def test_finetune_chooses_anew_how_things_are_grown(things, tmp_path, monkeypatch):
    run, _, _ = things
    chosen = []

    def choose(segmenter, items):
        chosen.append(len(items))
        return Growing(core=0.33)

    monkeypatch.setattr("rnnkit.recipes.instances_choice.choose_growing", choose)
    new = write_coco(tmp_path / "new", 6, seed=3)
    # With adapters the recurrence of ReNet gets low-rank changes, and the head, a convolution, trains whole.
    result = call("finetune", run, new, "--set", "epochs=1", "--set", "rank=2", "--out", tmp_path / "tuned")
    assert result.exit_code == 0, result.output
    assert (tmp_path / "tuned" / "adapters.safetensors").exists()
    assert chosen == [5]  # the pictures to learn, not the one that judges
    assert load_segmenter(tmp_path / "tuned").growing.core == 0.33


def test_inspect_tells_which_pixels_are_seen(classes):
    run, _, _ = classes
    result = call("inspect", run)
    assert result.exit_code == 0, result.output
    assert " of 40 × 48 pixels" in result.stdout
    assert "Page: " in result.stdout


def test_bad_data_is_told(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert refused_alone(call("train", "segment"), "data.path is missing", "rnnkit train segment FOLDER")
    write_things("things", 3)
    for file in (tmp_path / "things" / "masks").iterdir():
        file.unlink()
    assert refused_alone(call("train", "segment", "things"), "no picture with a mask is left", "masks/a.png")
    write_class_masks("empty", 3)
    for file in (tmp_path / "empty" / "masks").iterdir():
        Image.new("L", (48, 40)).save(file)
    assert refused_alone(call("train", "segment", "empty"), "empty")
    things_alone = call("train", "instances", "empty", "--set", "data.test_share=0.4")
    assert refused_alone(things_alone, "the masks are empty")
    write_class_masks("few", 2)
    assert refused_alone(call("train", "segment", "few"), "expected at least 3", "data.validation=0")
    result = call("train", "instances", "few", "--set", "data.mask_values=classes")
    assert refused_alone(result, "masks of classes", "Give each thing a number of its own in the mask")
    assert refused_alone(call("train", "segment", "few", "--set", "model.channels=8"), "two stages or more")
    assert refused_alone(call("train", "segment", "few", "--set", "decode.overlap=1000"), "at most half a tile")


def test_nuclei_takes_the_last_pictures_by_name_as_the_test(tmp_path):
    from rnnkit.recipes import find
    from rnnkit.runs.settings import override

    write_things(tmp_path / "set", 12)
    recipe = override(find("nuclei")(), [f"data.path={tmp_path / 'set'}", "data.test_pictures=3"])
    prepared = recipe.prepare()
    assert sorted(prepared.tests["test"].names) == ["images/009", "images/010", "images/011"]
    assert len(prepared.validation) == 1
    assert len(prepared.train) == 8
    assert "test: the last 3 pictures by name" in prepared.division
