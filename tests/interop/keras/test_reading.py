"""What a file says, computed step by step in NumPy as Keras's documentation has it, equals what the model computes."""

import json

import numpy as np
import pytest
import torch
from keras_files import at, cell_arrays, functional, layer, sequential, tensor, write_h5, write_keras, write_old

import rnnkit
from rnnkit.errors import DataError, ShapeError
from rnnkit.interop.keras import from_keras, read_keras

TIME, SIZE, UNITS = 6, 3, 4
GATES = {"SimpleRNN": 1, "LSTM": 4, "GRU": 3}
FUNCTIONS = {
    "tanh": np.tanh,
    "relu": lambda x: np.maximum(x, 0),
    "sigmoid": lambda x: 1 / (1 + np.exp(-x)),
    "hard_sigmoid": lambda x: np.clip(x / 6 + 0.5, 0, 1),
    "old_hard_sigmoid": lambda x: np.clip(0.2 * x + 0.5, 0, 1),
    "softsign": lambda x: x / (1 + np.abs(x)),
}


def step(kind, x, states, arrays, activation="tanh", recurrent="sigmoid", reset_after=True):
    """One step of Keras's cells: the new states, the output first."""
    phi, rho = FUNCTIONS[activation], FUNCTIONS[recurrent]
    kernel, inner = arrays[:2]
    bias = arrays[2] if len(arrays) > 2 else np.zeros(kernel.shape[1])
    h = states[0]
    if kind == "SimpleRNN":
        return [phi(x @ kernel + h @ inner + bias)]
    if kind == "LSTM":
        i, f, c, o = np.split(x @ kernel + h @ inner + bias, 4, -1)
        cell = rho(f) * states[1] + rho(i) * phi(c)
        return [rho(o) * phi(cell), cell]
    two = bias if bias.ndim == 2 else np.stack([bias, np.zeros_like(bias)])
    x_z, x_r, x_h = np.split(x @ kernel + two[0], 3, -1)
    h_z, h_r, h_h = np.split(h @ inner + two[1], 3, -1)
    z, r = rho(x_z + h_z), rho(x_r + h_r)
    candidate = phi(x_h + r * h_h) if reset_after else phi(x_h + (r * h) @ np.split(inner, 3, -1)[2])
    return [z * h + (1 - z) * candidate]


def run(kind, x, arrays, mask=None, zero=False, states=None, **options):
    """Every output and the last states; a masked step changes nothing."""
    count = 2 if kind == "LSTM" else 1
    states = [np.zeros((len(x), UNITS)) for _ in range(count)] if states is None else states
    mask = np.ones(x.shape[:2], bool) if mask is None else mask
    before, outputs = np.zeros((len(x), UNITS)), []
    for t in range(x.shape[1]):
        new = step(kind, x[:, t], states, arrays, **options)
        valid = mask[:, t, None]
        states = [np.where(valid, one, old) for one, old in zip(new, states, strict=True)]
        before = np.where(valid, new[0], 0 if zero else before)
        outputs.append(before)
    return np.stack(outputs, 1), states


@pytest.fixture
def rng():
    return np.random.default_rng(0)


@pytest.fixture
def x(rng):
    return rng.standard_normal((4, TIME, SIZE)).astype("float32")


MASK = np.array([[1, 1, 1, 1, 0, 0], [0, 0, 1, 0, 1, 1], [1, 1, 1, 1, 1, 1], [0, 0, 0, 0, 0, 0]], bool)


def close(found, wanted):
    np.testing.assert_allclose(found.detach().numpy(), wanted, rtol=0, atol=1e-5)


def model(tmp_path, config, arrays, **options):
    return from_keras(write_keras(tmp_path / "m.keras", config, arrays), **options)


