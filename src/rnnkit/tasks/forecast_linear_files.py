"""The fitted baselines of a run in a file, so that a later backtest compares with them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from os import PathLike
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from ..data.forecasting.windows import ForecastWindows
from ..errors import DataError
from ..serialization import read_values, write_values
from .forecast_climatology import Climatology
from .forecast_linear import DLinear, NLinear, Ridge
from .forecasting import forecast_windows

Linear = Ridge | DLinear | NLinear | Climatology
WindowForecast = Callable[[ForecastWindows, Any], npt.NDArray[np.float64]]
_KINDS: dict[str, type[DLinear] | type[NLinear]] = {"DLinear": DLinear, "NLinear": NLinear}


def save_linear(models: Mapping[str, Any], path: str | PathLike[str]) -> None:
    """Write fitted baselines to a file.

    Args:
        models: name → a `Ridge`, a `DLinear`, an `NLinear` or a `Climatology`.
        path: the file, which ends in .safetensors.

    Example:
        >>> import tempfile
        >>> path = tempfile.mkdtemp() + "/baselines.safetensors"
        >>> save_linear({"dlinear": DLinear(4, 2, kernel=3)}, path)
        >>> list(load_linear(path))
        ['dlinear']
    """
    write_values({name: _described(model) for name, model in models.items()}, path)


def load_linear(path: str | PathLike[str]) -> dict[str, WindowForecast]:
    """Return what `save_linear` wrote, as functions: windows and their rows → forecasts [B, H] in the user's units.

    Raises:
        DataError: the file is damaged.

    Example:
        >>> import tempfile
        >>> from rnnkit.data.forecasting import ForecastPreprocessing, TimeSeries, divide_time
        >>> parts = divide_time(TimeSeries.from_arrays([np.sin(np.arange(60.0))]), (0.8, 0.2))
        >>> train, test = ForecastPreprocessing.fit(parts, lookback=8, horizon=2).divide(parts)
        >>> ridge = Ridge.fit(train)
        >>> path = tempfile.mkdtemp() + "/baselines.safetensors"
        >>> save_linear({"ridge": ridge}, path)
        >>> bool(np.array_equal(load_linear(path)["ridge"](test, slice(None)), ridge.forecast(test)))
        True
    """
    stored = read_values(path)
    try:
        return {name: _forecast(_rebuilt(one)) for name, one in stored.items()}
    except (KeyError, TypeError, ValueError, RuntimeError, AttributeError) as error:
        raise DataError(f"{path} is damaged, or rnnkit did not write it ({error!r})") from None


def _described(model: Linear) -> dict[str, Any]:
    if isinstance(model, Ridge):
        arrays = {"weights": torch.from_numpy(model.weights), "intercept": torch.from_numpy(model.intercept)}
        return {"kind": "Ridge", **arrays, "penalty": model.penalty, "known": model.known}
    if isinstance(model, Climatology):
        coefficients = torch.from_numpy(model.coefficients)
        return {"kind": "Climatology", "coefficients": coefficients, "ids": list(model.ids)}
    kernel = {"kernel": model.kernel} if isinstance(model, DLinear) else {}
    sizes = {"lookback": model.lookback, "horizon": model.horizon, **kernel}
    return {"kind": type(model).__name__, "sizes": sizes, "parameters": dict(model.state_dict())}


def _rebuilt(stored: Mapping[str, Any]) -> Linear:
    if stored["kind"] == "Ridge":
        return Ridge(stored["weights"].numpy(), stored["intercept"].numpy(), stored["penalty"], stored["known"])
    if stored["kind"] == "Climatology":
        return Climatology(stored["coefficients"].numpy(), stored["ids"])
    model = _KINDS[stored["kind"]](**stored["sizes"])
    model.load_state_dict(stored["parameters"])
    return model


def _forecast(model: Linear) -> WindowForecast:
    if isinstance(model, Ridge):
        return model.forecast
    if isinstance(model, Climatology):
        return model
    return lambda windows, rows: forecast_windows(model, windows, rows)
