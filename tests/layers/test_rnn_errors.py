"""What `rnnkit.RNN` answers to cells, arguments and inputs that do not fit."""

from collections import namedtuple

import numpy as np
import pytest
import torch
from own_cells import RESETS, B, H, I, Leaky, T, leaky

import rnnkit
from rnnkit.errors import BackendError, ConfigError, ShapeError

Named = namedtuple("Named", "h")


@pytest.mark.parametrize(
    ("cell", "message"),
    [
        (lambda x, h: h, r"returned a tensor of shape \(4, 5\); expected a pair: return output, state"),
        (lambda x, h: (h, h, h), "returned a tuple; expected a pair"),
        (lambda x, h: (h, (h, h)), r"got a state of shapes \(4, 5\) and returned one of \(\(4, 5\), \(4, 5\)\)"),
        (lambda x, h: (h, h[:, :2]), r"shapes \(4, 5\) and returned one of \(4, 2\)"),
        (lambda x, h: (h, h[:1]), r"shapes \(4, 5\) and returned one of \(1, 5\)"),
        (lambda x, h: (h.sum(), h), r"a tensor of shape \(\) as its output; expected.*batch, 4, on axis 0"),
        (lambda x, h: ((h, h), h), "a tuple as its output"),
        (lambda x, h: (h, [h]), "holds a list; a state is a tensor or a plain, nested tuple"),
        (lambda x, h: (h, Named(h)), "holds a Named"),
        (lambda x, h: (h, None), "holds a NoneType"),
    ],
)
def test_wrong_returns_are_named_at_the_first_step(cell, message):
    layer = rnnkit.RNN(cell, initial_state=torch.zeros(1, H))
    with pytest.raises(ShapeError, match=message):
        layer(torch.zeros(T, B, I))
    with pytest.raises(ShapeError, match=message):
        layer.step(torch.zeros(B, I))


def test_bad_arguments():
    zeros = torch.zeros(1, H)
    cases = [
        (lambda: rnnkit.RNN(3.0), "cell is a float; expected a function or a module"),
        (lambda: rnnkit.RNN(Leaky), "cell is the class Leaky"),
        (lambda: rnnkit.RNN(leaky, reverse_cell=3), "reverse_cell is a int"),
        (lambda: rnnkit.RNN(rnnkit.LSTM(3, 5)), "cell is a LSTM, which runs whole sequences itself"),
        (lambda: rnnkit.RNN(leaky, recompute=0), "recompute=0; expected the number of steps"),
        (lambda: rnnkit.RNN(leaky, recompute=True), "recompute=True"),
        (lambda: rnnkit.RNN(leaky, input_size=0), "input_size=0; expected a number of features"),
        (lambda: rnnkit.RNN(leaky, output_size="5"), "output_size='5'; expected a number of features"),
        (lambda: rnnkit.RNN(leaky, initial_state=torch.zeros(5)), r"shape \(5,\); expected a batch of 1"),
    ]
    for call, message in cases:
        with pytest.raises(ConfigError, match=message):
            call()
    with pytest.raises(ShapeError, match="initial_state holds a list"):
        rnnkit.RNN(leaky, initial_state=[zeros])


@pytest.mark.parametrize(
    ("call", "typed"),
    [
        (lambda: rnnkit.RNN(28, 128), "rnnkit.SimpleRNN(28, 128)"),
        (lambda: rnnkit.RNN(28, 128, 2, batch_first=True), "rnnkit.SimpleRNN(28, 128, 2, batch_first=True)"),
        (lambda: rnnkit.RNN(input_size=28, hidden_size=128), "rnnkit.SimpleRNN(input_size=28, hidden_size=128)"),
        (lambda: rnnkit.RNN(28), "rnnkit.SimpleRNN(28, hidden_size)"),
        (lambda: rnnkit.RNN(input_size=28), "rnnkit.SimpleRNN(input_size=28, hidden_size=128)"),
        (lambda: rnnkit.RNN(np.int64(28), np.int32(128)), "rnnkit.SimpleRNN(28, 128)"),
        (lambda: rnnkit.RNN(28, 128, 2, "relu"), "rnnkit.SimpleRNN(28, 128, 2, 'relu')"),
        (lambda: rnnkit.RNN(28, 128, nonlinearity="relu"), "rnnkit.SimpleRNN(28, 128, nonlinearity='relu')"),
    ],
)
def test_a_call_of_pytorchs_rnn_says_what_to_type(call, typed):
    with pytest.raises(ConfigError, match=r"expected a cell.*rnnkit\.RNN\(cell\)") as error:
        call()
    assert str(error.value).endswith(typed)
    layer = eval(typed, {"rnnkit": rnnkit, "hidden_size": 128})
    assert (layer.input_size, layer.hidden_size) == (28, 128)


def test_bad_input():
    layer = rnnkit.RNN(leaky, initial_state=torch.zeros(1, I))
    both_ways = rnnkit.RNN(leaky, reverse_cell=leaky, initial_state=(torch.zeros(1, I),) * 2)
    x, state = torch.zeros(T, B, I), torch.zeros(B, I)
    cases = [
        (lambda: layer(x.numpy()), "input is a ndarray; expected a tensor"),
        (lambda: layer(torch.zeros(3)), r"shape \(3,\); expected \(time, batch, ...\)"),
        (lambda: layer(torch.zeros(0, 4, 3)), "no time step"),
        (lambda: layer(x, state[:2]), r"hx has shapes \(2, 3\); expected the batch, 4, on axis 0"),
        (lambda: layer(x, [state]), "hx holds a list"),
        (lambda: layer(x, state.to("meta")), "hx is on meta and the input on cpu"),
        (lambda: layer(x, lengths=[5, 5, 5]), r"lengths has shape \(3,\).*expected \(4,\)"),
        (lambda: layer(x, lengths=[7, 7, 7, 0]), "from 0 to 7; expected 1 to 7"),
        (lambda: layer(x, resets=torch.zeros(T, B, dtype=torch.bool)), r"expected \(batch, time\) = \(4, 7\)"),
        (lambda: layer.step(state, state[:2]), "state has shapes"),
        (lambda: layer.step(3.0), "x is a float"),
        (lambda: both_ways(x, resets=RESETS), "no meaning for a bidirectional"),
        (lambda: both_ways(x, state), "expected a pair of states"),
        (lambda: both_ways(x[..., 0], (state[:, 0],) * 2), "cannot be joined"),
        (lambda: rnnkit.RNN(leaky, initial_state=lambda *place: torch.zeros(1, I))(x), "expected the batch, 4"),
    ]
    for call, message in cases:
        with pytest.raises(ShapeError, match=message):
            call()
    with pytest.raises(BackendError, match="needs the whole sequence"):
        both_ways.step(state)
    packed = torch.nn.utils.rnn.pack_sequence([x[:, 0]])
    with pytest.raises(ShapeError, match="carries its lengths"):
        layer(packed, lengths=[7])
