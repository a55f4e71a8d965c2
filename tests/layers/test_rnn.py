"""A step of one's own over whole sequences."""

import copy
import pickle
import re
import runpy
from pathlib import Path

import pytest
import torch
from layer_inputs import gradients
from own_cells import RESETS, B, H, I, Leaky, T, leaky
from tolerances import assert_close

import rnnkit
from rnnkit.errors import ConfigError
from rnnkit.ops.direction import RecurrentWeights
from rnnkit.ops.lstm import lstm_step
from rnnkit.ops.state import map_state, tensors

LENGTHS = torch.tensor([7, 1, 5, 3])


class OwnLSTM(torch.nn.Module):
    """The step of rnnkit's LSTM as a user would write it, on one direction's weights of ``layer``."""

    def __init__(self, layer, suffix="_l0"):
        super().__init__()
        for name in ("weight_ih", "weight_hh", "bias_ih", "bias_hh"):
            self.register_parameter(name, torch.nn.Parameter(getattr(layer, name + suffix).detach().clone()))

    def forward(self, x, state):
        h, c = lstm_step(x, state, RecurrentWeights(*self.parameters()))
        return h, (h, c)

    def initial_state(self, batch, device, dtype):
        return (torch.zeros(batch, H, device=device, dtype=dtype),) * 2


def pairs(bidirectional=False, dtype=torch.float64, **options):
    """rnnkit's LSTM and the same as a cell of one's own."""
    torch.manual_seed(3)
    batch_first = options.get("batch_first", False)
    layer = rnnkit.LSTM(I, H, bidirectional=bidirectional, batch_first=batch_first, dtype=dtype)
    layer.backend = "reference"
    reverse = OwnLSTM(layer, "_l0_reverse") if bidirectional else None
    return layer, rnnkit.RNN(OwnLSTM(layer), reverse_cell=reverse, **options)


def x_and_state(dtype=torch.float64, directions=1):
    torch.manual_seed(4)
    x = torch.randn(T, B, I, dtype=dtype, requires_grad=True)
    return x, torch.randn(2, directions, B, H, dtype=dtype, requires_grad=True)


def both(state):
    """(h, c) of [D, B, H] from a state of one or two directions."""
    directions = (state,) if isinstance(state[0], torch.Tensor) else state
    return map_state(lambda *leaves: torch.stack(leaves), *directions)


@pytest.mark.parametrize("recompute", [None, 3])
@pytest.mark.parametrize(
    ("bidirectional", "ragged"),
    [
        (False, {}),
        (False, {"lengths": LENGTHS}),
        (False, {"resets": RESETS}),
        (False, {"lengths": LENGTHS, "resets": RESETS}),
        (True, {}),
        (True, {"lengths": LENGTHS}),
    ],
    ids=lambda value: "+".join(value) if isinstance(value, dict) else str(value),
)
def test_equals_the_lstm_layer(bidirectional, ragged, recompute):
    layer, own = pairs(bidirectional, recompute=recompute)
    x, hx = x_and_state(directions=1 + bidirectional)
    expected = layer(x, tuple(hx), **ragged)
    start = tuple(tuple(hx[:, d]) for d in (0, 1)) if bidirectional else tuple(hx[:, 0])
    output, state = own(x, start, **ragged)
    assert_close((output, both(state)), expected)
    found = gradients((output, both(state)), [x, hx, *own.parameters()])
    for actual, wanted in zip(found, gradients(expected, [x, hx, *layer.parameters()]), strict=True):
        assert_close(actual, wanted)
    assert_close(own(x, **ragged)[0], layer(x, **ragged)[0])  # from the cell's own initial state


def test_batch_first_and_packed_input():
    layer, own = pairs(batch_first=True)
    x = x_and_state()[0].detach().transpose(0, 1)
    assert_close(own(x, lengths=LENGTHS)[0], layer(x, lengths=LENGTHS)[0])
    for order, enforce in ((torch.arange(B), False), (torch.tensor([0, 2, 3, 1]), True)):
        packed = torch.nn.utils.rnn.pack_padded_sequence(x[order], LENGTHS[order], True, enforce_sorted=enforce)
        output, state = own(packed)
        wanted, wanted_state = layer(packed)
        assert_close(output.data, wanted.data)
        assert torch.equal(output.batch_sizes, wanted.batch_sizes)
        assert_close(both(state), wanted_state)


@pytest.mark.parametrize("recompute", [None, 2])
def test_padding_reaches_nothing(recompute):
    _, own = pairs(bidirectional=True, recompute=recompute)
    padding = torch.arange(T)[:, None] >= LENGTHS
    outcomes = []
    for poison in (0.0, float("nan"), float("inf")):
        x = x_and_state()[0].detach().masked_fill(padding[:, :, None], poison).requires_grad_()
        outcome = own(x, lengths=LENGTHS)
        outcomes.append([*tensors(outcome), *gradients(outcome, [x, *own.parameters()])])
        assert not outcome[0][padding].any()
    for clean, *poisoned in zip(*outcomes, strict=True):
        assert clean.isfinite().all()
        assert all(torch.equal(clean, other) for other in poisoned)