@pytest.mark.parametrize("kind", list(GATES))
@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize(
    "options",
    [
        {},
        {"go_backwards": True},
        {"recurrent_activation": "hard_sigmoid"},
        {"activation": "softsign"},
        {"activation": "relu", "go_backwards": True},
        {"reset_after": False},
        {"reset_after": False, "recurrent_activation": "hard_sigmoid"},
    ],
    ids=str,
)
def test_recurrent_layers_equal_their_equations(tmp_path, rng, x, kind, bias, options):
    config = {name: value for name, value in options.items() if name != "recurrent_activation" or kind != "SimpleRNN"}
    config = {name: value for name, value in config.items() if name != "reset_after" or kind == "GRU"}
    if kind == "GRU":
        config.setdefault("reset_after", True)
    two = kind == "GRU" and config["reset_after"]
    shape = (2, 3 * UNITS) if two else (GATES[kind] * UNITS,)
    arrays = cell_arrays(rng, GATES[kind], SIZE, UNITS, shape if bias else None)
    described = layer(kind, units=UNITS, use_bias=bias, return_sequences=True, **config)
    made = model(
        tmp_path,
        sequential(described),
        at(f"layers/{ {'SimpleRNN': 'simple_rnn'}.get(kind, kind.lower()) }/cell", arrays),
    )
    back = config.pop("go_backwards", False)
    config["recurrent"] = config.pop("recurrent_activation", "sigmoid")
    wanted, _ = run(kind, x[:, ::-1] if back else x, arrays, **config)
    close(made(torch.from_numpy(x)), wanted)


@pytest.mark.parametrize("zero", [False, True])
@pytest.mark.parametrize("sequences", [False, True])
@pytest.mark.parametrize("back", [False, True])
@pytest.mark.parametrize("activation", ["tanh", "softsign"])
def test_masks_may_lie_anywhere(tmp_path, rng, x, zero, sequences, back, activation):
    arrays = cell_arrays(rng, 4, SIZE, UNITS, (4 * UNITS,))
    x[~MASK] = 0.5
    described = layer("LSTM", units=UNITS, return_sequences=sequences, zero_output_for_mask=zero, go_backwards=back,
                      activation=activation)  # fmt: skip
    made = model(tmp_path, sequential(layer("Masking", mask_value=0.5), described), at("layers/lstm/cell", arrays))
    flip = slice(None, None, -1 if back else 1)
    wanted, _ = run("LSTM", x[:, flip], arrays, MASK[:, flip], zero, activation=activation)
    close(made(torch.from_numpy(x)), wanted if sequences else wanted[:, -1])


@pytest.mark.parametrize("merge", ["concat", "sum", "mul", "ave", None])
@pytest.mark.parametrize("sequences", [False, True])
def test_both_directions(tmp_path, rng, x, merge, sequences):
    forward, backward = (cell_arrays(rng, 3, SIZE, UNITS, (2, 3 * UNITS)) for _ in range(2))
    inner = layer("GRU", units=UNITS, return_sequences=sequences, return_state=True, reset_after=True)
    config = functional(
        [(layer("Bidirectional", "both", layer=inner, merge_mode=merge), [[tensor("x")]])],
        [["x", 0, 0]],
        [["both", 0, number] for number in range(4 if merge is None else 3)],
    )
    arrays = at("layers/bidirectional/forward_layer/cell", forward) | at(
        "layers/bidirectional/backward_layer/cell", backward
    )
    found = model(tmp_path, config, arrays)(torch.from_numpy(x))
    y, (h,) = run("GRU", x, forward)
    z, (g,) = run("GRU", x[:, ::-1], backward)
    y, z = (y, z[:, ::-1]) if sequences else (y[:, -1], z[:, -1])
    merged = {
        "concat": [np.concatenate((y, z), -1)],
        "sum": [y + z],
        "mul": [y * z],
        "ave": [(y + z) / 2],
        None: [y, z],
    }
    for one, wanted in zip(found, [*merged[merge], h, g], strict=True):
        close(one, wanted)


