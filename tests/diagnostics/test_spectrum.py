import math

import pytest
import torch
from tolerances import assert_close
from torch import nn

import rnnkit
from rnnkit.diagnostics import diagnose, spectra
from rnnkit.errors import ConfigError


def test_a_rotation_a_stretch_and_a_shear():
    layer = nn.RNN(1, 2)
    with torch.no_grad():
        layer.weight_hh_l0.copy_(torch.tensor([[0.0, -2.0], [2.0, 0.0]]))
        (rotation,) = spectra(layer)
        layer.weight_hh_l0.copy_(torch.tensor([[0.5, 8.0], [0.0, 0.25]]))
        (shear,) = spectra(layer)
    assert (rotation.layer, rotation.gate) == ("l0", "h")
    assert (rotation.radius, rotation.norm) == (pytest.approx(2), pytest.approx(2))
    assert sorted(rotation.eigenvalues.imag.tolist()) == pytest.approx([-2, 2])
    assert (shear.radius, shear.norm) == (pytest.approx(0.5), pytest.approx(8.02, abs=0.01))
    assert shear.eigenvalues.real.tolist() == pytest.approx([0.5, 0.25])


def test_every_gate_direction_layer_and_kind():
    model = nn.ModuleDict(
        {"a": rnnkit.LSTM(2, 4, num_layers=2, bidirectional=True), "b": nn.GRU(8, 3), "c": nn.LSTMCell(3, 5),
         "d": rnnkit.RNN(nn.RNNCell(5, 2)), "e": rnnkit.LSTM(2, 4, coupled_gates=True)}
    )  # fmt: skip
    found = spectra(model)
    lstm = ["i", "f", "g", "o"]
    expected = [
        (f"a.{layer}", gate) for layer in ("l0", "l0_reverse", "l1", "l1_reverse") for gate in lstm
    ] + [("b.l0", gate) for gate in "rzn"] + [("c", gate) for gate in lstm] + [("d.cell", "h")]  # fmt: skip
    assert [(one.layer, one.gate) for one in found] == expected + [("e.l0", gate) for gate in "igo"]
    forget = next(one for one in found if (one.layer, one.gate) == ("a.l1", "f"))
    assert_close(forget.singular_values, torch.linalg.svdvals(model["a"].weight_hh_l1[4:8].detach().double()))
    assert all(one.radius <= one.norm * (1 + 1e-9) for one in found)


def test_projections_parametrised_weights_and_nan():
    layer = rnnkit.LSTM(2, 6, proj_size=2)
    candidate = spectra(layer)[2]
    assert_close(
        candidate.singular_values,
        torch.linalg.svdvals(layer.weight_hh_l0[12:18].detach().double() @ layer.weight_hr_l0.detach().double()),
    )
    plain = nn.RNN(1, 4)
    nn.utils.parametrizations.orthogonal(plain, "weight_hh_l0")
    assert spectra(plain)[0].norm == pytest.approx(1, abs=1e-5)
    broken = nn.RNN(1, 2)
    nn.init.constant_(broken.weight_hh_l0, float("nan"))
    assert math.isnan(spectra(broken)[0].radius)
    assert math.isnan(spectra(broken)[0].norm)


def test_a_model_without_recurrent_layers_is_refused():
    with pytest.raises(ConfigError, match="Linear has no recurrent layer"):
        spectra(nn.Linear(2, 2))


def test_weights_in_8_bits_are_refused():
    small = rnnkit.quantize(rnnkit.SequenceRegressor(rnnkit.SimpleRNN(1, 4)))
    with pytest.raises(ConfigError, match=r"8 bits.*float model"):
        spectra(small)
    with pytest.raises(ConfigError, match=r"8 bits.*float model"):
        diagnose(small, torch.zeros(2, 3, 1))
