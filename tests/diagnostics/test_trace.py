"""Whatever is measured, the model, its gradients and the generators are left as they were."""

import copy

import pytest
import torch
from tolerances import assert_close
from torch import nn

import rnnkit
from rnnkit.diagnostics import gradient_flow, horizon, saturation, spectra
from rnnkit.diagnostics._calls import measuring
from rnnkit.diagnostics._trace import traced

T, B, F, H = 6, 3, 2, 4


class Mixed(nn.Module):
    """Every kind of layer that is looked into, with dropout that draws in training mode."""

    def __init__(self):
        super().__init__()
        self.first = nn.GRU(F, H, num_layers=2, dropout=0.5, batch_first=True)
        self.second = rnnkit.LSTM(
            H, H, num_layers=2, bidirectional=True, dropout=0.3, batch_first=True, proj_size=3, zoneout=0.2,
            learn_initial_state=True, recompute=2,
        )  # fmt: skip
        self.third = rnnkit.RNN(nn.GRUCell(6, H), batch_first=True, recompute=2)
        self.norm = nn.BatchNorm1d(H)
        self.head = nn.Linear(H, 1)

    def forward(self, x, lengths=None):
        y, _ = self.second(self.first(x)[0], lengths=lengths)
        return self.head(self.norm(self.third(y, lengths=lengths)[1]))


MEASUREMENTS = {
    "gradient_flow": lambda model, x: gradient_flow(model, x, torch.zeros(B), "mse"),
    "saturation": saturation,
    "horizon": horizon,
    "spectra": lambda model, x: spectra(model),
}


@pytest.mark.parametrize("name", MEASUREMENTS)
@pytest.mark.parametrize("broken", [False, True])
def test_nothing_is_left_behind(name, broken):
    torch.manual_seed(0)
    model = Mixed().train()
    model.second.eval()
    x = rnnkit.Sequences(torch.randn(B, T, F), torch.tensor([6, 1, 4]))
    model(x.values, lengths=x.lengths).sum().backward()

    def facts(module):
        values = {key: value for key, value in vars(module).items() if not key.startswith("_")}
        return values, type(module), module._forward_hooks, set(vars(module))

    before = [copy.copy(facts(module)) for module in model.modules()]
    state, gradients = copy.deepcopy(model.state_dict()), [p.grad.clone() for p in model.parameters()]
    generator = torch.get_rng_state()
    if broken:
        model.head.register_forward_hook(lambda *_: 1 / 0)
        if name != "spectra":
            with pytest.raises(ZeroDivisionError):
                MEASUREMENTS[name](model, x)
    else:
        with torch.inference_mode():  # wherever it is called
            MEASUREMENTS[name](model, x)
    for module, (values, kind, hooks, names) in zip(model.modules(), before, strict=True):
        assert type(module) is kind
        assert set(vars(module)) == names
        assert {key: value for key, value in vars(module).items() if not key.startswith("_")} == values
        assert broken or module._forward_hooks == hooks
    assert all(torch.equal(value, state[key]) for key, value in model.state_dict().items())
    assert all(torch.equal(p.grad, gradient) for p, gradient in zip(model.parameters(), gradients, strict=True))
    assert torch.equal(torch.get_rng_state(), generator)


@pytest.mark.parametrize("lengths", [None, torch.tensor([6, 1, 4])])
def test_a_traced_model_computes_what_it_computes(lengths):
    torch.manual_seed(0)
    model = Mixed().double()
    x = torch.randn(B, T, F, dtype=torch.float64)
    with measuring(model), torch.no_grad():
        expected = model(x, lengths=lengths)
        with traced(model) as tracks:
            assert_close(model(x, lengths=lengths), expected)
    names = ["first.l0", "first.l1"]
    names += ["second.l0", "second.l0_reverse", "second.l1", "second.l1_reverse", "third.cell"]
    assert [track.name for track in tracks] == names
    assert [track.kind for track in tracks] == ["gru"] * 2 + ["lstm"] * 4 + ["gru"]
    assert all(len(track.states) == T for track in tracks)


def test_cell_states_resets_and_parametrised_weights_are_traced_too():
    torch.manual_seed(0)
    layer = rnnkit.LSTM(F, H, batch_first=True)
    x, resets = torch.randn(B, T, F), torch.rand(B, T) < 0.4
    with torch.no_grad():
        expected = layer.cell_states(x, resets=resets)
        with traced(layer):
            assert_close(layer.cell_states(x, resets=resets), expected)
    plain = nn.LSTM(F, H)
    nn.utils.parametrizations.orthogonal(plain, "weight_hh_l0")
    with torch.no_grad():
        expected = plain(x)
        with traced(plain) as tracks:
            assert_close(plain(x), expected)
    assert len(tracks) == 1


@pytest.mark.parametrize("kind", [rnnkit.ConvGRU, rnnkit.ConvLSTM])
@pytest.mark.parametrize("lengths", [None, [6, 1, 4]])
def test_recurrences_over_maps_are_traced_step_by_step(kind, lengths):
    torch.manual_seed(0)
    layer = kind(F, H, algorithm="tiles")
    x = torch.randn(B, T, F, 5, 7)
    expected, last = layer(x, lengths=lengths)
    with traced(layer) as tracks:
        output, state = layer(x, lengths=lengths)
    assert_close(output, expected)
    assert_close(state, last)
    [track] = tracks
    assert track.over_time().shape == (B, T, H * 5 * 7)
    assert len(track.states[0]) == len(layer.state_names)
    valid = track.mask()
    assert_close(track.over_time()[valid], expected.flatten(2)[valid])
    assert vars(layer).keys() == vars(kind(F, H)).keys()
    assert_close(layer(x, lengths=lengths)[0], expected)

    def squares(y, _):
        return y.square().sum()

    given = x if lengths is None else rnnkit.Sequences(x, torch.tensor(lengths))
    flow = gradient_flow(layer, given, torch.zeros(1), loss=squares)
    ends = torch.tensor([T] * B if lengths is None else lengths) - 1
    ended = expected.detach()[range(B), ends].flatten(1)  # behind it no output depends on the state
    assert_close(flow.layers[0].rows[range(B), ends], 2 * ended.norm(dim=1))
