"""`rnnkit import` and the verbs that take its run."""

import json
from pathlib import Path

import numpy as np
import pytest
from commands import call, refused
from empty_pictures import empty_pictures
from keras_files import at, cell_arrays, functional, layer, sequential, tensor, write_h5, write_keras

import rnnkit
from rnnkit.ops.backend import native_core

__all__ = ["empty_pictures"]


@pytest.fixture
def arrays():
    rng = np.random.default_rng(0)
    found = at("layers/lstm/cell", cell_arrays(rng, 4, 3, 4, (16,)))
    return found | at("layers/dense", [rng.standard_normal((4, 2)).astype("float32"), np.zeros(2, "float32")])


@pytest.fixture
def run(tmp_path, arrays, monkeypatch):
    monkeypatch.chdir(tmp_path)
    config = sequential(layer("LSTM", units=4, stateful=True), layer("Dense", units=2, activation="softmax"))
    write_keras(Path("m.keras"), config, arrays)
    result = call("import", "m.keras", "--out", "run", "--classes", "calm,storm")
    assert result.exit_code == 0, result.output
    assert "Input x: numbers [any, any, 3]\nOutput dense: probabilities of classes\n" in result.stdout
    assert "layers.lstm: stateful=True is left out" in result.stderr
    rows = ["id,a,b,c,label"]
    rng = np.random.default_rng(1)
    for row in range(8):
        label = ["calm", "storm"][row % 2]
        steps = rng.standard_normal((3 + row % 3, 3)).round(3).tolist()
        rows += [",".join([f"r{row}", *map(str, step), label]) for step in steps]
    Path("rows.csv").write_text("\n".join(rows))
    x = rng.standard_normal((6, 5, 3)).astype("float32")
    np.savez("rows.npz", x=x, y=np.arange(6) % 2)
    return Path("run")


def test_a_run_from_outside_takes_every_verb(run):
    predicted = call("predict", run, "rows.csv", "--out", "answers.json")
    assert predicted.exit_code == 0, predicted.output
    answers = json.loads(Path("answers.json").read_text())
    assert set(answers[0]) == {"id", "prediction", "confidence"}
    assert {one["prediction"] for one in answers} <= {"calm", "storm"}
    of_arrays = call("predict", run, "rows.npz").stdout.splitlines()
    assert of_arrays[0].split() == ["id", "prediction", "confidence"]
    assert len(of_arrays) == 7
    for file in ("rows.csv", "rows.npz"):
        assert "Accuracy" in call("evaluate", run, file).stdout
    inspected = call("inspect", run, "rows.npz")
    assert inspected.exit_code == 0, inspected.output
    tuned = call("finetune", run, "rows.csv", "--epochs", 1, "--out", "tuned")
    assert tuned.exit_code == 0, tuned.output
    assert call("predict", "tuned", "rows.csv").exit_code == 0
    exported = call("export", "tuned", "--to", "onnx", "--check", "--out", "m.onnx")
    assert exported.exit_code == 0, exported.output
    assert json.loads(Path("m.json").read_text())["preprocessing"]["classes"] == ["calm", "storm"]
    assert "imported" in call("runs", ".").stdout
    assert rnnkit.load("tuned").names == ["lstm", "dense"]


@pytest.mark.skipif(native_core() is None, reason="without the native core")
def test_a_run_from_outside_in_8_bits(run):
    bare = call("quantize", run)
    assert bare.exit_code == 0, bare.output
    assert "runs of Imported hold no rows out for validation; name some: --data FILE" in bare.stderr
    compared = call("quantize", run, "--data", "rows.npz", "--out", "small")
    assert "Compared on rows.npz" in compared.stdout
    assert call("predict", "small", "rows.csv").exit_code == 0
    assert refused(call("inspect", "small", "rows.npz"), "8 bits", "rnnkit inspect run")


