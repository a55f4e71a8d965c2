"""Recurrent layers with weights in 8 bits: against the reference, step by step, saved, streamed, refused."""

import copy

import pytest
import torch
from tolerances import assert_close

import rnnkit
from rnnkit.errors import BackendError, ConfigError, DataError, RnnkitWarning
from rnnkit.layers.quantized import is_quantized, quantizable, restore_quantized
from rnnkit.ops.backend import native_core
from rnnkit.ops.state import map_state, tensors
from rnnkit.serialization import read_config, save_module

needs_core = pytest.mark.skipif(native_core() is None, reason="without the native core")
SIZES = [(1, 1), (3, 7), (17, 31), (33, 5), (31, 33)]
KINDS = {
    "tanh": (rnnkit.SimpleRNN, {}),
    "relu": (rnnkit.SimpleRNN, {"nonlinearity": "relu"}),
    "identity": (rnnkit.SimpleRNN, {"init": "identity", "nonlinearity": "relu"}),
    "sigmoid": (rnnkit.SimpleRNN, {"nonlinearity": "sigmoid"}),
    "lstm": (rnnkit.LSTM, {}),
    "gru": (rnnkit.GRU, {}),
    "gru before": (rnnkit.GRU, {"reset_after": False}),
}
OPTIONS = {
    "simple rnn": (rnnkit.SimpleRNN, {"layer_norm": True, "zoneout": 0.2, "learn_initial_state": True}),
    "lstm": (rnnkit.LSTM, {"layer_norm": True, "zoneout": (0.2, 0.1), "peepholes": True, "learn_initial_state": True}),
    "lstm projected": (rnnkit.LSTM, {"proj_size": 3, "peepholes": True, "recompute": 2}),
    "lstm coupled": (rnnkit.LSTM, {"coupled_gates": True, "peepholes": True}),
    "lstm coupled norm": (rnnkit.LSTM, {"coupled_gates": True, "layer_norm": True, "proj_size": 5}),
    "gru": (rnnkit.GRU, {"layer_norm": True, "zoneout": 0.3, "recurrent_dropout": 0.2}),
    "gru before": (rnnkit.GRU, {"reset_after": False, "zoneout": 0.3, "bias": False}),
}


def made(kind, input_size, hidden_size, seed=0, **arguments):
    """A layer with weights in 8 bits, whose initial states and option weights are random, too."""
    build, own = {**KINDS, **OPTIONS}[kind] if isinstance(kind, str) else kind
    torch.manual_seed(seed)
    layer = build(input_size, hidden_size, **own, **arguments)
    with torch.no_grad():
        for parameter in layer.parameters():
            if parameter.dim() == 1 or parameter.shape[0] == 3:
                parameter.add_(torch.randn_like(parameter) * 0.1)
    return rnnkit.quantize(layer)


def as_reference(layer):
    """The same layer on the reference."""
    slow = copy.deepcopy(layer)
    slow.backend = "reference"
    return slow


def random_state(layer, batch):
    return map_state(lambda leaf: torch.randn_like(leaf) * 0.5, layer.initial_state(batch))


@needs_core
@pytest.mark.parametrize("kind", [*KINDS, *[f"options {name}" for name in OPTIONS]])
def test_native_steps_equal_the_reference(kind):
    """Every step from the same state, so that the whole numbers are the same; the rest differs by rounding."""
    choice = OPTIONS[kind.removeprefix("options ")] if kind.startswith("options") else KINDS[kind]
    for input_size, hidden_size in SIZES if not kind.startswith("options") else [(7, 17)]:
        layer = made(choice, input_size, hidden_size, num_layers=1)
        slow = as_reference(layer)
        for batch in (1, 3, 17):
            x, state = torch.randn(batch, input_size), random_state(layer, batch)
            assert_close(layer.step(x, state), slow.step(x, state))


