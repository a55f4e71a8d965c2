"""Forecasts of time series, with scikit-learn's interface."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from numbers import Integral
from os import PathLike
from typing import Any, Literal

import numpy as np
import torch
from sklearn.utils.validation import check_is_fitted

from ..data.forecasting.series import TimeSeries
from ..data.forecasting.windows import ForecastWindows
from ..errors import ConfigError, DataError, check_choice, check_whole
from ..tasks.forecast_backtest import errors_before, seen_steps, windows_behind
from ..tasks.forecast_baselines import score_naive
from ..tasks.forecast_comparison import score_baselines
from ..tasks.forecast_report import Comparison, compared_metric
from ..tasks.forecasting import ForecastPredictor
from ..tasks.series_stream import SeriesStream
from ._forecast_forms import Form
from ._forecaster_training import TrainedForecaster


@dataclass(kw_only=True, repr=False, eq=False)
class RNNForecaster(TrainedForecaster):
    """Forecast time series with a recurrent network: ``rnnkit train forecast`` in scikit-learn's interface.

    Series go in as they are kept: a DataFrame with a row for each series and step (`unique_id, ds, y` or any other
    names), or with a column a series, a pandas Series with dates, an array [T] or [S, T] (NaN where a value is
    missing), a list of arrays, a path, or `rnnkit.data.forecasting.TimeSeries`. Forecasts come back in the same form.

    Reading, network, training and intervals are those of the recipe: with the same data and settings
    `RNNForecaster(random_state=0)` has the weights of ``rnnkit train forecast --seed 0``. Time is divided into three
    parts. The network learns from the first. The second one chooses the epoch and calibrates the intervals. The last
    one is kept to judge by: `compare` says whether the network is worth it, beside forecasts that need none. For
    forecasts in use, `test_fraction=0` learns from the latest steps, too.

    scikit-learn's common checks (`check_estimator`) do not apply: they hand over tables of independent rows X with
    targets y, and a forecaster takes series. `clone`, `get_params`, `set_params`, `pickle` and `joblib` work.

    Legend: S series, T steps of a series, L lookback steps, H horizon steps.

    Args:
        horizon: H, steps to forecast.
        lookback: L, steps that a forecast looks back; None: two horizons or the longest season.
        model: "direct" gives all steps at once, "segment" reads and gives segments of steps, "deepar" and
            "encoder_decoder" continue step by step.
        cell: the recurrence, "gru", "lstm" or "simple_rnn".
        hidden_size, num_layers: of the recurrence.
        output: what is given for a step: "quantile", "point", "gaussian", "student_t", or "negative_binomial" (counts).
        norm: whether each window is normalised by its own mean and deviation ("standard"), "last" value or "mean";
            "none" carries a state on in streams.
        dropout: probability of dropping a feature while training.
        target: the column to forecast; several are several series. None: "y", or the only column of numbers.
        id_column: the column that names the series; None: "unique_id" and other usual names.
        time_column: the column of the stamps; None: "ds" and other usual names, or the index.
        past: covariates that are known for the past alone; None: all other columns of numbers, () for none.
        known: covariates that are known in advance; rows to come have them, and no target.
        static: columns with one value a series; None: all that have one.
        ignore_columns: columns to leave out.
        frequency: of the steps, such as "hour" or "15 minutes"; None: inferred. Rows of a longer step are joined.
        time_zone: such as "Europe/Berlin", of the calendar, and of stamps that name no zone.
        duplicates, gaps: treatment of rows of one step, and of steps without a row; see `read_time_series`.
        scale: of the targets, measured on the training part: "standard", "mean" or "none".
        scale_by: each "series" has its own scale, or "all" have one.
        calendar: whether the hour, the weekday and the day of the year are inputs, where the frequency has them; or
            which of them, as in ("day_of_year",).
        number_series: whether the model learns an embedding of each series.
        shortest: the fewest steps of history that are forecast from; None: the lookback.
        stride: steps from one training window to the next.
        validation_fraction: the share of the time that chooses the epoch and calibrates.
        test_fraction: the share of the time that judges, the latest; 0: none.
        epochs, batch_size, learning_rate, weight_decay: of the training.
        loss: of output="point": "mse", "l1" or "huber"; quantiles and distributions have their own.
        early_stopping: whether training ends after `n_iter_no_change` epochs without a lower loss on the validation
            windows, with the best epoch's weights.
        n_iter_no_change: the number of epochs that `early_stopping` waits.
        warm_start: whether `fit` continues from where the last one ended, with its scaling.
        random_state: a number makes weights and forecasts a function of the data and it, bit for bit on the same
            machine and thread count; a RandomState gives each fit another seed; None draws one.
        device: "auto" (CUDA if there is one, else the CPU), "cpu", "cuda".
        verbose: whether progress is shown.
        settings: further settings of the recipe's network and training by name: {"segment": 12, "clip_norm": None}.
        read_options: further arguments of `read_time_series` for files and tables: {"decimal": ","}.
        network: a function (WindowLayout) -> forecaster, for a network of your own, such as
            `lambda layout: rnnkit.DirectForecaster(layout, conv_channels=32)`.

    Attributes:
        predictor_: the trained `rnnkit.tasks.forecasting.ForecastPredictor`.
        module_: its network.
        parts_: the series that `fit` read, and where their parts are; they are kept for `predict()` without data.
        findings_: what was found in the series and done to them, a sentence each.
        history_: figures of each epoch; n_iter_: epochs trained.

    Raises (in `fit`):
        DataError: the series cannot be used as they are; the message has the numbers.
        ConfigError: a parameter that is outside its range.

    Example:
        >>> import numpy as np, pandas as pd, rnnkit
        >>> hours = pd.date_range("2024-01-01", periods=24 * 20, freq="h")
        >>> load = 100 + 20 * np.sin(np.arange(480) * 2 * np.pi / 24) + np.random.default_rng(0).normal(size=480)
        >>> table = pd.DataFrame({"unique_id": "plant", "ds": hours, "y": load})
        >>> model = rnnkit.RNNForecaster(horizon=3, lookback=24, hidden_size=8, epochs=3, random_state=0).fit(table)
        >>> model.predict().drop(columns="forecast")
          unique_id                  ds
        0     plant 2024-01-21 00:00:00
        1     plant 2024-01-21 01:00:00
        2     plant 2024-01-21 02:00:00
        >>> list(model.predict_interval(coverage=0.8).columns)
        ['unique_id', 'ds', 'forecast', 'forecast-lo-80', 'forecast-hi-80']
        >>> print(model.compare(baselines="naive").verdict[:11])
        The network
    """

    # --- forecasts ---------------------------------------------------------------------------------------------------

    @property
    def module_(self) -> torch.nn.Module:
        """The trained network."""
        check_is_fitted(self, "predictor_")
        module: torch.nn.Module = self.predictor_.model
        return module

    def predict(self, data: Any = None, *, horizon: int | None = None) -> Any:
        """Forecast the steps after the last observed target of each series.

        Args:
            data: series as in `fit`, at least the lookback of each; rows to come have known covariates and no target.
                None: those of `fit`.
            horizon: how many steps; None: H. More than H forecasts model="deepar" alone, without intervals there.

        Returns:
            The form of the data. A long table has its column of ids, its column of stamps, and "forecast"; a wide one a
            column a series; of a pandas Series a Series; of an array [H] or [S, H].

        Raises:
            NotFittedError: before `fit`. ConfigError: more steps than the horizon of the training.
            DataError: a series is too short, of another frequency, or lacks a covariate.
        """
        return self._forecasts(data, horizon, ())

    def predict_interval(
        self, data: Any = None, *, coverage: float | Sequence[float] = 0.8, horizon: int | None = None
    ) -> Any:
        """Forecast, with intervals that cover the observed values with a promised share.

        The intervals are split conformal ones, calibrated on the validation part, which the network did not learn from.
        The promise holds as far as what comes behaves as the validation part did; see
        `rnnkit.tasks.conformal.ConformalIntervals`.

        Args:
            data, horizon: as in `predict`.
            coverage: one share between 0 and 1, or several.

        Returns:
            As `predict`, with the columns "forecast-lo-80" and "forecast-hi-80" beside "forecast", as statsforecast and
            neuralforecast call them. Of an array the forecast and the bounds are the last axis: [H, 3], [S, H, 3].

        Raises:
            NotFittedError, ConfigError, DataError: as in `predict`; or the validation part has too few windows for a
                coverage.
        """
        wanted = (coverage,) if np.ndim(coverage) == 0 else tuple(coverage)  # type: ignore[arg-type]
        return self._forecasts(data, horizon, tuple(map(float, wanted)))  # type: ignore[arg-type]

    def _forecasts(self, data: Any, horizon: int | None, coverages: tuple[float, ...]) -> Any:
        check_is_fitted(self, "predictor_")
        series, form = (self.parts_.series, self._form) if data is None else self._read_new(data)
        if coverages:
            self._calibrate(coverages)
        predictor = self.predictor_
        own, steps, ahead = self._ahead(horizon)
        latest = ahead.preprocessing.latest(series, covariates=ahead.model.covariate_steps(steps))
        forecast = ahead.forecast(latest)[:, :steps]
        columns = {"": forecast}
        for one in sorted(coverages):
            calibrated = np.pad(forecast[:, :own], ((0, 0), (0, max(0, own - steps))))
            bounds = predictor.interval(calibrated, one, latest.scales())
            for side, bound in zip(("lo", "hi"), bounds, strict=True):
                whole = np.pad(bound, ((0, 0), (0, max(0, steps - own))), constant_values=np.nan)
                columns[f"-{side}-{100 * one:.3g}"] = whole[:, :steps]
        return form.table(latest.stamps()[:, :steps], columns)

    def _ahead(self, horizon: int | None) -> tuple[int, int, ForecastPredictor]:
        """The horizon of the training, the steps that are asked for, and the predictor that forecasts them.

        Raises:
            ConfigError: more steps than the model can forecast.
        """
        check_whole(horizon, "horizon", optional=True)
        predictor = self.predictor_
        own = predictor.preprocessing.layout.horizon
        if horizon is None or horizon <= own:
            return own, horizon or own, predictor
        if predictor.model.fixed_horizon is not None:
            raise ConfigError.of(
                "horizon",
                horizon,
                f"expected at most {own}, the horizon of the training: {predictor.model.fixed_horizon}. For "
                f"{horizon:,} steps fit RNNForecaster(horizon={horizon})",
            )
        return own, horizon, predictor.with_horizon(horizon)

    # --- judging -----------------------------------------------------------------------------------------------------

    def compare(self, data: Any = None, *, baselines: Literal["all", "naive"] = "all") -> Comparison:
        """Score the network beside forecasts that need none, on the same windows; print what comes back.

        Args:
            data: series with later steps, of which all windows are scored whose horizon is behind what the network
                learned from and was chosen by; other series are scored whole. None: the last part of those of `fit`.
            baselines: the last value, the last season, drift, mean ("naive"); or ridge regression and DLinear on the
                same inputs, too, which are fitted first.

        Returns:
            The scores, and the sentence whether the network is worth it.

        Raises:
            NotFittedError: before `fit`. DataError: there are no such windows.
        """
        check_choice(baselines, "baselines", ("all", "naive"))
        windows = self._judged(data)
        predictor = self.predictor_
        errors = errors_before(predictor, windows)
        scores, _ = predictor.judge(windows, seasonal_errors=errors)
        if "validation" not in self.parts_.names:  # after fine-tuning with few steps
            found, limits = score_naive(windows, seasonal_errors=errors), ["There is no part to choose baselines by."]
        else:
            train, validation = predictor.preprocessing.divide(self.parts_, stride=self.stride)[:2]
            seed = int(self.random_state) if isinstance(self.random_state, Integral) else 0
            found, limits = score_baselines(
                train, validation, windows, kinds=baselines, seasonal_errors=errors, seed=seed
            )
        return Comparison.of(scores, found, len(windows.series), tuple(limits))

    def score(self, data: Any = None) -> float:
        """Return 1 − the network's error / the error of the best forecast without parameters: above 0 is better.

        The error is the MAE; of several series MASE. The forecasts without parameters are the last value, the last
        season, drift and mean, on the same windows. Where one of them has no error at all, the result is −∞, or 0 if
        the network has none either.

        Args:
            data: as in `compare`.

        Raises:
            NotFittedError, DataError: as in `compare`.
        """
        compared = self.compare(data, baselines="naive")
        metric = compared_metric(compared.network, len(compared.network.ids))
        best = min(one.figures[metric] for one in compared.baselines.values())
        own = compared.network.figures[metric]
        if best == 0:
            return 0.0 if own == 0 else -math.inf
        return 1 - own / best

    def _judged(self, data: Any) -> ForecastWindows:
        """The windows to score: behind what was learned from."""
        check_is_fitted(self, "predictor_")
        preprocessing, parts = self.predictor_.preprocessing, self.parts_
        if data is None:
            if "test" not in parts.names:
                raise DataError(
                    "no steps were left to judge by; expected series with later steps, score(data), or a "
                    "forecaster fitted with test_fraction=0.2"
                )
            return preprocessing.divide(parts)[-1]
        series, _ = self._read_new(data)
        return windows_behind(self.predictor_, series, seen_steps(self.predictor_, series), name="data")

    # --- streams -----------------------------------------------------------------------------------------------------

    def stream(self, id: Any = None, *, data: Any = None, state: str | PathLike[str] | None = None) -> SeriesStream:
        """Return an object that takes the observations of a series as they come; see `SeriesStream`.

        Its `forecast` returns the form of the data. Its `update` takes a number or a row with the names of the data.

        Args:
            id: which of several series it is.
            data: the series so far, as in `fit`; None: those of `fit`.
            state: a file that `SeriesStream.save` wrote, to continue from.

        Raises:
            NotFittedError: before `fit`. DataError: there is no such series.

        Example:
            >>> import numpy as np, rnnkit
            >>> values = np.sin(np.arange(200.0))
            >>> model = rnnkit.RNNForecaster(horizon=2, lookback=8, hidden_size=4, epochs=1, random_state=0).fit(values)
            >>> stream = model.stream()
            >>> stream.update(np.sin(200.0))
            >>> stream.forecast().shape
            (2,)
        """
        check_is_fitted(self, "predictor_")
        series, form = (self.parts_.series, self._form) if data is None else self._read_new(data)
        if state is not None:
            stream = SeriesStream(self.predictor_, state=state)
        else:
            name = None if id is None else self._name_of(id, series, form)
            stream = SeriesStream(self.predictor_, series, name)
        rows = [series.ids.index(stream.id)] if stream.id in series.ids else [0]
        stream.form = lambda columns: form.columns_of_one(columns, rows)
        return stream

    @staticmethod
    def _name_of(id: Any, series: TimeSeries, form: Form) -> str:
        """The name of a series by its id as it was written."""
        if id in form.ids and len(form.ids) == len(series):
            return series.ids[form.ids.index(id)]
        return str(id)

    def save(self, path: str | PathLike[str]) -> None:
        """Write network, scaling and intervals to one .safetensors file.

        `rnnkit.tasks.forecasting.load_forecaster` reads it; nothing in it is executed or unpickled, unlike in a pickle.

        Raises:
            NotFittedError: before `fit`.
        """
        check_is_fitted(self, "predictor_")
        self.predictor_.save(path)
