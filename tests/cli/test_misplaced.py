"""An argument in the place of another: the answer says what arrived, and what to type."""

import shlex
import shutil

import numpy as np
import pytest
from commands import call, refused
from series_files import write_waves

from rnnkit import Learner, SequenceClassifier, SimpleRNN


@pytest.fixture
def run():
    """The folder of a run, as far as these answers look into it."""
    write_waves("my.csv")
    quick = ["--epochs", "1", "--hidden", "4", "--device", "cpu", "--set", "model.channels=4"]
    assert call("train", "classify", "my.csv", *quick).exit_code == 0
    return "runs/classify"


def test_what_is_misplaced_is_named(run):
    cases = [
        ("evaluate my.csv", "my.csv is data; a run comes first: `rnnkit evaluate RUN my.csv`"),
        (f"evaluate my.csv {run}", "my.csv is data, and a run comes first: `rnnkit evaluate runs/classify my.csv`"),
        (f"finetune my.csv {run}", "`rnnkit finetune runs/classify my.csv`"),
        (f"predict my.csv {run}", "a run or a saved model comes first: `rnnkit predict runs/classify my.csv`"),
        ("predict my.csv", "my.csv is data; a run or a saved model comes first: `rnnkit predict RUN my.csv`"),
        (f"inspect my.csv --data {run}", "`rnnkit inspect runs/classify my.csv`"),
        ("inspect my.csv", "my.csv is data; a run or a saved model comes first"),
        ("evaluate classify", "classify is a recipe; expected the folder of a run of it: `rnnkit evaluate runs/cl"),
        ("predict classify my.csv", "`rnnkit predict runs/classify my.csv`"),
        ("evaluate runs", "runs is a folder that holds runs; name one of them: `rnnkit evaluate runs/classify`"),
        (f"evaluate {run}/recipe.json", "is a file in the folder of a run; name the folder: `rnnkit evaluate runs/cl"),
        (f"evaluate {run}/model.safetensors my.csv", "name the folder: `rnnkit evaluate runs/classify my.csv`"),
        (f"inspect {run}/model.safetensors my.csv", "cannot read my.csv; name its run: `rnnkit inspect runs/classify"),
        (f"evaluate {run} {run}", "runs/classify is the folder of a run; expected data in its place"),
        (f"predict {run} {run}/model.safetensors", "is a saved model; expected data in its place"),
        (f"train classify {run}", "runs/classify is the folder of a run; expected data in its place"),
        (f"train {run}", "is the folder of a run; to go on with it type `rnnkit train --resume runs/classify`"),
        (f"train --resume {run} my.csv", "my.csv is data, but a run goes on with its own: `rnnkit train --resume r"),
        (f"train --resume {run} --data my.csv", "To learn other data type `rnnkit finetune runs/classify my.csv`"),
        ("train --resume my.csv", "my.csv is data; expected the folder of a run: `rnnkit train --resume RUN`"),
        ("train my.csv classify", "`rnnkit train classify my.csv`"),
        ("quantize my.csv", "a run comes first: `rnnkit quantize RUN --data my.csv`"),
        (f"quantize {run} --data {run}", "`rnnkit quantize runs/classify --data FILE`"),
        ("export my.csv --to onnx", "comes first: `rnnkit export --to onnx RUN --int8 --data my.csv`"),
        ("export classify --to keras", "`rnnkit export --to keras runs/classify`"),
        (f"export {run} my.onnx --to onnx", "one of rows; to write there type --out my.onnx"),
        (f"export {run} my.csv --to onnx", "arrived without --int8"),
        (f"quantize {run} my.csv --data my.csv", "expected one of them"),
    ]  # fmt: skip
    for typed, words in cases:
        assert refused(call(*shlex.split(typed)), words), typed


def test_what_the_answers_advise_works(run):
    swapped = [f"{typed} {run}" for typed in ("evaluate my.csv", "predict my.csv", "quantize my.csv --data")]
    for wrong in (*swapped, f"inspect {run}/model.safetensors my.csv"):
        advice = call(*shlex.split(wrong)).stderr.split("`")[1]
        assert call(*shlex.split(advice)[1:]).exit_code == 0, advice


def test_a_saved_model_alone_is_measured_on_arrays():
    write_waves("my.csv")
    Learner(SequenceClassifier(SimpleRNN(1, 4), classes=2)).save("alone")
    assert refused(call("inspect", "alone", "my.csv"), "alone is a model without a recipe", "pass an .npz file with x")
    assert refused(call("evaluate", "alone"), "alone is a saved model without the recipe of its run")
    np.savez("rows.npz", x=np.random.default_rng(0).normal(size=(8, 5, 1)).astype("f"), y=np.arange(8) % 2)
    assert call("inspect", "alone", "rows.npz").exit_code == 0


def test_predict_computes_where_it_is_told(run):
    given = call("predict", run, "my.csv", "--device", "cpu")
    assert given.exit_code == 0
    assert given.stdout == call("predict", run, "my.csv").stdout
    assert refused(call("predict", run, "my.csv", "--device", "gpu"), "gpu")


def test_a_run_folder_that_is_deleted_while_resuming_fails(run, monkeypatch):
    monkeypatch.setattr("rnnkit.training.watching.progress.Progress.epoch", lambda *_: shutil.rmtree(run, True))
    assert refused(call("train", "--resume", run, "--epochs", "3"), f"{run} was deleted while the run wrote into it")