@needs_core
@pytest.mark.parametrize("kind", [*KINDS, *[f"options {name}" for name in OPTIONS]])
@pytest.mark.parametrize("batch_first", [False, True])
def test_whole_equals_steps(kind, batch_first):
    choice = OPTIONS[kind.removeprefix("options ")] if kind.startswith("options") else KINDS[kind]
    layer = made(choice, 7, 33, num_layers=2, batch_first=batch_first)
    x, state = torch.randn(9, 3, 7), random_state(layer, 3)
    output, last = layer(x.transpose(0, 1) if batch_first else x, state)
    stream = layer.stream(3)
    stream.state = state
    outputs, after = [], state
    for x_t in x:
        y, after = layer.step(x_t, after)
        assert torch.equal(stream(x_t), y)
        outputs.append(y)
    assert torch.equal(output.transpose(0, 1) if batch_first else output, torch.stack(outputs))
    for one, other, streamed in zip(tensors(last), tensors(after), tensors(stream.state), strict=True):
        assert torch.equal(one, other)
        assert torch.equal(one, streamed)


@needs_core
@pytest.mark.parametrize("kind", ["relu", "lstm", "gru", "gru before"])
def test_padding_is_not_read_and_directions_begin_at_the_last_valid_step(kind):
    layer = made(kind, 3, 17, num_layers=2, bidirectional=True)
    lengths = [5, 1, 9, 7]
    x = torch.randn(9, 4, 3)
    poisoned = x.clone()
    for row, length in enumerate(lengths):
        poisoned[length:, row] = torch.nan
    output, state = layer(poisoned, lengths=lengths)
    for row, length in enumerate(lengths):
        alone, alone_state = layer(x[:length, row : row + 1])
        assert torch.equal(output[:length, row : row + 1], alone)
        assert not output[length:, row].any()
        for one, other in zip(tensors(state), tensors(alone_state), strict=True):
            assert torch.equal(one[:, row : row + 1], other)


@needs_core
@pytest.mark.parametrize("kind", ["tanh", "lstm", "gru"])
def test_resets_empty_batches_and_single_steps(kind):
    layer = made(kind, 3, 7)
    x = torch.randn(6, 2, 3)
    resets = torch.zeros(2, 6, dtype=torch.bool)
    resets[1, 3] = True
    output, _ = layer(x, resets=resets)
    assert torch.equal(output[:, :1], layer(x)[0][:, :1])
    assert torch.equal(output[3:, 1:], layer(x[3:, 1:])[0])
    empty, state = layer(torch.randn(4, 0, 3))
    assert empty.shape == (4, 0, 7)
    assert tensors(state)[0].shape == (1, 0, 7)
    assert layer(x[:1])[0].shape == (1, 2, 7)
    assert layer(x[:, 0])[0].shape == (6, 7)


@needs_core
def test_nan_in_one_row_stays_in_that_row():
    layer = made("lstm", 3, 7)
    x = torch.randn(4, 2, 3)
    broken = x.clone()
    broken[2, 1, 0] = torch.nan
    output, _ = layer(broken)
    assert torch.equal(output[:, 0], layer(x)[0][:, 0])
    assert torch.equal(output[:2, 1], layer(x)[0][:2, 1])
    assert output[2:, 1].isnan().all()


@needs_core
@pytest.mark.parametrize("threads", [1, 3])
def test_threads_compute_the_same_bits(threads):
    layer, before = made("lstm", 100, 257), torch.get_num_threads()
    x = torch.randn(5, 2, 100)
    expected = layer(x)[0]
    torch.set_num_threads(threads)
    try:
        assert torch.equal(layer(x)[0], expected)
    finally:
        torch.set_num_threads(before)


@needs_core
def test_cell_states_and_packed_sequences():
    layer = made("lstm", 3, 7)
    x = torch.randn(5, 2, 3)
    output, cells, (_, c) = layer.cell_states(x)
    assert_close(output, layer(x)[0])
    assert torch.equal(cells[:, -1], c)
    packed = torch.nn.utils.rnn.pack_padded_sequence(x, torch.tensor([5, 3]))
    found = torch.nn.utils.rnn.pad_packed_sequence(layer(packed)[0])[0]
    assert torch.equal(found, layer(x, lengths=[5, 3])[0])


