"""The workloads that the systems are timed on, their arithmetic, and the batch they train on.

Sizes: B batch, T time, I input, H hidden, G gates (1 for the plain recurrence, 4 for LSTM, 3 for GRU), D directions.
Imported by workers in both environments, so it knows numpy and nothing else.
"""

import dataclasses
import math
from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt

GATES = {"simple_rnn": 1, "lstm": 4, "gru": 3}


@dataclass(frozen=True)
class Workload:
    """A network to train one step: `layers` recurrent layers, a linear head on the last step, Adam.

    Ten classes train on softmax cross-entropy, `outputs=1` on the mean squared error. With `ragged`, rows have between
    T/4 and T valid steps, in no order, and zeros behind them.
    """

    name: str
    cell: Literal["simple_rnn", "lstm", "gru"]
    batch: int
    time: int
    inputs: int
    hidden: int
    target: float = 1.0  # the best peer's time must be at least this many times ours
    layers: int = 1
    outputs: int = 10
    nonlinearity: Literal["tanh", "relu"] = "tanh"  # of the plain recurrence
    bidirectional: bool = False
    ragged: bool = False

    @property
    def title(self) -> str:
        cell = {"simple_rnn": f"SimpleRNN {self.nonlinearity}", "lstm": "LSTM", "gru": "GRU"}[self.cell]
        cell = cell if self.layers == 1 else f"{self.layers} × {cell}"
        return cell + ", bidirectional" * self.bidirectional + ", ragged" * self.ragged

    @property
    def sizes(self) -> str:
        return f"{self.batch}, {self.time}, {self.inputs}, {self.hidden}"

    @property
    def label(self) -> str:
        return f"{self.title} ({self.sizes})"

    @property
    def directions(self) -> int:
        return 2 if self.bidirectional else 1

    @property
    def valid_steps(self) -> int:
        """B·T without the padding."""
        return int(self.made_lengths().sum())

    @property
    def flops(self) -> int:
        """Floating-point operations of the recurrent layers, forward and backward, in one step.

        Forward 2·B·T·G·H·(I + H) in each direction; backward the recurrent part twice (for dh and dU) and the input
        part once (for dW), and once more (for dx) in the layers that are not the first, whose input is D·H wide. Steps
        behind a row's length and the head are left out.
        """
        per_column = 2 * self.valid_steps * GATES[self.cell] * self.hidden * self.directions
        first = per_column * (2 * self.inputs + 3 * self.hidden)
        others = per_column * 3 * (self.directions + 1) * self.hidden
        return first + (self.layers - 1) * others

    def made_lengths(self) -> npt.NDArray[np.int64]:
        """The valid steps of each row: T, or uniform between T/4 and T, the same for every system."""
        if not self.ragged:
            return np.full(self.batch, self.time)
        return np.random.default_rng(1).integers(math.ceil(self.time / 4), self.time + 1, size=self.batch)

    def made_batch(self) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.int64] | npt.NDArray[np.float32]]:
        """The made batch `(x [B, T, I], y)`, the same for every system: y [B] labels, or [B, 1] values."""
        random = np.random.default_rng(0)
        x = random.random((self.batch, self.time, self.inputs), dtype=np.float32)
        x[np.arange(self.time) >= self.made_lengths()[:, None]] = 0
        if self.outputs == 1:
            return x, random.random((self.batch, 1), dtype=np.float32)
        return x, random.integers(self.outputs, size=self.batch)

    def made_weights(self) -> dict[str, npt.NDArray[np.float32]]:
        """Weights of the recurrent layers, uniform in ±1/√H, by PyTorch's names and in its gate order."""
        random = np.random.default_rng(2)
        rows, weights = GATES[self.cell] * self.hidden, {}
        for layer in range(self.layers):
            inputs = self.hidden * self.directions if layer else self.inputs
            for suffix in [f"_l{layer}", f"_l{layer}_reverse"][: self.directions]:
                shapes = {
                    "weight_ih": (rows, inputs),
                    "weight_hh": (rows, self.hidden),
                    "bias_ih": rows,
                    "bias_hh": rows,
                }
                for name, shape in shapes.items():
                    uniform = random.uniform(-1, 1, shape) / math.sqrt(self.hidden)
                    weights[name + suffix] = uniform.astype(np.float32)
        return weights

    def dense(self) -> "Workload":
        """The same with every row of full length."""
        return dataclasses.replace(self, name=f"{self.name}_dense", ragged=False)


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

