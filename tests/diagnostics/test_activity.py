import pytest
import torch
from torch import nn

import rnnkit
from rnnkit.diagnostics import saturation
from rnnkit.errors import ConfigError

X = torch.linspace(-1, 1, 6 * 5 * 2).reshape(6, 5, 2)


def filled(layer, **values):
    with torch.no_grad():
        for name, weight in layer.named_parameters():
            weight.copy_(torch.as_tensor(values.get(name.removesuffix("_l0"), 0.0)).expand_as(weight))
    return layer


def gates(*biases, hidden=2):
    return torch.tensor(biases).repeat_interleave(hidden)


@pytest.mark.parametrize("kind", [rnnkit.LSTM, nn.LSTM])
def test_each_gate_of_an_lstm(kind):
    layer = filled(kind(2, 2, batch_first=True), bias_ih=gates(9.0, -9.0, 0.5, 0.0))
    (found,) = saturation(layer, X)
    assert (found.layer, found.kind) == ("l0", "lstm")
    assert found.high == {"i": 1, "f": 0, "g": 0, "o": 0, "tanh(c)": 0}
    assert found.low == {"i": 0, "f": 1, "g": 0, "o": 0, "tanh(c)": 0}
    assert found.saturated["i"] == found.saturated["f"] == 1
    layer = filled(kind(2, 2, batch_first=True), bias_ih=gates(9.0, 9.0, -9.0, -9.0))
    (found,) = saturation(layer, X)
    assert found.low == {"i": 0, "f": 0, "g": 1, "o": 1, "tanh(c)": 0.6}  # c = -1, -2, -3, ...


@pytest.mark.parametrize("kind", [rnnkit.GRU, nn.GRU])
def test_each_gate_of_a_gru(kind):
    (found,) = saturation(filled(kind(2, 2, batch_first=True), bias_ih=gates(9.0, -9.0, 9.0)), X)
    assert (found.high, found.low) == ({"r": 1, "z": 0, "n": 1}, {"r": 0, "z": 1, "n": 0})
    assert found.constant.tolist() == [False, False]  # z = 1.2e-4: h creeps to n


def test_simple_recurrences_dead_and_constant_units():
    weights = torch.tensor([[9.0, 9.0], [0.0, 0.0], [0.1, 0.1]])
    (tanh,) = saturation(filled(rnnkit.SimpleRNN(2, 3, batch_first=True), weight_ih=weights), X)
    h = (X @ weights.T).tanh()
    assert tanh.high["h"] == pytest.approx((h > 0.99).float().mean().item())
    assert tanh.low["h"] == pytest.approx((h < -0.99).float().mean().item())
    assert tanh.saturated["h"] > 0.25
    assert (tanh.constant.tolist(), tanh.dead.any().item()) == ([False, True, False], False)
    assert tanh.constant_share == pytest.approx(1 / 3)
    relu = rnnkit.SimpleRNN(2, 3, nonlinearity="relu", batch_first=True)
    (dead,) = saturation(filled(relu, weight_ih=weights, bias_ih=[-99.0, 0.0, 0.0]), X)
    assert (dead.saturated, dead.dead.tolist()) == ({}, [True, True, False])
    assert dead.dead_share == pytest.approx(2 / 3)
    (sigmoid,) = saturation(filled(rnnkit.SimpleRNN(2, 3, nonlinearity="sigmoid"), bias_ih=-5.0), X)
    assert (sigmoid.low, sigmoid.high) == ({"h": 1}, {"h": 0})


def test_padding_does_not_count_in_either_direction():
    torch.manual_seed(0)
    layer = rnnkit.GRU(2, 3, num_layers=2, bidirectional=True, batch_first=True)
    batch = rnnkit.Sequences(X.clone(), torch.tensor([5, 2, 1, 3, 5, 4]))
    expected = [saturation(layer, row[None, :length]) for row, length in zip(X, batch.lengths.tolist(), strict=True)]
    batch.values[torch.arange(5)[None, :] >= batch.lengths[:, None]] = float("nan")
    found = saturation(layer, batch)
    assert [one.layer for one in found] == ["l0", "l0_reverse", "l1", "l1_reverse"]
    for place, one in enumerate(found):
        mean = sum(row[place].high["n"] * length for row, length in zip(expected, batch.lengths.tolist(), strict=True))
        assert one.high["n"] == pytest.approx(mean / int(batch.lengths.sum()), abs=1e-6)
        assert not one.constant.any()


def test_a_model_without_recurrent_layers_is_refused():
    with pytest.raises(ConfigError, match="Linear has no recurrent layer"):
        saturation(nn.Linear(2, 1), X)
