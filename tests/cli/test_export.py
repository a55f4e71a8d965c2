"""``rnnkit export``: what it writes of a run and of a saved model, and what it answers to mistakes."""

import json

import numpy as np
import onnxruntime
import pytest
import torch
from commands import call, refused_alone
from digits import made_mnist
from empty_pictures import pictures_saved_empty

import rnnkit
from rnnkit.data import train_tokenizer
from rnnkit.recipes import find
from rnnkit.serialization import save_module


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    """A folder with a run of digits, a run without a network, and a saved model."""
    folder = tmp_path_factory.mktemp("runs")
    quick = ["--set", "fit.epochs=1", "--set", "model.hidden_size=8", "--device", "cpu"]
    (folder / "text.txt").write_text("to be or not to be that is the question\n" * 20)
    with pytest.MonkeyPatch.context() as patch, pictures_saved_empty():
        patch.setattr("rnnkit.data.mnist.load", lambda root=None: made_mnist(40, 20))
        assert call("train", "mnist", *quick, "--out", folder / "mnist").exit_code == 0
        trained = call("train", "ngram", folder / "text.txt", "--out", folder / "ngram")
        assert trained.exit_code == 0, trained.output
    save_module(rnnkit.SequenceTagger(rnnkit.GRU(3, 4), 2), folder / "alone.safetensors")
    save_module(torch.nn.Bilinear(2, 3, 4), folder / "foreign.safetensors")
    return folder


def test_a_run_becomes_a_file_that_answers_as_rnnkit_does(runs, tmp_path):
    result = call("export", runs / "mnist", "--to", "onnx", "--out", tmp_path / "digits.onnx", "--check")
    assert result.exit_code == 0, result.output
    assert "the largest deviation: whole" in result.stdout
    assert f"Written: {tmp_path / 'digits.onnx'}" in result.stdout
    told = json.loads((tmp_path / "digits.json").read_text())
    assert told["recipe"] == "mnist"
    assert told["settings"]["model"]["hidden_size"] == 8
    assert told["preprocessing"]["image"]["height"] == 28
    assert told["preprocessing"]["classes"][9] == "9"
    model, x = rnnkit.load(runs / "mnist"), torch.rand(2, 28, 28)
    session = onnxruntime.InferenceSession(str(tmp_path / "digits.onnx"), providers=["CPUExecutionProvider"])
    state = {one["input"]: np.zeros((1, 2, 8), np.float32) for one in told["parts"][0]["states"]}
    found = session.run(["logits"], {"x": x.numpy(), "lengths": np.array([28, 28]), **state})[0]
    with torch.no_grad():
        np.testing.assert_allclose(found, model(x).numpy(), atol=1e-5)


def test_a_saved_model_and_the_default_file(runs, tmp_path):
    model = tmp_path / "alone.safetensors"
    model.write_bytes((runs / "alone.safetensors").read_bytes())
    result = call("export", model, "--to", "onnx", "--whole")
    assert result.exit_code == 0, result.output
    assert {path.name for path in tmp_path.iterdir()} == {"alone.safetensors", "model.onnx", "model.json"}
    assert json.loads((tmp_path / "model.json").read_text())["parts"][0]["states"] == []


def test_files_are_compared_on_rows(runs, tmp_path):
    np.savez(tmp_path / "rows.npz", x=np.ones((6, 5, 3), "f4"), y=np.zeros((6, 5), int))
    typed = ["--to", "onnx", "--out", tmp_path / "m.onnx", "--int8", "--data", tmp_path / "rows.npz"]
    result = call("export", runs / "alone.safetensors", *typed)
    assert result.exit_code == 0, result.output
    assert "model: loss " in result.stdout
    assert "model: accuracy " in result.stdout
    assert f"Figures are of {tmp_path / 'rows.npz'}" in result.stdout


def test_two_formats_have_a_description_each(runs, tmp_path):
    model = tmp_path / "alone.safetensors"
    model.write_bytes((runs / "alone.safetensors").read_bytes())
    for kind in ("onnx", "keras"):
        assert call("export", model, "--to", kind).exit_code == 0
    assert json.loads((tmp_path / "model.json").read_text())["format"] == "rnnkit onnx"
    assert json.loads((tmp_path / "model.keras.json").read_text())["format"] == "keras"