RAGGED = (
    Workload("lstm_ragged", "lstm", 64, 100, 28, 128, ragged=True),
    Workload("gru_ragged", "gru", 64, 100, 28, 128, ragged=True),
    Workload("simple_rnn_ragged", "simple_rnn", 64, 100, 28, 128, ragged=True),
)

UNTUNED = (
    Workload("lstm_75", "lstm", 17, 35, 10, 75),
    Workload("gru_100", "gru", 9, 50, 33, 100, layers=2),
    Workload("lstm_64_both", "lstm", 32, 40, 20, 64, bidirectional=True),
    Workload("simple_rnn_96_both", "simple_rnn", 20, 60, 7, 96, layers=2, bidirectional=True),
    Workload("lstm_200", "lstm", 128, 20, 64, 200),
    Workload("gru_alone", "gru", 1, 100, 16, 64, target=1.2),
    RAGGED[0],
)
"""Shapes that nobody looked at while the kernels were written."""

SMALL = (
    Workload("simple_rnn_12mf", "simple_rnn", 8, 40, 16, 72),
    Workload("lstm_11mf", "lstm", 4, 24, 16, 64),
    Workload("gru_11mf", "gru", 8, 28, 16, 48),
    Workload("lstm_13mf", "lstm", 1, 100, 32, 64),
    Workload("simple_rnn_55mf", "simple_rnn", 32, 28, 16, 96),
    Workload("lstm_51mf", "lstm", 16, 28, 16, 64),
    Workload("gru_51mf", "gru", 16, 28, 24, 72),
)
"""Layers alone, a little above 10 and 50 MFLOP, where more is asked of them."""

STREAMED = (Workload("lstm_28_streamed", "lstm", 1, 1, 28, 128), Workload("lstm_256_streamed", "lstm", 1, 1, 256, 512))
"""One step at a time, batch 1."""
STREAM_STEPS = 200
"""Timed together, so that reading the clock costs nothing."""

REPEATED = (*WORKLOADS[:2], WORKLOADS[3], UNTUNED[5])
"""Steps that are timed in one process after another."""

BESIDE_BUSY = (
    WORKLOADS[0],
    Workload("simple_rnn_256", "simple_rnn", 128, 50, 64, 256),
    Workload("lstm_97", "lstm", 19, 37, 23, 97, layers=2),
)
"""Steps that are timed while other processes keep the cores busy."""

OPTIONED = ("lstm_28", "gru_28", "simple_rnn_28")
OPTIONS: dict[str, dict[str, float]] = {
    "plain": {},
    "recurrent_dropout": {"recurrent_dropout": 0.25},
    "weight_dropout": {"weight_dropout": 0.25},
    "zoneout": {"zoneout": 0.1},
    "layer_norm": {"layer_norm": True},
    "lengths": {},  # of every row, T
    "resets": {},
    "proj_size": {"proj_size": 64},  # LSTM alone
}
"""rnnkit's options by name, with the arguments of the constructor."""

ALL = {
    load.name: load
    for load in (*WORKLOADS, *BESIDE_BUSY, *UNTUNED, *SMALL, *RAGGED, *(load.dense() for load in RAGGED), *STREAMED)
}


def workload(name: str) -> Workload:
    """The workload called `name`."""
    try:
        return ALL[name]
    except KeyError:
        raise ValueError(f"no workload is called {name!r}; there are {', '.join(ALL)}") from None
