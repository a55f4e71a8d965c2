"""Imported networks with several inputs and outputs take every verb."""

from pathlib import Path

import numpy as np
import pytest
import torch
from commands import call, refused
from empty_pictures import empty_pictures
from keras_files import at, cell_arrays, functional, layer, tensor, write_keras

import rnnkit
from rnnkit.recipes.imported_several import SeveralRows, pack_rows, row_losses

__all__ = ["empty_pictures"]


@pytest.fixture
def rows(tmp_path, monkeypatch):
    """A run of a network with a series, an id and numbers as inputs, classes and a number a step as outputs."""
    monkeypatch.chdir(tmp_path)
    rng = np.random.default_rng(0)
    config = functional(
        [
            (layer("LSTM", units=4, return_sequences=True), [[tensor("a")]]),
            (layer("Dense", "step", units=1), [[tensor("lstm")]]),
            (layer("GlobalAveragePooling1D", "mean"), [[tensor("lstm")]]),
            (layer("Embedding", input_dim=7, output_dim=4), [[tensor("day")]]),
            (layer("Flatten"), [[tensor("embedding")]]),
            (layer("Add"), [[[tensor("mean"), tensor("flatten"), tensor("b")]]]),
            (layer("Dense", "kind", units=3, activation="softmax"), [[tensor("add")]]),
        ],
        [["a", 0, 0], ["day", 0, 0], ["b", 0, 0]],
        {"kind": ["kind", 0, 0], "a": ["step", 0, 0]},
        {"b": (None, 4), "day": (None, 1)},
    )
    for one in config["config"]["layers"]:
        if one["name"] == "day":
            one["config"]["dtype"] = "int32"
    arrays = at("layers/lstm/cell", cell_arrays(rng, 4, 3, 4, (16,)))
    arrays |= at("layers/dense", [rng.standard_normal((4, 1)).astype("float32"), np.zeros(1, "float32")])
    arrays |= at("layers/embedding", [rng.standard_normal((7, 4)).astype("float32")])
    arrays |= at("layers/dense_1", [rng.standard_normal((4, 3)).astype("float32"), np.zeros(3, "float32")])
    write_keras(Path("m.keras"), config, arrays)
    result = call("import", "m.keras", "--out", "run")
    assert result.exit_code == 0, result.output
    found = {"a": rng.standard_normal((20, 6, 3)), "day": rng.integers(0, 7, (20, 1))}
    found |= {"b": rng.standard_normal((20, 4)), "kind": rng.integers(0, 3, 20), "y_a": rng.standard_normal((20, 6))}
    np.savez("rows.npz", **found)
    return found


def test_every_verb(rows):
    assert "prediction_kind" in call("predict", "run", "rows.npz").stdout
    before = call("evaluate", "run", "rows.npz").stdout
    assert {line.split(":")[0] for line in before.splitlines()} >= {"Loss", "Loss kind", "Accuracy kind", "Loss a"}
    tuned = call("finetune", "run", "rows.npz", "--epochs", 3, "--lr", 0.05, "--out", "tuned")
    assert tuned.exit_code == 0, tuned.output
    after = call("evaluate", "tuned", "rows.npz").stdout
    loss = [float(text.splitlines()[0].split()[-1]) for text in (before, after)]
    assert loss[1] < loss[0]
    assert set(rnnkit.load("tuned").state_dict()) == set(rnnkit.load("run").state_dict())
    inspected = call("inspect", "tuned", "rows.npz", "--out", "page.html")
    assert inspected.exit_code == 0, inspected.output
    assert "of 2 outputs a is looked at" in inspected.stderr
    assert "steps back" in inspected.stdout
    quantized = call("quantize", "run", "--data", "rows.npz", "--out", "small")
    assert "Compared on rows.npz" in quantized.stdout, quantized.output
    frozen = call("finetune", "run", "rows.npz", "--epochs", 1, "--set", "freeze=layers.lstm", "--out", "frozen")
    assert frozen.exit_code == 0, frozen.output
    name = next(name for name in rnnkit.load("run").state_dict() if "weight_hh" in name)
    assert rnnkit.load("frozen").state_dict()[name].equal(rnnkit.load("run").state_dict()[name])


