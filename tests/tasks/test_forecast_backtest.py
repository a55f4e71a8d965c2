"""Backtests: which windows are taken, and that nothing behind an origin is used."""

import numpy as np
import pytest
import torch

from rnnkit.data.forecasting import ForecastPreprocessing, TimeSeries, divide_time
from rnnkit.errors import ConfigError
from rnnkit.recipes.forecast_panels import draw_origins
from rnnkit.tasks.forecast_backtest import backtest
from rnnkit.tasks.forecast_climatology import Climatology
from rnnkit.tasks.forecasting import ForecastPredictor
from rnnkit.types import WindowLayout


class Last(torch.nn.Module):
    """Forecasts the last value that was seen, plus 1 on the model's scale."""

    fixed_horizon = "it is a test"

    def __init__(self, layout):
        super().__init__()
        from rnnkit.models.distributions import Point

        self.layout, self.distribution = layout, Point()

    def covariate_steps(self, steps):
        return steps

    def forward(self, x):
        layout: WindowLayout = self.layout
        return x[:, layout.lookback - 1 : layout.lookback, 0].expand(-1, layout.horizon) + 1


def predictor(targets, seen=True, **settings):
    series = TimeSeries.from_arrays([targets], ids=["known"])
    parts = divide_time(series, (0.5, 0.25, 0.25))
    fitted = ForecastPreprocessing.fit(parts, lookback=3, horizon=2, **settings)
    marks = {name: parts.last_stamps(name) for name in ("train", "validation")} if seen else {}
    return ForecastPredictor(Last(fitted.layout), fitted, seen=marks), series


def test_the_windows_begin_behind_the_validation_part():
    model, series = predictor(np.arange(20.0), scale="none")
    found = backtest(model, series)
    assert found.windows.origin.tolist() == [15, 16, 17, 18]
    assert found.forecast.tolist() == [[15, 15], [16, 16], [17, 17], [18, 18]]
    assert found.scores["network"].by_step["mae"].tolist() == [0.0, 1.0]
    assert found.scores["persistence"].by_step["mae"].tolist() == [1.0, 2.0]
    assert found.scores["network"].figures["mae"] == 0.5
    table = found.table()
    assert (table["origin"][0], table["ds"][:2], table["observed"][:2]) == (14, [15, 16], [15.0, 16.0])
    assert "trained on steps up to 9 and chosen and calibrated on steps up to 14" in " ".join(found.findings)
    assert backtest(model, series, start=4).windows.origin.tolist() == list(range(4, 19))
    assert backtest(model, series, start=4, step=5).windows.origin.tolist() == [4, 9, 14]
    assert backtest(model, series, origins=2).windows.origin.tolist() == [15, 18]
    with pytest.raises(ConfigError, match="start='soon' arrived; expected a whole number"):
        backtest(model, series, start="soon")


def test_stamps_are_those_of_the_clock_of_the_series(tmp_path):
    hours = TimeSeries.from_arrays(
        [np.arange(20.0)], start="2024-06-30T12", frequency="hour", ids=["load"], time_zone="Europe/Berlin"
    )
    fitted = ForecastPreprocessing.fit(divide_time(hours, (0.5, 0.25, 0.25)), lookback=3, horizon=2, calendar=())
    found = backtest(ForecastPredictor(Last(fitted.layout), fitted), hours, start="2024-07-01 00:00", step=2)
    assert found.table()["ds"][:2] == ["2024-07-01 00:00+02:00", "2024-07-01 01:00+02:00"]
    assert found.table()["origin"][0] == "2024-06-30 23:00+02:00"
    draw_origins(found, tmp_path / "origins.svg")
    assert found.windows.series.time_zone == "Europe/Berlin"
    again = backtest(ForecastPredictor(Last(fitted.layout), fitted), hours, start="2024-07-01 00:00+02:00", step=2)
    assert again.windows.origin.tolist() == found.windows.origin.tolist()
    assert ForecastPredictor(Last(fitted.layout), fitted).table(hours)["ds"][0] == "2024-07-01 10:00+02:00"


def test_nothing_behind_an_origin_is_in_the_scale_of_a_new_series():
    model, _ = predictor(np.arange(20.0))
    early = np.array([1.0, 2, 3, 4, 5, 6, 7])
    one, other = (
        backtest(model, TimeSeries.from_arrays([np.concatenate([early, late])], ids=["new"]))
        for late in ([8.0, 9], [800.0, -900])
    )
    assert one.windows.origin.tolist() == [3, 4, 5, 6, 7]
    assert one.forecast[:4].tolist() == other.forecast[:4].tolist()


def test_a_model_without_a_record_says_so():
    model, series = predictor(np.arange(20.0), seen=False)
    found = backtest(model, series)
    assert len(found.windows) == 16
    assert "keeps no record of the time" in " ".join(found.findings)


def test_origins_beyond_the_most_are_thinned_and_told(monkeypatch):
    monkeypatch.setattr("rnnkit.tasks.forecast_backtest._MOST", 6)
    model, series = predictor(np.arange(20.0), seen=False)
    found = backtest(model, series)
    assert found.windows.origin.tolist() == [3, 6, 9, 12, 15, 18]
    assert "All 16 origins would be more than 6; step 1 takes them." in found.findings
    assert len(backtest(model, series, step=1).windows) == 16


def test_scores_in_standard_units_count_the_scales_of_the_series():
    model, series = predictor(np.arange(20.0))  # center 4.5, scale 2.872
    own, standard = (backtest(model, series, units=units) for units in ("own", "standard"))
    scale = model.preprocessing.scaling.scales[0]
    np.testing.assert_allclose(standard.forecast, own.forecast)
    assert standard.table()["observed"] == own.table()["observed"]
    for name in ("network", "persistence"):
        figures = (one.scores[name].figures for one in (own, standard))
        mine, counted = figures
        assert mine["mae"] == pytest.approx(counted["mae"] * scale)
        assert mine["mse"] == pytest.approx(counted["mse"] * scale**2)
    assert (standard.units, standard.error, own.error) == ("standard", "mse", "mae")
    assert "The scores count the scales of the series" in " ".join(standard.findings)
    assert "scales of the series" not in " ".join(own.findings)
    new = TimeSeries.from_arrays([np.arange(20.0) ** 2], ids=["new"])
    errors = [backtest(model, new, units=units).scores["network"].figures["mase"] for units in ("own", "standard")]
    assert errors[0] == pytest.approx(errors[1])
    with pytest.raises(ConfigError, match="units='metres'"):
        backtest(model, series, units="metres")


def test_a_climatology_is_compared_with_where_it_knows_a_series():
    days = TimeSeries.from_arrays([np.arange(40.0)], ids=["known"], start="2024-01-01", frequency="day")
    fitted = ForecastPreprocessing.fit(divide_time(days), lookback=3, horizon=2, calendar=())
    model, usual = ForecastPredictor(Last(fitted.layout), fitted), Climatology(np.zeros((1, 5)), ["known"])
    found = backtest(model, days, linear={"climatology": usual})
    assert found.scores["climatology"].figures["mae"] > 0
    other = TimeSeries.from_arrays([np.arange(40.0)], ids=["other"], start="2024-01-01", frequency="day")
    found = backtest(model, other, linear={"climatology": usual})
    assert "climatology" not in found.scores
    assert "Climatology is left out: it was fitted to none of these series." in found.findings