def test_states_go_from_layer_to_layer(tmp_path, rng, x):
    first, second = (cell_arrays(rng, 4, SIZE, UNITS, (4 * UNITS,)) for _ in range(2))
    config = functional(
        [
            (layer("LSTM", "a", units=UNITS, return_state=True), [[tensor("x")]]),
            (layer("LSTM", "b", units=UNITS), [{"args": [tensor("x")], "kwargs": {"initial_state": [
                tensor("a", 0, 1), tensor("a", 0, 2)]}}]),
        ],
        [["x", 0, 0]],
        [["b", 0, 0]],
    )  # fmt: skip
    made = model(tmp_path, config, at("layers/lstm/cell", first) | at("layers/lstm_1/cell", second))
    _, states = run("LSTM", x, first)
    close(made(torch.from_numpy(x)), run("LSTM", x, second, states=states)[0][:, -1])


def test_stateful_layers_go_on_until_they_are_reset(tmp_path, rng, x):
    arrays = cell_arrays(rng, 3, SIZE, UNITS, (2, 3 * UNITS))
    described = layer("GRU", units=UNITS, stateful=True, reset_after=True, return_sequences=True)
    made = model(tmp_path, sequential(described, shape=(4, None, 3)), at("layers/gru/cell", arrays))
    wanted, _ = run("GRU", x, arrays)
    given = torch.from_numpy(x)
    close(torch.cat([made(given[:, :2]), made(given[:, 2:])], 1), wanted)
    made.reset_states()
    close(made(given), wanted)
    with pytest.raises(ShapeError, match=r"carries the states of 4; pass as many rows, or type model.reset_states\(\)"):
        made(given[:2])


def test_stacked_cells(tmp_path, rng, x):
    arrays = [cell_arrays(rng, 4, SIZE, UNITS, (4 * UNITS,)), cell_arrays(rng, 4, UNITS, UNITS, (4 * UNITS,))]
    cells = [{"class_name": "LSTMCell", "config": {"units": UNITS, "name": f"c{n}"}} for n in range(2)]
    stack = {"class_name": "StackedRNNCells", "config": {"cells": cells}}
    made = model(tmp_path, sequential(layer("RNN", cell=stack)), at("layers/rnn/cell/cells/lstm_cell", arrays[0]) | at(
        "layers/rnn/cell/cells/lstm_cell_1", arrays[1]))  # fmt: skip
    close(made(torch.from_numpy(x)), run("LSTM", run("LSTM", x, arrays[0])[0], arrays[1])[0][:, -1])


# --- old files ----------------------------------------------------------------------------------------------------
def old(kind, **config):
    return {"class_name": kind, "config": {"name": kind.lower(), "trainable": True, **config}}


def named(kind, arrays):
    names = ("kernel", "recurrent_kernel", "bias")
    return [(f"{kind}/{kind}_cell/{name}:0", array) for name, array in zip(names, arrays, strict=False)]


def test_old_hard_sigmoids_are_others(tmp_path, rng, x):
    arrays = cell_arrays(rng, 4, SIZE, UNITS, (4 * UNITS,))
    options = {"batch_input_shape": [None, TIME, SIZE], "unit_forget_bias": True, "implementation": 1, "dropout": 0.0}
    one = old("LSTM", units=UNITS, recurrent_activation="hard_sigmoid", **options)
    described = {"class_name": "Sequential", "config": [one]}
    found = from_keras(write_old(tmp_path / "m.h5", described, {"lstm": named("lstm", arrays)}))
    close(found(torch.from_numpy(x)), run("LSTM", x, arrays, recurrent="old_hard_sigmoid")[0][:, -1])
    assert found.shapes == [[None, TIME, SIZE]]
    newer = write_old(tmp_path / "n.h5", described, {"lstm": named("lstm", arrays)}, version="3.5.0")
    close(from_keras(newer)(torch.from_numpy(x)), run("LSTM", x, arrays, recurrent="hard_sigmoid")[0][:, -1])


