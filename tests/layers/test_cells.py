"""One step as a module: PyTorch's cells, checked."""

import pytest
import torch
from tolerances import assert_close

import rnnkit
from rnnkit.errors import ConfigError, ShapeError
from rnnkit.ops.direction import RecurrentWeights
from rnnkit.ops.simple_rnn import simple_rnn_step
from rnnkit.ops.state import tensors

CELLS = [
    (rnnkit.LSTMCell, torch.nn.LSTMCell, {}),
    (rnnkit.GRUCell, torch.nn.GRUCell, {"bias": False}),
    (rnnkit.SimpleRNNCell, torch.nn.RNNCell, {}),
    (rnnkit.SimpleRNNCell, torch.nn.RNNCell, {"nonlinearity": "relu"}),
]


@pytest.mark.parametrize(("own", "torchs", "options"), CELLS)
def test_is_pytorchs_cell(own, torchs, options):
    torch.manual_seed(7)
    cell = own(3, 5, dtype=torch.float64, **options)
    torch.manual_seed(7)
    other = torchs(3, 5, dtype=torch.float64, **options)
    assert isinstance(cell, torchs)
    assert_close(tuple(cell.parameters()), tuple(other.parameters()))
    other.load_state_dict(cell.state_dict())
    cell.load_state_dict(other.state_dict())
    x, state = torch.randn(2, 3, dtype=torch.float64), None
    for _ in range(2):  # from zeros, then from a carried state
        expected = other(x, state)
        assert_close(cell(x, state), expected)
        state = expected
    alone = cell(x[0])
    assert_close(tensors(alone), [leaf[0] for leaf in tensors(other(x[:1]))])


def test_sigmoid_follows_the_equation():
    cell = rnnkit.SimpleRNNCell(3, 5, nonlinearity="sigmoid")
    x, h = torch.randn(2, 3), torch.randn(2, 5)
    expected = simple_rnn_step(x, h, RecurrentWeights(*cell.parameters()), nonlinearity="sigmoid")
    assert_close(cell(x, h), expected)
    assert_close(cell(x[1], h[1]), expected[1])
    assert_close(cell(x), cell(x, torch.zeros(2, 5)))
    assert cell(torch.zeros(3)).shape == (5,)
    assert "nonlinearity=sigmoid" in repr(cell)
    layer = rnnkit.SimpleRNN(3, 5, nonlinearity="sigmoid")
    layer.load_state_dict({f"{name}_l0": value for name, value in cell.state_dict().items()})
    sequence = torch.randn(4, 2, 3)
    assert_close(rnnkit.RNN(cell)(sequence)[0], layer(sequence)[0])


def test_initial_state_is_what_none_means():
    for cell in (rnnkit.LSTMCell(3, 5), rnnkit.GRUCell(3, 5), rnnkit.SimpleRNNCell(3, 5, nonlinearity="sigmoid")):
        x = torch.randn(2, 3)
        assert_close(cell(x, cell.initial_state(2)), cell(x))


def test_a_state_carried_under_autocast_is_taken():
    cell, x = rnnkit.LSTMCell(3, 5), torch.randn(2, 3)
    with torch.autocast("cpu", torch.bfloat16):
        h, _ = cell(x, cell(x))
    expected, _ = cell(x, cell(x))
    torch.testing.assert_close(h.float(), expected, rtol=0.05, atol=0.05)


def test_wrong_calls_name_both_shapes():
    lstm, gru = rnnkit.LSTMCell(3, 5), rnnkit.GRUCell(3, 5)
    simple, sigmoid = rnnkit.SimpleRNNCell(3, 5), rnnkit.SimpleRNNCell(3, 5, nonlinearity="sigmoid")
    x, h = torch.zeros(4, 3), torch.zeros(4, 5)
    for cell in (gru, simple, sigmoid):
        for state, shape in ((h[:1], r"\(1, 5\)"), (torch.zeros(4, 6), r"\(4, 6\)"), (h[0], r"\(5,\)")):
            with pytest.raises(ShapeError, match=rf"hx has shape {shape} and the input \(4, 3\); expected.*\(4, 5\)"):
                cell(x, state)
        with pytest.raises(ShapeError, match=r"input has shape \(4, 2\); expected \(batch, 3\)"):
            cell(torch.zeros(4, 2))
        with pytest.raises(ShapeError, match="hx holds a tuple; expected a tensor"):
            cell(x, (h, h))
        with pytest.raises(ShapeError, match=r"\(5, 5\) and the input \(3,\); expected hx of \(5,\)"):
            cell(x[0], torch.zeros(5, 5))  # PyTorch's RNNCell broadcasts it
    with pytest.raises(ShapeError, match=r"hx has shape \(1, 5\) and the input \(4, 3\)"):
        lstm(x, (h, h[:1]))
    with pytest.raises(ShapeError, match=r"hx is a tensor of shape \(4, 5\); an LSTM cell carries a pair"):
        lstm(x, h)
    with pytest.raises(ShapeError, match="hx is torch.float64 and the input torch.float32"):
        lstm(x, (h, h.double()))  # PyTorch's takes it
    with pytest.raises(ConfigError, match="did you mean 'sigmoid'"):
        rnnkit.SimpleRNNCell(3, 5, nonlinearity="sigmoyd")
