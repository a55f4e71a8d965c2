"""Forecasters beside the same model on `torch.nn`, and neuralforecast's: `python -m benchmarks.forecasting`.

Training on 1,000 series of 1,000 steps, windows of 96 steps with a horizon of 24, batches of 256, one layer of 128
units and a linear head, the mean absolute error, Adam. rnnkit's model and that on `torch.nn` are trained by
`rnnkit.Learner` on the same windows; neuralforecast by its own trainer, without logs, checkpoints and scaling. The
systems take turns, and each figure is the median of the turns.
"""

from __future__ import annotations

import argparse
import importlib.util
import logging
import subprocess
import sys
import time
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from statistics import median
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

import rnnkit
from benchmarks import machine
from benchmarks.environment import neuralforecast_folder
from rnnkit.data.forecasting import ForecastPreprocessing, ForecastWindows, TimeSeries, divide_time

AT_LEAST = {("lstm", "torch.nn"): 2.0, ("gru", "torch.nn"): 3.0, ("lstm", "neuralforecast"): 3.0,
            ("gru", "neuralforecast"): 3.0}  # fmt: skip
"""How many times as many windows a second rnnkit must train, by cell and peer."""
_WARM = 3  # neuralforecast's first steps, which open its trainer, do not count


@dataclass(frozen=True)
class Sizes:
    """The data and the models.

    Attributes:
        series, steps: of the data.
        lookback, horizon, batch: of the windows.
        hidden: units of the one layer.
    """

    series: int = 1_000
    steps: int = 1_000
    lookback: int = 96
    horizon: int = 24
    batch: int = 256
    hidden: int = 128


class TorchForecaster(nn.Module):
    """The same model on `torch.nn`: a recurrence over the lookback, and a linear map of its last output."""

    def __init__(self, cell: str, sizes: Sizes) -> None:
        super().__init__()
        self.lookback = sizes.lookback
        self.body = {"lstm": nn.LSTM, "gru": nn.GRU}[cell](1, sizes.hidden, batch_first=True)
        self.head = nn.Linear(sizes.hidden, sizes.horizon)

    def forward(self, x: Tensor) -> Tensor:
        found: Tensor = self.head(self.body(x[:, : self.lookback])[0][:, -1])
        return found


def make_values(sizes: Sizes) -> list[np.ndarray]:
    """Return the series: waves with noise, of mean 0 and deviation 1."""
    random = np.random.default_rng(0)
    found = []
    for _ in range(sizes.series):
        wave = np.sin(2 * np.pi * np.arange(sizes.steps) / 24 + random.uniform(0, 2 * np.pi))
        values = wave + 0.3 * random.normal(size=sizes.steps)
        found.append((values - values.mean()) / values.std())
    return found


def make_windows(values: list[np.ndarray], sizes: Sizes) -> ForecastWindows:
    """Return all training windows."""
    series = TimeSeries.from_arrays(values, start="2024-01-01", frequency="hour")
    parts = divide_time(series, (0.8, 0.2))
    fitted = ForecastPreprocessing.fit(parts, lookback=sizes.lookback, horizon=sizes.horizon, scale="none", calendar=())
    return fitted.divide(parts)[0]


def learner_of(model: nn.Module) -> rnnkit.Learner:
    """Return the trainer of a model."""
    return rnnkit.Learner(model, loss="l1", optimizer="adam", lr=1e-3, metrics=[], objective="horizon")


def train_by_learner(
    learner: rnnkit.Learner, windows: ForecastWindows, sizes: Sizes, steps: int, random: np.random.Generator
) -> float:
    """Return the windows a second of so many steps on windows drawn at random."""
    drawn = windows.select(random.integers(0, len(windows), steps * sizes.batch))
    batches = drawn.batches(sizes.batch)
    began = time.perf_counter()
    learner.fit(batches, epochs=1, progress=False)
    return steps * sizes.batch / (time.perf_counter() - began)


def find_neuralforecast() -> Any:
    """Return the module of neuralforecast's models; None where it cannot be had, which is said.

    It is looked for in the environment, and then in a folder of its own, which is made.
    """
    name = "neuralforecast.models"
    if importlib.util.find_spec("neuralforecast") is None:
        try:
            # At the end: torch stays the one that rnnkit uses.
            sys.path.append(str(neuralforecast_folder(partial(print, flush=True))))
        except (OSError, subprocess.CalledProcessError) as error:
            print(f"neuralforecast is missing and is left out: {error}", flush=True)
            return None
    try:
        return importlib.import_module(name)
    except ImportError as error:
        print(f"neuralforecast cannot be imported and is left out: {error}", flush=True)
        return None


