"""Files that rnnkit writes: what Keras finds in them, and that reading them gives the same model back.

`make interop` has Keras itself read them.
"""

import json
import zipfile

import h5py
import numpy as np
import pytest
import torch
from keras_files import at, cell_arrays, functional, layer, sequential, tensor, write_keras

import rnnkit
from rnnkit.errors import ConfigError, ShapeError
from rnnkit.interop.formats import Request, find_format
from rnnkit.interop.keras import from_keras, to_keras


@pytest.fixture
def x():
    return torch.randn(4, 6, 3, generator=torch.Generator().manual_seed(0))


def configuration(path):
    with zipfile.ZipFile(path) as archive:
        assert archive.namelist() == ["metadata.json", "config.json", "model.weights.h5"]
        assert json.loads(archive.read("metadata.json"))["keras_version"].startswith("3")
        return json.loads(archive.read("config.json"))


def classes(path):
    return [one["class_name"] for one in configuration(path)["config"]["layers"] if ".ops" not in one["module"]]


MODELS = {
    "lstm": lambda: rnnkit.SequenceClassifier(rnnkit.LSTM(3, 5, num_layers=2, dropout=0.3), classes=3),
    "gru": lambda: rnnkit.SequenceClassifier(rnnkit.GRU(3, 5, bidirectional=True, num_layers=2), classes=3),
    "rnn": lambda: rnnkit.SequenceClassifier(rnnkit.SimpleRNN(3, 5, nonlinearity="relu", bias=False), ["a", "b"]),
    "reset_before": lambda: rnnkit.SequenceClassifier(rnnkit.GRU(3, 5, reset_after=False), classes=3),
    "torch": lambda: rnnkit.SequenceClassifier(torch.nn.LSTM(3, 5, batch_first=True, bidirectional=True), classes=3),
    "mean": lambda: rnnkit.SequenceClassifier(rnnkit.LSTM(3, 5, recurrent_dropout=0.2), classes=3, pooling="mean"),
    "max": lambda: rnnkit.SequenceClassifier(rnnkit.GRU(3, 5), classes=3, pooling="max", dropout=0.2),
    "concat": lambda: rnnkit.SequenceClassifier(rnnkit.LSTM(3, 5, bidirectional=True), classes=3, pooling="concat"),
    "head": lambda: rnnkit.SequenceClassifier(rnnkit.LSTM(3, 5), 2, head=torch.nn.Sequential(
        torch.nn.Linear(5, 4), torch.nn.ReLU(), torch.nn.Linear(4, 2))),
    "front": lambda: rnnkit.SequenceClassifier(rnnkit.GRU(4, 5), 2, front=rnnkit.Chain(
        torch.nn.Conv1d(3, 4, 3, padding="same"), torch.nn.LeakyReLU(0.1), torch.nn.LayerNorm(4))),
}  # fmt: skip


@pytest.mark.parametrize("name", list(MODELS))
def test_classifiers_come_back_as_they_were(tmp_path, x, name):
    torch.manual_seed(1)
    model = MODELS[name]().eval()
    path = to_keras(model, tmp_path / "m.keras")
    again, logits = from_keras(path), from_keras(path, logits=True)
    torch.testing.assert_close(again(x), model(x).softmax(1), rtol=0, atol=1e-6)
    torch.testing.assert_close(logits(x), model(x), rtol=0, atol=1e-6)
    assert again.final == ["softmax"]
    assert again.shapes == [[None, None, 3]]
    plain = from_keras(to_keras(model, path, probabilities=False))
    torch.testing.assert_close(plain(x), model(x), rtol=0, atol=1e-6)


def test_other_models_come_back(tmp_path, x):
    ids = torch.randint(0, 7, (4, 6))
    for number, (model, given, shown) in enumerate(
        [
            (rnnkit.SequenceRegressor(rnnkit.LSTM(3, 5), outputs=2), x, lambda y: y),
            (rnnkit.SequenceTagger(rnnkit.GRU(3, 5), 4), x, lambda y: y.softmax(-1)),
            (rnnkit.SequenceTagger(rnnkit.GRU(3, 5), 4, activation="sigmoid"), x, lambda y: y),
            (rnnkit.LanguageModel(7, "gru", 4, 5, 2), ids, lambda y: y.softmax(-1)),
            (rnnkit.LSTM(3, 5, batch_first=True), x, lambda y: y[0]),
        ]
    ):
        path = to_keras(model.eval(), tmp_path / f"{number}.keras")
        torch.testing.assert_close(from_keras(path)(given), shown(model(given)), rtol=0, atol=1e-6)


