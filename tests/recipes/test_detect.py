"""The recipes that find things in pictures and what is done with their runs, on made squares and discs."""

import csv
import json

import pytest
from boxed import SIZE, picture_of, write_boxed
from commands import call, refused_alone, validates_again
from masks import write_things
from PIL import Image

from rnnkit.tasks.detection import load_detector

SMALL = (
    f"model.size={SIZE} model.channels=16 model.deep=24 model.hidden_size=8 model.features=24 model.decoder_size=24 "
    "model.blocks=0 fit.lr=0.01 fit.average=none augment.scale=0 augment.shift=0 augment.saturation=0 augment.hue=0 "
    "device=cpu"
)


def settings(text):
    return [part for one in text.split() for part in ("--set", one)]


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """A run on squares and discs, and the folder that it learned from."""
    folder = tmp_path_factory.mktemp("detect")
    write_boxed(folder / "things", 60)
    more = settings(f"{SMALL} fit.epochs=12 data.validation=0.15 data.test_share=0.2")
    result = call("train", "detect", folder / "things", *more, "--out", folder / "run")
    assert result.exit_code == 0, result.output
    return folder / "run", folder / "things"


def test_a_run_learns_and_reports(trained):
    run, _ = trained
    metrics = json.loads((run / "metrics.json").read_text())
    assert validates_again(run)
    assert metrics["test"]["map50"] > 0.4
    assert {"ap50_disc", "ap50_square", "count_error_disc", "ece"} <= set(metrics["test"])
    assert "mean average precision over IoU 0.5 to 0.95 of validation (" in metrics["chosen_on"]
    page = (run / "report.html").read_text()
    for part in ("Precision and recall", "Worst pictures", "urest mistakes", "What the scores mean", "Learning curves"):
        assert part in page
    rows = list(csv.DictReader((run / "classes.csv").open()))
    assert [row["class"] for row in rows] == ["disc", "square"]


def test_the_results_are_those_of_coco(trained):
    from contextlib import redirect_stdout
    from io import StringIO

    from faster_coco_eval import COCO, COCOeval_faster

    run, _ = trained
    metrics = json.loads((run / "metrics.json").read_text())
    with redirect_stdout(StringIO()):
        truth = COCO(str(run / "truth.json"))
        evaluation = COCOeval_faster(truth, truth.loadRes(str(run / "detections.json")), "bbox")
        evaluation.run()
    assert evaluation.stats[1] == pytest.approx(metrics["test"]["map50"], abs=2e-3)


def test_evaluate_gives_the_same_figures_and_takes_other_pictures(trained, tmp_path):
    run, _ = trained
    metrics = json.loads((run / "metrics.json").read_text())
    result = call("evaluate", run)
    assert f"Mean average precision at IoU 0.5: {metrics['test']['map50']:.4g}" in result.stdout, result.output
    others = write_boxed(tmp_path / "others", 6, seed=7)
    (others / "broken.png").write_bytes(b"no picture")
    with (others / "boxes.csv").open("a") as table:
        table.write("broken.png,disc,0,0,9,9\n")
    result = call("evaluate", run, others, "--set", "decode.least=0.4")
    assert result.exit_code == 0, result.output
    assert "broken" in result.stderr  # it was left out
    assert (run / "classes-others.csv").exists()
    assert (run / "precision_recall-others.png").exists()
    unknown = write_boxed(tmp_path / "unknown", 6, seed=7, names=("disc", "flag"))
    result = call("evaluate", run, unknown)
    assert refused_alone(result, "has boxes of the class 'flag', which the detector does not know")
    assert refused_alone(call("evaluate", run, "--set", "decode.leest=0.4"), "decode.least")


