import pytest
import torch
from tolerances import assert_close
from torch import nn
from torch.nn.utils.rnn import pack_padded_sequence

import rnnkit
from rnnkit.diagnostics import gradient_flow
from rnnkit.errors import ConfigError, DataError, ShapeError

T, B, F, H = 7, 4, 3, 5
LENGTHS = torch.tensor([7, 2, 5, 1])


def cell_of(layer, index, suffix):
    """PyTorch's cell with the weights of one layer and direction."""
    kind = {"LSTM": nn.LSTMCell, "GRU": nn.GRUCell}.get(layer.mode, nn.RNNCell)
    options = {} if kind is not nn.RNNCell else {"nonlinearity": layer.nonlinearity}
    width = layer.input_size if index == 0 else layer.hidden_size * (2 if layer.bidirectional else 1)
    cell = kind(width, layer.hidden_size, **options).double()
    for name in ("weight_ih", "weight_hh", "bias_ih", "bias_hh"):
        setattr(cell, name, nn.Parameter(getattr(layer, f"{name}_l{index}{suffix}").detach()))
    return cell


def by_hand(layer, rows, loss):
    """‖∂L/∂h_t‖ and ‖∂L/∂c_t‖ by layer, row by row without any padding: loops that keep every state."""
    states = {}
    outputs = []
    for row in rows:
        x = list(row.unbind(0))
        for index in range(layer.num_layers):
            sides = []
            for suffix in ("", "_reverse") if layer.bidirectional else ("",):
                cell, state, kept = cell_of(layer, index, suffix), None, {}
                for t in reversed(range(len(x))) if suffix else range(len(x)):
                    state = cell(x[t][None], None if state is None else state)
                    kept[t] = state if isinstance(state, tuple) else (state,)
                    for leaf in kept[t]:
                        leaf.retain_grad()
                sides.append([kept[t] for t in range(len(x))])
                states.setdefault(f"l{index}{suffix}", []).append(sides[-1])
            x = [torch.cat([side[t][0][0] for side in sides]) for t in range(len(x))]
        outputs.append(torch.stack(x))
    loss(outputs).backward()
    norms = {}
    for name, per_row in states.items():
        norms[name] = torch.full((2, len(rows), max(len(row) for row in rows)), float("nan"), dtype=torch.float64)
        for b, steps in enumerate(per_row):
            for t, leaves in enumerate(steps):
                for place, leaf in enumerate(leaves):
                    norms[name][place, b, t] = 0.0 if leaf.grad is None else leaf.grad.norm()
    return norms


def check(flow, truth, cells):
    assert [one.layer for one in flow.layers] == list(truth)
    for one in flow.layers:
        h, c = truth[one.layer]
        assert torch.equal(one.rows.isnan(), h.isnan())
        assert_close(one.rows.nan_to_num(-1), h.nan_to_num(-1))
        assert_close(one.norms, h.nan_to_num(0).square().sum(0).sqrt())
        if cells:
            assert_close(one.cell_rows.nan_to_num(-1), c.nan_to_num(-1))
        else:
            assert one.cell_rows is None


LAYERS = {
    "SimpleRNN": lambda: rnnkit.SimpleRNN(F, H, nonlinearity="relu"),
    "LSTM": lambda: rnnkit.LSTM(F, H, num_layers=2, bidirectional=True),
    "GRU": lambda: rnnkit.GRU(F, H, num_layers=2, recompute=3),
    "torch.nn.RNN": lambda: nn.RNN(F, H, num_layers=2, bidirectional=True),
    "torch.nn.LSTM": lambda: nn.LSTM(F, H, num_layers=2),
    "torch.nn.GRU": lambda: nn.GRU(F, H, bidirectional=True),
}


@pytest.mark.parametrize("name", LAYERS)
def test_it_is_the_total_derivative_of_a_loop_written_by_hand(name):
    torch.manual_seed(0)
    layer = LAYERS[name]().double()
    x = torch.randn(T, B, F, dtype=torch.float64)
    # The last output and all others: gradients enter at every step, and one weighs more.
    flow = gradient_flow(layer, x, torch.zeros(1), loss=lambda y, _: y[-1].sin().sum() * 3 + y.square().sum())
    truth = by_hand(layer, x.unbind(1), lambda rows: sum(row[-1].sin().sum() * 3 + row.square().sum() for row in rows))
    check(flow, truth, "LSTM" in name)


@pytest.mark.parametrize("name", ["LSTM", "torch.nn.RNN"])
def test_rows_of_unequal_lengths_and_nan_in_the_padding(name):
    torch.manual_seed(0)
    layer = LAYERS[name]().double()
    rows = [torch.randn(length, F, dtype=torch.float64) for length in LENGTHS]
    truth = by_hand(layer, rows, lambda outputs: sum(output.square().sum() for output in outputs))

    def squares(y, _):
        return y.square().sum()

    if isinstance(layer, rnnkit.LSTM):
        layer.batch_first = True
        batch = rnnkit.Sequences.from_list(rows)
        batch.values[torch.arange(T)[None, :] >= LENGTHS[:, None]] = float("nan")
        check(gradient_flow(layer, batch, torch.zeros(1), squares), truth, cells=True)
    else:
        padded = rnnkit.Sequences.from_list(rows).values
        packed = pack_padded_sequence(padded, LENGTHS, batch_first=True, enforce_sorted=False)
        check(gradient_flow(layer, packed, torch.zeros(1), squares), truth, cells=False)


