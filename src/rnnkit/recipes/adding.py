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
from typing import TYPE_CHECKING, Any, Literal

import rnnkit
from rnnkit.errors import ConfigError
from rnnkit.recipes import Metrics, runs
from rnnkit.tasks.settings import at_least_one, more_than_zero

if TYPE_CHECKING:
    import torch

# Rows that judge come from seeds of their own, far from those that train.
TEST_SEED = 1_000_000


@dataclass(frozen=True)
class Model:
    """The network.

    Attributes:
        cell: the recurrence.
        hidden_size: its units.
        nonlinearity: simple_rnn's.
        init: initial weights of the recurrence.
        chrono: whether gates start so that units forget over 2 to ``data.steps`` steps.
    """

    cell: Literal["simple_rnn", "lstm", "gru"] = "gru"
    hidden_size: int = 64
    nonlinearity: Literal["tanh", "relu"] = "tanh"
    init: Literal["keras", "torch", "identity"] = "keras"
    chrono: bool = True

    def __post_init__(self) -> None:
        at_least_one("model.", self, "hidden_size")
        if self.cell != "simple_rnn" and self.init == "identity":
            raise ConfigError(f"model.init=identity is for model.cell=simple_rnn; {self.cell} starts as keras or torch")
        if self.chrono and self.cell == "simple_rnn":
            raise ConfigError("model.chrono is for gates, which a simple_rnn lacks; add --set model.chrono=false")


@dataclass(frozen=True)
class Fit:
    """The training; see ``rnnkit.Learner``."""

    epochs: int = 12
    batch_size: int = 50
    lr: float = 5e-3
    clip_norm: float | None = 1.0
    schedule: Literal["warmup_cosine", "cosine"] | None = "warmup_cosine"

    def __post_init__(self) -> None:
        at_least_one("fit.", self, "epochs", "batch_size")
        more_than_zero("fit.", self, "lr", "clip_norm")


@dataclass(frozen=True)
class Data:
    """The rows, all made.

    Attributes:
        steps: T.
        rows: to train on; a tenth as many judge after each epoch and at the end.
    """

    steps: int = 400
    rows: int = 10_000

    def __post_init__(self) -> None:
        if self.steps < 4 or self.rows < 10:
            raise ConfigError(
                f"data.steps={self.steps} and data.rows={self.rows} arrived; expected at least 4 steps and 10 rows"
            )


@dataclass(frozen=True)
class Adding:
    """The whole run; ``rnnkit train adding --set GROUP.FIELD=VALUE`` changes a field."""

    model: Model = Model()
    fit: Fit = Fit()
    data: Data = Data()
    seed: int = 0
    device: str = "auto"

    def __post_init__(self) -> None:
        if not 0 <= self.seed < TEST_SEED // 2:
            raise ConfigError(f"seed={self.seed} arrived; expected at least 0 and below {TEST_SEED // 2:,}")

    def run(self, folder: Path) -> Metrics:
        """Trains, evaluates on rows made anew, and writes model, metrics, history and curves into the folder."""
        from rnnkit.data.problems import adding

        learner = self.learner()
        fit, data = self.fit, self.data
        history = learner.fit(
            adding(data.rows, data.steps, seed=self.seed),
            validation=adding(data.rows // 10, data.steps, seed=TEST_SEED - 1 - self.seed),
            epochs=fit.epochs,
            batch_size=fit.batch_size,
            schedule=fit.schedule,
            seed=self.seed,
            checkpoint=folder,
            resume=True,  # of a new folder there is nothing to resume
            callbacks=[rnnkit.Diagnostics(every=100, file=folder / "diagnostics.json")],
        )
        learner.save(folder)
        figures = learner.evaluate(self.test())
        return runs.record(folder, history, {"test": figures}, final=figures)

    def evaluate(self, folder: Path) -> dict[str, float]:
        """Returns the errors of the folder's model on the rows that judge."""
        return rnnkit.Learner(rnnkit.load(folder), metrics="mse", device=self.device).evaluate(self.test())

    def batch(self, folder: Path, data: Path | None = None) -> tuple[Any, Any, Any, Any]:
        """Returns the folder's model, rows and sums to look into it with (those that judge, or x and y of an .npz)."""
        from rnnkit.recipes.inspecting import read_npz

        return rnnkit.load(folder), *(self.test() if data is None else read_npz(data)), "mse"

    def learner(self) -> rnnkit.Learner:
        """Returns a learner with a network whose weights are drawn with the seed."""
        import torch

        torch.manual_seed(self.seed)
        return rnnkit.Learner(
            build(self.model, self.data.steps),
            metrics="mse",
            lr=self.fit.lr,
            clip_norm=self.fit.clip_norm,
            device=self.device,
        )

    def test(self) -> tuple[torch.Tensor, torch.Tensor]:
        """Returns the rows that judge."""
        from rnnkit.data.problems import adding

        return adding(self.data.rows // 10, self.data.steps, seed=TEST_SEED + self.seed)


def adding() -> Adding:
    """Adds two marked numbers that lie up to 400 steps back: GRU(64), chrono initialisation, clipping, Adam."""
    return Adding()


def plain() -> Adding:
    """The adding problem by a tanh SimpleRNN(64) with PyTorch's initial weights, which does not learn it."""
    model = Model(cell="simple_rnn", init="torch", chrono=False)
    return replace(adding(), model=model, fit=Fit(lr=1e-3, clip_norm=None, schedule=None))


def build(settings: Model, steps: int) -> rnnkit.SequenceRegressor:
    """Returns the network with fresh weights, its gates set for sequences of so many steps."""
    body: rnnkit.SimpleRNN | rnnkit.LSTM | rnnkit.GRU
    if settings.cell == "simple_rnn":
        body = rnnkit.SimpleRNN(2, settings.hidden_size, nonlinearity=settings.nonlinearity, init=settings.init)
    else:
        kind = rnnkit.LSTM if settings.cell == "lstm" else rnnkit.GRU
        body = kind(2, settings.hidden_size, init=settings.init)
    if settings.chrono:
        rnnkit.chrono_(body, steps)
    return rnnkit.SequenceRegressor(body)
