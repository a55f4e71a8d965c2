"""Layers over sequences: the base class, the adapters, chains."""

from __future__ import annotations

import pytest
import torch
from torch import nn

import rnnkit
from rnnkit.errors import BackendError, ConfigError, ShapeError
from rnnkit.layers.description import TORCH_ARGUMENTS, describe, short_repr
from rnnkit.layers.sequence_adapters import as_sequence_module
from rnnkit.layers.sequence_module import SequenceModule, masked

LENGTHS = torch.tensor([6, 1, 3])


class Sum(SequenceModule):
    """y_t = x_1 + … + x_t."""

    stateful = True

    def forward(self, x, lengths=None):
        y, state = self.forward_chunk(x, lengths=lengths)
        return y, lengths, state

    def forward_chunk(self, x, state=None, *, lengths=None, resets=None):
        y = self.masked(x, lengths).cumsum(1) + (0 if state is None else state[:, None])
        return self.masked(y, lengths), y[:, -1]

    def initial_state(self, batch, device=None, dtype=None):
        return torch.zeros(batch, 3, device=device, dtype=dtype)


def test_a_step_follows_from_a_chunk():
    layer, x = Sum(), torch.randn(3, 6, 3)
    whole, lengths, state = layer(x)
    assert lengths is None
    assert layer.carry_problem is None
    before = layer.initial_state(3)
    for t in range(6):
        y, before = layer.step(x[:, t], before)
        torch.testing.assert_close(y, whole[:, t])
    torch.testing.assert_close(before, state)


def test_what_has_no_chunks_says_so():
    class Reversed(SequenceModule):
        def forward(self, x, lengths=None):
            return x.flip(1), lengths, None

    layer = Reversed()
    assert layer.carry_problem == "its Reversed needs whole sequences: apply it to the data beforehand"
    assert layer.initial_state(3) is None
    for call in (layer.forward_chunk, layer.step):
        with pytest.raises(BackendError, match="Reversed needs whole sequences"):
            call(torch.randn(3, 6, 3))
    with pytest.raises(BackendError, match="Conv1d needs whole sequences"):
        as_sequence_module(nn.Conv1d(3, 3, 1)).forward_chunk(torch.randn(3, 6, 3))


ADAPTED = [
    nn.Linear(3, 5), nn.LayerNorm(3), nn.RMSNorm(3), nn.Identity(), nn.Dropout(0.5), nn.Tanh(), nn.GELU(),
    nn.Conv1d(3, 5, 3, padding="same"), nn.Conv1d(3, 5, 4, stride=3, padding=2, dilation=1), nn.LSTM(3, 5),
    nn.GRU(3, 5, 2, bidirectional=True), nn.RNN(3, 5, batch_first=True), rnnkit.LSTM(3, 5, proj_size=2),
    rnnkit.RNN(nn.GRUCell(3, 5)), nn.Sequential(nn.Linear(3, 4), nn.ReLU(), nn.LSTM(4, 2)), Sum(),
    rnnkit.Chain(Sum(), rnnkit.GRU(3, 4)), rnnkit.PerStep(nn.Softplus()), rnnkit.ConvFront(3, 6, (3,), stride=2),
    rnnkit.SeriesAugment(),
]  # fmt: skip


@pytest.mark.parametrize("module", ADAPTED, ids=lambda module: type(module).__name__)
def test_every_layer_keeps_the_contract(module):
    layer, x = as_sequence_module(module.eval()), torch.randn(3, 6, 3)
    poisoned = torch.where(masked(torch.ones_like(x), LENGTHS).bool(), x, torch.nan)
    together, lengths, state = layer(poisoned, LENGTHS)
    assert together.shape[2] == (layer.output_size or 3)
    assert (state is not None) == layer.stateful
    assert not masked(together, lengths).isnan().any()
    if not isinstance(module, rnnkit.SeriesAugment):  # which leaves its input as it is in evaluation
        assert torch.equal(together, masked(together, lengths))
    last = layer.last_output(together, lengths, state)
    for row, length in enumerate(LENGTHS.tolist()):
        alone, none, own = layer(x[row : row + 1, :length])
        assert none is None
        assert alone.shape[1] == int(lengths[row])
        torch.testing.assert_close(together[row : row + 1, : alone.shape[1]], alone)
        torch.testing.assert_close(last[row : row + 1], layer.last_output(alone, None, own))
    if layer.carry_problem is None:
        first, state = layer.forward_chunk(x[:, :2])
        second, state = layer.forward_chunk(x[:, 2:], state)
        whole, _, final = layer(x)
        torch.testing.assert_close(torch.cat((first, second), 1), whole)
        torch.testing.assert_close(state, final)
        again, _ = layer.forward_chunk(x, layer.initial_state(3))
        torch.testing.assert_close(again, whole)


