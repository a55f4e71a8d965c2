"""LSTM and GRU: the contract, natively, through PyTorch and through their references."""

import contract
import pytest
import torch

import rnnkit
from rnnkit.errors import BackendError, ConfigError

LAYERS = [
    (rnnkit.LSTM, torch.nn.LSTM, {}),
    (rnnkit.LSTM, torch.nn.LSTM, {"proj_size": 1}),
    (rnnkit.GRU, torch.nn.GRU, {}),
]
OPTIONS = [{}, {"num_layers": 2, "bias": False}, {"bidirectional": True, "num_layers": 2}]


def maker(layer, dtype=torch.float64, **fixed):
    def make(inputs, hidden, **options):
        torch.manual_seed(3)
        if options.get("proj_size") == hidden:
            hidden += 1
        return layer(inputs, hidden, dtype=dtype, **fixed, **options)

    return make


def torch_maker(layer):
    return lambda inputs, hidden, **options: layer(inputs, hidden + (options.get("proj_size") == hidden), **options)


CONTRACT = [(layer, fixed | options) for layer, _, fixed in LAYERS for options in OPTIONS]


@pytest.mark.parametrize(("dtype", "layer", "options", "check"), contract.alternating(*CONTRACT))
def test_contract(dtype, layer, options, check):
    check(maker(layer, dtype, backend="native"), **options)


@pytest.mark.parametrize("options", OPTIONS, ids=str)
@pytest.mark.parametrize(("layer", "peer", "fixed"), LAYERS)
@pytest.mark.parametrize("backend", ["native", "torch", "reference"])
def test_equals_pytorch(backend, layer, peer, fixed, options):
    contract.check_torch(maker(layer, backend=backend), torch_maker(peer), **fixed, **options)


@pytest.mark.parametrize("layer", [rnnkit.LSTM, rnnkit.GRU])
def test_bad_input(layer):
    contract.check_bad_input(lambda *sizes, **options: layer(*sizes, **options))


@pytest.mark.parametrize("layer", [rnnkit.LSTM, rnnkit.GRU])
def test_backends(layer):
    assert layer(4, 5).backend_for("cpu") == "native"
    assert layer(4, 5).backend_for("cuda") == "torch"
    assert layer(4, 5).backend_for("cpu", torch.bfloat16) == "torch"
    with pytest.raises(BackendError, match="no layer_norm"):
        layer(4, 5, layer_norm=True, backend="torch")(torch.zeros(2, 3, 4))
    with pytest.raises(ConfigError, match='use "torch" or "keras"'):
        layer(4, 5, init="identity")


def test_what_only_the_reference_serves_warns_once():
    from rnnkit.ops.backend import _warn_once

    _warn_once.cache_clear()
    layer, resets = rnnkit.GRU(4, 5, dtype=torch.bfloat16), torch.zeros(3, 2, dtype=torch.bool)
    x = torch.zeros(2, 3, 4, dtype=torch.bfloat16)
    with pytest.warns(UserWarning, match="slow reference.*float32 and float64.*no resets"):
        layer(x, resets=resets)


def test_keras_init_opens_the_forget_gate():
    layer = rnnkit.LSTM(4, 6, init="keras")
    bias = (layer.bias_ih_l0 + layer.bias_hh_l0).detach()
    assert bias.tolist() == [0.0] * 6 + [1.0] * 6 + [0.0] * 12
