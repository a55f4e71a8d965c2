"""What pretraining on other series is worth with few observations: `python -m benchmarks.few_observations`.

ETTh1 has seven variables, each a series here. For each in turn a network is pretrained on the training parts of the six
others, and fine-tuned on the first 5% of the training part of the seventh, 432 hours. Beside it the same network from
fresh weights on the same 432 hours. Of both, the last fifth of the 432 hours chooses the rate and the epoch. Both are
judged on the seventh's test part, which neither has seen, and no scale was measured on.
"""

from __future__ import annotations

import argparse
import copy
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from statistics import mean
from typing import Any, NamedTuple

import numpy as np
import torch

import rnnkit
from rnnkit.data.forecasting import (
    ForecastPreprocessing,
    ForecastWindows,
    TimeSeries,
    WindowLayout,
    divide_time,
    read_time_series,
)
from rnnkit.data.forecasting.public import find_series
from rnnkit.tasks.forecast_baselines import NaiveForecasts, score_windows
from rnnkit.tasks.forecasting import forecast_windows

NAMES = ("HUFL", "HULL", "MUFL", "MULL", "LUFL", "LULL", "OT")
AT_LEAST = 0.10
"""How far the mean absolute error must fall, on average."""


@dataclass(frozen=True)
class Sizes:
    """The study.

    Attributes:
        parts: steps of training, validation and test.
        share: of the training part that is known of the new series.
        lookback, horizon: of the windows.
        kind: of the network: segment (SegRNN) or direct.
        norm: how the network normalises a window.
        hidden, segment: of the network.
        pretraining: epochs on the other series.
        alone, tuned: epochs on the new series, of a fresh and of a pretrained network.
        rates_alone, rates_tuned: those that are tried.
        batch: windows of a batch of the pretraining; of the new series an eighth.
        seed: of weights, order and dropout.
    """

    parts: tuple[int, int, int] = (8640, 2880, 2880)
    share: float = 0.05
    lookback: int = 96
    horizon: int = 24
    kind: str = "segment"
    norm: str = "standard"
    hidden: int = 128
    segment: int = 24
    pretraining: int = 10
    alone: int = 40
    tuned: int = 10
    rates_alone: tuple[float, ...] = (3e-4, 1e-3, 3e-3)
    rates_tuned: tuple[float, ...] = (1e-5, 3e-5, 1e-4, 3e-4)
    batch: int = 256
    seed: int = 0


class Result(NamedTuple):
    """Mean absolute errors on the test part of a series, in the units of the table, and how far the error fell."""

    name: str
    alone: float
    tuned: float
    untuned: float
    seasonal: float

    @property
    def gain(self) -> float:
        return 1 - self.tuned / self.alone


class Few(NamedTuple):
    """The windows of the new series: to learn from, to choose by, and to judge on."""

    train: ForecastWindows
    validation: ForecastWindows
    test: ForecastWindows


def few_windows(series: TimeSeries, sizes: Sizes) -> Few:
    """Return the windows of one series of which little is known; its scale is that of the hours to learn from."""
    known = round(sizes.parts[0] * sizes.share)
    held_out = known // 5
    parts = divide_time(series, (known - held_out, held_out))
    fitted = ForecastPreprocessing.fit(
        parts, lookback=sizes.lookback, horizon=sizes.horizon, calendar=(), observed=False
    )
    source, begin = fitted.prepare(series), sum(sizes.parts[:2])
    spans = {"train": (0, known - held_out), "validation": (known - held_out, known), "test": (begin, sum(sizes.parts))}
    return Few(*(source.windows(np.array([span]), name=name) for name, span in spans.items()))


def build(layout: WindowLayout, sizes: Sizes) -> Any:
    """Return the network with fresh weights."""
    torch.manual_seed(sizes.seed)
    common: dict[str, Any] = {"hidden_size": sizes.hidden, "norm": sizes.norm}
    if sizes.kind == "direct":
        return rnnkit.DirectForecaster(layout, dropout=0.1, **common)
    return rnnkit.SegmentForecaster(layout, segment=sizes.segment, dropout=0.3, **common)


