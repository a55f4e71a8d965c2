"""The workloads that every system is timed on, their arithmetic, and the batch they train on.

Sizes: B batch, T time, I input, H hidden, G gates (1 for the plain recurrence, 4 for LSTM, 3 for GRU).
Imported by workers in both environments, so it knows numpy and nothing else.
"""

from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt

GATES = {"simple_rnn": 1, "lstm": 4, "gru": 3}


@dataclass(frozen=True)
class Workload:
    """A network to train one step: `layers` recurrent layers, a linear head on the last step, Adam.

    Ten classes train on softmax cross-entropy, `outputs=1` on the mean squared error.
    """

    name: str
    cell: Literal["simple_rnn", "lstm", "gru"]
    batch: int
    time: int
    inputs: int
    hidden: int
    target: float  # the best peer's time must be at least this many times ours
    layers: int = 1
    outputs: int = 10
    nonlinearity: Literal["tanh", "relu"] = "tanh"  # of the plain recurrence

    @property
    def title(self) -> str:
        cell = {"simple_rnn": f"SimpleRNN {self.nonlinearity}", "lstm": "LSTM", "gru": "GRU"}[self.cell]
        return cell if self.layers == 1 else f"{self.layers} × {cell}"

    @property
    def flops(self) -> int:
        """Floating-point operations of the recurrent layers, forward and backward, in one step.

        Forward 2·B·T·G·H·(I + H); backward the recurrent part twice (for dh and dU) and the input part
        once (for dW), and once more (for dx) in the layers that are not the first. The head is left out.
        """
        per_column = 2 * self.batch * self.time * GATES[self.cell] * self.hidden
        first = per_column * (2 * self.inputs + 3 * self.hidden)
        others = per_column * 6 * self.hidden
        return first + (self.layers - 1) * others

    def made_batch(self) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.int64] | npt.NDArray[np.float32]]:
        """The made batch `(x [B, T, I], y)`, the same for every system: y [B] labels, or [B, 1] values."""
        random = np.random.default_rng(0)
        x = random.random((self.batch, self.time, self.inputs), dtype=np.float32)
        if self.outputs == 1:
            return x, random.random((self.batch, 1), dtype=np.float32)
        return x, random.integers(self.outputs, size=self.batch)


WORKLOADS = (
    Workload("simple_rnn_28", "simple_rnn", 32, 28, 28, 128, target=2.0, nonlinearity="relu"),
    Workload("lstm_28", "lstm", 32, 28, 28, 128, target=2.0),
    Workload("gru_28", "gru", 32, 28, 28, 128, target=2.5),
    Workload("stacked_simple_rnn_100", "simple_rnn", 32, 100, 1, 50, target=4.0, layers=2, outputs=1),
    Workload("simple_rnn_784", "simple_rnn", 64, 784, 1, 128, target=3.0),
    Workload("lstm_784", "lstm", 64, 784, 1, 128, target=4.0),
    Workload("lstm_512", "lstm", 32, 64, 512, 512, target=1.1),
    Workload("gru_512", "gru", 32, 64, 512, 512, target=1.35),
)


def workload(name: str) -> Workload:
    """The workload called `name`."""
    for candidate in WORKLOADS:
        if candidate.name == name:
            return candidate
    raise ValueError(f"no workload is called {name!r}; there are {', '.join(w.name for w in WORKLOADS)}")
