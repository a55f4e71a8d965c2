"""Parts of models that users bring: a cell, layers over sequences, and models with them."""

from __future__ import annotations

import torch
from torch import nn

import rnnkit

LENGTHS = [7, 2, 4]


class LeakyCell(nn.Module):
    """h_t = (1 - rate) h_{t-1} + rate tanh(W x_t + U h_{t-1}), y_t = [h_t, -h_t]: a cell as a user writes it."""

    def __init__(self, inputs: int, hidden: int, rate: float = 0.5) -> None:
        super().__init__()
        self.input_size, self.hidden_size, self.output_size, self.rate = inputs, hidden, 2 * hidden, rate
        self.inputs = nn.Linear(inputs, hidden)
        self.recurrent = nn.Parameter(torch.randn(hidden, hidden) / hidden**0.5)

    def forward(self, x, state):
        h, steps = state
        h = torch.lerp(h, torch.tanh(self.inputs(x) + h @ self.recurrent.T), self.rate)
        return torch.cat((h, -h), -1), (h, steps + 1)

    def initial_state(self, batch, device, dtype):
        zeros = torch.zeros(batch, self.hidden_size, device=device, dtype=dtype)
        return zeros, torch.zeros(batch, 1, device=device, dtype=dtype)

    def config(self):
        arguments = {"inputs": self.input_size, "hidden": self.hidden_size, "rate": self.rate}
        return {"builder": "LeakyCell", "arguments": arguments}


class Differences(rnnkit.SequenceModule):
    """x_t - x_{t-1}, a layer of the user's over sequences."""

    def forward(self, x, lengths=None):
        y = nn.functional.pad(x[:, 1:] - x[:, :-1], (0, 0, 1, 0))
        return self.masked(y, lengths), lengths, None


class Decay(rnnkit.SequenceModule):
    """s_t = r s_{t-1} + x_t, r = sigmoid(rate): a recurrence of the user's over whole sequences, time on axis 1."""

    stateful, state_batch_axis = True, 1

    def __init__(self, features):
        super().__init__()
        self.input_size = self.output_size = features
        self.rate = nn.Parameter(torch.zeros(features))

    def forward(self, x, lengths=None):
        y, state = self.forward_chunk(x, lengths=lengths)
        return y, lengths, state

    def forward_chunk(self, x, state=None, *, lengths=None, resets=None):
        h = (self.initial_state(len(x), x.device, x.dtype) if state is None else state)[0]
        x = self.masked(x, lengths)
        powers = torch.sigmoid(self.rate) ** torch.arange(x.shape[1] + 1)[:, None]
        y = torch.stack([(powers[: t + 1].flip(0) * x[:, : t + 1]).sum(1) for t in range(x.shape[1])], 1)
        y = y + powers[1:] * h[:, None]
        return self.masked(y, lengths), self.last_output(y, lengths, None)[None]

    def initial_state(self, batch, device=None, dtype=None):
        return torch.zeros(1, batch, self.output_size, device=device, dtype=dtype)


class Square(nn.Module):
    def forward(self, x):
        return x * x


def tokens(rows=3, time=7, vocabulary=11, seed=0):
    return torch.randint(vocabulary, (rows, time), generator=torch.Generator().manual_seed(seed))


def own(kind=rnnkit.SequenceClassifier, **options):
    torch.manual_seed(0)
    options = {"classes": ["no", "yes"]} if kind is rnnkit.SequenceClassifier and not options else options
    return kind(rnnkit.RNN(LeakyCell(4, 5)), front=nn.Embedding(11, 4), **options).eval()


BODIES = {
    "layer": lambda: rnnkit.LSTM(4, 5, num_layers=2, bidirectional=True),
    "torch lstm": lambda: nn.LSTM(4, 5, num_layers=2, bidirectional=True, proj_size=3),
    "torch gru": lambda: nn.GRU(4, 5, batch_first=True),
    "torch rnn": lambda: nn.RNN(4, 5, nonlinearity="relu", bidirectional=True, batch_first=True),
    "torch cell": lambda: rnnkit.RNN(nn.LSTMCell(4, 5)),
    "own cell": lambda: rnnkit.RNN(LeakyCell(4, 5), batch_first=True),
    "two own cells": lambda: rnnkit.RNN(LeakyCell(4, 5), reverse_cell=LeakyCell(4, 3)),
    "chain": lambda: rnnkit.Chain(rnnkit.GRU(4, 6), nn.Linear(6, 5), nn.LSTM(5, 3)),
    "sequential": lambda: nn.Sequential(nn.Linear(4, 6), nn.ReLU(), nn.Conv1d(6, 5, 3, padding="same")),
    "own recurrence": lambda: Decay(4),
    "convolution": lambda: nn.Conv1d(4, 6, 2, stride=2, padding=1),
}


PARTS = {
    "fronts in sequence": lambda: rnnkit.SequenceClassifier(
        rnnkit.GRU(6, 5), 2, front=[nn.Embedding(11, 4, padding_idx=0), rnnkit.ConvFront(4, 6, (3,), stride=2)]
    ),
    "sequential": lambda: rnnkit.SequenceRegressor(
        nn.LSTM(5, 3, proj_size=2, batch_first=True),
        2,
        front=nn.Sequential(nn.Embedding(11, 4), nn.Linear(4, 5, bias=False), nn.LayerNorm(5), nn.GELU(), nn.Dropout()),
    ),
    "tagger": lambda: rnnkit.SequenceTagger(rnnkit.RNN(rnnkit.GRUCell(4, 5)), 11, front=nn.Embedding(11, 4)),
    "chain": lambda: rnnkit.SequenceTagger(
        rnnkit.Chain(nn.RNN(4, 5, nonlinearity="relu"), nn.Conv1d(5, 4, 3, padding="same"), rnnkit.PerStep(nn.Tanh())),
        3,
        front=(nn.Embedding(11, 4),),
    ),
    "head": lambda: rnnkit.SequenceClassifier(
        nn.GRU(4, 5), 3, front=nn.Embedding(11, 4), head=nn.Sequential(nn.Linear(5, 7), nn.ReLU(), nn.Linear(7, 3))
    ),
}
