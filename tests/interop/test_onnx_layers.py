"""Layers over sequences as ONNX graphs: each equals rnnkit, with all of its options, whole and in chunks."""

import copy

import numpy as np
import onnx
import pytest
import torch
from onnx_checks import graphs_agree, perturbed
from torch import nn

import rnnkit
from rnnkit.errors import ConfigError
from rnnkit.finetuning import add_adapters
from rnnkit.interop.onnx.checking import Session, start_of
from rnnkit.interop.onnx.exporting import prepared, serialized

GATED = [
    {},
    {"bias": False},
    {"layer_norm": True},
    {"zoneout": 0.2},
    {"learn_initial_state": True},
    {"layer_norm": True, "zoneout": 0.1, "learn_initial_state": True, "bias": False},
    {"recurrent_dropout": 0.2, "weight_dropout": 0.3, "recompute": 2},  # nothing of these in evaluation
]
OF_LSTM = [
    {"proj_size": 2},
    {"zoneout": (0.2, 0.1)},
    {"peepholes": True},
    {"coupled_gates": True},
    {"peepholes": True, "coupled_gates": True},
    {"peepholes": True, "coupled_gates": True, "layer_norm": True, "zoneout": 0.1, "proj_size": 3},
]
OF_GRU = [{"reset_after": False}, {"reset_after": False, "zoneout": 0.1}]
OF_SIMPLE = [{"nonlinearity": "relu"}, {"nonlinearity": "sigmoid"}, {"nonlinearity": "relu", "layer_norm": True}]
RECURRENT = [
    *((rnnkit.SimpleRNN, options) for options in GATED + OF_SIMPLE),
    *((rnnkit.GRU, options) for options in GATED + OF_GRU),
    *((rnnkit.LSTM, options) for options in GATED + OF_LSTM),
]


@pytest.mark.parametrize("shape", [{"num_layers": 1}, {"num_layers": 2, "bidirectional": True}])
@pytest.mark.parametrize(("layer", "options"), RECURRENT)
def test_a_recurrent_layer_with_its_options(layer, options, shape):
    torch.manual_seed(0)
    model = perturbed(layer(3, 5, **options, **shape))
    # Layer normalisation multiplies rounding errors: rnnkit's own backends differ by as much.
    graphs_agree(model, bound=1e-3 if options.get("layer_norm") else 1e-5)


@pytest.mark.parametrize(
    "model",
    [
        nn.LSTM(3, 5, 2, batch_first=True),
        nn.LSTM(3, 5, bidirectional=True, proj_size=2),
        nn.GRU(3, 5, 2, bidirectional=True, bias=False),
        nn.RNN(3, 5, nonlinearity="relu"),
        rnnkit.RNN(rnnkit.LSTMCell(3, 5)),
        rnnkit.RNN(nn.GRUCell(3, 5), reverse_cell=rnnkit.GRUCell(3, 4)),
        rnnkit.RNN(rnnkit.SimpleRNNCell(3, 5, nonlinearity="sigmoid")),
        rnnkit.GRU(3, 5, dtype=torch.float64),
        rnnkit.Chain(rnnkit.GRU(3, 5, num_layers=2), rnnkit.VariationalDropout(0.1), rnnkit.LSTM(5, 4, zoneout=0.1)),
        nn.Sequential(nn.Linear(3, 7), nn.Tanh(), nn.LSTM(7, 5, batch_first=True), nn.LayerNorm(5)),
        rnnkit.Beside(rnnkit.GRU(3, 5)),
        nn.Conv1d(4, 6, 3, stride=2),
        nn.Conv1d(4, 6, 3, padding=2, dilation=2, groups=2),
        nn.Sequential(nn.Embedding(20, 6, max_norm=0.5), nn.Conv1d(6, 6, 4, padding="same")),
        rnnkit.ConvContext(6, 8, num_layers=3),
        rnnkit.ConvFront(4, channels=12, stride=3),
        rnnkit.ConvFront(4, channels=12, differences=False, standardised=False),
        rnnkit.CausalConv(4, channels=6, kernel_sizes=(5, 3), strides=(2, 3)),
        rnnkit.LineFront(32, channels=(4, 8, 8, 8), features=16),
        rnnkit.LineFront(9, channels=(2, 3, 4, 5), features=6, stride=2),
        rnnkit.PixelFront(3, 4, permutation=3, mean=0.1, std=0.3),
        rnnkit.WordFront(words=100, word_size=16),
    ],
    ids=lambda model: type(model).__name__,
)
def test_a_layer_over_sequences(model):
    double = next(iter(model.parameters()), torch.empty(0)).dtype == torch.float64
    graphs_agree(model.eval() if double else perturbed(model), states=not isinstance(model, rnnkit.CausalConv))


def test_words_with_characters():
    graphs_agree(rnnkit.WordFront(words=100, characters=30, word_size=16, filters=8, character_size=4).eval())