def test_steps_equal_the_sequence_and_states_of_any_shape_pass():
    layer = rnnkit.RNN(Leaky())
    x = x_and_state(torch.float32)[0]
    output, (memory, (count,)) = layer(x, lengths=LENGTHS)
    assert torch.equal(count, LENGTHS)
    assert memory.shape == (B, I, I)
    state, outputs = None, []
    for t in range(T):
        y, state = layer.step(x[t], state)
        outputs.append(y)
    whole = layer(x)
    assert_close((torch.stack(outputs), state[0]), (whole[0], whole[1][0]))
    first, carried = layer(x[:3])
    assert_close(torch.cat((first, layer(x[3:], carried)[0])), whole[0])
    tokens = rnnkit.RNN(lambda x, state: (state * x, state + 1), initial_state=torch.ones(1))
    output, state = tokens(torch.tensor([[2, 3], [2, 3]]))  # [T, B] of integers
    assert output.tolist() == [[2.0, 3.0], [4.0, 6.0]]


@pytest.mark.parametrize(
    ("cell", "layer"),
    [
        (rnnkit.LSTMCell, torch.nn.LSTM),
        (rnnkit.GRUCell, torch.nn.GRU),
        (rnnkit.SimpleRNNCell, torch.nn.RNN),
        (torch.nn.LSTMCell, torch.nn.LSTM),
        (torch.nn.GRUCell, torch.nn.GRU),
        (torch.nn.RNNCell, torch.nn.RNN),
    ],
)
def test_cells_are_taken_as_they_are(cell, layer):
    cell, layer = cell(I, H), layer(I, H)
    layer.load_state_dict({f"{name}_l0": value for name, value in cell.state_dict().items()})
    x = x_and_state(torch.float32)[0]
    output, state = rnnkit.RNN(cell)(x)
    expected, last = layer(x)
    assert_close(output, expected)
    assert_close(state, map_state(lambda leaf: leaf[0], last))


def test_initial_states_in_their_order():
    x = torch.zeros(2, B, H)
    learned = rnnkit.RNN(leaky, initial_state=torch.nn.Parameter(torch.full((1, H), 2.0)))
    output, _ = learned(x)
    assert torch.equal(output[0], torch.full((B, H), 2.0))
    output.sum().backward()
    assert learned.initial_0.grad.tolist() == [[6.0] * H]  # both steps of all rows
    nested = rnnkit.RNN(Leaky(), initial_state=(torch.nn.Parameter(torch.zeros(1, I, I)), (torch.tensor([7]),)))
    assert list(nested.state_dict()) == ["initial_0", "initial_1_0", "cell.rate"]
    memory, (count,) = nested.double().initial_state(2)
    assert memory.dtype == torch.float64
    assert (count.dtype, count.tolist()) == (torch.int64, [7, 7])
    called = rnnkit.RNN(Leaky(), initial_state=lambda *place: (torch.zeros(place[0], I, I), (torch.zeros(place[0]),)))
    assert not called.initial_state(3)[0].any()
    assert rnnkit.RNN(Leaky()).initial_state(3)[0].all()
    assert rnnkit.RNN(leaky, initial_state=torch.zeros(1, H))(x.double())[1].dtype == torch.float64
    start = torch.nn.Linear(1, 1)
    start.forward = lambda batch, device, dtype: start.bias.expand(batch, H)
    assert next(iter(rnnkit.RNN(leaky, initial_state=start).state_dict())) == "initial.weight"
    with pytest.raises(ConfigError, match=r"initial state of leaky is unknown.*initial_state=torch.zeros\(1, hidden\)"):
        rnnkit.RNN(leaky)(x)
    assert rnnkit.RNN(leaky)(x, torch.zeros(B, H))[0].shape == x.shape


class Noisy(Leaky):
    """Counts its calls, and drops at random."""

    calls = 0

    def forward(self, x, state):
        type(self).calls += 1
        return super().forward(torch.nn.functional.dropout(x, 0.5), state)


def test_recomputed_steps_drop_the_same():
    found = []
    for recompute in (None, 3):
        Noisy.calls = 0
        torch.manual_seed(0)
        layer = rnnkit.RNN(Noisy(), recompute=recompute)
        x = torch.ones(T, B, I, requires_grad=True)
        output, (memory, _) = layer(x)
        found.append([output, memory, *gradients((output, memory), [x, layer.cell.rate])])
    assert Noisy.calls == 2 * T
    for plain, recomputed in zip(*found, strict=True):
        assert_close(recomputed, plain)


def test_compiles_whole():
    torch._dynamo.reset()
    layer = rnnkit.RNN(Leaky())
    x = torch.randn(3, B, I)
    lengths, resets = torch.tensor([3, 1, 2, 3]), RESETS[:, :3]
    compiled = torch.compile(layer, fullgraph=True, backend="aot_eager")
    for options in ({}, {"lengths": lengths, "resets": resets}):
        assert_close(compiled(x, **options)[0], layer(x, **options)[0])


