"""A forecaster beside forecasts that need no network, on the same windows: is it worth it?"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Literal

from ..data.forecasting.windows import ForecastWindows
from .forecast_baselines import score_naive, score_windows, verdict
from .forecast_linear import Ridge, train_linear
from .forecast_linear_files import save_linear
from .forecast_scores import ForecastScores
from .forecasting import ForecastPredictor, forecast_windows

Baselines = Literal["all", "naive"]


def score_baselines(
    predictor: ForecastPredictor,
    train: ForecastWindows,
    validation: ForecastWindows,
    test: ForecastWindows,
    *,
    which: Baselines = "all",
    seed: int = 0,
    linear_file: Path | None = None,
) -> dict[str, ForecastScores]:
    """Return the scores of the baselines on the test windows, by their names.

    Args:
        predictor: the network, for the errors that MASE divides by.
        train, validation: what ridge regression and DLinear are fitted on.
        test: what is forecast.
        which: those without parameters ("naive"), or ridge regression and DLinear, too.
        seed: of DLinear's training.
        linear_file: where ridge regression and DLinear are written, for backtests; None: nowhere.
    """
    errors = predictor.errors_of(test)
    found = score_naive(test, seasonal_errors=errors)
    if which == "naive":
        return found
    ridge = Ridge.fit(train, validation)
    found["ridge"] = score_windows(test, lambda rows: ridge.forecast(test, rows), seasonal_errors=errors)
    linear = train_linear("dlinear", train, validation, seed=seed)
    found["dlinear"] = score_windows(test, lambda rows: forecast_windows(linear, test, rows), seasonal_errors=errors)
    if linear_file is not None:
        save_linear({"ridge": ridge, "dlinear": linear}, linear_file)
    return found


def compared_metric(scores: ForecastScores, series: int) -> str:
    """Return the error to compare by: MASE of several series, where it is defined, else MAE."""
    defined = scores.figures["mase"] == scores.figures["mase"]
    return "mase" if series > 1 and defined else "mae"


def verdict_of(scores: ForecastScores, baselines: Mapping[str, ForecastScores], series: int) -> str:
    """Say whether the network is worth it.

    Args:
        scores: of the network.
        baselines: name → scores, on the same windows.
        series: how many there are; several are compared by MASE, where it is defined.
    """
    metric = compared_metric(scores, series)
    errors = {name: one.figures[metric] for name, one in baselines.items()}
    return verdict(scores.figures[metric], errors, metric=metric.upper())
