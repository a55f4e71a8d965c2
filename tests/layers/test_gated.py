"""LSTM and GRU: the same contract, through PyTorch and through their references."""

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


@pytest.mark.filterwarnings("ignore:.*slow reference")
@pytest.mark.parametrize("options", OPTIONS, ids=str)
@pytest.mark.parametrize(("layer", "peer", "fixed"), LAYERS)
def test_contract(layer, peer, fixed, options):
    contract.check_recurrence(maker(layer), **fixed, **options)


@pytest.mark.parametrize("options", OPTIONS, ids=str)
@pytest.mark.parametrize(("layer", "peer", "fixed"), LAYERS)
def test_reference_equals_pytorch(layer, peer, fixed, options):
    contract.check_torch(maker(layer, backend="reference"), torch_maker(peer), **fixed, **options)


@pytest.mark.parametrize("layer", [rnnkit.LSTM, rnnkit.GRU])
def test_autocast(layer):
    contract.check_autocast(maker(layer, torch.float32))


@pytest.mark.parametrize("layer", [rnnkit.LSTM, rnnkit.GRU])
def test_bad_input(layer):
    contract.check_bad_input(lambda *sizes, **options: layer(*sizes, **options))


@pytest.mark.parametrize("layer", [rnnkit.LSTM, rnnkit.GRU])
def test_no_native_kernel_yet(layer):
    with pytest.raises(BackendError, match="no (LSTM|GRU) kernel yet"):
        layer(4, 5, backend="native")(torch.zeros(2, 3, 4))
    assert layer(4, 5).backend_for("cpu") == "torch"
    with pytest.raises(ConfigError, match='use "torch" or "keras"'):
        layer(4, 5, init="identity")


def test_resets_warn_once_that_they_are_slow():
    from rnnkit.ops.backend import _warn_once

    _warn_once.cache_clear()
    layer, resets = rnnkit.GRU(4, 5), torch.zeros(3, 2, dtype=torch.bool)
    with pytest.warns(UserWarning, match="slow reference.*no GRU kernel.*no resets"):
        layer(torch.zeros(2, 3, 4), resets=resets)


def test_keras_init_opens_the_forget_gate():
    layer = rnnkit.LSTM(4, 6, init="keras")
    bias = (layer.bias_ih_l0 + layer.bias_hh_l0).detach()
    assert bias.tolist() == [0.0] * 6 + [1.0] * 6 + [0.0] * 12
