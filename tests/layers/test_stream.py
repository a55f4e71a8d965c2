"""layer.stream(batch): one step at a time, equal to the whole sequence."""

import copy
import itertools
import pickle
import threading
import warnings

import pytest
import torch
from tolerances import assert_close
from torch.nn import utils
from torch.nn.utils import parametrizations, prune

import rnnkit
from rnnkit.errors import BackendError, ConfigError, ShapeError
from rnnkit.layers._both_directions import BothDirections
from rnnkit.layers._partial_stream import partial_stream
from rnnkit.ops.state import map_state

CASES = [
    (rnnkit.SimpleRNN, {}),
    (rnnkit.SimpleRNN, {"num_layers": 3, "nonlinearity": "sigmoid", "bias": False}),
    (rnnkit.LSTM, {}),
    (rnnkit.LSTM, {"num_layers": 2, "proj_size": 4, "peepholes": True}),
    (rnnkit.LSTM, {"coupled_gates": True, "zoneout": (0.1, 0.2), "learn_initial_state": True}),
    (rnnkit.LSTM, {"layer_norm": True, "num_layers": 2}),
    (rnnkit.GRU, {"num_layers": 2, "zoneout": 0.2, "dropout": 0.5}),
    (rnnkit.GRU, {"reset_after": False}),
    (rnnkit.GRU, {"dtype": torch.float64}),
    (rnnkit.GRU, {"backend": "torch"}),
]


def made(layer, options, hidden=9):
    torch.manual_seed(0)
    return layer(3, hidden, **options)


@pytest.mark.parametrize(("layer", "options"), CASES, ids=str)
@pytest.mark.parametrize("batch", [1, 5])
def test_equals_the_whole_sequence(layer, options, batch):
    module = made(layer, options)
    x = torch.randn(7, batch, 3, dtype=module.weight_ih_l0.dtype)
    stream = module.stream(batch)
    outputs = torch.stack([stream(x_t) for x_t in x])
    expected, state = module.eval()(x)
    assert_close(outputs, expected)
    assert_close(stream.state, state)


@pytest.mark.parametrize(("layer", "options"), CASES, ids=str)
@pytest.mark.parametrize("inputs", [0, 2, 3])
def test_a_part_of_the_products_is_there_beforehand(layer, options, inputs):
    module = made(layer, options)
    stream = partial_stream(module, 5, inputs)
    if options.get("layer_norm") or options.get("backend"):
        assert stream is None
        return
    x = torch.randn(7, 5, 3, dtype=module.weight_ih_l0.dtype)
    outputs = []
    for x_t in x:
        torch.mm(x_t[:, inputs:], stream.further.T, out=stream.added)
        outputs.append(stream.advance(x_t[:, :inputs] if inputs else None).clone())
    expected, state = module.eval()(x)
    assert_close(torch.stack(outputs), expected)
    assert_close(stream.state, state)


def test_a_partial_stream_is_not_copied():
    with pytest.raises(TypeError, match="made anew"):
        copy.deepcopy(partial_stream(made(rnnkit.GRU, {}), 2, 1))


@pytest.mark.parametrize(("layer", "options"), CASES[:-1], ids=str)
@pytest.mark.parametrize("batch", [1, 5])
def test_packed_steps_in_both_directions_equal_the_whole_sequence(layer, options, batch):
    module = made(layer, {**options, "bidirectional": True, "batch_first": True})
    both = BothDirections(module, batch)
    for time in (7, 1):
        x = torch.randn(batch, time, 3, dtype=module.weight_ih_l0.dtype)
        with torch.no_grad():
            expected, state = module.eval()(x)
        found, after = both(x)
        assert_close(found, expected)
        assert_close(after, state)
    with pytest.raises(TypeError, match="made anew"):
        copy.deepcopy(both)


def test_wide_layers_share_units_over_threads():
    module = made(rnnkit.LSTM, {}, hidden=700)
    x = torch.randn(4, 1, 3)
    stream = module.stream()
    assert_close(torch.stack([stream(x_t) for x_t in x]), module(x)[0])


def test_state_and_reset():
    module = made(rnnkit.LSTM, {})
    x = torch.randn(4, 2, 3)
    stream = module.stream(batch=2)
    first = stream(x[0])
    after = stream.state
    second = stream(x[1])
    stream.reset()
    assert torch.equal(stream(x[0]), first)
    stream.state = after
    assert torch.equal(stream(x[1]), second)
    stream.reset(torch.tensor([True, False]))
    _, (h, c) = module(x[2:3], map_state(lambda leaf: leaf * torch.tensor([[[0.0], [1.0]]]), module(x[:2])[1]))
    stream(x[2])
    assert_close(stream.state, (h, c))
    with pytest.raises(ShapeError, match="those of this stream"):
        stream.state = module.initial_state(3)


def test_weights_are_a_snapshot_and_the_layer_keeps_its_mode():
    module = made(rnnkit.GRU, {"recurrent_dropout": 0.5, "layer_norm": True})
    stream, x = module.stream(), torch.ones(1, 3)
    before = stream(x)
    with torch.no_grad():
        module.weight_ih_l0.zero_()
    stream.reset()
    assert torch.equal(stream(x), before)
    assert module.training


def test_every_step_returns_a_new_tensor():
    """README's example: a list of the outputs holds all of them."""
    layer, xs = made(rnnkit.LSTM, {}), torch.randn(7, 1, 3)
    stream = layer.stream(batch=1)
    outputs = [stream(x_t) for x_t in xs]
    assert len({output.data_ptr() for output in outputs}) == 7
    assert_close(torch.stack(outputs), layer(xs)[0])