def test_padding_becomes_masking(tmp_path, x):
    model = rnnkit.SequenceClassifier(rnnkit.LSTM(3, 5, bidirectional=True), classes=3).eval()
    path = to_keras(model, tmp_path / "m.keras", mask_value=-9.0)
    padded = x.clone()
    padded[1, 2:] = -9.0
    wanted = model(x, torch.tensor([6, 2, 6, 6])).softmax(1)
    torch.testing.assert_close(from_keras(path)(padded), wanted, rtol=0, atol=1e-6)
    assert classes(path) == ["InputLayer", "Masking", "Bidirectional", "Dense"]


def test_the_file_has_what_keras_looks_for(tmp_path):
    model = rnnkit.SequenceClassifier(rnnkit.LSTM(3, 5), classes=2)
    path = to_keras(model, tmp_path / "m.keras")
    described = configuration(path)
    assert (described["class_name"], described["registered_name"]) == ("Functional", "Functional")
    assert [one["config"]["name"] for one in described["config"]["layers"]] == ["x", "recurrent", "head"]
    assert described["config"]["layers"][2]["config"]["activation"] == "softmax"
    with zipfile.ZipFile(path) as archive:
        archive.extract("model.weights.h5", tmp_path)
    with h5py.File(tmp_path / "model.weights.h5") as file:
        kernel = file["layers/lstm/cell/vars/0"][:]
        bias = file["layers/lstm/cell/vars/2"][:]
        assert file["layers/dense/vars/0"].shape == (5, 2)
    body = model.body
    np.testing.assert_array_equal(kernel, body.weight_ih_l0.detach().numpy().T)
    np.testing.assert_allclose(bias, (body.bias_ih_l0 + body.bias_hh_l0).detach().numpy(), atol=1e-7)
    first = path.read_bytes()
    assert to_keras(model, path).read_bytes()[:200] == first[:200]


def test_layers_stand_by_their_depth(tmp_path):
    """Keras numbers the arrays of a class in this order: b, which is further from the result, comes before a."""
    rng = np.random.default_rng(0)
    dense = [[rng.standard_normal((3, 3)).astype("float32"), np.zeros(3, "float32")] for _ in range(3)]
    config = functional(
        [
            (layer("Dense", "a", units=3), [[tensor("x")]]),
            (layer("Dense", "b", units=3), [[tensor("x")]]),
            (layer("Dense", "c", units=3), [[tensor("b")]]),
            (layer("Concatenate", "both"), [[[tensor("a"), tensor("c")]]]),
        ],
        [["x", 0, 0]],
        [["both", 0, 0]],
    )
    arrays = at("layers/dense", dense[0]) | at("layers/dense_1", dense[1]) | at("layers/dense_2", dense[2])
    model = from_keras(write_keras(tmp_path / "m.keras", config, arrays))
    path = to_keras(model, tmp_path / "n.keras")
    assert [one["name"] for one in configuration(path)["config"]["layers"]] == ["x", "b", "a", "c", "both"]
    x = torch.randn(2, 4, 3)
    torch.testing.assert_close(from_keras(path)(x), model(x))


def test_masks_stand_in_the_graph(tmp_path):
    """As operations and as arguments of the calls; read again, the masks are the same."""
    rng = np.random.default_rng(0)
    arrays = at("layers/lstm/cell", cell_arrays(rng, 4, 6, 4, (16,)))
    config = functional(
        [
            (layer("Masking", "m", mask_value=0.5), [[tensor("x")]]),
            (layer("Masking", "n", mask_value=0.5), [[tensor("y")]]),
            (layer("Concatenate", "both"), [[[tensor("m"), tensor("n")]]]),
            (layer("LSTM", units=4, return_sequences=True), [[tensor("both")]]),
            (layer("GlobalAveragePooling1D", "mean"), [[tensor("lstm")]]),
        ],
        [["x", 0, 0], ["y", 0, 0]],
        [["mean", 0, 0]],
    )
    model = from_keras(write_keras(tmp_path / "m.keras", config, arrays))
    x, y = torch.randn(3, 5, 3), torch.randn(3, 5, 3)
    x[0, 3:], y[0, 4:] = 0.5, 0.5
    path = to_keras(model, tmp_path / "n.keras")
    torch.testing.assert_close(from_keras(path)([x, y]), model([x, y]))
    layers = configuration(path)["config"]["layers"]
    assert {"NotEqual", "Any", "LogicalOr"} <= {one["class_name"] for one in layers}
    (call,) = next(one for one in layers if one["class_name"] == "LSTM")["inbound_nodes"]
    assert call["kwargs"]["mask"]["config"]["keras_history"][0] == "both_mask_any"


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: rnnkit.SequenceClassifier(rnnkit.LSTM(3, 5, zoneout=0.1), 2), "LSTM with zoneout"),
        (lambda: rnnkit.SequenceClassifier(rnnkit.LSTM(3, 5, layer_norm=True, peepholes=True), 2), "layer_norm and"),
        (lambda: rnnkit.SequenceClassifier(rnnkit.LSTM(3, 5, proj_size=2), 2), "proj_size"),
        (lambda: rnnkit.SequenceClassifier(rnnkit.GRU(3, 5), 2, pooling="attention"), "pooling='attention'"),
        (lambda: rnnkit.SequenceClassifier(rnnkit.GRU(48, 5), 2, front=rnnkit.ConvFront(3)), "ConvFront"),
        (lambda: rnnkit.CRF(3), "the model, CRF, has no counterpart"),
        (lambda: "run", "the model, str, has no counterpart"),
        (lambda: torch.nn.Linear(3, 2), "the model, Linear, has no counterpart"),
    ],
)
def test_what_keras_lacks_is_refused_by_name(tmp_path, make, words):
    with pytest.raises(ConfigError, match=words):
        to_keras(make(), tmp_path / "m.keras")
    assert not any(tmp_path.iterdir())