def pretrain(series: TimeSeries, sizes: Sizes) -> Any:
    """Return a network that has learnt from several series."""
    parts = divide_time(series, sizes.parts)
    fitted = ForecastPreprocessing.fit(
        parts, lookback=sizes.lookback, horizon=sizes.horizon, calendar=(), observed=False
    )
    train, validation, _ = fitted.divide(parts)
    model = build(fitted.layout, sizes)
    learner = rnnkit.Learner(model, loss="l1", lr=1e-3, metrics=[])
    learner.fit(
        train.batches(sizes.batch, shuffle=True, seed=sizes.seed),
        validation=validation.batches(512),
        epochs=sizes.pretraining,
        schedule="cosine",
        restore_best=True,
        seed=sizes.seed,
        progress=False,
    )
    return model


def learn(start: Callable[[], Any], few: Few, sizes: Sizes, epochs: int, rates: Sequence[float], *, tune: bool) -> Any:
    """Return the network of the rate and the epoch with the lowest loss on the validation windows."""
    found = []
    for lr in rates:
        model = start()
        learner = rnnkit.Learner(model, loss="l1", lr=lr, metrics=[])
        fit: Callable[..., Any] = learner.fine_tune if tune else learner.fit
        history = fit(
            few.train.batches(max(1, sizes.batch // 8), shuffle=True, seed=sizes.seed),
            validation=few.validation.batches(512),
            epochs=epochs,
            schedule="cosine",
            restore_best=True,
            seed=sizes.seed,
            progress=False,
            **({"lr": lr} if tune else {}),
        )
        found.append((min(row["val_loss"] for row in history.rows), model))
    return min(found, key=lambda one: one[0])[1]


def error_of(model: Any, windows: ForecastWindows) -> float:
    """Return the mean absolute error of a network."""
    return score_windows(windows, lambda rows: forecast_windows(model, windows, rows)).figures["mae"]


def study(series: TimeSeries, name: str, sizes: Sizes) -> Result:
    """Pretrain on all series but one, and compare on that one."""
    few = few_windows(series[[name]], sizes)
    pretrained = pretrain(series[[other for other in series.ids if other != name]], sizes)
    alone = learn(lambda: build(few.train.layout, sizes), few, sizes, sizes.alone, sizes.rates_alone, tune=False)
    tuned = learn(lambda: copy.deepcopy(pretrained), few, sizes, sizes.tuned, sizes.rates_tuned, tune=True)
    naive = NaiveForecasts(few.test)
    seasonal = score_windows(few.test, lambda rows: naive("seasonal", rows)).figures["mae"]
    return Result(name, *(error_of(model, few.test) for model in (alone, tuned, pretrained)), seasonal)


def measure(seed: int, sizes: Sizes | None = None, path: Path | None = None) -> dict[str, Any]:
    """Return the errors of each series, and the mean gain, for `make accuracy`.

    Args:
        seed: of weights, order and dropout.
        sizes: of the study.
        path: the table; None: ETTh1.
    """
    sizes = replace(sizes or Sizes(), seed=seed)
    series = read_time_series(path or find_series("etth1"), target=list(NAMES))
    results = [study(series, name, sizes) for name in NAMES]
    return {"gain": mean(one.gain for one in results), "series": [one._asdict() for one in results]}


def main(arguments: list[str] | None = None, sizes: Sizes | None = None) -> int:
    """Measure and print; 1 where the figure is missed."""
    sizes = sizes or Sizes()
    parser = argparse.ArgumentParser(prog="python -m benchmarks.few_observations", description=__doc__)
    parser.add_argument("--data", type=Path, help="the table, in place of ETTh1")
    parser.add_argument("--series", help="only these, by commas")
    for field in ("horizon", "hidden", "pretraining", "alone", "tuned", "seed"):
        parser.add_argument(f"--{field}", type=int, default=getattr(sizes, field), help="(default %(default)s)")
    parser.add_argument("--kind", choices=("segment", "direct"), default=sizes.kind)
    wanted = vars(parser.parse_args(arguments))
    path, only = wanted.pop("data"), wanted.pop("series")
    sizes = replace(sizes, **wanted)
    series = read_time_series(path or find_series("etth1"), target=list(NAMES))
    results = []
    for name in only.split(",") if only else NAMES:
        found = study(series, name, sizes)
        results.append(found)
        print(
            f"{name}: MAE alone {found.alone:.4g}, pretrained and fine-tuned {found.tuned:.4g} ({-found.gain:+.1%}), "
            f"pretrained alone {found.untuned:.4g}, yesterday's value {found.seasonal:.4g}",
            flush=True,
        )
    gain = mean(one.gain for one in results)
    print(f"on average the error is {gain:.1%} lower (at least {AT_LEAST:.0%})")
    return int(gain < AT_LEAST)


if __name__ == "__main__":
    raise SystemExit(main())