def neuralforecast_trainer(models: Any, cell: str, values: list[np.ndarray], sizes: Sizes, steps: int) -> Any:
    """Return a function that trains neuralforecast's model for so many steps and returns the windows a second."""
    import pandas as pd
    from neuralforecast.tsdataset import TimeSeriesDataset
    from pytorch_lightning import Callback

    class Clock(Callback):
        def on_train_start(self, *_: Any) -> None:
            self.ends: list[float] = []

        def on_train_batch_end(self, *_: Any, **__: Any) -> None:
            self.ends.append(time.perf_counter())

    for name in ("pytorch_lightning", "lightning_fabric"):
        logging.getLogger(name).setLevel(logging.ERROR)
    stamps = pd.date_range("2024-01-01", periods=sizes.steps, freq="h")
    frames = [
        pd.DataFrame({"unique_id": f"{row:05d}", "ds": stamps, "y": one.astype(np.float32)})
        for row, one in enumerate(values)
    ]
    dataset = TimeSeriesDataset.from_df(pd.concat(frames))[0]
    clock = Clock()
    model = {"lstm": models.LSTM, "gru": models.GRU}[cell](
        h=sizes.horizon,
        input_size=sizes.lookback,
        encoder_n_layers=1,
        encoder_hidden_size=sizes.hidden,
        decoder_layers=1,
        windows_batch_size=sizes.batch,
        scaler_type="identity",
        learning_rate=1e-3,
        max_steps=steps + _WARM,
        accelerator="cpu",
        devices=1,
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        callbacks=[clock],
    )

    def train() -> float:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            model.fit(dataset)
        return steps * sizes.batch / (clock.ends[-1] - clock.ends[_WARM - 1])

    return train


def measure(cell: str, sizes: Sizes, rounds: int, steps: int, models: Any) -> dict[str, float]:
    """Return the windows a second that each system trains, the median of the rounds."""
    values, random = make_values(sizes), np.random.default_rng(1)
    windows = make_windows(values, sizes)
    torch.manual_seed(0)
    ours = rnnkit.DirectForecaster(windows.layout, cell, sizes.hidden)
    runners: dict[str, Callable[[], float]] = {
        name: partial(train_by_learner, learner_of(model), windows, sizes, steps, random)
        for name, model in (("rnnkit", ours), ("torch.nn", TorchForecaster(cell, sizes)))
    }
    if models is not None:
        runners["neuralforecast"] = neuralforecast_trainer(models, cell, values, sizes, steps)
    for run in runners.values():
        run()
    found: dict[str, list[float]] = {name: [] for name in runners}
    for _ in range(rounds):
        for name, run in runners.items():
            found[name].append(run())
    return {name: median(speeds) for name, speeds in found.items()}


def show(cell: str, found: dict[str, float]) -> bool:
    """Print a line a peer; True where a figure is missed."""
    missed = False
    for peer in ("torch.nn", "neuralforecast"):
        if peer in found:
            ratio, least = found["rnnkit"] / found[peer], AT_LEAST[cell, peer]
            missed |= ratio < least
            print(
                f"train {cell.upper()}: rnnkit {found['rnnkit']:,.0f} windows/s, {peer} {found[peer]:,.0f} windows/s, "
                f"{ratio:.2f} × (at least {least:g})",
                flush=True,
            )
    return missed


def main(arguments: list[str] | None = None, sizes: Sizes | None = None) -> int:
    """Measure and print; 1 where a figure is missed, or neuralforecast is."""
    sizes = sizes or Sizes()
    parser = argparse.ArgumentParser(prog="python -m benchmarks.forecasting", description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--steps", type=int, default=20, help="of the optimizer, a turn")
    parser.add_argument("--without", action="store_true", help="leave neuralforecast out")
    wanted = parser.parse_args(arguments)
    print(
        f"{machine.describe()['Processor']}, {torch.get_num_threads()} threads, torch {torch.__version__}", flush=True
    )
    models = None if wanted.without else find_neuralforecast()
    missed = models is None and not wanted.without
    if models is not None:
        print(f"neuralforecast {importlib.import_module('neuralforecast').__version__}", flush=True)
    for cell in ("lstm", "gru"):
        missed |= show(cell, measure(cell, sizes, wanted.rounds, wanted.steps, models))
    return int(missed)


if __name__ == "__main__":
    raise SystemExit(main())