def test_what_a_run_from_outside_cannot_do_is_told(run):
    assert refused(call("evaluate", run), "held no rows back; name a file of rows: --data FILE")
    assert refused(call("inspect", run), "name a file of rows to measure it on")
    Path("two.csv").write_text("id,a,b,label\nr,1,2,calm\ns,3,1,storm\n")
    assert refused(call("predict", run, "two.csv"), "two.csv has", "the network takes 3 numbers a step")
    Path("other.csv").write_text("id,a,b,c,label\nr,1,2,3,snow\nr,1,2,4,snow\ns,3,1,2,storm\ns,3,1,1,storm\n")
    assert refused(call("finetune", run, "other.csv", "--out", "t"), "the class 'snow' is none of the network's")
    assert not Path("t").exists()


def test_the_column_of_answers_may_have_any_name(run):
    text = Path("rows.csv").read_text()
    Path("mood.csv").write_text(text.replace("label", "mood"))
    Path("bare.csv").write_text("\n".join(line.rpartition(",")[0] for line in text.splitlines()))
    again = "type `rnnkit import m.keras --target"
    assert refused(call("evaluate", run, "bare.csv"), "no column of labels found", f"{again} COLUMN`")
    answer = call("predict", run, "mood.csv")
    assert refused(answer, "column mood", f"take it out of the file if the column is no channel, or {again} mood`")
    named = call(*answer.stderr.split("`")[1].split()[1:], "--classes", "calm,storm", "--out", "named")
    assert named.exit_code == 0, named.output
    assert "Accuracy" in call("evaluate", "named", "mood.csv").stdout
    for file in ("mood.csv", "bare.csv"):
        assert call("predict", "named", file).exit_code == 0
    assert call("finetune", "named", "mood.csv", "--epochs", 1, "--out", "tuned").exit_code == 0
    assert refused(call("evaluate", "named", "rows.csv"), "there is no column 'mood'")


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["m.keras", "--classes", "a,b,c"], "names 3 classes; the model has 2"),
        (["m.keras", "--classes", "a,a"], "expected a different name for each class"),
        (["none.keras"], "none.keras does not exist"),
        (["m.keras", "--configuration", "m.json"], "a .keras file has one: leave it out"),
        (["none"], "none does not exist; expected a .keras or .h5 file, a .weights.h5 file with --configuration, or"),
        (["."], "is a folder; expected a .keras or .h5 file, a .weights.h5 file with --configuration, or an .onnx"),
        (["saved"], "is a SavedModel of TensorFlow's, which is not read: model.save('m.keras')"),
        (["m.pt"], "read_torch_layers"),
        (
            ["rows.csv"],
            "neither a file of Keras's by its content (a zip archive or HDF5), nor does its name end in .onnx",
        ),
        (["run"], "is a model of rnnkit's already"),
        (["m.keras", "--out", "run"], "run"),
    ],
)
def test_mistakes_are_named(run, arguments, words):
    Path("saved").mkdir()
    Path("saved/saved_model.pb").touch()
    Path("m.pt").touch()
    assert refused(call("import", *arguments), words)