def test_predict_prints_draws_and_writes_tables(trained, tmp_path):
    run, things = trained
    _, true = picture_of(3)
    result = call("predict", run, things / "003.png", "--out", tmp_path / "drawn")
    assert result.exit_code == 0, result.output
    entries = json.loads((tmp_path / "drawn" / "003.json").read_text())
    assert {entry["image_id"] for entry in entries} <= {"003"}
    assert {"category_id", "category", "bbox", "score"} == set(entries[0]) - {"image_id"}
    assert (tmp_path / "drawn" / "003.png").exists()
    line = result.stdout.splitlines()[0].split("\t")
    assert line[0] == str(things / "003.png")
    assert sum(int(one.split()[0]) for one in line[1].split(", ")) == len(entries)
    assert abs(len(entries) - len(true)) <= 1
    result = call("predict", run, things / "003.png", things / "004.png", "--out", tmp_path / "boxes.csv")
    assert result.exit_code == 0, result.output
    rows = list(csv.DictReader((tmp_path / "boxes.csv").open()))
    assert set(rows[0]) == {"file", "prediction", "score", "left", "top", "right", "bottom"}
    assert {row["file"] for row in rows} == {str(things / "003.png"), str(things / "004.png")}
    result = call("predict", run, things, "--out", tmp_path / "all.csv")
    assert {row["file"] for row in csv.DictReader((tmp_path / "all.csv").open())} > {str(things / "003.png")}
    broken = tmp_path / "broken.png"
    broken.write_bytes(b"no picture")
    Image.new("L", (30, 20), 120).save(tmp_path / "grey.png")
    result = call("predict", run, broken, tmp_path / "grey.png", "--set", "decode.least=0.95")
    assert result.exit_code == 1
    assert "broken.png" in result.stderr
    assert result.stdout.splitlines() == [f"{tmp_path / 'grey.png'}\tnothing"]
    result = call("predict", run, tmp_path / "grey.png", "--out", tmp_path / "none.csv", "--set", "decode.least=0.95")
    assert result.stdout.splitlines()[-1] == f"Nothing was found in 1 of 1: {tmp_path / 'grey.png'}"


def test_finetune_learns_a_new_class(trained, tmp_path):
    run, _ = trained
    new = write_boxed(tmp_path / "new", 20, names=("flag",), seed=3)
    more = settings("epochs=6 lr=0.01 batch_size=8")
    result = call("finetune", run, new, *more, "--out", tmp_path / "tuned")
    assert result.exit_code == 0, result.output
    assert "New classes to find (1): flag." in result.stdout
    assert "New classes to find (1): flag." in (tmp_path / "tuned" / "report.html").read_text(encoding="utf-8")
    report = json.loads((tmp_path / "tuned" / "report.json").read_text())
    assert report["new"]["after"]["ap50_flag"] > report["new"]["before"]["ap50_flag"]
    assert {"map50", "ap50_disc"} <= set(report["old"]["after"])
    before, after = (load_detector(folder, device="cpu") for folder in (run, tmp_path / "tuned"))
    assert after.classes == ("disc", "square", "flag")
    assert after.least[:2] == before.least  # no disc or square is in the new pictures
    assert after.calibration.slopes[:2] == before.calibration.slopes
    assert refused_alone(call("finetune", run, new, "--set", "protect=ewc"), "type --set protect=l2-sp")
    assert refused_alone(call("finetune", run, new, *settings("classes=replace replay=none")), "train anew")


def test_inspect_looks_into_it(trained):
    run, _ = trained
    result = call("inspect", run)
    assert result.exit_code == 0, result.output
    assert "Page: " in result.stdout
    assert f" × {SIZE} pixels" in result.stdout  # which an output sees


def test_the_set_decoder_trains_too(tmp_path):
    things = write_boxed(tmp_path / "things", 24)
    more = settings(f"{SMALL} fit.epochs=2 model.head=set model.context=none data.test_share=0.2")
    result = call("train", "detect", things, *more, "--out", tmp_path / "run")
    assert result.exit_code == 0, result.output
    model = load_detector(tmp_path / "run", device="cpu").model
    assert model.decoder.steps >= 2
    assert " pixels" in call("inspect", tmp_path / "run").stdout
    without = [*settings(f"{SMALL} fit.epochs=1 model.context=conv data.test_share=0.2"), "--out", tmp_path / "conv"]
    assert call("train", "detect", things, *without).exit_code == 0
    assert refused_alone(
        call("inspect", tmp_path / "conv"), "CentreDetector has no recurrent layer that can be looked into"
    )


def test_contexts_have_about_equal_sizes():
    from rnnkit.recipes.detect_network import build
    from rnnkit.tasks.detection_settings import DetectorNetwork

    for head in ("dense", "set"):
        sizes = {
            context: sum(one.numel() for one in build(DetectorNetwork(head=head, context=context), 3, 3).parameters())
            for context in ("renet", "conv", "none")
        }
        assert abs(sizes["conv"] / sizes["renet"] - 1) < 0.1
        assert sizes["none"] < sizes["conv"]


