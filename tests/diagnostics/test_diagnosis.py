"""Networks made ill on purpose, and healthy ones: each illness is named, and nothing else is."""

import math

import pytest
import torch
from torch import nn

import rnnkit
from rnnkit.diagnostics import findings
from rnnkit.diagnostics.findings import RULES, Evidence
from rnnkit.errors import ConfigError, DataError

T, H = 60, 64


def recurrent(radius, nonlinearity="tanh", scale=0.1):
    """A simple network whose recurrent weights have that spectral radius."""
    torch.manual_seed(0)
    model = rnnkit.SequenceRegressor(rnnkit.SimpleRNN(2, H, nonlinearity=nonlinearity, init="keras"))
    weight = torch.randn(H, H)
    with torch.no_grad():
        model.body.weight_hh_l0.copy_(weight * radius / torch.linalg.eigvals(weight).abs().max())
        model.body.weight_ih_l0.mul_(scale)
    return model


def healthy():
    torch.manual_seed(0)
    model = rnnkit.SequenceRegressor(rnnkit.LSTM(2, H, init="keras"))
    rnnkit.chrono_(model.body, T)
    return model


def rules(model, x=None, y=None, **options):
    x = torch.randn(32, T, 2, generator=torch.Generator().manual_seed(1)) if x is None else x
    return [one.rule for one in rnnkit.diagnose(model, x, torch.zeros(len(x)) if y is None else y, **options).findings]


def test_an_exploding_network():
    found = rnnkit.diagnose(recurrent(3.0), 0.1 * torch.randn(32, T, 2), torch.zeros(32))
    first = found.findings[0]
    assert (first.rule, first.where) == ("exploding", "body.l0")
    assert first.figure >= 100 == first.threshold
    assert "spectral radius of 3" in first.problem
    assert "clip_norm=1" in first.helps
    assert found.verdict.startswith("Gradients explode")
    assert "vanishing" not in [one.rule for one in found.findings]


def test_a_vanishing_network():
    found = rnnkit.diagnose(recurrent(0.3), torch.randn(32, T, 2), torch.zeros(32))
    (only,) = found.findings
    assert only.rule == "vanishing"
    assert found.evidence.horizon.steps < 10
    assert f"sees {found.evidence.horizon.steps} of {T} steps" in only.problem
    assert "spectral radius of 0.3" in only.problem
    assert "LSTM" in only.helps
    assert str(found).splitlines()[0] == found.verdict == "Gradients vanish."


def test_saturated_and_shut_units():
    model = recurrent(0.9)
    assert rules(model, 200 * torch.randn(32, T, 2))[0] in ("vanishing", "saturated")
    assert {"saturated", "large_inputs"} <= set(rules(model, 200 * torch.randn(32, T, 2)))
    shut = healthy()
    with torch.no_grad():
        shut.body.bias_ih_l0[:H] = -9
    (finding,) = [one for one in rnnkit.diagnose(shut, torch.randn(8, T, 2)).findings if one.rule == "closed"]
    assert "gate i in body.l0" in finding.problem
    assert "nothing new enters" in finding.problem


