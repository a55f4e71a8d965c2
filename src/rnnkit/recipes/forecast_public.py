"""Forecasts of public time series: a transformer's temperatures, load, weather and prices.

    rnnkit train forecast-etth1 --set horizon=192

The settings are those of ``rnnkit train forecast``. ETTh1 and the load are found in the folder RNNKIT_DATA, or
downloaded. The weather and the prices are files of the package vega-datasets.
"""

# This file uses rnnkit as anybody may: `rnnkit recipes copy forecast-weather` hands it out to be edited.
from __future__ import annotations

from dataclasses import replace

from rnnkit.recipes.forecast import Forecast, forecast
from rnnkit.recipes.forecast_source import ForecastSource
from rnnkit.tasks.forecast_settings import Fit, Model


def etth1() -> Forecast:
    """Forecast the 7 variables of ETTh1 by SegRNN, in the standard protocol (horizon 96; also 192, 336, 720)."""
    # 12, 4 and 4 months of 30 days (Zhou et al. 2021); lookbacks of test windows reach into the validation part, and
    # the last batch is kept. The network has SegRNN's published settings (Lin et al. 2023).
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
        model=Model(kind="segment", hidden_size=512, segment=48, dropout=0.5, norm="last", output="point"),
        fit=Fit(epochs=30, batch_size=256, lr=1e-3, clip_norm=None, loss="l1"),
        data=data,
    )


def energy() -> Forecast:
    """Forecast the load of American Electric Power for the next day, hour by hour; the last 20% of the time judge."""
    return replace(
        forecast(),
        horizon=24,
        lookback=168,
        ahead=(1, 12, 24),
        model=Model(hidden_size=128),
        fit=Fit(epochs=10, batch_size=256, early_stopping=3),
        data=ForecastSource(public="aep"),
    )


def weather() -> Forecast:
    """Forecast Seattle's daily maximum temperature for a week; the year 2015 judges."""
    return replace(
        forecast(),
        horizon=7,
        lookback=30,
        ahead=(1, 3, 7),
        model=Model(hidden_size=32),
        fit=Fit(epochs=40, batch_size=32, early_stopping=10),
        data=ForecastSource(public="seattle-weather", target=("temp_max",), dates=("2014-07-01", "2015-01-01")),
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
