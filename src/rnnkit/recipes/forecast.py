"""Forecasts of time series from your own table: a recurrent network reads the past, and gives the steps to come.

    rnnkit train forecast load.csv --set data.target=load --set horizon=24
    rnnkit predict runs/forecast latest.csv --out forecast.csv

The last part of the time judges, the part before it chooses the epoch and calibrates the intervals. The network is
scored together with forecasts without parameters, ridge regression and DLinear, on the same windows.

``etth1()``, ``energy()``, ``weather()`` and ``stocks()`` are of public series. ETTh1 and the load are found in the
folder RNNKIT_DATA, or downloaded; the weather and the prices are files of the package vega-datasets.
"""

# This file uses rnnkit as anybody may: `rnnkit recipes copy forecast` hands it out to be edited.
from __future__ import annotations

from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, ClassVar, Literal

from rnnkit import runs
from rnnkit.errors import ConfigError
from rnnkit.recipes.base import PreparedRun, Recipe
from rnnkit.recipes.forecast_source import ForecastSource, in_forecast_settings
from rnnkit.recipes.interface import Columns, DataRequest, InspectionData
from rnnkit.tasks.forecast_settings import Fit, Model, check_together, usual_lookback
from rnnkit.tasks.ranges import Count, Range, Seed

if TYPE_CHECKING:
    from rnnkit.data.forecasting import ForecastWindows, TimeSeries
    from rnnkit.recipes.finetuning import FineTune, FineTuneWork
    from rnnkit.tasks.forecasting import ForecastPredictor


@dataclass(frozen=True)
class Forecast(Recipe):
    """The whole run; ``rnnkit train forecast --set GROUP.FIELD=VALUE`` changes a field.

    Attributes:
        horizon: steps to forecast.
        lookback: steps that a window looks back; none takes two horizons or the longest season.
        ahead: single steps of the horizon whose errors the summary has; those after the horizon are left out.
        units: of the figures: own are those of the table; standard counts the scales of the series (data.scale), so
            that several series weigh alike.
        coverage: of the intervals, calibrated on the validation windows.
        baselines: which forecasts are scored together with the network: those without parameters, or ridge and DLinear,
            too.
        seed: of weights, order of the windows and dropout.
        device: where to compute: auto, cpu, cuda, cuda:1, mps.
    """

    data_setting: ClassVar[str | None] = "data.path"

    horizon: Count = 24
    lookback: Count | None = None
    ahead: tuple[int, ...] = ()
    units: Literal["own", "standard"] = "own"
    coverage: Annotated[float, Range(above=0, below=1)] = 0.8
    baselines: Literal["all", "naive"] = "all"
    model: Model = field(default_factory=Model)
    fit: Fit = field(default_factory=Fit)
    data: ForecastSource = field(default_factory=ForecastSource)
    seed: Seed = 0
    device: str = "auto"

    def __post_init__(self) -> None:
        super().__post_init__()
        if min(self.ahead, default=1) < 1:
            raise ConfigError.of("ahead", self.ahead, "expected steps from 1 on")
        check_together(self.model, self.fit, self.data.scale)

    def prepare(self) -> PreparedRun:
        """Read, divide and check the data, and write nothing.

        Raises:
            ConfigError, DataError: settings or data that cannot be used.
        """
        from rnnkit.recipes.forecast_run import PreparedForecast
        from rnnkit.tasks.forecast_counts import check_counts

        series = self.data.read()
        with in_forecast_settings():
            check_counts(series, self.model.output)
            parts = self.data.divide(series)
            lookback = usual_lookback(series, self.horizon) if self.lookback is None else self.lookback
            preprocessing = self.data.prepare(parts, lookback, self.horizon)
            windows = preprocessing.divide(parts, stride=self.data.stride)
        return PreparedForecast(self, parts, preprocessing, windows)

    def run(self, folder: Path) -> runs.Metrics | None:
        """Train, judge on the test part, and write model, metrics, forecasts and a picture into the folder."""
        return self.prepare().run(folder)

    def evaluate(self, folder: Path, data: DataRequest | None = None) -> dict[str, float]:
        """Return figures of the folder's model on the test part, or on all windows of another file."""
        predictor = self.load(folder)
        return predictor.scores(self.in_units(self.judged_windows(predictor, folder, data))).figures

    def validate(self, folder: Path) -> dict[str, float]:
        """Return figures of the folder's model on the validation part."""
        predictor = self.load(folder)
        return predictor.scores(self.in_units(self.judged_windows(predictor, folder, part="validation"))).figures

    def inspection_data(self, folder: Path, data: DataRequest | None = None) -> InspectionData:
        """Return the folder's model, and windows of the test part or of another file to measure it on."""
        from rnnkit.models.forecast_measured import MeasuredForecaster

        predictor = self.load(folder)
        inputs, targets = self.judged_windows(predictor, folder, data).spread(256)
        model = MeasuredForecaster(predictor.model, targets, self.fit.loss)
        return InspectionData(model, inputs, targets, None)

    def judged_windows(
        self,
        predictor: ForecastPredictor,
        folder: Path,
        data: DataRequest | None = None,
        part: Literal["validation", "test"] = "test",
    ) -> ForecastWindows:
        """Return the windows of the test part or another one, or all of another file."""
        import numpy as np

        from rnnkit.runs import data_digests

        if data is not None:
            with in_forecast_settings(new=True):
                series = self.read_new(predictor, data)
                span = np.stack([np.zeros_like(series.ends), series.ends], 1)
                return predictor.preprocessing.prepare(series).windows(span)
        series = self.data.read()
        digests = {self.data.named(): series.fingerprint()}
        data_digests.check(folder, digests, "judge on a file of other steps: --data FILE")
        windows = predictor.preprocessing.divide(self.data.divide(series))
        return windows[-1 if part == "test" else -2]

    def predict(self, folder: Path, data: DataRequest) -> Columns:
        """Return the steps to come of each series of a file: unique_id, ds, forecast, and the interval's bounds."""
        predictor = self.load(folder)
        with in_forecast_settings(new=True):
            return predictor.table(self.read_new(predictor, data))

    def fine_tune_defaults(self) -> FineTune:
        """Return the settings of ``rnnkit finetune`` where the user sets none."""
        from rnnkit.recipes.forecast_finetuning import ForecastFineTune

        return ForecastFineTune()

    def fine_tune_job(self, folder: Path, data: DataRequest, settings: FineTune) -> FineTuneWork:
        """Return the folder's model with the series of a file to learn."""
        from rnnkit.recipes.forecast_finetuning import ForecastFineTune, make_job

        assert isinstance(settings, ForecastFineTune)
        return make_job(self, folder, data, settings)

    def transfer_defaults(self) -> FineTune:
        """Return the settings of a fine-tuning from a network that was pretrained on series."""
        from rnnkit.recipes.forecast_transfer import DEFAULTS

        return DEFAULTS

    def transfer_job(self, folder: Path, settings: FineTune) -> FineTuneWork:
        """Return the pretrained network of a folder as a forecaster, with the series of this recipe to learn."""
        from rnnkit.recipes.forecast_transfer import make_job

        return make_job(self, folder, settings)

    def in_units(self, windows: ForecastWindows) -> ForecastWindows:
        """Return windows whose scores are in the units of the figures."""
        return windows.standardised() if self.units == "standard" else windows

    def load(self, folder: Path) -> ForecastPredictor:
        """Return the folder's model with all that forecasting takes."""
        from rnnkit.tasks.forecasting import load_forecaster

        return load_forecaster(folder, device=self.device)

    @staticmethod
    def read_new(predictor: ForecastPredictor, data: DataRequest) -> TimeSeries:
        """Return the series of another file, read as those of the training were."""
        from rnnkit.data.forecasting import read_time_series

        named = dict(predictor.preprocessing.read_options)
        if data.encoding is not None:
            named["encoding"] = data.encoding
        return read_time_series(data.path, **named)


