"""Three recurrences of your own: each is a step of a few lines, runs in ``rnnkit.RNN`` and learns a small task.

- A Jordan network, whose only memory is its own output, learns the parity of the bits so far.
- A closed loop continues a wave. It reads given values first and, where the input is NaN, its own predictions.
- An LSTM with layer normalisation recalls the first symbol of sequences of unequal length.

Run: python examples/own_cells.py (seconds)
"""

from __future__ import annotations

import argparse
import math
from collections.abc import Callable

import torch

import rnnkit

Tensor = torch.Tensor
Pair = tuple[Tensor, Tensor]


class JordanCell(torch.nn.Module):
    """y_t = σ(V tanh(W x_t + U y_{t-1} + b) + c): the output goes back in (Jordan, 1986)."""

    def __init__(self, inputs: int, hidden: int, outputs: int) -> None:
        super().__init__()
        self.hidden = torch.nn.Linear(inputs + outputs, hidden)
        self.output = torch.nn.Linear(hidden, outputs)

    def forward(self, x: Tensor, y: Tensor) -> Pair:
        hidden = torch.tanh(self.hidden(torch.cat((x, y), -1)))
        y = torch.sigmoid(self.output(hidden))
        return y, y


class ClosedLoopCell(torch.nn.Module):
    """Predicts the next value. Where the input is NaN it reads its own last prediction instead."""

    def __init__(self, features: int, hidden: int) -> None:
        super().__init__()
        self.cell = rnnkit.GRUCell(features, hidden)
        self.head = torch.nn.Linear(hidden, features)

    def forward(self, x: Tensor, state: Pair) -> tuple[Tensor, Pair]:
        h, predicted = state
        x = torch.where(x.isnan(), predicted, x)
        h = self.cell(x, h)
        predicted = x + self.head(h)
        return predicted, (h, predicted)

    def initial_state(self, batch: int, device: torch.device, dtype: torch.dtype) -> Pair:
        predicted = torch.zeros(batch, self.head.out_features, device=device, dtype=dtype)
        return self.cell.initial_state(batch, device, dtype), predicted


class LayerNormLSTMCell(torch.nn.Module):
    """An LSTM whose two products and whose cell are normalised (Ba, Kiros & Hinton, arXiv:1607.06450)."""

    def __init__(self, inputs: int, hidden: int) -> None:
        super().__init__()
        self.from_input = torch.nn.Linear(inputs, 4 * hidden, bias=False)
        self.from_state = torch.nn.Linear(hidden, 4 * hidden, bias=False)
        self.norm_input = torch.nn.LayerNorm(4 * hidden)
        self.norm_state = torch.nn.LayerNorm(4 * hidden)
        self.norm_cell = torch.nn.LayerNorm(hidden)
        with torch.no_grad():
            self.norm_input.bias[hidden : 2 * hidden] = 1.0  # the forget gate starts open

    def forward(self, x: Tensor, state: Pair) -> tuple[Tensor, Pair]:
        h, c = state
        gates = self.norm_input(self.from_input(x)) + self.norm_state(self.from_state(h))
        i, f, g, o = gates.chunk(4, -1)
        c = torch.sigmoid(f) * c + torch.sigmoid(i) * torch.tanh(g)
        h = torch.sigmoid(o) * torch.tanh(self.norm_cell(c))
        return h, (h, c)


def fit(module: torch.nn.Module, loss: Callable[[], Tensor], steps: int, rate: float = 0.01) -> None:
    """Trains with Adam on new data at each step."""
    optimizer = torch.optim.Adam(module.parameters(), rate)
    for _ in range(steps):
        optimizer.zero_grad()
        loss().backward()
        torch.nn.utils.clip_grad_norm_(module.parameters(), 1.0)
        optimizer.step()


def parity() -> float:
    """Learns on 8 bits; returns the share of right answers on 200."""

    def bits(time: int) -> Pair:
        x = torch.randint(0, 2, (time, 64, 1)).float()
        return x, x.cumsum(0) % 2

    network = rnnkit.RNN(JordanCell(1, 16, 1), initial_state=torch.zeros(1, 1))

    def loss() -> Tensor:
        x, target = bits(8)
        return torch.nn.functional.binary_cross_entropy(network(x)[0], target)

    fit(network, loss, steps=300, rate=0.03)
    x, target = bits(200)
    with torch.no_grad():
        return (network(x)[0].round() == target).float().mean().item()


def continued_wave() -> tuple[float, float]:
    """Learns to continue waves; returns its error and the error of repeating the last value."""
    given, free = 15, 15

    def waves() -> Tensor:
        period, phase = 10 + 20 * torch.rand(64, 1), 2 * math.pi * torch.rand(64, 1)
        return torch.sin(torch.arange(given + free + 1.0)[:, None, None] / period * 2 * math.pi + phase)

    network = rnnkit.RNN(ClosedLoopCell(1, 32))

    def errors() -> Pair:
        wave = waves()
        x = wave[:-1].clone()
        x[given:] = math.nan  # from this step on it reads its own predictions
        return (network(x)[0] - wave[1:]).square(), (wave[given - 1] - wave[given:]).square()

    fit(network, lambda: errors()[0].mean(), steps=150, rate=0.03)
    with torch.no_grad():
        own, constant = errors()
    return own[given - 1 :].mean().sqrt().item(), constant.mean().sqrt().item()


def recalled_symbol() -> float:
    """Learns to name the first symbol after 10 to 25 steps; returns the share of right answers."""
    symbols, hidden = 4, 24
    # The initial state is learned: one row, from which all rows start.
    start = (torch.nn.Parameter(torch.zeros(1, hidden)), torch.nn.Parameter(torch.zeros(1, hidden)))
    network = rnnkit.RNN(LayerNormLSTMCell(symbols + 1, hidden), initial_state=start)
    head = torch.nn.Linear(hidden, symbols)

    def answers() -> Pair:
        first, lengths = torch.randint(symbols, (64,)), torch.randint(10, 26, (64,))
        x = torch.rand(25, 64, symbols + 1)
        x[0] = torch.nn.functional.one_hot(first, symbols + 1)
        _, (h, _) = network(x, lengths=lengths)
        return head(h), first

    fit(
        torch.nn.ModuleList([network, head]),
        lambda: torch.nn.functional.cross_entropy(*answers()),
        steps=100,
        rate=0.02,
    )
    with torch.no_grad():
        logits, first = answers()
    return (logits.argmax(-1) == first).float().mean().item()


def main() -> dict[str, float]:
    """Trains all three; prints and returns their results."""
    torch.manual_seed(0)
    right = parity()
    print(f"Jordan network, parity of 200 bits after learning on 8: {right:.1%} right")
    own, constant = continued_wave()
    print(f"Closed loop, 15 steps on its own predictions: error {own:.3f} (repeating the last value: {constant:.3f})")
    recalled = recalled_symbol()
    print(f"LayerNorm-LSTM, the first symbol after 10 to 25 steps: {recalled:.1%} right")
    return {"parity": right, "own": own, "constant": constant, "recalled": recalled}


if __name__ == "__main__":
    argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter).parse_args()
    main()