def test_whole_models_with_their_own_loss_and_frozen_weights():
    torch.manual_seed(0)
    model = rnnkit.SequenceTagger(rnnkit.LSTM(F, H), outputs=4)
    x, labels = torch.randn(B, T, F), torch.randint(0, 4, (B, T))
    flow = gradient_flow(model, rnnkit.Sequences(x, LENGTHS), labels)
    valid = torch.arange(T) < LENGTHS[:, None]
    expected = nn.functional.cross_entropy(model(x, lengths=LENGTHS)[valid], labels[valid])
    assert flow.loss == pytest.approx(expected.item(), rel=1e-5)
    model.requires_grad_(False)
    again = gradient_flow(model, rnnkit.Sequences(x, LENGTHS), labels)
    assert_close(again["body.l0"].norms, flow["body.l0"].norms)


def test_cells_in_a_loop_of_the_users_own_and_of_rnnkits():
    class Loop(nn.Module):
        def __init__(self):
            super().__init__()
            self.cell = nn.LSTMCell(F, H)

        def forward(self, x):
            state = None
            for x_t in x.unbind(1):
                state = self.cell(x_t, state)
            return state[0]

    torch.manual_seed(0)
    model, x = Loop(), torch.randn(B, T, F)
    own = gradient_flow(model, x, torch.zeros(B, H), "mse").layers
    assert [one.layer for one in own] == ["cell"]
    layer = rnnkit.LSTM(F, H, batch_first=True)
    layer.load_state_dict({f"{name}_l0": value for name, value in model.cell.state_dict().items()})
    expected = gradient_flow(layer, x, torch.zeros(B, H), lambda y, zeros: (y[:, -1] - zeros).square().mean()).layers[0]
    assert_close(own[0].rows, expected.rows)
    assert own[0].cell_rows is None  # PyTorch's cell hides how h hangs on c
    looped = rnnkit.RNN(model.cell, batch_first=True)
    through = gradient_flow(looped, x, torch.zeros(B, H), lambda y, zeros: (y[:, -1] - zeros).square().mean()).layers
    assert [one.layer for one in through] == ["cell"]
    assert_close(through[0].rows, expected.rows)


def test_how_a_gradient_fares_on_its_way():
    def double(x, h):
        h = 2 * h + x
        return h, h

    doubling = rnnkit.RNN(double, initial_state=torch.zeros(1, 1), batch_first=True)
    last = rnnkit.Sequences(torch.ones(2, 6, 1), torch.tensor([6, 3]))
    # The mean over both rows' last outputs; behind a row's length outputs are 0.
    flow = gradient_flow(doubling, last, torch.zeros(1), lambda y, _: y[0, 5].sum() + y[1, 2].sum()).layers[0]
    assert flow.rows[0].tolist() == [32, 16, 8, 4, 2, 1]
    assert flow.rows[1, :3].tolist() == [4, 2, 1]
    assert flow.far_to_near == 4  # the lower median of 32 and 4


def test_a_layer_that_is_called_twice():
    class Twice(nn.Module):
        def __init__(self):
            super().__init__()
            self.body = rnnkit.GRU(F, H, batch_first=True)

        def forward(self, x):
            return self.body(x)[1].squeeze(0) - self.body(x.flip(1))[1].squeeze(0)

    flow = gradient_flow(Twice(), torch.randn(B, T, F), torch.zeros(B, H), "mse")
    assert [one.layer for one in flow.layers] == ["body.l0", "body.l0 #2"]


def test_what_cannot_be_measured_is_refused():
    x, y = torch.zeros(B, T, F), torch.zeros(B)
    model = rnnkit.SequenceRegressor(rnnkit.GRU(F, H))
    with pytest.raises(ConfigError, match="Linear has no recurrent layer.*torch.nn.RNN"):
        gradient_flow(nn.Linear(3, 1), x, y, "mse")
    with pytest.raises(ConfigError, match="the class GRU; expected a torch.nn.Module"):
        gradient_flow(nn.GRU, x, y, "mse")
    with pytest.raises(ConfigError, match="loss='mes' arrived; did you mean 'mse'"):
        gradient_flow(model, x, y, "mes")
    with pytest.raises(ConfigError, match="GRU has no default_loss; pass loss="):
        gradient_flow(rnnkit.GRU(F, H), x, y)
    with pytest.raises(DataError, match=r"inputs hold nan at \[1, 2, 0\]"):
        gradient_flow(
            model, x.index_put((torch.tensor(1), torch.tensor(2), torch.tensor(0)), torch.tensor(torch.nan)), y
        )
    with pytest.raises(DataError, match="the loss is inf"):
        gradient_flow(model, x, y, lambda output, _: output.sum().exp() / 0)


def test_labels_that_do_not_belong_to_the_output_are_refused():
    x, y = torch.zeros(B, T, F), torch.arange(B)
    with pytest.raises(ShapeError, match=r"labels with 1 axes, \(4,\).*\(4, 7, 5\); expected 2 axes"):
        gradient_flow(rnnkit.SequenceTagger(rnnkit.GRU(F, H), 5), x, y)
    with pytest.raises(ConfigError, match=r"labels run from 0 to 3; expected the model's, 0 to 2"):
        gradient_flow(rnnkit.SequenceClassifier(rnnkit.GRU(F, H), classes=3), x, y)