def test_what_a_program_needs_beside_the_network_is_told(tmp_path):
    front = rnnkit.LineFront(32, channels=(4, 8, 8, 8), features=16)
    model = rnnkit.LineRecognizer(rnnkit.GRU(16, 8), 7, front=front)
    extra = {"reading": {"height": 32}, "tokenizer": train_tokenizer("char", ["yes"]).to_dict()}
    save_module(model, tmp_path / "m.safetensors", extra)
    assert call("export", tmp_path / "m.safetensors", "--to", "onnx", "--out", tmp_path / "m.onnx").exit_code == 0
    told = json.loads((tmp_path / "m.json").read_text())
    assert told["vocabulary"][:4] == ["<pad>", "<unk>", "<bos>", "<eos>"]
    assert sorted(told["vocabulary"][4:]) == ["e", "s", "y"]
    assert told["preprocessing"]["reading"] == {"height": 32}
    assert "blank" in told["parts"][0]["decoding"]


PICTURES = [
    "classify-images",
    "mnist-renet",
    "segment",
    "instances",
    "nuclei",
    "detect",
    "blood-cells",
    "read",
    "digit-strings",
]


@pytest.mark.parametrize("name", [*PICTURES, "video", "next-frames", "moving-digits"])
def test_recipes_tell_how_pictures_become_inputs(name):
    told = find(name)().describe_input()["image" if name in PICTURES else "frames"]
    assert "values" in told
    assert "size" in told
    json.dumps(told)


@pytest.mark.parametrize("kind", ["onnx", "keras"])
@pytest.mark.parametrize("content", ["not ours", '{"format": "mine"}', "[]"])
def test_files_of_others_are_not_overwritten(runs, tmp_path, kind, content):
    model, beside = tmp_path / f"m.{kind}", tmp_path / ("m.json" if kind == "onnx" else "m.keras.json")
    for other in (model, beside):
        other.write_text(content)
        assert refused_alone(
            call("export", runs / "alone.safetensors", "--to", kind, "--out", model), "--out, or move it"
        )
        assert [path.read_text() for path in tmp_path.iterdir()] == [content]
        other.unlink()
    for _ in range(2):  # its own files it replaces
        assert call("export", runs / "alone.safetensors", "--to", kind, "--out", model).exit_code == 0


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ("{runs}/mnist --to onxx", "did you mean 'onnx'"),
        ("{runs}/mnist --to onnx --out {tmp}/m.pt", "ends in .onnx"),
        ("{runs}/mnist --to onnx --out {tmp}", "ends in .onnx"),
        ("{runs}/mnist --to onnx --out {runs}/text.txt/m.onnx", "another place"),
        ("{runs}/text.txt --to onnx", "data; a run or a saved model comes first"),
        ("{runs}/nothing --to onnx", "does not exist"),
        ("{runs} --to onnx", "a folder that holds runs"),
        ("{runs}/ngram --to onnx", "no network"),
        ("{runs}/foreign.safetensors --to onnx", "weights of a module of your own"),
        ("{runs}/mnist --to onnx --portable", "--int8"),
        ("{runs}/mnist --to onnx --data {runs}/text.txt", "add --int8"),
        ("{runs}/mnist --to onnx --int8 --data {runs}/mnist", "/mnist --data FILE"),
        ("{runs}/alone.safetensors --to onnx --int8 --data {runs}/text.txt", "--data rows.npz with x [N, T, I] and y"),
        ("{runs}/mnist --to onnx --int8 --data {runs}/none.npz", "none.npz"),
        ("{runs}/mnist --to onnx --output m.onnx", "did you mean --out"),
    ],
)
def test_mistakes(runs, tmp_path, words, said):
    typed = words.format(runs=runs, tmp=tmp_path).split()
    assert refused_alone(call("export", *typed), said)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("kind", ["onnx", "keras"])
def test_a_place_that_takes_no_file_is_told(runs, tmp_path, kind):
    (tmp_path / "file").touch()
    out = tmp_path / "file" / f"m.{kind}"
    assert refused_alone(call("export", runs / "alone.safetensors", "--to", kind, "--out", out), "cannot be written")


def test_the_help_names_the_formats():
    result = call("export", "--help")
    assert result.exit_code == 0
    assert "--to" in result.stdout
    assert "onnx" in result.stdout