def test_bad_input(tmp_path):
    assert refused_alone(call("train", "detect"), "name the pictures to learn from, as in `rnnkit train detect FOLDER`")
    mirrored = settings("model.head=set decode.flips=true")
    assert refused_alone(call("train", "detect", *mirrored), "leave decode.flips out, or train with --set")
    plain = tmp_path / "plain"
    plain.mkdir()
    for number in range(3):
        Image.fromarray(picture_of(number)[0]).save(plain / f"{number}.png")
    assert refused_alone(call("train", "detect", plain), "no picture with a box is left")
    things = write_boxed(tmp_path / "things", 4)
    result = call("train", "detect", things, "--set", "model.channels=0")
    assert refused_alone(result, "model.channels=0 arrived; expected numbers of at least 1")
    result = call("train", "detect", things, *settings("data.validation=0 fit.early_stopping=3"))
    assert refused_alone(result, "fit.early_stopping needs pictures to judge by")
    assert refused_alone(call("train", "detect", things, "--set", "model.head=dence"), "dense")
    result = call("train", "detect", things, "--set", "data.by=group")
    assert refused_alone(result, "have no group; find them in the names by --set data.group=", "data.by=random")
    assert "read_pictures(" not in result.stderr
    flags = write_boxed(tmp_path / "flags", 4)
    (flags / "boxes.csv").write_text((flags / "boxes.csv").read_text().replace("disc", "flag"))
    result = call("train", "detect", things, "--set", f"data.test={flags}")
    assert refused_alone(result, "has boxes of the class 'flag'", "Name test pictures of classes")
    image = {"id": 1, "file_name": "000.png", "width": SIZE, "height": SIZE}
    crowd = {"image_id": 1, "category_id": 1, "bbox": [1, 1, 9, 9], "iscrowd": 1}
    content = {"images": [image], "annotations": [crowd], "categories": [{"id": 1, "name": "disc"}]}
    (things / "boxes.csv").unlink()
    (things / "crowd.json").write_text(json.dumps(content))
    assert refused_alone(call("train", "detect", things), "All boxes are marked as crowds or as difficult")


def test_pictures_whose_pixels_cannot_be_read_are_left_out(tmp_path):
    from rnnkit.recipes import find
    from rnnkit.runs.settings import override

    things = write_boxed(tmp_path / "things", 6)
    Image.open(things / "003.png").save(things / "torn.jpg")
    whole = (things / "torn.jpg").read_bytes()
    middle = len(whole) // 2
    (things / "torn.jpg").write_bytes(whole[:middle] + b"\xff\xd8\0" * 13 + whole[middle + 39 :])
    with (things / "boxes.csv").open("a") as table:
        table.write("torn.jpg,disc,0,0,9,9\n")
    recipe = override(find("detect")(), [f"data.path={things}", "data.validation=0", "data.test_share=0"])
    prepared = recipe.prepare()
    assert "train: 1 of 7 pictures cannot be read, and is left out: torn." in prepared.told
    assert len(prepared.train) == 6
    recipe = override(find("detect")(), [f"data.path={write_things(tmp_path / 'masks', 6)}", "data.validation=0"])
    prepared = recipe.prepare()  # of masks with the numbers of things, though these may be few
    assert prepared.classes == ("object",)


def test_blood_cells_keeps_the_test_part_of_the_set(tmp_path, monkeypatch):
    """The set's own validation pictures are learned from, unless they are asked for; its test pictures are kept."""
    from dataclasses import replace

    from rnnkit.data.images import read_pictures
    from rnnkit.recipes import find
    from rnnkit.recipes.blood_cells import BloodData

    pictures = read_pictures(write_boxed(tmp_path / "things", 30))
    parts = ["train"] * 18 + ["validation"] * 6 + ["test"] * 6
    divided = replace(
        pictures, pictures=tuple(replace(one, part=part) for one, part in zip(pictures, parts, strict=True))
    )
    monkeypatch.setattr("rnnkit.data.images.read_pictures", lambda *_, **__: divided)
    recipe = find("blood-cells")()
    for data, counts in ((recipe.data, (22, 2, 6)), (BloodData(own_validation=True), (18, 6, 6))):
        prepared = replace(recipe, data=data).prepare()
        assert (len(prepared.train), len(prepared.validation), len(prepared.tests["test"])) == counts
