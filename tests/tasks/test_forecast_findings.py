"""What forecasts tell in sentences, with values worked out by hand."""

from dataclasses import replace

import numpy as np
import pytest

from rnnkit.data.forecasting import ForecastPreprocessing, TimeSeries, divide_time
from rnnkit.tasks.forecast_findings import SeenForecasts, tell_forecasts
from rnnkit.tasks.forecast_scores import ScoreSums

H = 3


def windows(frequency="hour", series=1, steps=400, time_zone=None):
    values = [10.0 ** (row + 1) * (2 + np.sin(np.arange(steps) / 3)) for row in range(series)]
    made = TimeSeries.from_arrays(values, start="2024-01-01", frequency=frequency, time_zone=time_zone)
    parts = divide_time(made, (0.5, 0.5))
    return ForecastPreprocessing.fit(parts, lookback=8, horizon=H).divide(parts)[1]


def seen_of(test, error):
    """Forecasts that are off by `error` [W, H] in the scales of the series."""
    forecast = test.truth() + error * test.scales()[:, None]
    return SeenForecasts(test, forecast, {"80": (forecast - 1, forecast + 1)}, len(test))


def scored(test, error, names=("all",), errors=None):
    sums = ScoreSums(H, names, errors)
    truth = test.truth()
    forecast = truth + error
    sums.add(truth, forecast, test.owner, intervals={"interval_80": (forecast - 1, forecast + 1)})
    return sums.result()


def test_windows_are_ranked_on_the_scale_of_their_series():
    test = windows(series=2)
    error = np.ones((len(test), H))
    error[5], error[7] = 0.1, 9.0
    ranked = seen_of(test, error).ranked()
    assert (ranked[0], ranked[-1]) == (5, 7)
    assert len(ranked) == len(test)


def test_errors_by_hour_and_weekday():
    test = windows()
    hours = (test.stamps() - test.stamps().astype("datetime64[D]")).astype("timedelta64[h]").astype(int)
    seen = seen_of(test, np.where(hours == 18, 3.0, 1.0))
    found = seen.by_calendar()
    scale = float(test.scales()[0])
    assert list(found["hour"]) == [str(hour) for hour in range(24)]
    assert found["hour"]["18"] == pytest.approx(3 * scale)
    assert found["hour"]["3"] == pytest.approx(scale)
    assert next(iter(found["weekday"])) == "Monday"
    said = tell_forecasts(seen, scored(test, 0.5), {})
    assert any("The mean error at 18:00" in one and "is 3.0 times that at" in one for one in said)
    local = seen_of(windows(time_zone="Asia/Shanghai"), np.where(hours == 18, 3.0, 1.0)).by_calendar()
    assert local["hour"]["2"] == pytest.approx(3 * scale)
    assert list(seen_of(windows("day"), np.ones((len(test), H))).by_calendar()) == ["weekday"]
    assert seen_of(windows("month"), np.ones((len(test), H))).by_calendar() == {}


def test_several_series_weigh_alike_by_hour():
    test = windows(series=2)
    found = seen_of(test, np.ones((len(test), H))).by_calendar()
    assert found["hour"]["0"] == pytest.approx(1.0)


def test_sentences_about_steps_coverage_and_a_shift():
    test = windows()
    error = np.tile([0.2, 0.5, 3.0], (len(test), 1))
    said = tell_forecasts(seen_of(test, error), scored(test, error), {"ridge": scored(test, 0.4)})
    assert said[:3] == [
        "The MAE grows from 0.2 at the first step of the horizon to 3 at step 3.",
        "At 2 of 3 steps of the horizon the best baseline, ridge, has the smaller error: 2 to 3.",
        "The 80% intervals cover 66.7% of the test targets, by step of the horizon 0.0% to 100.0%: fewer than "
        "promised, since errors are larger now than when they were calibrated.",
    ]
    assert said[3].startswith("The forecasts are too high on average: 100% of the mean error is this shift")
    calm = np.tile([0.2, -0.2, 0.2], (len(test), 1))
    calm[::2] *= -1
    said = tell_forecasts(seen_of(test, calm), scored(test, calm), {"ridge": scored(test, 0.4)})
    assert said == [
        "The 80% intervals cover 100.0% of the test targets, by step of the horizon 100.0% to 100.0%: more than "
        "promised, since errors are smaller now than when they were calibrated."
    ]


def test_sentences_about_series():
    test = windows(series=3)
    error = np.array([1.0, 1.0, 5.0])[test.owner][:, None] * np.ones(H)
    error[::2] *= -1
    network = scored(test, error, ("a", "b", "丙"), np.ones(3))
    ridge = scored(test, 2.0, ("a", "b", "丙"), np.ones(3))
    said = tell_forecasts(seen_of(test, error * 0.01), network, {"ridge": ridge}, "mase")
    assert "The network is better than every baseline in 2 of 3 series." in said
    assert "The series '丙' has the largest MASE, 5: 5.0 times that of the middle one." in said


def test_few_windows_are_taken_evenly():
    import torch

    import rnnkit
    from rnnkit.tasks.forecasting import ForecastPredictor

    test = windows()
    parts = divide_time(test.series, (0.5, 0.5))
    torch.manual_seed(0)
    preprocessing = ForecastPreprocessing.fit(parts, lookback=8, horizon=H)
    model = rnnkit.DirectForecaster(preprocessing.layout, hidden_size=2)
    predictor = ForecastPredictor(model, preprocessing)
    taken = SeenForecasts.take(predictor, test, predictor.forecast(test), most=5)
    assert taken.windows.origin.tolist() == test.origin[[0, 49, 98, 148, 197]].tolist()
    assert taken.of == len(test) == 198
    assert taken.bounds == {}
    gone = replace(taken, forecast=taken.forecast)
    assert len(gone.ranked()) == 5


@pytest.mark.filterwarnings("error")
def test_a_series_without_a_figure_is_left_out_of_the_count():
    test = windows(series=3)
    ones = np.ones((len(test), H))
    network, naive = (scored(test, factor * ones, names=test.series.ids) for factor in (1, 2))
    for one in (network, naive):
        one.by_series["mae"][2] = np.nan
    said = tell_forecasts(seen_of(test, ones), network, {"persistence": naive})
    assert "The network is better than every baseline in 2 of 2 series." in said
