"""Each remedy that an error of the layers names is run here: as the message writes it, or with its numbers put in."""

import pytest
import torch
from torch import nn

import rnnkit
from rnnkit.errors import RnnkitError
from rnnkit.ops import state as states

# Names that the messages use for what the user has.
NAMES = {
    "rnnkit": rnnkit,
    "torch": torch,
    "first": rnnkit.GRUCell(3, 4),
    "second": rnnkit.GRUCell(4, 4),
    "cell": rnnkit.GRUCell(3, 4),
    "other": rnnkit.GRUCell(3, 4),
    "hidden_size": 128,
    "input_size": 3,
    "batch": 2,
    "layers": [rnnkit.GRU(3, 4), rnnkit.GRU(4, 4)],
}
LAYER = rnnkit.GRU(3, 4)
X = torch.randn(5, 2, 3)
MASK = torch.tensor([[True, True, False, False, False], [True] * 5])


def constructed(*pieces):
    """Evaluate what the message tells to type."""
    return lambda: [eval(piece, dict(NAMES)) for piece in pieces]


CASES = {
    # what is typed wrongly, what the message tells to type, and that as a call
    "sizes for RNN": (lambda: rnnkit.RNN(28, 128), constructed("rnnkit.SimpleRNN(28, 128)", "rnnkit.RNN(cell)")),
    "one size": (lambda: rnnkit.RNN(28), constructed("rnnkit.SimpleRNN(28, hidden_size)")),
    "no cell": (lambda: rnnkit.RNN(), constructed("rnnkit.RNN(cell)")),
    "cells by position": (
        lambda: rnnkit.RNN(NAMES["cell"], NAMES["other"]),
        constructed("rnnkit.RNN(cell, reverse_cell=other)", "rnnkit.Chain(rnnkit.RNN(first), rnnkit.RNN(second))"),
    ),
    "bidirectional": (
        lambda: rnnkit.RNN(NAMES["cell"], bidirectional=True),
        constructed("rnnkit.RNN(cell, reverse_cell=other)"),
    ),
    "num_layers": (
        lambda: rnnkit.RNN(NAMES["cell"], num_layers=2),
        constructed("rnnkit.Chain(rnnkit.RNN(first), rnnkit.RNN(second))"),
    ),
    "dropout": (
        lambda: rnnkit.RNN(NAMES["cell"], dropout=0.1),
        constructed("rnnkit.Chain(rnnkit.RNN(first), torch.nn.Dropout(0.1), rnnkit.RNN(second))"),
    ),
    "nonlinearity": (
        lambda: rnnkit.RNN(NAMES["cell"], nonlinearity="relu"),
        constructed('rnnkit.RNN(rnnkit.SimpleRNNCell(input_size, hidden_size, nonlinearity="relu"))'),
    ),
    "bias": (
        lambda: rnnkit.RNN(NAMES["cell"], bias=False),
        constructed("rnnkit.RNN(rnnkit.GRUCell(input_size, hidden_size, bias=False))"),
    ),
    "batchfirst": (
        lambda: rnnkit.RNN(NAMES["cell"], batchfirst=True),
        lambda: rnnkit.RNN(NAMES["cell"], batch_first=True),
    ),
    "a list of parts": (lambda: rnnkit.Chain(NAMES["layers"]), constructed("rnnkit.Chain(*layers)")),
    "a generator of parts": (lambda: rnnkit.Chain(iter(NAMES["layers"])), constructed("rnnkit.Chain(*layers)")),
    "a ModuleList": (lambda: rnnkit.Chain(nn.ModuleList(NAMES["layers"])), constructed("rnnkit.Chain(*layers)")),
    "an array": (lambda: LAYER(X.numpy()), lambda: LAYER(torch.as_tensor(X.numpy()))),
    "features": (
        lambda: LAYER(torch.randn(5, 2, 7)),
        lambda: rnnkit.GRU(input_size=7, hidden_size=4)(torch.randn(5, 2, 7)),
    ),
    "dtype": (lambda: LAYER(X.double()), lambda: LAYER(X.double().to(torch.float32))),
    "dtype of the state": (
        lambda: LAYER(X, torch.zeros(1, 2, 4, dtype=torch.float64)),
        lambda: LAYER(X, torch.zeros(1, 2, 4, dtype=torch.float64).to(torch.float32)),
    ),
    "a mask as lengths": (lambda: LAYER(X, lengths=MASK), lambda: LAYER(X, lengths=MASK.sum(1))),
    "resets as numbers": (lambda: LAYER(X, resets=MASK.float()), lambda: LAYER(X, resets=MASK.float().bool())),
    "a step of two directions": (
        lambda: rnnkit.GRU(3, 4, bidirectional=True).step(X[0]),
        lambda: rnnkit.GRU(3, 4, bidirectional=True)(X),
    ),
    "another batch in a stream": (lambda: LAYER.stream(2)(X[0, :1]), lambda: LAYER.stream(1)(X[0, :1])),
    "a mask of numbers": (
        lambda: states.reset(torch.zeros(1, 2, 4), torch.tensor([0, 1])),
        lambda: states.reset(torch.zeros(1, 2, 4), torch.tensor([0, 1]).bool()),
    ),
    "half of an LSTM's state": (
        lambda: rnnkit.LSTMCell(3, 4)(X[0], torch.zeros(2, 4)),
        lambda: rnnkit.LSTMCell(3, 4)(X[0], (torch.zeros(2, 4), torch.zeros(2, 4))),
    ),
    "normalisation of the early reset": (
        lambda: rnnkit.GRU(3, 4, layer_norm=True, reset_after=False),
        lambda: (rnnkit.GRU(3, 4, layer_norm=True), rnnkit.GRU(3, 4, reset_after=False)),
    ),
    "a backend that cannot serve": (
        lambda: rnnkit.GRU(3, 4, backend="native", dtype=torch.bfloat16)(X.bfloat16()),
        lambda: rnnkit.GRU(3, 4, backend="auto", dtype=torch.bfloat16)(X.bfloat16()),
    ),
    "PyTorch's layer with options": (
        lambda: rnnkit.GRU(3, 4, backend="torch", layer_norm=True)(X),
        lambda: rnnkit.GRU(3, 4, backend="auto", layer_norm=True)(X),
    ),
    "every c of PyTorch's layer": (
        lambda: rnnkit.LSTM(3, 4, backend="torch").cell_states(X),
        lambda: rnnkit.LSTM(3, 4, backend="auto").cell_states(X),
    ),
    "a cell without a state": (
        lambda: rnnkit.RNN(lambda x, s: (s + x, s + x))(X),
        lambda: (
            rnnkit.RNN(lambda x, s: (s + x, s + x), initial_state=torch.zeros(1, 3))(X),
            rnnkit.RNN(lambda x, s: (s + x, s + x))(X, torch.zeros(2, 3)),
        ),
    ),
    "a layer as a cell": (lambda: rnnkit.RNN(LAYER), lambda: (LAYER, rnnkit.RNN(NAMES["cell"]))),
}
# What the message must hold: the words that the remedy is made of.
TYPED = {
    "sizes for RNN": "type rnnkit.SimpleRNN(28, 128)",
    "no cell": "rnnkit.RNN(cell)",
    "cells by position": "reverse_cell=other",
    "bidirectional": "rnnkit.RNN(cell, reverse_cell=other)",
    "num_layers": "rnnkit.Chain(rnnkit.RNN(first), rnnkit.RNN(second))",
    "dropout": "torch.nn.Dropout(0.1)",
    "batchfirst": "did you mean 'batch_first'",
    "a list of parts": "rnnkit.Chain(*layers)",
    "a generator of parts": "rnnkit.Chain(*layers)",
    "a ModuleList": "rnnkit.Chain(*layers)",
    "an array": "torch.as_tensor(input)",
    "features": "input_size=7",
    "a mask as lengths": "lengths=mask.sum(1)",
    "resets as numbers": "resets.bool()",
    "another batch in a stream": "layer.stream(batch)",
    "a backend that cannot serve": 'backend="auto"',
    "PyTorch's layer with options": 'backend="auto"',
    "every c of PyTorch's layer": 'backend="auto"',
}


@pytest.mark.filterwarnings("ignore:.*slow reference")
@pytest.mark.parametrize("case", CASES)
def test_the_remedy_works(case):
    wrong, right = CASES[case]
    with pytest.raises(RnnkitError) as caught:
        wrong()
    assert TYPED.get(case, "") in str(caught.value)
    right()