def test_a_chain_hands_each_part_its_own_state():
    chain = rnnkit.Chain(nn.Linear(3, 3), Sum(), nn.Tanh(), Sum())
    _, state = chain.forward_chunk(torch.randn(2, 4, 3))
    assert [tuple(part.shape) for part in state] == [(2, 3), (2, 3)]
    with pytest.raises(ShapeError, match="state is a Tensor; expected a tuple of 2 states"):
        chain.forward_chunk(torch.randn(2, 4, 3), state[0])
    alone = rnnkit.Chain(nn.Linear(3, 3), Sum())
    assert alone.forward_chunk(torch.randn(2, 4, 3))[1].shape == (2, 3)
    assert alone.step(torch.randn(2, 3), alone.initial_state(2))[0].shape == (2, 3)


def test_resets_reach_every_part():
    layer = rnnkit.Chain(rnnkit.GRU(3, 4), nn.Tanh(), rnnkit.LSTM(4, 2))
    x, resets = torch.randn(2, 6, 3), torch.zeros(2, 6, dtype=torch.bool)
    resets[1, 4] = True
    y, _ = layer.forward_chunk(x, resets=resets)
    torch.testing.assert_close(y[1:, 4:], layer(x[1:, 4:])[0])
    torch.testing.assert_close(y[:1], layer(x[:1])[0])


def test_per_step_modules_of_the_users():
    class Widened(nn.Module):
        def forward(self, x):
            return torch.cat((x, x), -1)

    layer = rnnkit.PerStep(Widened(), output_size=6)
    assert layer(torch.randn(2, 4, 3))[0].shape == (2, 4, 6)
    assert repr(layer) == "PerStep(Widened(), output_size=6)"
    with pytest.raises(ConfigError, match=r"front puts out 6 features but body takes 3"):
        rnnkit.SequenceClassifier(rnnkit.GRU(3, 4), 2, front=layer)
    with pytest.raises(ShapeError, match=r"Flatten returned shape \[2, 12\]; expected \[2, 4\] and features"):
        rnnkit.PerStep(nn.Flatten())(torch.randn(2, 4, 3))
    with pytest.raises(ConfigError, match=r"rnnkit\.PerStep\(MyModule\(\)\)"):
        rnnkit.PerStep(Widened)


def test_descriptions_of_pytorchs_modules_build_them_again():
    modules = [
        nn.Embedding(5, 3, padding_idx=1), nn.Linear(3, 2, bias=False), nn.Conv1d(3, 4, 3, 2, "valid", bias=False),
        nn.LayerNorm(3, bias=False), nn.RNN(3, 4, nonlinearity="relu"), nn.LSTM(3, 4, bias=False, proj_size=2),
        nn.GRU(3, 4, 2, dropout=0.5), nn.LeakyReLU(0.3), nn.GELU("tanh"),
        nn.PReLU(4), nn.SELU(), nn.CELU(0.5), nn.Mish(), nn.ReLU6(), nn.Softplus(2, 10), nn.Softsign(), nn.LogSigmoid(),
        nn.Hardtanh(-2, 3), nn.Hardswish(), nn.Hardsigmoid(), nn.Softmax(-1), nn.LogSoftmax(-1), nn.GLU(1),
        nn.Flatten(2), nn.AlphaDropout(0.2), nn.BatchNorm1d(4, momentum=None, affine=False),
        nn.InstanceNorm1d(4, 1e-3, affine=True), nn.GroupNorm(2, 4, affine=False), nn.RMSNorm(4, 1e-3),
        rnnkit.SimpleRNNCell(3, 4, nonlinearity="relu"), rnnkit.LSTMCell(3, 4, bias=False), rnnkit.GRUCell(3, 4),
    ]  # fmt: skip
    for module in modules:
        again = rnnkit.models.build(describe(module))
        assert type(again) is type(module)
        assert repr(again) == repr(module)
    assert describe(nn.MultiheadAttention(2, 1)) is None
    assert describe(nn.Sequential(nn.ReLU(), nn.MultiheadAttention(2, 1))) is None
    assert all(f"torch.nn.{kind.__name__}" in rnnkit.models.loading.BUILDERS for kind in TORCH_ARGUMENTS)


def test_reprs_are_short():
    chain = rnnkit.Chain(nn.Embedding(3, 4), nn.LSTM(4, 5))
    assert repr(chain) == "Chain(Embedding(3, 4), LSTM(4, 5))"
    assert short_repr(nn.Sequential(*(nn.Linear(100, 100) for _ in range(9)))) == "Sequential(...)"