def test_dead_units():
    model = recurrent(1.0, "relu", scale=1.0)
    with torch.no_grad():
        model.body.bias_ih_l0[: H // 2] = -99
    found = rnnkit.diagnose(model, torch.randn(32, 10, 2)).findings
    assert [one.rule for one in found] == ["dead"]
    assert found[0].figure >= 0.5
    constant = healthy()
    with torch.no_grad():
        for name, weight in constant.body.named_parameters():
            if name.startswith("weight"):
                weight.zero_()
    assert "constant" in rules(constant)
    with torch.no_grad():
        constant.body.bias_ih_l0[2 * H : 3 * H] = 1
    assert "constant" not in rules(constant)  # all rows are the same, but the state fills up over time


@pytest.mark.parametrize("seed", range(3))
def test_nothing_is_said_of_healthy_networks(seed):
    model = healthy()
    found = rnnkit.diagnose(model, torch.randn(32, T, 2), torch.zeros(32))
    assert (found.findings, found.verdict) == ((), "Nothing wrong was found.")
    assert str(found) == f"Nothing wrong was found.\nThe output sees {found.evidence.horizon.steps} of {T} steps back."
    x = torch.randn(256, 20, 2)
    watch = rnnkit.Diagnostics(every=2)
    torch.manual_seed(seed)
    trained = rnnkit.SequenceRegressor(rnnkit.GRU(2, 32, num_layers=2, bidirectional=True))
    learner = rnnkit.Learner(trained, lr=3e-3)
    learner.fit((x, x.sum(1)[:, :1]), epochs=4, seed=seed, callbacks=[watch], progress=False)
    assert rules(trained, x, x.sum(1)[:, :1], records=watch.records, history=learner.history.rows) == []
    # A mean over steps adds up their gradients: 100 at the first step is no explosion.
    pooled = rnnkit.SequenceRegressor(rnnkit.LSTM(2, 16), pooling="mean")
    with torch.no_grad():
        pooled.body.bias_ih_l0[16:32] = 12
    assert rules(pooled, torch.randn(4, 400, 2)) == []


def test_nan_and_overflow_are_findings_and_no_crash():
    broken = recurrent(1.0)
    with torch.no_grad():
        broken.body.weight_hh_l0[0, 0] = float("nan")
    found = rnnkit.diagnose(broken, torch.randn(4, T, 2), torch.zeros(4))
    assert [one.rule for one in found.findings] == ["not_finite"]
    assert "The weights body.weight_hh_l0 hold NaN" in found.findings[0].problem
    wild = recurrent(9.0, "relu", scale=1.0)
    assert rules(wild, torch.randn(4, T, 2))[0] == "not_finite"


def test_training_records_and_curves():
    def record(epoch, **updates):
        return {"epoch": epoch, "updates": updates, "gradient_peak": 150.0 if epoch == 2 else 3.0}

    def names(**evidence):
        return [one.rule for one in findings.findings(Evidence(**evidence))]

    fast = [record(epoch, **{"body.weight_hh_l0": 0.2, "head.bias": 9.0}) for epoch in (1, 3)]
    assert names(records=fast) == ["fast"]
    assert names(records=[record(1, **{"head.weight": 1e-8}), record(3, **{"head.weight": None})]) == ["slow"]
    assert names(records=[record(1, **{"head.weight": 1e-8}), record(3, **{"head.weight": 1e-3})]) == []
    (spike,) = findings.findings(Evidence(records=[record(1), record(2)]))
    assert (spike.rule, spike.where, spike.figure) == ("spikes", "epoch 2", 150)
    assert names(history=[{"loss": value} for value in (2.0, 2.1, 1.99)]) == ["not_learning"]
    assert names(history=[{"loss": value} for value in (2.0, 1.9, 1.5)]) == []
    risen = [{"loss": 1 / n, "val_loss": value} for n, value in enumerate((0.9, 0.5, 0.7), 1)]
    (overfitting,) = findings.findings(Evidence(history=risen))
    assert overfitting.rule == "overfitting"
    assert "from 0.5 (epoch 2) to 0.7" in overfitting.problem
    assert names(history=risen[:2]) == []
    assert names(history=[{"loss": 0.1, "val_loss": 0.5}, {"loss": 0.2, "val_loss": 0.9}]) == []  # both rise
    both = [
        {"loss": loss, "val_loss": value} for loss, value in zip((2.0, 0.5, 0.4, 1.6), (1, 1.2, 1.4, 2), strict=True)
    ]
    assert names(history=both) == []  # a training loss that rises again is no overfitting
    small = [{"loss": loss, "val_loss": value} for loss, value in zip((2.0, 0.001, 0.003), (1, 1.2, 1.4), strict=True)]
    assert names(history=small) == ["overfitting"]
    assert names(features=(1e-5, 1e-5)) == ["small_inputs"]
    assert names(features=(0.0, 1.0)) == []


def test_every_rule_has_its_words():
    for rule in RULES.values():
        assert rule.title[0].isupper()
        assert rule.problem.endswith(".")
        assert rule.helps.endswith(".")
        assert math.isfinite(rule.threshold)


def test_lengths_rows_and_targets():
    model = healthy()
    x = rnnkit.Sequences(torch.full((9, T, 2), float("nan")), torch.tensor([T, 3, 7] * 3))
    valid = torch.arange(T) < x.lengths[:, None]
    x.values[valid] = torch.randn(int(valid.sum()), 2)
    found = rnnkit.diagnose(model, x, torch.zeros(9), rows=2)
    assert (found.rows, found.steps, found.model) == (2, T, "SequenceRegressor")
    assert found.parameters == sum(p.numel() for p in model.parameters())
    assert rnnkit.diagnose(model, x, rows=2).evidence.flow is None
    layer = nn.LSTM(2, 8)
    bare = rnnkit.diagnose(layer, torch.randn(5, 9, 2), torch.zeros(5, 9, 8), "mse", rows=4)
    assert (bare.rows, bare.steps) == (4, 5)


def test_what_cannot_be_diagnosed_is_refused():
    with pytest.raises(ConfigError, match="Linear has no recurrent layer"):
        rnnkit.diagnose(nn.Linear(2, 1), torch.zeros(3, 2))
    with pytest.raises(ConfigError, match="rows=0 arrived"):
        rnnkit.diagnose(healthy(), torch.zeros(3, 4, 2), rows=0)
    with pytest.raises(DataError, match="inputs hold nan"):
        rnnkit.diagnose(healthy(), torch.full((3, 4, 2), float("nan")))


def test_a_pair_is_inputs_and_targets():
    torch.manual_seed(0)
    model, x = rnnkit.SequenceRegressor(rnnkit.SimpleRNN(1, 8)), torch.randn(8, 30, 1)
    pair, two = rnnkit.diagnose(model, (x, x.sum(1))), rnnkit.diagnose(model, x, x.sum(1))
    assert pair.verdict == two.verdict
    assert (pair.evidence.flow is None) == (two.evidence.flow is None)