def forecast() -> Forecast:
    """Learn to forecast the series of a table of yours (data.path, data.target, horizon)."""
    return Forecast()


def etth1() -> Forecast:
    """Forecast the 7 variables of ETTh1 by SegRNN, in the standard protocol (horizon 96; also 192, 336, 720)."""
    # 12, 4 and 4 months of 30 days (Zhou et al. 2021); lookbacks of test windows reach into the validation part, and
    # the last batch is kept. The network is SegRNN (Lin et al. 2023); what is not as there, segments of 24 steps, the
    # rate and the 3 epochs, was chosen on the validation part.
    data = ForecastSource(
        public="etth1",
        target=("HUFL", "HULL", "MUFL", "MULL", "LUFL", "LULL", "OT"),
        steps=(8640, 2880, 2880),
        calendar=False,
        number_series=True,
    )
    return replace(
        forecast(),
        horizon=96,
        lookback=96,
        ahead=(1, 24, 96, 192, 336, 720),
        units="standard",
        model=Model(kind="segment", hidden_size=512, segment=24, dropout=0.5, norm="last", output="point"),
        fit=Fit(epochs=3, batch_size=256, lr=5e-4, loss="l1"),
        data=data,
    )


def energy() -> Forecast:
    """Forecast the load of American Electric Power for the next day, hour by hour; the last 20% of the time judge."""
    return replace(
        forecast(),
        horizon=24,
        lookback=168,
        ahead=(1, 12, 24),
        model=Model(kind="segment", hidden_size=256, segment=24, norm="last"),
        fit=Fit(epochs=6, batch_size=256),
        data=ForecastSource(public="aep"),
    )


def weather() -> Forecast:
    """Forecast Seattle's daily maximum temperature for a week; the year 2015 judges."""
    return replace(
        forecast(),
        horizon=7,
        lookback=14,
        ahead=(1, 3, 7),
        model=Model(hidden_size=32, output="point", norm="last", linear=True, dropout=0.2),
        fit=Fit(epochs=30, batch_size=32, early_stopping=10, loss="l1"),
        data=ForecastSource(
            public="seattle-weather",
            target=("temp_max",),
            dates=("2014-01-01", "2015-01-01"),
            calendar=("day_of_year",),
        ),
    )


def stocks() -> Forecast:
    """Forecast monthly prices of 5 stocks for 3 months, where the last price is hard to beat."""
    return replace(
        forecast(),
        horizon=3,
        lookback=12,
        ahead=(1, 3),
        model=Model(hidden_size=16, norm="last"),
        fit=Fit(epochs=40, batch_size=32, early_stopping=10),
        data=ForecastSource(public="stocks", target=("price",), id="symbol", scale="mean"),
    )