def test_classes_are_counted_at_the_output(tmp_path, monkeypatch):
    """The layer that stands last in the file is not the one that ends in the classes."""
    monkeypatch.chdir(tmp_path)
    rng = np.random.default_rng(0)
    config = functional(
        [
            (layer("Conv1D", filters=3, kernel_size=[4]), [[tensor("x")]]),
            (layer("GlobalAveragePooling1D", "mean"), [[tensor("conv1d")]]),
            (layer("Dense", units=1, activation="sigmoid"), [[tensor("mean")]]),
            (layer("Multiply"), [[[tensor("mean"), tensor("dense")]]]),
            (layer("Softmax"), [[tensor("multiply")]]),
        ],
        [["x", 0, 0]],
        [["softmax", 0, 0]],
    )
    arrays = at("layers/conv1d", [rng.standard_normal((4, 3, 3)).astype("float32"), np.zeros(3, "float32")])
    arrays |= at("layers/dense", [rng.standard_normal((3, 1)).astype("float32"), np.zeros(1, "float32")])
    write_keras(Path("conv.keras"), config, arrays)
    assert refused(call("import", "conv.keras", "--classes", "a,b"), "names 2 classes; the model has 3")
    result = call("import", "conv.keras", "--classes", "a,b,c", "--out", "conv")
    assert result.exit_code == 0, result.output


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"x": ["a", "b"]}, "x is of type <U1"),
        ({"x": 3.0}, "x has shape ()"),
        ({"x": np.full((2, 4, 3), np.nan)}, "row 0 of x holds nan or inf"),
        ({"x": np.zeros((2, 4, 3)), "y": [1]}, "2 inputs arrived with 1 targets"),
        ({"x": np.zeros((2, 4, 3)), "lengths": ["a", "b"]}, "lengths is of type <U1"),
        ({"x": np.zeros((2, 4, 3)), "lengths": [4, 5]}, "expected lengths [2] of whole numbers from 1 to 4"),
        ({"x": np.zeros((2, 4, 3)), "lengths": [[4], [4]]}, "expected lengths [2]"),
    ],
)
def test_arrays_that_do_not_fit_are_named(run, given, words):
    np.savez("odd.npz", **given)
    assert refused(call("evaluate" if "y" in given else "predict", run, "odd.npz"), words)


def test_whole_numbers_are_taken_as_fractions(run):
    np.savez("whole.npz", x=np.ones((2, 4, 3), int))
    assert call("predict", run, "whole.npz").exit_code == 0


def test_a_truncated_file_of_arrays_is_named(run):
    Path("cut.npz").write_bytes(Path("rows.npz").read_bytes()[:200])
    assert refused(call("predict", run, "cut.npz"), "cut.npz", ".npz file")


def test_several_inputs_and_outputs(tmp_path, arrays, monkeypatch):
    monkeypatch.chdir(tmp_path)
    dense = [layer("Dense", name, units=2, activation="sigmoid") for name in ("one", "two")]
    config = functional(
        [
            (layer("LSTM", units=4), [[tensor("a")]]),
            (layer("Add"), [[[tensor("lstm"), tensor("b")]]]),
            *[(one, [[tensor("add")]]) for one in dense],
        ],
        [["a", 0, 0], ["b", 0, 0]],
        {"first": ["one", 0, 0], "second": ["two", 0, 0]},
        {"b": (None, 4)},
    )
    weights = {**arrays, **{path.replace("dense", "dense_1"): one for path, one in arrays.items() if "dense" in path}}
    Path("m.json").write_text(json.dumps(config))
    write_h5(Path("m.weights.h5"), weights)
    result = call("import", "m.weights.h5", "--configuration", "m.json", "--out", "run")
    assert result.exit_code == 0, result.output
    np.savez("rows.npz", a=np.ones((3, 5, 3), "float32"), b=np.zeros((3, 4), "float32"))
    np.savez("words.npz", a=["a"], b=["b"])
    assert refused(call("predict", "run", "words.npz"), "a is of type <U1")
    predicted = call("predict", "run", "rows.npz").stdout.splitlines()
    names = [f"prediction_{name}_{number}" for name in ("first", "second") for number in (0, 1)]
    assert predicted[0].split() == ["id", *names]
    assert refused(call("finetune", "run", "rows.npz", "--out", "t"), "an array of answers for each output, too: first")
    assert not Path("t").exists()


def test_a_file_that_masks_its_padding_is_not_said_to_lack_it(tmp_path, arrays, monkeypatch):
    monkeypatch.chdir(tmp_path)
    last = [layer("LSTM", units=4), layer("Dense", units=2, activation="softmax")]
    for name, layers in (("masked", [layer("Masking", mask_value=-1.0), *last]), ("plain", last)):
        write_keras(Path(f"{name}.keras"), sequential(*layers), arrays)
        assert call("import", f"{name}.keras", "--out", name).exit_code == 0
        told = call("export", name, "--to", "keras").stdout
        assert ("rows without padding" in told) == (name == "plain")