@pytest.mark.parametrize(
    "module",
    [
        nn.ReLU(), nn.GELU(), nn.GELU(approximate="tanh"), nn.SiLU(), nn.Sigmoid(), nn.LeakyReLU(0.2), nn.ELU(0.7),
        nn.SELU(), nn.CELU(0.5), nn.Mish(), nn.ReLU6(), nn.Softplus(), nn.Softplus(beta=2.0), nn.Softsign(),
        nn.LogSigmoid(), nn.Hardtanh(-0.5, 0.7), nn.Hardswish(), nn.Hardsigmoid(), nn.RMSNorm(4), nn.LayerNorm(4),
        nn.LayerNorm(4, elementwise_affine=False), nn.BatchNorm1d(4), nn.Softmax(-1), nn.LogSoftmax(-1), nn.PReLU(4),
        nn.Dropout(), nn.Identity(),
    ],
    ids=str,
)  # fmt: skip
def test_a_module_in_a_head(module):
    head = nn.Sequential(nn.Linear(5, 4), module, nn.Linear(4, 2))
    graphs_agree(perturbed(rnnkit.SequenceRegressor(rnnkit.SimpleRNN(3, 5), 2, head=head)), parts=["model"])


def test_glu_halves_the_features():
    head = nn.Sequential(nn.Linear(5, 4), nn.GLU(), nn.Linear(2, 2))
    graphs_agree(perturbed(rnnkit.SequenceRegressor(rnnkit.SimpleRNN(3, 5), 2, head=head)))


def test_adapters_are_part_of_the_weights():
    model = perturbed(rnnkit.SequenceRegressor(rnnkit.GRU(3, 5), 2))
    before = prepared(copy.deepcopy(model))[0]
    add_adapters(model, rank=2)
    graphs_agree(perturbed(model))
    after = prepared(model)[0]
    example = before.example(2, 5, torch.Generator().manual_seed(0)) | start_of(before, 2)
    one, other = (Session(serialized(part), 1)(example)["y"] for part in (before, after))
    assert not torch.allclose(one, other)


def test_nothing_behind_a_length_is_read():
    part = prepared(perturbed(rnnkit.Chain(nn.Linear(3, 4), rnnkit.GRU(4, 5, bidirectional=True, layer_norm=True))))[0]
    session = Session(serialized(part), threads=1)
    inputs = part.example(4, 9, torch.Generator().manual_seed(0))
    poisoned = inputs["x"].clone()
    for row, length in enumerate(inputs["lengths"]):
        poisoned[row, length:] = float("nan")
    found, expected = session({**inputs, "x": poisoned}), session(inputs)
    assert torch.equal(found["y"], expected["y"])
    assert all((found["y"][row, length:] == 0).all() for row, length in enumerate(inputs["lengths"]))


def test_the_operators_are_onnx_own_where_they_serve():
    def kinds(model):
        return {node.op_type for node in onnx.load_from_string(serialized(prepared(model)[0])).graph.node}

    assert "LSTM" in kinds(rnnkit.LSTM(3, 5, peepholes=True, coupled_gates=True))
    assert "GRU" in kinds(rnnkit.GRU(3, 5, reset_after=False))
    assert "RNN" in kinds(rnnkit.SimpleRNN(3, 5, nonlinearity="sigmoid"))
    assert "Scan" in kinds(rnnkit.LSTM(3, 5, proj_size=2))


def test_a_learned_initial_state_is_told():
    layer = perturbed(rnnkit.LSTM(3, 5, learn_initial_state=True))
    part = prepared(layer)[0]
    h, c = part.states
    assert (h.input, h.output, h.shape) == ("h", "h_out", (1, "batch", 5))
    np.testing.assert_array_equal(h.start, layer.initial_h.detach().numpy())
    np.testing.assert_array_equal(c.start, layer.initial_c.detach().numpy())
    assert prepared(rnnkit.LSTM(3, 5))[0].states[0].start is None
    assert prepared(layer, states=False)[0].states == ()


class Mine(rnnkit.GRU):
    pass


def echo(x, state):
    return x, state


def with_head(module):
    return rnnkit.SequenceRegressor(rnnkit.GRU(3, 5), head=nn.Sequential(module, nn.Linear(5, 1)))


@pytest.mark.parametrize(
    ("model", "named"),
    [
        (Mine(3, 5), "Mine"),
        (rnnkit.RNN(echo, input_size=3, output_size=3, initial_state=torch.zeros(1, 3)), "cell of your own"),
        (rnnkit.RNN(rnnkit.GRUCell(3, 5), initial_state=torch.ones(1, 5)), "learn_initial_state=True"),
        (nn.Conv1d(3, 5, 3, padding=1, padding_mode="circular"), "padding_mode='circular'"),
        (rnnkit.PerStep(nn.Bilinear(3, 3, 5)), "torch.nn.Bilinear"),
        (nn.Bilinear(3, 3, 5), "Bilinear"),
        (with_head(nn.GroupNorm(1, 5)), "GroupNorm"),
        (with_head(nn.BatchNorm1d(5, track_running_stats=False)), "LayerNorm"),
    ],
    ids=str,
)
def test_what_cannot_be_written_is_named(model, named):
    with pytest.raises(ConfigError, match=named):
        prepared(model.eval())