def test_copies_and_prints():
    _, own = pairs(recompute=2)
    x = x_and_state()[0]
    for again in (copy.deepcopy(own), pickle.loads(pickle.dumps(own))):
        assert_close(again(x), own(x))
    assert "OwnLSTM()" in repr(own)
    assert "recompute=2" in repr(own)
    assert "cell=leaky" in repr(rnnkit.RNN(leaky, reverse_cell=leaky))


class Described(Leaky):
    """A cell that tells its sizes and how to make it again."""

    input_size = output_size = I

    def config(self):
        return {"builder": "Described", "arguments": {}}


def test_sizes_are_those_of_the_cells_or_as_given():
    for cell, sizes in (
        (leaky, (None, None)),
        (Described(), (I, I)),
        (rnnkit.LSTMCell(I, H), (I, H)),
        (torch.nn.GRUCell(I, H), (I, H)),
    ):
        layer = rnnkit.RNN(cell)
        assert (layer.input_size, layer.output_size) == sizes
        assert (layer.bidirectional, layer.batch_first, layer.state_batch_axis) == (False, False, 0)
    both_ways = rnnkit.RNN(rnnkit.LSTMCell(I, H), reverse_cell=Described())
    assert (both_ways.bidirectional, both_ways.output_size) == (True, H + I)
    assert rnnkit.RNN(rnnkit.LSTMCell(I, H), reverse_cell=leaky).output_size is None
    given = rnnkit.RNN(leaky, input_size=I, output_size=2)
    assert (given.input_size, given.output_size) == (I, 2)


@pytest.mark.parametrize("cell", [rnnkit.LSTMCell, rnnkit.SimpleRNNCell, torch.nn.GRUCell])
def test_final_outputs_are_known_with_pytorchs_cells(cell):
    x = x_and_state(torch.float32)[0]
    layer = rnnkit.RNN(cell(I, H), reverse_cell=cell(I, H))
    output, state = layer(x, lengths=LENGTHS)
    last = output[LENGTHS - 1, torch.arange(B), :H]
    assert torch.equal(layer.final_output(state), torch.cat((last, output[0, :, H:]), -1))
    one_way = rnnkit.RNN(cell(I, H))
    output, state = one_way(x, lengths=LENGTHS)
    assert torch.equal(one_way.final_output(state), output[LENGTHS - 1, torch.arange(B)])
    assert rnnkit.RNN(Leaky()).final_output(rnnkit.RNN(Leaky()).initial_state(2)) is None


def test_configs_make_the_layer_again():
    def build(config):
        builders = {"Described": Described, "torch.nn.RNNCell": torch.nn.RNNCell, "RNN": rnnkit.RNN}
        arguments = {
            name: build(value) if isinstance(value, dict) else value for name, value in config["arguments"].items()
        }
        name = config["builder"]
        return builders[name](**arguments) if name in builders else getattr(rnnkit, name)(**arguments)

    x = x_and_state(torch.float32)[0]
    for layer in (
        rnnkit.RNN(rnnkit.SimpleRNNCell(I, H, bias=False, nonlinearity="sigmoid"), input_size=I, recompute=3),
        rnnkit.RNN(torch.nn.RNNCell(I, H, nonlinearity="relu"), reverse_cell=Described(), batch_first=True),
    ):
        again = build(layer.config())
        assert repr(again) == repr(layer)
        assert again.config() == layer.config()
        again.load_state_dict(layer.state_dict())
        assert_close(again(x)[0], layer(x)[0])
    assert rnnkit.RNN(leaky).config() is None
    assert rnnkit.RNN(Leaky()).config() is None
    assert rnnkit.RNN(Described(), initial_state=torch.zeros(1, I, I)).config() is None


def test_an_empty_batch():
    output, state = rnnkit.RNN(Leaky())(torch.zeros(T, 0, I), lengths=[])
    assert output.shape == (T, 0, I)
    assert state[0].shape == (0, I, I)


ROOT = Path(__file__).parents[2]


def test_the_guide_runs_and_shows_the_examples_cells():
    example = (ROOT / "examples" / "own_cells.py").read_text()
    blocks = re.findall(r"```python\n(.*?)```", (ROOT / "docs" / "guides" / "your_own_cell.md").read_text(), re.S)
    names = {}  # nothing but what the page imports and defines
    for block in blocks:
        exec(block, names)
    assert (names["body"].input_size, names["body"].output_size) == (1, 1)
    cells = re.findall(r"^class \w+.*?(?=\n\n\n)", "".join(blocks), re.S | re.M)
    assert len(cells) == 3
    assert all(cell in example for cell in cells)


def test_the_example_learns(capsys):
    torch.manual_seed(0)
    learned = runpy.run_path(str(ROOT / "examples" / "own_cells.py"))["main"]()
    assert learned["parity"] > 0.99
    assert learned["own"] < learned["constant"] / 2
    assert learned["recalled"] > 0.95
    assert "Jordan network" in capsys.readouterr().out
