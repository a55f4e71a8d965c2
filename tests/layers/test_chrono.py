"""chrono_: what a gate held at its bias alone forgets."""

import pytest
import torch

import rnnkit
from rnnkit.errors import ConfigError


def gates(layer, suffix="l0"):
    total = getattr(layer, f"bias_ih_{suffix}") + getattr(layer, f"bias_hh_{suffix}")
    return total.detach().view(-1, layer.hidden_size)


@pytest.mark.parametrize("make", [rnnkit.LSTM, torch.nn.LSTM])
def test_lstm_forget_and_input_gates(make):
    layer = make(2, 500, num_layers=2, bidirectional=True)
    before = {name: weight.clone() for name, weight in layer.named_parameters()}
    torch.manual_seed(0)
    rnnkit.chrono_(layer, 100)
    for suffix in ("l0", "l1_reverse"):
        i, f, g, o = gates(layer, suffix)
        assert torch.equal(i, -f)
        assert f.min() >= 0
        assert 4.5 < f.max() <= torch.tensor(99.0).log()
        keeps = 1 + f.exp()
        assert 45 < keeps.mean() < 56  # uniform over 2 … 100 steps
        old = (before[f"bias_ih_{suffix}"] + before[f"bias_hh_{suffix}"]).view(4, -1)
        assert torch.equal(g, old[2])
        assert torch.equal(o, old[3])
    assert torch.equal(layer.weight_hh_l1, before["weight_hh_l1"])


def test_gru_and_coupled_gates():
    torch.manual_seed(0)
    gru = rnnkit.GRU(2, 500)
    r = gates(gru)[0].clone()
    rnnkit.chrono_(gru, 50)
    assert torch.equal(gates(gru)[0], r)
    assert 0 <= gates(gru)[1].min() <= gates(gru)[1].max() <= torch.tensor(49.0).log()
    coupled = rnnkit.LSTM(2, 500, coupled_gates=True)  # i, g, o; f is 1 − i
    rnnkit.chrono_(coupled, 50)
    assert -torch.tensor(49.0).log() <= gates(coupled)[0].min() <= gates(coupled)[0].max() <= 0


def test_a_state_lasts_as_long_as_said():
    layer = rnnkit.GRU(1, 64)
    for weight in layer.parameters():
        torch.nn.init.zeros_(weight)
    rnnkit.chrono_(layer, 200)
    longest = int(gates(layer)[1].argmax())
    _, state = layer(torch.zeros(100, 1, 1), torch.ones(1, 1, 64))
    assert state[0, 0, longest] > 0.5  # a default GRU has 2 ** -100 left
    assert state.min() < 1e-3


@pytest.mark.parametrize(
    ("layer", "longest", "message"),
    [
        (lambda: rnnkit.SimpleRNN(1, 2), 9, "gates"),
        (lambda: rnnkit.LSTM(1, 2, bias=False), 9, "gates"),
        (lambda: torch.nn.Linear(1, 2), 9, "Linear"),
        (lambda: rnnkit.GRU(1, 2), 2, "longest=2"),
    ],
)
def test_refused(layer, longest, message):
    with pytest.raises(ConfigError, match=message):
        rnnkit.chrono_(layer(), longest)
