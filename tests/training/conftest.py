"""Small models and data for the tests of training."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from rnnkit.models.native_parts import NativeParts


class Last(nn.Module):
    """A recurrent body and a head on the state after the last valid step."""

    default_loss = "cross_entropy"
    default_metrics = ("accuracy",)

    def __init__(self, inputs: int, outputs: int, dropout: float = 0.0) -> None:
        super().__init__()
        self.body = nn.RNN(inputs, 8, batch_first=True)
        self.dropout = nn.Dropout(dropout)
        self.head = nn.Linear(8, outputs)

    def forward(self, x: Tensor, lengths: Tensor | None = None) -> Tensor:
        output, _ = self.body(x)
        last = torch.full((len(x),), x.shape[1]) if lengths is None else lengths
        return self.head(self.dropout(output[torch.arange(len(x)), last - 1]))


class Steps(nn.Module):
    """A recurrent body and a head on every step."""

    default_loss = "cross_entropy"
    default_metrics = ("accuracy",)

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.body = nn.RNN(inputs, 8, batch_first=True)
        self.head = nn.Linear(8, outputs)

    def forward(self, x: Tensor, lengths: Tensor | None = None) -> Tensor:
        return self.head(self.body(x)[0])


@pytest.fixture(autouse=True)
def one_thread():
    """Work as small as this only loses time to a second thread."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.fixture(autouse=True)
def small_peak(monkeypatch):
    """Profiles measure the machine's peak by products that take no time."""
    monkeypatch.setattr("rnnkit.ops.machine.SIZES", (64,))


@pytest.fixture
def classifier():
    """Makes a classifier of [B, T, 2] with the same weights each time."""

    def make(outputs: int = 2, dropout: float = 0.0) -> Last:
        torch.manual_seed(3)
        return Last(2, outputs, dropout)

    return make


@pytest.fixture
def tagger():
    def make(outputs: int = 2) -> Steps:
        torch.manual_seed(3)
        return Steps(2, outputs)

    return make


@pytest.fixture
def blobs() -> tuple[Tensor, Tensor]:
    """96 sequences [96, 5, 2] of two classes that differ in their mean."""
    generator = torch.Generator().manual_seed(0)
    y = torch.arange(96) % 2
    x = torch.randn(96, 5, 2, generator=generator) + (2.0 * y - 1)[:, None, None]
    return x, y


@pytest.fixture
def three(blobs):
    """A third class beside the two: [48, 5, 2] with a mean of its own."""
    generator = torch.Generator().manual_seed(1)
    x = torch.randn(48, 5, 2, generator=generator) + torch.tensor([4.0, -4.0])
    return x, torch.full((48,), 2)


@pytest.fixture
def general(monkeypatch):
    """Call it, and every step goes the general way."""
    return lambda: monkeypatch.setattr(NativeParts, "problem", lambda parts: "a test turned it off")