@pytest.mark.parametrize("kind", ["LSTM", "GRU"])
def test_layers_of_cudnn(tmp_path, rng, x, kind):
    """cuDNN keeps each gate's W [H, I] and U [H, H]; Keras gives the memory of W the shape [I, H]."""
    gates = GATES[kind]
    w = [rng.standard_normal((UNITS, SIZE)).astype("float32") for _ in range(gates)]
    u = [rng.standard_normal((UNITS, UNITS)).astype("float32") for _ in range(gates)]
    b = rng.standard_normal((2, gates * UNITS)).astype("float32")
    stored = [np.concatenate([one.reshape(SIZE, UNITS) for one in w], 1), np.concatenate(u, 1), b.reshape(-1)]
    plain = [np.concatenate([one.T for one in w], 1), np.concatenate([one.T for one in u], 1), b]
    if kind == "LSTM":
        plain[2] = b.sum(0)
    described = {"class_name": "Sequential", "config": {"name": "s", "layers": [old(f"CuDNN{kind}", units=UNITS,
                 return_sequences=True, batch_input_shape=[None, None, SIZE])]}}  # fmt: skip
    path = write_old(tmp_path / "m.h5", described, {f"cudnn{kind.lower()}": named("cu", stored)})
    close(from_keras(path)(torch.from_numpy(x)), run(kind, x, plain)[0])


def test_old_functional_models(tmp_path, rng, x):
    arrays = cell_arrays(rng, 1, SIZE, UNITS, (UNITS,))
    kernel, bias = rng.standard_normal((UNITS, 2)).astype("float32"), np.ones(2, "float32")
    inner = {"class_name": "Sequential", "name": "inner", "inbound_nodes": [[["simplernn", 0, 0, {}]]], "config": {
        "name": "inner", "layers": [old("Dense", units=2, batch_input_shape=[None, UNITS])]}}  # fmt: skip
    described = {"class_name": "Model", "config": {"name": "m", "layers": [
        {"class_name": "InputLayer", "name": "in", "inbound_nodes": [], "config": {
            "batch_input_shape": [None, None, SIZE], "dtype": "float32", "name": "in"}},
        {**old("SimpleRNN", units=UNITS), "name": "simplernn", "inbound_nodes": [[["in", 0, 0, {}]]]},
        inner,
    ], "input_layers": [["in", 0, 0]], "output_layers": [["inner", 1, 0]]}}  # fmt: skip
    layers = {
        "in": [],
        "simplernn": named("rnn", arrays),
        "inner": [("dense/kernel:0", kernel), ("dense/bias:0", bias)],
    }
    found = from_keras(write_old(tmp_path / "m.h5", described, layers))
    close(found(torch.from_numpy(x)), run("SimpleRNN", x, arrays)[0][:, -1] @ kernel + bias)


def test_weights_alone_need_a_configuration(tmp_path, rng, x):
    arrays = cell_arrays(rng, 4, SIZE, UNITS, (4 * UNITS,))
    config = sequential(layer("LSTM", units=UNITS))
    weights = write_h5(tmp_path / "m.weights.h5", at("layers/lstm/cell", arrays))
    with pytest.raises(DataError, match="add configuration= with what model.to_json"):
        from_keras(weights)
    (tmp_path / "m.json").write_text(json.dumps(config))
    whole = write_keras(tmp_path / "m.keras", config, at("layers/lstm/cell", arrays))
    wanted = run("LSTM", x, arrays)[0][:, -1]
    for configuration in (tmp_path / "m.json", str(whole), config):
        close(from_keras(weights, configuration=configuration)(torch.from_numpy(x)), wanted)
    with pytest.raises(DataError, match="does not exist; expected a JSON file"):
        from_keras(weights, configuration=tmp_path / "none.json")
    with pytest.raises(DataError, match="does not exist; expected a .keras"):
        from_keras(tmp_path / "none.keras")


