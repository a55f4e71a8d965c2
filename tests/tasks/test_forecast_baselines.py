"""Forecasts without parameters, their scores on the same windows, and the sentence about the network."""

import numpy as np
import pytest

from rnnkit.data.forecasting import ForecastPreprocessing, TimeSeries, divide_time
from rnnkit.errors import ConfigError, DataError
from rnnkit.tasks.forecast_baselines import NaiveForecasts, score_naive, score_windows, verdict
from rnnkit.tasks.forecast_scores import seasonal_errors


def windows(*targets, parts=(0.5, 0.5), lookback=4, horizon=3, **settings):
    series = TimeSeries.from_arrays([np.asarray(one, float) for one in targets])
    divided = divide_time(series, parts)
    return ForecastPreprocessing.fit(divided, lookback=lookback, horizon=horizon, **settings).divide(divided)[1]


def test_each_forecast_by_hand():
    test = windows([1, 2, 4, 8, 3, 9, 5, 7, 0, 0, 0, 0], parts=(8, 4), horizon=4)
    naive = NaiveForecasts(test, period=3)
    assert naive("persistence").tolist() == [[7, 7, 7, 7]]
    assert naive("seasonal").tolist() == [[9, 5, 7, 9]]
    assert np.allclose(naive("drift"), [[7 + step * 6 / 7 for step in (1, 2, 3, 4)]])
    assert naive("mean").tolist() == [[6, 6, 6, 6]]
    with pytest.raises(ConfigError, match="did you mean 'persistence'"):
        naive("persistance")


def test_missing_values_are_passed_over():
    gap = np.nan
    test = windows([1, 2, 3, 4, 5, gap, 7, gap, 50, 60, 70], parts=(8, 3))
    naive = NaiveForecasts(test, period=3)
    assert naive("persistence").tolist() == [[7, 7, 7]]
    assert naive("seasonal").tolist() == [[3, 7, 5]]
    assert np.allclose(naive("drift"), [[9, 10, 11]])
    assert naive("mean").tolist() == [[6, 6, 6]]


def test_the_season_before_the_series_is_persistence():
    test = windows([1, 2, 3, 4, 0, 0, 0], parts=(4, 3), lookback=1)
    assert NaiveForecasts(test, period=6)("seasonal").tolist() == [[4, 4, 1]]


def test_series_do_not_reach_into_each_other():
    first, second = np.arange(10.0), np.arange(10.0) * 100 + 5
    both = windows(first, second, shortest=1)
    alone = windows(second, shortest=1)
    ours = both.owner == 1
    for name in NaiveForecasts.names:
        assert np.array_equal(NaiveForecasts(both, 2)(name, ours), NaiveForecasts(alone, 2)(name))


def test_what_comes_later_changes_nothing():
    values = np.arange(20.0) % 5
    test = windows(values)
    changed = windows(np.where(np.arange(20) < 10, values, 1e9))
    for name in NaiveForecasts.names:
        assert np.array_equal(NaiveForecasts(test, 5)(name, [0]), NaiveForecasts(changed, 5)(name, [0]))


def test_scores_of_all_windows_batch_by_batch():
    values = np.random.default_rng(0).normal(size=40)
    test = windows(values, values * 2)
    errors = seasonal_errors([values[:20], values[:20] * 2])
    scores = score_naive(test, periods=(4,), seasonal_errors=errors)
    assert list(scores) == ["persistence", "drift", "mean", "seasonal_4"]
    truth, naive = test.truth(), NaiveForecasts(test, 4)
    for name, found in scores.items():
        name = name.partition("_")[0]
        assert found.figures["mae"] == pytest.approx(np.abs(naive(name) - truth).mean())
        small = score_windows(test, lambda rows, name=name: naive(name, rows), batch_size=3)
        assert small.figures["mse"] == pytest.approx(found.figures["mse"])
        assert found.by_series["mae"][1] == pytest.approx(2 * found.by_series["mae"][0])
        assert found.by_series["mase"][1] == pytest.approx(found.by_series["mase"][0])
    assert list(score_naive(test)) == ["persistence", "drift", "mean"]


def test_quantiles_are_scored_by_their_middle():
    test = windows(np.arange(20.0))
    spread = np.array([-1.0, 0.5, 2.0])
    scores = score_windows(test, lambda rows: test.truth(rows)[..., None] + spread, levels=(0.1, 0.5, 0.9))
    assert scores.figures["mae"] == 0.5
    assert (scores.figures["coverage_80"], scores.figures["width_80"]) == (1, 3)
    with pytest.raises(ConfigError, match="with 0.5 in the middle"):
        score_windows(test, test.truth, levels=(0.1, 0.9))
    with pytest.raises(DataError, match="expected quantiles"):
        score_windows(test, test.truth, levels=(0.5,))


def test_the_verdict():
    good = verdict(80, {"persistence": 120, "ridge": 100})
    assert "worth it: its MAE of 80 is 20.0% below that of the best baseline, ridge" in good
    assert "33.3% below that of persistence" in good
    assert "no better than the mean of the lookback: MSE 1.01 against 1." in verdict(1.01, {"mean": 1.0}, metric="MSE")
    bad = verdict(1.5, {"persistence": 1.0, "drift": float("nan")})
    assert "not worth it: its MAE of 1.5 is 50.0% above that of persistence" in bad
    assert bad.endswith("as with prices.")
    assert "its MAE of 8 is 4.0 times that of ridge regression" in verdict(8.0, {"ridge": 2.0})
    with pytest.raises(ConfigError, match="no baseline"):
        verdict(1.0, {})


def test_the_verdict_says_where_the_last_value_is_about_the_best():
    hard = "The last value is hard to beat where the changes of a series are random, as with prices."
    assert verdict(2.0, {"drift": 1.99, "persistence": 2.0}).endswith(hard)
    assert hard not in verdict(2.0, {"drift": 1.9, "persistence": 2.0})
    assert hard not in verdict(1.9, {"drift": 1.99, "persistence": 2.0})
    assert "that of climatology (what is usual at a day of the year) (3)" in verdict(
        2.0, {"ridge": 2.1, "climatology": 3.0, "persistence": 3.4}
    )