@pytest.mark.parametrize("kind", list(KINDS))
def test_it_is_close_to_the_float_layer(kind):
    build, own = KINDS[kind]
    torch.manual_seed(0)
    layer = build(28, 64, num_layers=2, **own)
    small = rnnkit.quantize(layer)
    x = torch.randn(20, 8, 28)
    with torch.no_grad():
        expected = layer(x)[0]
    assert (small(x)[0] - expected).abs().mean() < 0.02 * expected.abs().mean().clamp(min=0.1)


def test_the_model_stays_and_layers_in_two_places_are_one():
    shared = rnnkit.GRU(5, 5)
    model = torch.nn.ModuleDict({"one": shared, "two": shared, "head": torch.nn.Linear(5, 2)})
    small = rnnkit.quantize(model)
    assert not is_quantized(model)
    assert is_quantized(small)
    assert small["one"] is small["two"]
    assert not small.training
    assert not any(parameter.requires_grad for parameter in small.parameters())
    assert repr(rnnkit.quantize(rnnkit.LSTM(3, 5))).startswith("QuantizedLSTM(3, 5")


@pytest.mark.parametrize("body", [rnnkit.LSTM(28, 64, bidirectional=True), rnnkit.GRU(28, 64, layer_norm=True)])
def test_it_is_saved_and_loaded(body, tmp_path):
    model = rnnkit.SequenceClassifier(body, classes=["a", "b"])
    small = rnnkit.quantize(model)
    save_module(model, tmp_path / "float.safetensors")
    save_module(small, tmp_path / "small.safetensors")
    assert read_config(tmp_path / "small.safetensors")["quantized"] == {"body": {"diagonals": []}}
    again = rnnkit.load(tmp_path / "small.safetensors")
    assert type(again.body) is type(small.body)
    x = torch.randn(3, 9, 28)
    assert torch.equal(again(x), small(x))
    assert torch.equal(rnnkit.load(tmp_path / "small.safetensors", model=model)(x), small(x))
    sizes = [(tmp_path / f"{name}.safetensors").stat().st_size for name in ("small", "float")]
    assert sizes[0] < 0.35 * sizes[1]


def test_a_file_that_names_other_layers_is_refused(tmp_path):
    with pytest.raises(DataError, match="no layer 'front'"):
        restore_quantized(rnnkit.SequenceClassifier(rnnkit.GRU(3, 5), classes=2), {"front": {"diagonals": []}})


def test_a_layer_alone_is_saved_copied_and_moved(tmp_path):
    layer = made("lstm", 3, 5)
    save_module(layer, tmp_path)
    again = copy.deepcopy(rnnkit.load(tmp_path)).cpu()
    x = torch.randn(4, 2, 3)
    assert torch.equal(again(x)[0], layer(x)[0])
    assert torch.equal(copy.deepcopy(again.stream(2))(x[0]), layer.step(x[0])[0])


@pytest.mark.parametrize("init", ["identity", "torch"])
def test_a_diagonal_that_dwarfs_the_rest_stays_float(init, tmp_path):
    layer = rnnkit.SimpleRNN(3, 9, num_layers=2, init=init)
    with torch.no_grad():
        layer.weight_hh_l1.copy_(torch.eye(9) + 0.01 * torch.randn(9, 9))
        layer.weight_hh_l0.add_(0.01 * torch.randn(9, 9))
    small = rnnkit.quantize(layer)
    kept = ["weight_hh_l0", "weight_hh_l1"] if init == "identity" else ["weight_hh_l1"]
    assert small.int8_config() == {"diagonals": kept}
    assert (small._matrix("weight_hh_l1").dequantised() - layer.weight_hh_l1).abs().max() < 2e-4
    save_module(small, tmp_path)
    x = torch.randn(4, 2, 3)
    assert torch.equal(rnnkit.load(tmp_path)(x)[0], small(x)[0])