# --- what becomes of the model ------------------------------------------------------------------------------------
def classifier(tmp_path, rng, **options):
    arrays = at("layers/lstm/cell", cell_arrays(rng, 4, SIZE, UNITS, (4 * UNITS,)))
    arrays |= at("layers/dense", [rng.standard_normal((UNITS, 3)).astype("float32"), np.zeros(3, "float32")])
    config = sequential(layer("Masking"), layer("LSTM", units=UNITS), layer("Dense", units=3, activation="softmax"))
    return model(tmp_path, config, arrays, **options)


def test_it_saves_and_loads(tmp_path, rng, x):
    for logits in (False, True):
        made = classifier(tmp_path, rng, logits=logits)
        rnnkit.Learner(made).save(tmp_path / "saved")
        again = rnnkit.load(tmp_path / "saved")
        assert torch.equal(again(torch.from_numpy(x)), made(torch.from_numpy(x)))
        assert (again.logits, again.inputs, again.shapes) == (logits, ["x"], [[None, None, 3]])


def test_it_trains_and_is_fine_tuned(tmp_path, rng, x):
    y = torch.tensor([0, 1, 2, 0])
    made = classifier(tmp_path, rng, logits=True)
    learner = rnnkit.Learner(made, lr=0.05)
    before = learner.evaluate((x, y))
    learner.fit(x, y, epochs=20, batch_size=4, progress=False)
    assert learner.evaluate((x, y))["loss"] < before["loss"]
    learner.fine_tune((x, torch.tensor([0, 1, 2, 3])), classes=tuple("abcd"), old_classes=tuple("abc"), epochs=1,
                      gradual_unfreezing=True, progress=False)  # fmt: skip
    assert made(torch.from_numpy(x)).shape == (4, 4)
    assert made.config()["arguments"]["layers"][2]["arguments"]["linear"]["arguments"]["out_features"] == 4
    probabilities = classifier(tmp_path, rng)
    assert rnnkit.Learner(probabilities).evaluate((x, y))["accuracy"] >= 0


def test_lengths_mask_as_keras_masks_do(tmp_path, rng, x):
    made = classifier(tmp_path, rng)
    padded = torch.from_numpy(x.copy())
    padded[0, 2:] = float("nan")
    short = made(torch.from_numpy(x[:1, :2]))
    assert torch.allclose(made(padded, lengths=[2, 6, 6, 6])[0], short[0], atol=1e-6)


def test_notes_say_what_is_left_out(tmp_path, rng):
    arrays = at("layers/dense", [np.eye(3, dtype="float32")])
    regularizer = {"class_name": "L2", "config": {"l2": 0.01}}
    described = layer("Dense", units=3, use_bias=False, kernel_regularizer=regularizer, trainable=False)
    found = read_keras(write_keras(tmp_path / "m.keras", sequential(described), arrays))
    assert found.notes == ["layer 'dense' (Dense): kernel_regularizer act while training and are not taken over"]
    assert not any(one.requires_grad for one in found.model.parameters())


def test_inputs_that_do_not_fit_are_named(tmp_path, rng, x):
    made = classifier(tmp_path, rng)
    with pytest.raises(ShapeError, match="layer 'lstm': input has shape"):
        made(torch.zeros(2, 3, 5))
    with pytest.raises(ShapeError, match="1 tensors? arrived|expected"):
        made([torch.zeros(2, 3, 3)] * 2)
    with pytest.raises(ShapeError, match="expected x"):
        made({"y": torch.zeros(2, 3, 3)})
    assert torch.equal(made({"x": torch.from_numpy(x)}), made(torch.from_numpy(x).double()))