@pytest.mark.parametrize("backend", ["native", "reference"])
def test_the_shared_buffer_on_request(backend):
    """The output is one buffer, which the next step overwrites; a strided x is taken too."""
    layer = made(rnnkit.LSTM, {"backend": backend})
    stream, fresh = layer.stream(batch=4, reuse_output=True), layer.stream(batch=4)
    x = torch.randn(4, 6)[:, ::2]
    first = stream(x)
    assert torch.equal(first, fresh(x))
    assert stream(x) is first
    assert torch.equal(first, fresh(x))
    assert 0 < stream.seconds_per_step(x, 10) < 1


def test_strided_and_self_fed_inputs_are_read_as_they_were():
    module = made(rnnkit.SimpleRNN, {})
    x = torch.randn(3, 4).T
    assert_close(module.stream(4)(x), module.step(x)[0])
    for layer, reuse in itertools.product((rnnkit.SimpleRNN, rnnkit.LSTM, rnnkit.GRU), (False, True)):
        own = layer(300, 300)
        stream, state, y = own.stream(2, reuse_output=reuse), None, torch.randn(2, 300)
        expected = y
        for _ in range(3):
            y = stream(y)
            expected, state = own.step(expected, state)
        assert_close(y, expected)


def test_a_stream_made_in_inference_mode_goes_on_outside():
    module = made(rnnkit.GRU, {})
    with torch.inference_mode():
        stream = module.stream()
        first = stream(torch.ones(1, 3))
    stream.reset()
    assert torch.equal(stream(torch.ones(1, 3)), first)


def test_streams_in_threads_do_not_meet():
    module, x = made(rnnkit.LSTM, {}, hidden=64), torch.randn(50, 1, 3)
    expected, _ = module(x)
    found = {}

    def run(index):
        stream = module.stream()
        found[index] = torch.stack([stream(x_t) for x_t in x])

    threads = [threading.Thread(target=run, args=(index,)) for index in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(found) == 4
    for outputs in found.values():
        assert_close(outputs, expected)


def old_weight_norm(layer):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FutureWarning)
        return utils.weight_norm(layer, "weight_hh_l0")


NORMED = {
    "weight_norm": lambda layer: parametrizations.weight_norm(layer, "weight_hh_l0"),
    "spectral_norm": lambda layer: parametrizations.spectral_norm(layer, "weight_hh_l0"),
    "old weight_norm": old_weight_norm,
    "old spectral_norm": lambda layer: utils.spectral_norm(layer, "weight_hh_l0"),
    "pruned": lambda layer: prune.l1_unstructured(layer, "weight_hh_l0", 0.5),
    "pruned twice": lambda layer: prune.l1_unstructured(
        prune.random_unstructured(layer, "weight_hh_l0", 0.3), "weight_hh_l0", 0.5
    ),
}


@pytest.mark.parametrize("norm", NORMED.values(), ids=NORMED)
def test_layers_whose_weights_are_computed(norm):
    """The stream has the weights that a call would use now, and the layer keeps its own as they were."""
    module = norm(made(rnnkit.GRU, {}))
    x = torch.randn(7, 2, 3)
    module(x)[0].sum().backward()  # the weights of the last call have a graph
    with torch.no_grad():
        for weight in module.parameters():
            weight.mul_(1.1)
    before = {name: value.clone() for name, value in module.state_dict().items()}
    stream = module.stream(2)
    assert all(torch.equal(value, before[name]) for name, value in module.state_dict().items())
    assert module.training
    outputs = torch.stack([stream(x_t) for x_t in x])
    assert_close(outputs, module.eval()(x)[0])
    again = pickle.loads(pickle.dumps(stream))
    stream.reset()
    again.reset()
    assert torch.equal(again(x[0]), stream(x[0]))


@pytest.mark.parametrize(
    ("layer", "options"), [(rnnkit.LSTM, {"coupled_gates": True}), (rnnkit.GRU, {"backend": "torch"})]
)
@pytest.mark.parametrize("reuse", [True, False])
def test_copies_go_on_by_themselves(layer, options, reuse):
    module, x = made(layer, options), torch.randn(6, 2, 3)
    stream = module.stream(2, reuse_output=reuse)
    for x_t in x[:3]:
        stream(x_t)
    others = [copy.copy(stream), copy.deepcopy(stream), pickle.loads(pickle.dumps(stream))]
    expected = [stream(x_t).clone() for x_t in x[3:]]
    for other in others:
        assert_close([other(x_t).clone() for x_t in x[3:]], expected)
        assert (other(x[0]) is other(x[0])) == reuse
    assert_close(stream.state, module.eval()(x)[1])


def test_repr():
    assert repr(rnnkit.LSTM(3, 5).stream(2)) == (
        "Stream(LSTM(3, 5, init='torch', backend='auto'), batch=2), computed by native"
    )
    stream = rnnkit.GRU(3, 5, backend="reference").stream(reuse_output=True)
    assert repr(stream).endswith("batch=1, reuse_output=True), computed by reference")


def test_bad_input():
    stream = rnnkit.GRU(3, 4).stream(2)
    with pytest.raises(ShapeError, match=r"\(1, 3\).*takes torch.float32 of shape \(2, 3\)"):
        stream(torch.zeros(1, 3))
    with pytest.raises(ShapeError, match="x is torch.float64"):
        stream(torch.zeros(2, 3, dtype=torch.float64))
    with pytest.raises(BackendError, match="needs the whole sequence"):
        rnnkit.GRU(3, 4, bidirectional=True).stream()
    with pytest.raises(ConfigError, match="repeats=0"):
        stream.seconds_per_step(torch.zeros(2, 3), 0)
    with pytest.raises(ShapeError, match="pass mask.bool"):
        stream.reset(torch.tensor([0, 1]))
    with pytest.raises(ConfigError, match="batch=0"):
        rnnkit.GRU(3, 4).stream(0)