def test_training_and_gradients_are_refused():
    small = rnnkit.quantize(rnnkit.SequenceClassifier(rnnkit.GRU(3, 5), classes=2))
    x = torch.randn(4, 6, 3)
    with pytest.raises(ConfigError, match="cannot be trained.*rnnkit.quantize"):
        small.train()
    with pytest.raises(ConfigError, match="nothing to train.*8 bits"):
        rnnkit.Learner(small).fit((x, torch.tensor([0, 1, 0, 1])), epochs=1, progress=False)
    with pytest.raises(ConfigError, match=r"8 bits.*cannot be fine-tuned.*float model"):
        rnnkit.Learner(small).fine_tune((x, torch.tensor([0, 1, 0, 1])), epochs=1, progress=False)
    with pytest.raises(BackendError, match="no gradients"):
        small(x.requires_grad_())
    with pytest.raises(ConfigError, match="cannot be trained"):
        small.body.reset_parameters()
    with pytest.raises(AttributeError, match="8 bits"):
        small.body.weight_ih_l0  # noqa: B018


def test_what_cannot_be_quantized_is_named():
    with pytest.raises(ConfigError, match=r"next to nothing in 2 × 3 weights.*expected a SimpleRNN"):
        rnnkit.quantize(torch.nn.Linear(3, 2))
    with pytest.raises(ConfigError, match=r"0 \(RNN\) stays float"):
        rnnkit.quantize(torch.nn.Sequential(rnnkit.RNN(rnnkit.GRUCell(3, 5))))
    with pytest.raises(ConfigError, match="8 bits already"):
        rnnkit.quantize(rnnkit.quantize(rnnkit.GRU(3, 5)))
    with pytest.raises(ConfigError, match="torch.nn.Module"):
        rnnkit.quantize("model")
    with pytest.raises(ConfigError, match=r"model\.float\(\)"):
        rnnkit.quantize(rnnkit.GRU(3, 5, dtype=torch.float64))
    with pytest.raises(ConfigError, match="accelerate"):
        rnnkit.quantize(torch.nn.GRU(3, 5))
    with pytest.raises(ConfigError, match="parametris"):
        rnnkit.quantize(torch.nn.utils.parametrizations.weight_norm(rnnkit.GRU(3, 5), "weight_hh_l0"))
    with pytest.warns(RnnkitWarning, match=r"1 \(ConvGRU\)"):
        small = rnnkit.quantize(torch.nn.ModuleList([rnnkit.GRU(3, 5), rnnkit.ConvGRU(3, 5)]))
    assert quantizable(small).done == ("0",)


def test_other_dtypes_run_on_the_reference():
    layer = made("gru", 3, 5)
    x = torch.randn(4, 2, 3)
    expected = layer(x)[0]
    with pytest.warns(UserWarning, match="float32"):
        found = copy.deepcopy(layer).double()(x.double())[0]
    assert_close(found.float(), expected)


def test_sums_of_both_directions_below_have_to_fit():
    wide = rnnkit.SimpleRNN(2, 33_000, num_layers=2, bidirectional=True, device="meta")  # its second layer reads 66,000
    [skipped] = quantizable(wide).skipped
    assert "more than 65,536 features" in skipped.reason
    assert quantizable(rnnkit.SimpleRNN(2, 33_000, num_layers=2, device="meta")).layers == ("",)


@pytest.mark.parametrize("spoil", [lambda values: values.fill_(-128), torch.Tensor.float])
def test_whole_numbers_that_no_quantisation_makes_are_refused(spoil):
    small = rnnkit.quantize(rnnkit.GRU(3, 5))
    state = small.state_dict()
    state["weight_ih_l0_int8"] = spoil(state["weight_ih_l0_int8"].clone())
    with pytest.raises(DataError, match="weight_ih_l0_int8 holds no whole numbers from −127 to 127"):
        small.load_state_dict(state)
