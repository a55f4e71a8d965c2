"""What is printed of a measurement: one line each, with its figures."""

from __future__ import annotations

import pytest
import torch

import rnnkit
from rnnkit.diagnostics import gradient_flow, horizon, saturation, spectra


def test_measurements_are_one_line_each(monkeypatch):
    monkeypatch.setattr("rnnkit.ops.machine.SIZES", (64,))  # of products that measure the machine's peak
    torch.manual_seed(0)
    model, x = rnnkit.SequenceRegressor(rnnkit.LSTM(1, 8, num_layers=2)), torch.randn(4, 30, 1)
    flow = gradient_flow(model, x, torch.zeros(4))
    found = rnnkit.diagnose(model, x, torch.zeros(4))
    learner = rnnkit.Learner(model)
    printed = [
        flow, flow.layers[0], horizon(model, x), spectra(model)[0], saturation(model, x)[0], found, found.evidence,
        rnnkit.Diagnostics(), rnnkit.summary(model, (4, 30, 1)), learner.profile((x, torch.zeros(4)), steps=1),
    ]  # fmt: skip
    for one in printed:
        text = repr(one)
        assert text.startswith(type(one).__name__ + "("), text
        assert "tensor" not in text, text
        assert "\n" not in text, text
        assert len(text) < 200, text
    assert "body.l0" in repr(flow)
    assert "body.l1" in repr(flow)
    assert "of 30 steps back" in repr(horizon(model, x))
    assert repr(found.findings) == "()" or "threshold" in repr(found.findings)


@pytest.mark.parametrize(
    ("names", "expected"),
    [
        (["LSTM", "GRU", "SimpleRNN"], ["ORANGE", "GREEN", "BLUE"]),
        (["before", "an LSTM of 128"], ["YELLOW", "ORANGE"]),
        (["runs/lstm-1", "mnist_lstm", "BiLSTM"], ["ORANGE", "ORANGE", "ORANGE"]),
        (["SimpleRNN relu", "tanh", "ReLU, identity"], ["BLUE", "BLUE", "PURPLE"]),
        (["congruent", "rnnkit"], ["BLUE", "ORANGE"]),
    ],
)
def test_an_architecture_has_one_colour_in_all_pictures(names, expected):
    from rnnkit.plotting import palette

    looks = palette.looks_of(names)
    assert [look.colour for look in looks] == [getattr(palette, name) for name in expected]
    assert len(set(looks)) == len(names)  # those of one colour have different lines