@pytest.mark.parametrize("wrong", [{"mask_value": "a"}, {"batch_size": 0}, {"shapes": {"x": "abc"}}])
def test_values_out_of_range_are_refused(tmp_path, wrong):
    model = rnnkit.SequenceClassifier(rnnkit.LSTM(3, 5), classes=2)
    with pytest.raises(ConfigError, match=f"^{next(iter(wrong))}=.* arrived; expected"):
        to_keras(model, tmp_path / "m.keras", **wrong)
    assert list(tmp_path.iterdir()) == []


def test_lengths_that_do_not_fit_are_refused(tmp_path):
    graph = from_keras(to_keras(rnnkit.SequenceClassifier(rnnkit.LSTM(3, 5), classes=2), tmp_path / "m.keras"))
    for lengths in ([5, 1], [1], [0, 1]):
        with pytest.raises(ShapeError, match="lengths"):
            graph(torch.zeros(2, 4, 3), lengths=lengths)


def test_shapes_that_are_given_stay_out_of_the_graph(tmp_path):
    graph = from_keras(to_keras(rnnkit.SequenceClassifier(rnnkit.LSTM(3, 5), classes=2), tmp_path / "m.keras"))
    path = to_keras(graph, tmp_path / "n.keras", shapes={"x": [None, 7, 3]})
    assert configuration(path)["config"]["layers"][0]["config"]["batch_shape"] == [None, 7, 3]
    assert graph.shapes == [[None, None, 3]]


def test_arguments_that_do_not_fit(tmp_path):
    model = rnnkit.SequenceClassifier(rnnkit.LSTM(3, 5), classes=2, pooling="max")
    for options, path, words in (
        ({}, "m.h5", "ends in .keras"),
        ({"mask_value": 0.0}, "m.keras", "Keras's maximum does not leave padding out"),
        ({"shapes": {"z": [None, 3]}}, "m.keras", "expected one for each input: x"),
    ):
        with pytest.raises(ConfigError, match=words):
            to_keras(model, tmp_path / path, **options)
    rng = np.random.default_rng(0)
    config = sequential(layer("LSTM", units=4, stateful=True))
    stateful = from_keras(
        write_keras(tmp_path / "s.keras", config, at("layers/lstm/cell", cell_arrays(rng, 4, 3, 4, (16,))))
    )
    with pytest.raises(ConfigError, match="add batch_size="):
        to_keras(stateful, tmp_path / "m.keras")
    written = to_keras(stateful, tmp_path / "m.keras", batch_size=2)
    assert configuration(written)["config"]["layers"][0]["config"]["batch_shape"] == [2, None, 3]
    with pytest.raises(ConfigError, match="masks are layers of the graph"):
        to_keras(stateful, tmp_path / "m.keras", batch_size=2, mask_value=0.0)


def test_the_row_in_the_table_of_formats(tmp_path):
    model = rnnkit.SequenceClassifier(rnnkit.LSTM(3, 5), classes=2)
    report = find_format("keras").write(model, tmp_path / "m.keras", Request({"recipe": "mine"}))
    assert [file.name for file in report.files] == ["m.keras", "m.keras.json"]
    described = json.loads((tmp_path / "m.keras.json").read_text())
    assert described["recipe"] == "mine"
    assert described["inputs"] == [{"name": "x", "shape": [None, None, 3], "type": "float32"}]
