"""A trained forecaster with all that forecasting takes: series go in, forecasts in the user's units come out.

Legend: W windows, B windows of a batch, H horizon steps, Q quantiles, S series.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, field, replace
from os import PathLike
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import torch

from ..data.forecasting.preparation import ForecastPreprocessing
from ..data.forecasting.series import TimeSeries
from ..data.forecasting.stamps import written_stamps
from ..data.forecasting.windows import ForecastWindows
from ..errors import ConfigError, DataError, check_whole
from ..layers.modes import mode
from ..models.distributions import Point
from ..models.loading import load as load_model
from ..serialization import read_config, save_module
from ..training.execution import find_device
from .conformal import ConformalIntervals
from .forecast_baselines import score_windows
from .forecast_scores import ForecastScores

if TYPE_CHECKING:
    from .series_stream import SeriesStream

Array = npt.NDArray[np.float64]
LEVELS = (0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9)
_BATCH = 512


@dataclass
class ForecastPredictor:
    """A trained forecaster, its preprocessing and its calibrated intervals.

    The forecast is the median of the model's distribution, or its output where that is a number.

    Attributes:
        model: a forecaster such as `rnnkit.DirectForecaster`.
        preprocessing: of the series.
        intervals: calibrated on windows that the model was not trained on; None: none were.
        seasonal_errors: series → the error of the seasonal naive forecast on the training part, for MASE.
        device: where to compute.
        seen: what the model was made from: "train" and "validation" → series → the last time stamp that it used.

    Example:
        >>> import rnnkit, tempfile
        >>> from rnnkit.data.forecasting import divide_time
        >>> series = TimeSeries.from_arrays([np.arange(60.0) % 7], start="2024-01-01", frequency="day", ids=["load"])
        >>> preprocessing = ForecastPreprocessing.fit(divide_time(series), lookback=14, horizon=2)
        >>> model = rnnkit.DirectForecaster(preprocessing.layout, hidden_size=4, output="quantile")
        >>> predictor = ForecastPredictor(model, preprocessing)
        >>> {name: column[0] for name, column in predictor.table(series).items() if name != "forecast"}
        {'unique_id': 'load', 'ds': '2024-03-01'}
        >>> path = tempfile.mkdtemp() + "/forecaster"
        >>> predictor.save(path)
        >>> load_forecaster(path).table(series) == predictor.table(series)
        True
    """

    model: Any
    preprocessing: ForecastPreprocessing
    intervals: ConformalIntervals | None = None
    seasonal_errors: Mapping[str, float | None] = field(default_factory=dict)
    device: str = "auto"
    seen: Mapping[str, Mapping[str, str | int]] = field(default_factory=dict)

    @property
    def levels(self) -> tuple[float, ...]:
        """The quantiles that scores use; () where the model's outputs are numbers."""
        return () if isinstance(self.model.distribution, Point) else LEVELS

    def forecast(self, windows: ForecastWindows, rows: Any = slice(None)) -> Array:
        """Return the forecasts of windows in the user's units, [B, H].

        Args:
            windows: of the preprocessing's layout.
            rows: as in `windows[rows]`; all by default.
        """
        return self._outputs(windows, rows, (0.5,) if self.levels else ())

    def quantiles(self, windows: ForecastWindows, rows: Any = slice(None), levels: Sequence[float] = LEVELS) -> Array:
        """Return quantiles of the model's distribution in the user's units, [B, H, Q].

        Raises:
            ConfigError: the model's outputs are numbers.
        """
        return self._outputs(windows, rows, tuple(levels), keep=True)

    def _outputs(self, windows: ForecastWindows, rows: Any, levels: tuple[float, ...], *, keep: bool = False) -> Array:
        device = find_device(self.device)
        model, distribution = self.model.to(device), self.model.distribution

        def values(x: torch.Tensor) -> torch.Tensor:
            raw = model(x.to(device))
            found: torch.Tensor = distribution.quantiles(raw, levels) if levels or keep else raw
            return found

        with mode(model, training=False):
            whole = forecast_windows(values, windows, rows)
        return whole[..., 0] if levels and not keep else whole

    def errors_of(self, windows: ForecastWindows) -> Array:
        """Return the seasonal errors of the windows' series [S], NaN where there is none."""
        found = np.array([self.seasonal_errors.get(name) or np.nan for name in windows.series.ids], np.float64)
        return found if windows.source.units is None else found / windows.source.units

    def scores(self, windows: ForecastWindows) -> ForecastScores:
        """Return the scores of forecasts, and of quantiles where the model has some.

        Where intervals were calibrated, the figures say how often and how wide they are: "interval_80_coverage" (a
        share) and "interval_80_width".

        Raises:
            DataError: no target was observed.
        """
        return self.judge(windows)[0]

    def judge(self, windows: ForecastWindows, *, seasonal_errors: Array | None = None) -> tuple[ForecastScores, Array]:
        """Return the scores of forecasts as `scores` does, and the forecasts [W, H].

        Args:
            windows: of the preprocessing's layout.
            seasonal_errors: [S], for MASE; None: those of the training.

        Raises:
            DataError: no target was observed.
        """
        middles: list[Array] = []

        def forecast(rows: Any) -> Array:
            found = self.quantiles(windows, rows) if self.levels else self.forecast(windows, rows)
            middles.append(found[..., len(self.levels) // 2] if self.levels else found)
            return found

        scores = score_windows(
            windows,
            forecast,
            seasonal_errors=self.errors_of(windows) if seasonal_errors is None else seasonal_errors,
            levels=self.levels,
            intervals=lambda found, rows: {
                f"interval_{name}": bounds for name, bounds in self.bounds(windows, found, rows).items()
            },
            batch_size=_BATCH,
        )
        return scores, np.concatenate(middles)

    def bounds(
        self, windows: ForecastWindows, forecast: Array, rows: Any = slice(None)
    ) -> dict[str, tuple[Array, Array]]:
        """Return the bounds of the calibrated intervals, [B, H] each, by the coverage in percent, as in "80".

        Args:
            windows: what was forecast.
            forecast: of the windows `rows`, [B, H].
            rows: as in `windows[rows]`; all by default.
        """
        if self.intervals is None:
            return {}
        scale = windows.scales(rows)
        return {f"{100 * one:.3g}": self.interval(forecast, one, scale) for one in self.intervals.coverages}

    def interval(self, forecast: Array, coverage: float, scale: Array) -> tuple[Array, Array]:
        """Return the bounds of a calibrated interval, [B, H] each; of counts none is below 0.

        Args:
            forecast: [B, H], in the user's units.
            coverage: one that was calibrated.
            scale: of the series, [B].

        Raises:
            ConfigError: no interval of this coverage was calibrated.
        """
        if self.intervals is None:
            raise ConfigError.of("coverage", coverage, "expected calibrated intervals: there are none")
        return self.intervals.interval(forecast, coverage, scale=scale, lowest=self.model.distribution.lowest)

    def calibrate(self, windows: ForecastWindows, coverages: Sequence[float], forecast: Array | None = None) -> None:
        """Calibrate intervals on windows that the model was not trained on.

        Args:
            windows: of the preprocessing's layout.
            coverages: shares between 0 and 1.
            forecast: of the windows, [W, H], where it was computed before.

        Raises:
            DataError: too few windows for a coverage; the message has the numbers.
        """
        forecast = self.forecast(windows) if forecast is None else forecast
        self.intervals = ConformalIntervals.fit(windows.truth(), forecast, coverages=coverages, scale=windows.scales())

    def table(
        self, series: TimeSeries, horizon: int | None = None, *, quantiles: Sequence[float] = ()
    ) -> dict[str, list[Any]]:
        """Return the forecasts after the last observed target of each series, a list a column.

        The columns are "unique_id", "ds", "forecast", "low_80" and "high_80" where intervals were calibrated, and
        "q0.1" of the quantile 0.1. Behind the steps that intervals were calibrated for, their bounds are NaN.

        Args:
            series: what was observed; rows after that have the known covariates of the steps to come.
            horizon: how many steps; None: those of the model. More than these forecasts `rnnkit.DeepAR` alone.
            quantiles: levels of the model's distribution.

        Raises:
            ConfigError: a horizon that the model cannot forecast, or quantiles of a model of numbers.
            DataError: a series is too short, of another frequency, or lacks a covariate.
        """
        check_whole(horizon, "horizon", optional=True)
        own = self.preprocessing.layout.horizon
        steps = own if horizon is None else horizon
        if steps > own and self.model.fixed_horizon is not None:
            raise ConfigError.of(
                "horizon",
                steps,
                f"expected at most {own}, the horizon of the training: {self.model.fixed_horizon}. For {steps:,} steps "
                f"train with horizon={steps}",
            )
        ahead = self if steps <= own else self.with_horizon(steps)
        latest = ahead.preprocessing.latest(series, covariates=ahead.model.covariate_steps(steps))
        levels = (0.5, *quantiles) if self.levels or quantiles else ()
        found = ahead._outputs(latest, slice(None), levels, keep=bool(levels))
        forecast, stamps = found[..., 0] if levels else found, latest.stamps()[:, :steps]
        columns: dict[str, list[Any]] = {
            "unique_id": [name for row in latest.owner.tolist() for name in [series.ids[row]] * steps],
            "ds": written_stamps(stamps, series.time_zone),
            "forecast": forecast[:, :steps].ravel().tolist(),
        }
        for name, bounds in self.bounds(latest, forecast[:, :own]).items():
            for side, bound in zip(("low", "high"), bounds, strict=True):
                cut = bound[:, :steps]
                columns[f"{side}_{name}"] = (
                    np.pad(cut, ((0, 0), (0, steps - cut.shape[1])), constant_values=np.nan).ravel().tolist()
                )
        for at, level in enumerate(quantiles, 1):
            columns[f"q{level:g}"] = found[:, :steps, at].ravel().tolist()
        return columns

    def with_horizon(self, horizon: int) -> ForecastPredictor:
        """Return a predictor whose model, with the same parameters, forecasts another number of steps.

        Its intervals are left out: they are of the steps that they were calibrated for.

        Raises:
            ConfigError: the model cannot; see `DeepAR.with_horizon`.
        """
        layout = replace(self.preprocessing.layout, horizon=horizon)
        model = self.model.with_horizon(horizon)
        return replace(self, model=model, preprocessing=replace(self.preprocessing, layout=layout), intervals=None)

    def stream(
        self, series: TimeSeries | None = None, id: str | None = None, *, state: str | PathLike[str] | None = None
    ) -> SeriesStream:
        """Return an object that takes the observations of a series as they come; see `SeriesStream`.

        Args:
            series: the history, of which the last L steps are read; None: there is none yet.
            id: which of several series it is.
            state: a file that `SeriesStream.save` wrote, to continue from.

        Raises:
            DataError: there is no such series, or the file is of another model.
        """
        from .series_stream import SeriesStream

        return SeriesStream(self, series, id, state=state)

    def extra(self) -> dict[str, Any]:
        """Return what a model's file holds besides the network, as JSON values."""
        return {
            "forecasting": {
                "preprocessing": self.preprocessing.to_json(),
                "intervals": None if self.intervals is None else self.intervals.to_json(),
                "seasonal_errors": dict(self.seasonal_errors),
                "seen": {part: dict(last) for part, last in self.seen.items()},
            }
        }

    def save(self, path: str | PathLike[str]) -> None:
        """Write the model and all that belongs to it to one file that `load_forecaster` reads."""
        save_module(self.model, path, self.extra())


def load_forecaster(path: str | PathLike[str], *, device: str = "auto") -> ForecastPredictor:
    """Load what `ForecastPredictor.save` wrote, or a run folder of the recipe for forecasts.

    Args:
        path: the file or folder.
        device: where to compute.

    Raises:
        DataError: there is no such file, or it holds no forecaster.
    """
    extra = read_config(path)["extra"]
    if "forecasting" not in extra:
        raise DataError(
            f"{path} holds a network without the preprocessing of forecasts; load it with rnnkit.load(path)"
        )
    stored = extra["forecasting"]
    intervals = stored["intervals"]
    return ForecastPredictor(
        load_model(path),
        ForecastPreprocessing.from_json(stored["preprocessing"]),
        None if intervals is None else ConformalIntervals.from_json(intervals),
        stored["seasonal_errors"],
        device,
        stored.get("seen", {}),  # earlier versions wrote none
    )


def forecast_windows(
    model: Callable[[torch.Tensor], Any], windows: ForecastWindows, rows: Any = slice(None), *, batch_size: int = _BATCH
) -> Array:
    """Return a model's outputs for windows in the user's units, [B, H] or [B, H, Q].

    Args:
        model: called with x [B, L + H, C]; its outputs are values or quantiles on the model's scale.
        windows: what is forecast.
        rows: as in `windows[rows]`; all by default.
        batch_size: windows of a call.

    Example:
        >>> from rnnkit.data.forecasting import ForecastPreprocessing, TimeSeries, divide_time
        >>> parts = divide_time(TimeSeries.from_arrays([np.arange(20.0)]), (0.5, 0.5))
        >>> _, test = ForecastPreprocessing.fit(parts, lookback=4, horizon=2).divide(parts)
        >>> forecast_windows(lambda x: x[:, 3:4, 0].expand(-1, 2), test, [0, 1]).round(3).tolist()
        [[9.0, 9.0], [10.0, 10.0]]
    """
    picked = np.arange(len(windows))[rows]
    found = []
    with mode(model, training=False) if isinstance(model, torch.nn.Module) else nullcontext(), torch.inference_mode():
        for begin in range(0, len(picked), batch_size):
            some = picked[begin : begin + batch_size]
            found.append(windows.unscale(model(windows[some].inputs), some))
    return np.concatenate(found) if found else np.zeros((0, windows.layout.horizon))
