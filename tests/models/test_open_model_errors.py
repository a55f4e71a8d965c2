"""Models of parts that users bring: what arrives wrongly."""

from __future__ import annotations

import pytest
import torch
from open_models import LeakyCell, Square, own, tokens
from torch import nn

import rnnkit
from rnnkit.errors import ConfigError, DataError, ShapeError


@pytest.mark.parametrize(
    ("body", "message"),
    [
        (nn.LSTMCell(3, 4), r"a cell is a single step: rnnkit\.RNN\(cell\)"),
        (rnnkit.GRU, r"body is the class GRU; expected a module: GRU\(\.\.\.\)"),
        (lambda x, state: (x, state), r"rnnkit\.RNN\("),
        (Square(), r"rnnkit\.PerStep\(Square\(\.\.\.\)\)"),
        (nn.MultiheadAttention(4, 2), "derived from rnnkit.SequenceModule"),
        (None, "body is a NoneType"),
        (rnnkit.RNN(Square()), "attribute output_size"),
        (rnnkit.Chain(nn.Embedding(3, 4), nn.ReLU()), None),
    ],
)
def test_bodies(body, message):
    if message is None:
        rnnkit.SequenceClassifier(body, 2)
        return
    with pytest.raises(ConfigError, match=message):
        rnnkit.SequenceClassifier(body, 2)


def test_parts_that_do_not_fit():
    with pytest.raises(ConfigError, match="front puts out 4 features but body takes 3; build the body with input_s"):
        rnnkit.SequenceClassifier(nn.LSTM(3, 5), 2, front=nn.Embedding(9, 4))
    with pytest.raises(ConfigError, match="part 0 puts out 4 features but part 1 takes 3"):
        rnnkit.Chain(nn.Embedding(9, 4), rnnkit.GRU(3, 4))
    with pytest.raises(ConfigError, match="part 0 puts out 4 features but part 2 takes 3"):
        rnnkit.Chain(nn.Embedding(9, 4), nn.ReLU(), rnnkit.GRU(3, 4))
    with pytest.raises(ConfigError, match="at least one layer"):
        rnnkit.Chain()
    with pytest.raises(ConfigError, match=r"front\[1\] is a Square|part 1 is a Square"):
        rnnkit.SequenceClassifier(rnnkit.GRU(4, 3), 2, front=[nn.Embedding(9, 4), Square()])
    with pytest.raises(ConfigError, match="head takes 6 features but 5 arrive"):
        rnnkit.SequenceClassifier(rnnkit.GRU(4, 5), 2, head=nn.Linear(6, 2))
    with pytest.raises(ConfigError, match="head puts out 3 numbers but 2 were asked for"):
        rnnkit.SequenceClassifier(rnnkit.GRU(4, 5), 2, head=nn.Linear(5, 3))

    class Plain(rnnkit.SequenceModule):
        def forward(self, x, lengths=None):
            return x

    with pytest.raises(ConfigError, match="Plain returned a Tensor; expected y, lengths, state"):
        rnnkit.SequenceClassifier(rnnkit.GRU(3, 5), 2, front=Plain())(torch.randn(2, 4, 3))


def test_inputs_that_do_not_fit_say_what_to_type():
    model = rnnkit.SequenceClassifier(rnnkit.LSTM(4, 8), classes=2)
    with pytest.raises(
        ShapeError, match=r"x has shape \[4, 10\], read as \[batch, time\]; LSTM expects \[batch, time, 4\]$"
    ):
        model(torch.randn(4, 10))
    with pytest.raises(ShapeError, match=r"\[10, 4\].*for a single sequence type x\[None\]"):
        model(torch.randn(10, 4))
    with pytest.raises(ShapeError, match=r"type x\.transpose\(1, 2\)"):
        model(torch.randn(3, 4, 10))
    with pytest.raises(ShapeError, match=r"\[3, 5, 10\].*build it with 10 input features"):
        model(torch.randn(3, 5, 10))
    with pytest.raises(ShapeError, match="it has no time step"):
        model(torch.randn(3, 0, 4))
    with pytest.raises(ShapeError, match=r"x is a list; expected a tensor: torch\.as_tensor\(x\)"):
        model([[1.0]])
    with pytest.raises(ShapeError, match=r"front=torch\.nn\.Embedding\(vocabulary, 4\)"):
        model(tokens())
    for body in (rnnkit.GRU(1, 4), nn.GRU(1, 4), rnnkit.RNN(LeakyCell(1, 4))):
        univariate = rnnkit.SequenceClassifier(body, 2)
        x = torch.randn(5, 10)
        with pytest.raises(
            ShapeError, match=r"x has shape \[5, 10\], read .* \w+ expects \[batch, time, 1\].*type x\[\.\.\., None\]"
        ):
            univariate(x)
        assert univariate(x[..., None]).shape == (5, 2)
    model = own()
    with pytest.raises(ShapeError, match=r"\[3, 7\] and is torch.float32; torch.nn.Embedding expects.*x\.long\(\)"):
        model(tokens().float())
    with pytest.raises(ShapeError, match="integer ids"):
        model(torch.randn(2, 3, 4))
    with pytest.raises(DataError, match=r"ids from 0 to 12 arrived.*at least 13 rows"):
        model(torch.tensor([[0, 12]]))
    assert model(torch.tensor([[1, -1], [2, 3]]), lengths=[1, 2]).shape == (2, 2)  # -1 is padding
    with pytest.raises(ShapeError, match="leaves no step of so short a row"):
        rnnkit.SequenceClassifier(nn.Conv1d(3, 4, 3), 2)(torch.randn(2, 5, 3), lengths=[5, 2])


@pytest.mark.parametrize(
    ("classes", "message"),
    [
        ("ab", "expected a number or a list of names"),
        (2.0, "expected a whole number or a list of names"),
        (True, "expected a whole number"),
        ([1, 2], r"expected a number or names: classes=\['1', '2'\]"),
        (["a", "a"], r"\['a'\] occur twice"),
        ([], "number of class names=0"),
        (0, "0 outputs"),
    ],
)
def test_classes_are_a_number_or_names(classes, message):
    with pytest.raises(ConfigError, match=message):
        rnnkit.SequenceClassifier(rnnkit.GRU(3, 4), classes)
