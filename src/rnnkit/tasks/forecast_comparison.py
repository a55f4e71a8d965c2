"""All baselines of a run on the same windows."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Literal

import numpy as np

from ..data.forecasting.windows import ForecastWindows
from .forecast_baselines import score_naive, score_windows
from .forecast_linear import Ridge, train_linear
from .forecast_linear_files import save_linear
from .forecast_scores import ForecastScores
from .forecasting import forecast_windows

if TYPE_CHECKING:
    import numpy.typing as npt


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
        train: the windows that ridge and DLinear learn from.
        validation: the windows that choose ridge's penalty and DLinear's epoch.
        test: the windows that are forecast.
        kinds: "naive" leaves out ridge and DLinear.
        seasonal_errors: [S], see `ScoreSums`.
        seed: of DLinear's weights and order.
        linear_file: where ridge and DLinear are written, for backtests; None: nowhere.
    """
    found = score_naive(test, seasonal_errors=seasonal_errors)
    if kinds == "naive":
        return found, []
    ridge = Ridge.fit(train, validation)
    found["ridge"] = score_windows(test, lambda rows: ridge.forecast(test, rows), seasonal_errors=seasonal_errors)
    linear = train_linear("dlinear", train, validation, seed=seed)
    found["dlinear"] = score_windows(
        test, lambda rows: forecast_windows(linear, test, rows), seasonal_errors=seasonal_errors
    )
    if linear_file is not None:
        save_linear({"ridge": ridge, "dlinear": linear}, linear_file)
    return found, []