def test_other_layers(tmp_path, rng, x):
    """Convolution, normalisation and shapes against NumPy."""
    kernel, bias = rng.standard_normal((2, SIZE, 5)).astype("float32"), rng.standard_normal(5).astype("float32")
    gamma, beta, mean, variance = (np.abs(rng.standard_normal(5)).astype("float32") for _ in range(4))
    made = model(
        tmp_path,
        sequential(
            layer("Conv1D", filters=5, kernel_size=[2], strides=[2], padding="same", activation="relu"),
            layer("BatchNormalization", epsilon=0.01),
            layer("AveragePooling1D", pool_size=[2], strides=None, padding="valid"),
            layer("Flatten"),
        ),
        at("layers/conv1d", [kernel, bias]) | at("layers/batch_normalization", [gamma, beta, mean, variance]),
    )
    y = np.stack([np.einsum("bki,kio->bo", x[:, t : t + 2], kernel) for t in (0, 2, 4)], 1) + bias
    y = (np.maximum(y, 0) - mean) / np.sqrt(variance + 0.01) * gamma + beta
    close(made(torch.from_numpy(x)), y[:, :2].mean(1))


def test_embeddings_refuse_unknown_ids(tmp_path, rng):
    table = rng.standard_normal((5, 2)).astype("float32")
    config = sequential(layer("Embedding", input_dim=5, output_dim=2, mask_zero=True), layer("GlobalAveragePooling1D"))
    made = model(tmp_path, config, at("layers/embedding", [table]))
    ids = torch.tensor([[1, 2, 0], [4, 0, 3]])
    close(made(ids), np.stack([table[[1, 2]].mean(0), table[[4, 3]].mean(0)]))
    assert made.integers == ["x"]
    with pytest.raises(DataError, match="ids from 0 to 9 arrived; the embedding has rows 0 to 4"):
        made(torch.tensor([[0, 9]]))


def test_an_axis_counted_from_the_front_must_be_the_last(tmp_path, rng, x):
    """As Keras 2 wrote it: nothing in the file tells how many axes there are."""
    described = {"class_name": "Sequential", "config": [old("LayerNormalization", axis=[2], epsilon=0.001)]}
    names = [(f"n/{name}:0", np.full(SIZE, value, "float32")) for name, value in (("gamma", 2), ("beta", 1))]
    made = from_keras(write_old(tmp_path / "m.h5", described, {"layernormalization": names}))
    spread = np.sqrt(x.var(-1, keepdims=True) + 0.001)
    close(made(torch.from_numpy(x)), (x - x.mean(-1, keepdims=True)) / spread * 2 + 1)
    with pytest.raises(ShapeError, match="axis 2 is normalised, which must be the last one"):
        made(torch.zeros(2, SIZE))


def test_files_of_keras_2_in_the_new_form(tmp_path, rng, x):
    """Keras 2.12 wrote .keras files with calls as lists, and arrays below another name."""
    arrays = cell_arrays(rng, 3, SIZE, UNITS, (2, 3 * UNITS))
    gru = old(
        "GRU", units=UNITS, reset_after=True, time_major=False, implementation=2, recurrent_activation="hard_sigmoid"
    )
    config = {"module": "keras", "class_name": "Functional", "registered_name": "Functional", "config": {"layers": [
        {"class_name": "InputLayer", "name": "in", "inbound_nodes": [], "module": "keras.layers", "config": {
            "batch_input_shape": [None, None, SIZE], "dtype": "float32", "name": "in"}},
        {**gru, "name": "gru", "module": "keras.layers", "inbound_nodes": [[["in", 0, 0, {}]]]},
    ], "input_layers": [["in", 0, 0]], "output_layers": [["gru", 0, 0]]}}  # fmt: skip
    stored = at("_layer_checkpoint_dependencies/gru/cell", arrays)
    made = from_keras(write_keras(tmp_path / "m.keras", config, stored, version="2.12.0"))
    close(made(torch.from_numpy(x)), run("GRU", x, arrays, recurrent="old_hard_sigmoid")[0][:, -1])
    assert made.shapes == [[None, None, SIZE]]
