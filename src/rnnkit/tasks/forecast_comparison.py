"""All baselines of a run on the same windows, within a limit of time."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from ..data.forecasting.windows import ForecastWindows
from .forecast_baselines import score_naive, score_windows
from .forecast_climatology import Climatology
from .forecast_linear import Ridge, ridge_features, train_linear
from .forecast_linear_files import save_linear
from .forecast_scores import ForecastScores
from .forecasting import forecast_windows

if TYPE_CHECKING:
    import numpy.typing as npt

_WINDOWS = 100_000  # that a linear model learns from
_STEPS = (2_000, 10_000)  # of DLinear's optimizer; 10,000 take about a quarter of a minute
_PRODUCTS = 4e11  # multiplications of ridge, about a quarter of a minute
_BATCH = 64


def score_baselines(
    train: ForecastWindows,
    validation: ForecastWindows,
    test: ForecastWindows,
    *,
    kinds: Literal["all", "naive"] = "all",
    seasonal_errors: npt.NDArray[np.float64] | None = None,
    seed: int = 0,
    linear_file: Path | None = None,
) -> tuple[dict[str, ForecastScores], list[str]]:
    """Return the scores of the baselines on test windows, and sentences about what limits them.

    Args:
        train: the windows that climatology, ridge and DLinear learn from.
        validation: the windows that choose ridge's penalty and DLinear's epoch.
        test: the windows that are forecast.
        kinds: "naive" leaves out ridge and DLinear.
        seasonal_errors: [S], see `ScoreSums`.
        seed: of DLinear's weights and order, and of the windows that are drawn where there are too many.
        linear_file: where climatology, ridge and DLinear are written, for backtests; None: nowhere.

    Example:
        >>> from rnnkit.data.forecasting import ForecastPreprocessing, TimeSeries, divide_time
        >>> parts = divide_time(TimeSeries.from_arrays([np.sin(np.arange(60.0))]), (0.6, 0.2, 0.2))
        >>> windows = ForecastPreprocessing.fit(parts, lookback=8, horizon=2).divide(parts)
        >>> scores, limits = score_baselines(*windows, kinds="naive")
        >>> list(scores), limits
        (['persistence', 'drift', 'mean'], [])
    """
    found = score_naive(test, seasonal_errors=seasonal_errors)
    fitted: dict[str, Any] = {}
    if Climatology.serves(train):
        fitted["climatology"] = usual = Climatology.fit(train)
        found["climatology"] = score_windows(
            test, lambda rows: usual.forecast(test, rows), seasonal_errors=seasonal_errors
        )
    if kinds == "naive":
        if linear_file is not None and fitted:
            save_linear(fitted, linear_file)
        return found, []
    said = []
    few = {"ridge": _drawn(train, _ridge_windows(train), seed), "dlinear": _drawn(train, _WINDOWS, seed)}
    validation = _drawn(validation, _WINDOWS, seed)
    for name, windows in few.items():
        if windows is not train:
            title = {"ridge": "Ridge", "dlinear": "DLinear"}[name]
            said.append(
                f"{title} learned from {len(windows):,} of the {len(train):,} training windows, drawn at random."
            )
    ridge = Ridge.fit(few["ridge"], validation)
    found["ridge"] = score_windows(test, lambda rows: ridge.forecast(test, rows), seasonal_errors=seasonal_errors)
    linear = train_linear(
        "dlinear", few["dlinear"], validation, epochs=_epochs(len(few["dlinear"])), batch_size=_BATCH, seed=seed
    )
    found["dlinear"] = score_windows(
        test, lambda rows: forecast_windows(linear, test, rows), seasonal_errors=seasonal_errors
    )
    if linear_file is not None:
        save_linear(fitted | {"ridge": ridge, "dlinear": linear}, linear_file)
    return found, said


def _epochs(windows: int) -> int:
    """DLinear's epochs: 10, and more or fewer where they would have few or many steps."""
    steps = -(-windows // _BATCH)
    return max(1, round(min(max(10 * steps, _STEPS[0]), _STEPS[1]) / steps))


def _ridge_windows(train: ForecastWindows) -> int:
    """How many windows ridge may learn from."""
    width = ridge_features(train) + train.layout.horizon
    return min(_WINDOWS, max(2 * width, int(_PRODUCTS / width**2)))


def _drawn(windows: ForecastWindows, most: int, seed: int) -> ForecastWindows:
    """So many of the windows, in their order."""
    if len(windows) <= most:
        return windows
    return windows.select(np.sort(np.random.default_rng(seed).choice(len(windows), most, replace=False)))
