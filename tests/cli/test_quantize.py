"""``rnnkit quantize``: the run that it makes, what it tells, and what it answers to mistakes."""

import json
import shutil

import pytest
import torch
from commands import call, refused, refused_alone
from digits import made_mnist
from empty_pictures import pictures_saved_empty

import rnnkit
from rnnkit.layers.quantized import is_quantized
from rnnkit.ops.backend import native_core
from rnnkit.serialization import save_module

pytestmark = pytest.mark.skipif(native_core() is None, reason="without the native core")
QUICK = ("--set", "fit.epochs=1", "--set", "model.hidden_size=16", "--device", "cpu")


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    """Runs of digits (with and without validation images), of a text, and of no network."""
    folder = tmp_path_factory.mktemp("runs")
    (folder / "text.txt").write_text("to be or not to be that is the question 0123456789 ABCDEFGHIJKL\n" * 40)
    made = {
        "mnist": ("mnist", *QUICK, "--cell", "lstm", "--set", "data.holdout=20"),
        "bare": ("mnist", *QUICK),
        "lm": ("lm", folder / "text.txt", *QUICK, "--set", "model.embedding_size=8"),
        "ngram": ("ngram", folder / "text.txt"),
    }
    with pytest.MonkeyPatch.context() as patch, pictures_saved_empty():
        patch.setattr("rnnkit.data.mnist.load", lambda root=None: made_mnist(60, 20))
        for name, words in made.items():
            trained = call("train", *words, "--out", folder / name)
            assert trained.exit_code == 0, trained.output
    return folder


@pytest.fixture
def made_digits(monkeypatch):
    monkeypatch.setattr("rnnkit.data.mnist.load", lambda root=None: made_mnist(60, 20))


def test_a_run_of_digits(runs, made_digits):
    result = call("quantize", runs / "mnist")
    assert result.exit_code == 0, result.output
    small = runs / "mnist-int8"
    assert f"Run folder: {small}" in result.stdout
    assert "8 bits: body, LSTM(28, 16" in result.stdout
    assert "Float as before: head: Linear: 8 bits would save next to nothing in 10 × 16 weights" in result.stdout
    assert "held out from training for validation" in result.stdout
    assert "test" not in result.stdout.split("Compared on")[1]
    told = json.loads((small / "quantize.json").read_text())
    assert told["run"] == str(runs / "mnist")
    assert told["bytes"][1] < told["bytes"][0]
    assert set(told["figures"]) == {"loss", "accuracy"}
    assert all(after > 0 for _, after in told["milliseconds"].values())
    assert json.loads((small / "metrics.json").read_text())["validation"]["loss"] == told["figures"]["loss"][1]
    model = rnnkit.load(small)
    assert is_quantized(model)
    before, after = told["figures"]["loss"]
    assert after == pytest.approx(before, rel=0.05)
    evaluated = call("evaluate", small)
    assert evaluated.exit_code == 0, evaluated.output
    assert "Accuracy" in evaluated.stdout
    again = call("quantize", runs / "mnist")
    assert f"Run folder: {small}-2" in again.stdout


def test_a_language_model_generates(runs):
    result = call("quantize", runs / "lm", "--out", runs / "small-lm")
    assert result.exit_code == 0, result.output
    assert "erplexity" in result.stdout
    assert "8 bits: front, Embedding(" in result.stdout
    assert "8 bits: head, Linear(in_features=16" in result.stdout
    assert "Embeddings, 32 × 50 ids" in result.stdout
    text = call("generate", runs / "small-lm", "--prompt", "to be", "--max-tokens", 5)
    assert text.exit_code == 0, text.output
    compared = call("quantize", runs / "lm", "--out", runs / "small-lm-2", "--data", runs / "text.txt")
    assert f"Compared on {runs / 'text.txt'}:" in compared.stdout


def test_a_run_without_validation_rows_is_not_compared(runs, made_digits, tmp_path):
    result = call("quantize", runs / "bare", "--out", tmp_path / "small")
    assert result.exit_code == 0, result.output
    assert "data.holdout=0" in result.stderr
    assert "Compared" not in result.stdout


def test_a_run_is_named_by_its_place_and_its_exports_stay_there(runs, made_digits, monkeypatch):
    folder = runs / "place" / "数字 一"
    shutil.copytree(runs / "mnist", folder)
    for name in ("model.onnx", "model.json", "model.keras"):
        (folder / name).write_bytes(b"exported")
    monkeypatch.chdir(folder)
    result = call("quantize", ".")
    assert result.exit_code == 0, result.output
    small = runs / "place" / "数字 一-int8"
    assert json.loads((small / "quantize.json").read_text())["run"] == str(folder)
    assert not any(path.name in ("model.onnx", "model.json", "model.keras") for path in small.iterdir())
    assert refused(call("inspect", small), f"rnnkit inspect '{folder}'")


def test_a_place_in_use_is_told_before_anything_is_computed(runs, made_digits, tmp_path, monkeypatch):
    monkeypatch.setattr("rnnkit.recipes.quantizing._figures", None)
    assert refused_alone(call("quantize", runs / "mnist", "--out", runs / "lm"), "in use")
    inside = call("quantize", runs / "mnist", "--out", runs / "mnist" / "small")
    assert refused_alone(inside, "lies in the folder of another run", f"--out {runs / 'mnist-small'}")
    (tmp_path / "file").touch()
    assert refused_alone(call("quantize", runs / "mnist", "--out", tmp_path / "file" / "small"), "no run folder can be")


def test_mistakes(runs, made_digits, tmp_path):
    small = tmp_path / "small"
    assert call("quantize", runs / "mnist", "--out", small).exit_code == 0
    assert refused_alone(call("quantize", small), "8 bits already")
    assert refused_alone(call("quantize", runs / "ngram"), "is no network")
    assert refused_alone(call("quantize", runs / "nothing"), "nothing")
    assert refused_alone(call("quantize", tmp_path), str(tmp_path))
    assert refused(call("quantize", runs / "mnist", "--out", small), "in use")
    assert refused_alone(call("quantize", runs / "mnist", "--encoding", "utf-8"), "--data")
    assert refused_alone(call("quantize", runs / "mnist", "--data", tmp_path / "rows.csv"), "own test set")
    assert refused(call("export", small, "--to", "onnx"), "8 bits", str(runs / "mnist"))
    assert refused(call("export", small, "--to", "keras"), "8 bits")
    assert refused_alone(
        call("finetune", small, "--data", runs / "text.txt"), "8 bits", f"rnnkit finetune {runs / 'mnist'} FILE"
    )
    assert refused_alone(call("finetune", "--resume", small), "8 bits", f"rnnkit finetune {runs / 'mnist'} FILE")
    assert refused(call("export", small / "model.safetensors", "--to", "onnx"), "8 bits", str(runs / "mnist"))
    assert refused(call("inspect", small), "8 bits", f"rnnkit inspect {runs / 'mnist'}")
    assert not (runs / "mnist-int8-3").exists()


def test_a_run_without_recurrent_layers_is_refused(runs, made_digits, tmp_path):
    folder = tmp_path / "plain"
    folder.mkdir()
    for path in (runs / "mnist").iterdir():
        (folder / path.name).write_bytes(path.read_bytes())
    save_module(rnnkit.SequenceClassifier(rnnkit.RNN(rnnkit.GRUCell(28, 8)), classes=10), folder)
    assert refused_alone(call("quantize", folder), "no layer", "body (RNN)")
    assert not (tmp_path / "plain-int8").exists()
    save_module(torch.nn.Bilinear(2, 3, 4), folder)
    assert refused_alone(call("quantize", folder), "module of your own")