def test_lengths_count(rows):
    np.savez("padded.npz", **rows, lengths=np.arange(20) % 6 + 1)
    model = rnnkit.load("run")
    a = torch.tensor(rows["a"]).float()
    a[:, -1] = torch.nan
    np.savez("nan.npz", **{**rows, "a": a.nan_to_num(3.0).numpy()}, lengths=np.full(20, 5))
    np.savez("cut.npz", **{**rows, "a": rows["a"][:, :5], "y_a": rows["y_a"][:, :5]})
    assert call("evaluate", "run", "nan.npz").stdout == call("evaluate", "run", "cut.npz").stdout
    for verb in ("evaluate", "inspect"):
        assert call(verb, "run", "padded.npz").exit_code == 0
    tuned = call("finetune", "run", "padded.npz", "--epochs", 1, "--out", "tuned")
    assert tuned.exit_code == 0, tuned.output
    assert model.inputs == ["a", "day", "b"]


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"kind": None}, "expected an array of answers for each output, too: kind"),
        ({"a": None}, "expected an array for each input: a"),
        ({"kind": np.full(20, 3)}, "kind holds classes from 3 to 3; the output has 0 to 2"),
        ({"kind": np.ones((20, 3))}, "kind holds whole numbers [20, 3]; expected the number of the class, [20]"),
        ({"kind": np.zeros(19, int)}, "20 inputs arrived with 19 rows of kind"),
        ({"y_a": np.zeros((20, 5))}, "y_a has shape [20, 5]; the output gives [20, 6, 1]"),
        ({"y_a": np.full((20, 6), np.nan)}, "y_a holds nan or inf"),
        ({"b": np.zeros((19, 4))}, "the arrays of the inputs have [20, 20, 19] rows"),
        ({"b": np.zeros((20, 5))}, "layer 'add' cannot take inputs of shape"),
        ({"day": np.array([[0]] * 15 + [[9]] * 5)}, "to 9 arrived; the embedding has rows 0 to 6"),
        ({"lengths": np.full(20, 7)}, "expected lengths [20] of whole numbers from 1 to 6"),
    ],
)
def test_arrays_that_do_not_fit_are_named(rows, change, words):
    np.savez("odd.npz", **{name: one for name, one in (rows | change).items() if one is not None})
    for verb in ("evaluate", "finetune"):
        assert refused(call(verb, "run", "odd.npz", *([] if verb == "evaluate" else ["--out", "t"])), words)
    assert not Path("t").exists()


def test_a_table_is_refused_with_the_arrays_that_are_expected(rows):
    Path("rows.csv").write_text("id,a,b,c\nr,1,2,3\n")
    assert refused(call("evaluate", "run", "rows.csv"), "for each input: a, day, b; and for each output: y_a, kind")


def test_two_uneven_batches_have_the_loss_of_one(rows):
    model = rnnkit.load("run")
    inputs = [torch.tensor(rows["a"]).float(), torch.tensor(rows["day"]), torch.tensor(rows["b"]).float()]
    targets = [torch.tensor(rows["y_a"]).float()[..., None], torch.tensor(rows["kind"])]
    lengths = torch.arange(20) % 6 + 1
    x, y, objective = pack_rows(model, SeveralRows(Path("rows.npz"), inputs, lengths, targets))
    learner = rnnkit.Learner(model, objective=objective, metrics=[])
    whole, parts = (learner.evaluate((x, y), batch_size=size)["loss"] for size in (20, 13))
    assert whole == pytest.approx(parts, rel=1e-6)
    assert all(one.equal(other) for one, other in zip(objective.given(x)[0], inputs, strict=True))
    with torch.no_grad():
        found = model(inputs, lengths)
        each = [row_losses(*one, lengths) for one in zip(found, targets, model.final, strict=True)]
    assert whole == pytest.approx(float(torch.stack(each).sum(0).mean()), rel=1e-6)


def test_outputs_of_one_layer_have_different_names(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    rng, inner = np.random.default_rng(0), layer("LSTM", units=4)
    backward = layer("LSTM", "back", units=4, go_backwards=True)
    both = layer("Bidirectional", "both", layer=inner, merge_mode=None, backward_layer=backward)
    config = functional([(both, [[tensor("x")]])], [["x", 0, 0]], [["both", 0, 0], ["both", 0, 1]])
    arrays = {}
    for side in ("forward_layer", "backward_layer"):
        arrays |= at(f"layers/bidirectional/{side}/cell", cell_arrays(rng, 4, 3, 4, (16,)))
    write_keras(Path("m.keras"), config, arrays)
    assert call("import", "m.keras", "--out", "run").exit_code == 0
    assert rnnkit.load("run").output_names == ["both", "both_1"]
    np.savez("rows.npz", x=np.ones((4, 5, 3)), both=np.zeros((4, 4)), both_1=np.zeros((4, 4)))
    header = call("predict", "run", "rows.npz").stdout.splitlines()[0].split()
    assert header == ["id", *[f"prediction_{name}_{number}" for name in ("both", "both_1") for number in range(4)]]
    assert "Loss both 1" in call("evaluate", "run", "rows.npz").stdout


def test_an_input_named_y_is_no_target_and_an_output_named_lengths_is_none_of_rows(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    rng = np.random.default_rng(0)
    config = functional(
        [(layer("LSTM", units=4), [[tensor("y")]]), (layer("Dense", "lengths", units=1), [[tensor("lstm")]])],
        [["y", 0, 0]],
        [["lengths", 0, 0]],
    )
    arrays = at("layers/lstm/cell", cell_arrays(rng, 4, 3, 4, (16,)))
    arrays |= at("layers/dense", [rng.standard_normal((4, 1)).astype("float32"), np.zeros(1, "float32")])
    write_keras(Path("m.keras"), config, arrays)
    assert call("import", "m.keras", "--out", "run").exit_code == 0
    x, answers = rng.standard_normal((9, 6, 3)), rng.standard_normal((9, 1))
    np.savez("rows.npz", y=x, y_lengths=answers)
    np.savez("y.npz", y=x)
    found = float(call("evaluate", "run", "rows.npz").stdout.split()[1])
    with torch.no_grad():
        predicted = rnnkit.load("run")(torch.tensor(x, dtype=torch.float32)).numpy()
    assert found == pytest.approx(float(((predicted - answers) ** 2).mean()), rel=1e-3)
    assert refused(call("evaluate", "run", "y.npz"), "has no y_lengths")


def test_training_from_the_beginning_is_refused(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert refused(call("train", "imported"), "`rnnkit import FILE` makes one")
    assert not Path("runs").exists()
