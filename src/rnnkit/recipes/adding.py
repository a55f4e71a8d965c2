"""The adding problem: two of T numbers are marked, and their sum is asked for at the end.

    numbers and marks [B, T steps, 2] → GRU(64) → last state → Linear(1), mean squared error

What was seen up to T steps ago must still reach the answer, and its gradient must find the way back. ``adding()`` is
the recommended recipe for such sequences, three cures together:

- gates: a GRU carries its state along a sum, where a plain network multiplies it by a matrix at every step;
- their biases start so that units forget over 2 to T steps (Tallec & Ollivier 2018), see :func:`rnnkit.chrono_`;
- gradients longer than 1 are clipped, and Adam's rate rises over a tenth of the steps and falls along a cosine.

``plain()`` is what they are cures for: a tanh SimpleRNN with PyTorch's initial weights, whose error stays at 0.167, the
variance of the answer. Learning rate and size were chosen on made rows of other seeds than those that judge.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, ClassVar, Literal

import rnnkit
from rnnkit import runs
from rnnkit.recipes.base import Recipe, refuse_data
from rnnkit.recipes.interface import DataRequest, InspectionData
from rnnkit.tasks.ranges import Count, Positive, Range, Settings
from rnnkit.tasks.settings import NetworkSettings, TrainingSettings

if TYPE_CHECKING:
    import torch

# Rows that judge come from seeds of their own, far from those that train.
TEST_SEED = 1_000_000


@dataclass(frozen=True)
class Model(NetworkSettings):
    """The network.

    Attributes:
        nonlinearity: of a simple_rnn; lstm and gru have their own.
        init: initial weights of the recurrence.
        chrono: whether gates start so that units forget over 2 to `data.steps` steps.
    """

    nonlinearity: Literal["tanh", "relu"] = "tanh"
    init: Literal["keras", "torch", "identity"] = "keras"
    chrono: bool = True

    def __post_init__(self) -> None:
        super().__post_init__()
        self.check_gates(init=self.init, chrono=self.chrono)


@dataclass(frozen=True)
class Fit(TrainingSettings):
    """The training; see ``rnnkit.Learner``."""

    epochs: Count = 12
    batch_size: Count = 50
    lr: Positive = 5e-3
    schedule: Literal["warmup_cosine", "cosine"] | None = "warmup_cosine"
    clip_norm: Positive | None = 1.0


@dataclass(frozen=True)
class Data(Settings):
    """The rows, all made.

    Attributes:
        steps: T, the length of a row.
        rows: to train on; a tenth as many judge after each epoch and at the end.
    """

    group_name: ClassVar[str] = "data"

    steps: Annotated[int, Range(least=4, whole=True)] = 400
    rows: Annotated[int, Range(least=10, whole=True)] = 10_000


@dataclass(frozen=True)
class Adding(Recipe):
    """The whole run; ``rnnkit train adding --set GROUP.FIELD=VALUE`` changes a field.

    Attributes:
        seed: of rows, weights and the order of the rows; test rows come from seeds above.
        device: where to compute: auto, cpu, cuda, cuda:1, mps.
    """

    model: Model = Model()
    fit: Fit = Fit()
    data: Data = Data()
    seed: Annotated[int, Range(least=0, below=TEST_SEED // 2, whole=True)] = 0
    device: str = "auto"

    def run(self, folder: Path) -> runs.Metrics:
        """Train, evaluate on new rows, and write model, metrics, history and curves into the folder."""
        from rnnkit.data.problems import adding

        learner, data = self.learner(), self.data
        history = learner.fit(
            adding(data.rows, data.steps, seed=self.seed),
            validation=self.validation(),
            seed=self.seed,
            checkpoint=folder,
            resume=True,  # of a new folder there is nothing to resume
            callbacks=[rnnkit.Diagnostics(every=100, file=folder / "diagnostics.json")],
            **self.fit.fit_settings(),
        )
        learner.save(folder)
        figures = learner.evaluate(self.test())
        return runs.record(folder, history, {"test": figures}, final=figures)

    def evaluate(self, folder: Path, data: DataRequest | None = None) -> dict[str, float]:
        """Return the errors of the folder's model on the rows that judge."""
        refuse_data(data, folder)
        return rnnkit.Learner(rnnkit.load(folder), metrics="mse", device=self.device).evaluate(self.test())

    def validate(self, folder: Path) -> dict[str, float]:
        """Return the errors of the folder's model on the rows that chose the epoch."""
        return rnnkit.Learner(rnnkit.load(folder), metrics="mse", device=self.device).evaluate(self.validation())

    def inspection_data(self, folder: Path, data: DataRequest | None = None) -> InspectionData:
        """Return the folder's model, rows and sums: those that judge, or x and y of an .npz file."""
        from rnnkit.recipes.inspection import read_npz

        rows, sums = self.test() if data is None else read_npz(data.without_encoding())
        return InspectionData(rnnkit.load(folder), rows, sums, "mse", "the made rows that judge")

    def learner(self) -> rnnkit.Learner:
        """Return a learner with a network whose weights are drawn with the seed."""
        import torch

        torch.manual_seed(self.seed)
        model = build(self.model, self.data.steps)
        return rnnkit.Learner(model, metrics="mse", device=self.device, **self.fit.learner_settings())

    def validation(self) -> tuple[torch.Tensor, torch.Tensor]:
        """Return the rows that choose the epoch."""
        from rnnkit.data.problems import adding

        return adding(self.data.rows // 10, self.data.steps, seed=TEST_SEED - 1 - self.seed)

    def test(self) -> tuple[torch.Tensor, torch.Tensor]:
        """Return the rows that judge."""
        from rnnkit.data.problems import adding

        return adding(self.data.rows // 10, self.data.steps, seed=TEST_SEED + self.seed)


def adding() -> Adding:
    """Add two marked numbers that are up to 400 steps back: GRU(64), chrono initialisation, clipping, Adam."""
    return Adding()


def plain() -> Adding:
    """Train a tanh SimpleRNN(64) with PyTorch's initial weights on the adding problem, which it does not learn."""
    model = Model(cell="simple_rnn", init="torch", chrono=False)
    return replace(adding(), model=model, fit=Fit(lr=1e-3, clip_norm=None, schedule=None))


def build(settings: Model, steps: int) -> rnnkit.SequenceRegressor:
    """Return the network with fresh weights, its gates set for sequences of this number of steps."""
    body: rnnkit.SimpleRNN | rnnkit.LSTM | rnnkit.GRU
    if settings.cell == "simple_rnn":
        body = rnnkit.SimpleRNN(2, settings.hidden_size, nonlinearity=settings.nonlinearity, init=settings.init)
    else:
        kind = rnnkit.LSTM if settings.cell == "lstm" else rnnkit.GRU
        body = kind(2, settings.hidden_size, init=settings.init)
    if settings.chrono:
        rnnkit.chrono_(body, steps)
    return rnnkit.SequenceRegressor(body)
