"""Scores against values worked by hand, and against scikit-learn and a numerical integral."""

import json

import numpy as np
import pytest

from rnnkit.errors import ConfigError, DataError
from rnnkit.tasks.forecast_scores import ScoreSums, pinball, sample_crps, seasonal_errors


def test_figures_in_all_by_step_and_by_series():
    sums = ScoreSums(horizon=2, ids=["a", "b"], seasonal_errors=np.array([2.0, 4.0]))
    truth = np.array([[10.0, 20.0], [30.0, np.nan], [0.0, 8.0]])
    forecast = np.array([[12.0, 20.0], [27.0, 5.0], [0.0, 0.0]])
    sums.add(truth[:2], forecast[:2], np.array([0, 0]))
    sums.add(truth[2:], forecast[2:], np.array([1]))
    scores = sums.result()
    assert scores.count == 5
    assert scores.figures["mae"] == (2 + 0 + 3 + 0 + 8) / 5
    assert scores.figures["mse"] == (4 + 9 + 64) / 5
    assert scores.figures["rmse"] == pytest.approx(np.sqrt(77 / 5))
    assert scores.figures["smape"] == pytest.approx((200 * 2 / 22 + 200 * 3 / 57 + 0 + 200) / 5)
    assert scores.figures["mase"] == pytest.approx((1 + 0 + 1.5 + 0 + 2) / 5)
    assert scores.by_step["mae"].tolist() == pytest.approx([5 / 3, 4])
    assert scores.by_series["mae"].tolist() == pytest.approx([5 / 3, 4])
    assert scores.by_series["mase"].tolist() == pytest.approx([2.5 / 3, 1])
    assert json.loads(json.dumps(scores.to_json()))["by_series"]["mae"]["b"] == 4


def test_quantiles_against_scikit_learn():
    metrics = pytest.importorskip("sklearn.metrics")
    random = np.random.default_rng(0)
    truth, levels = random.normal(size=(50, 3)), (0.1, 0.25, 0.5, 0.75, 0.9)
    quantiles = np.sort(random.normal(size=(50, 3, 5)), -1)
    sums = ScoreSums(horizon=3, levels=levels)
    sums.add(truth, quantiles[..., 2], quantiles=quantiles)
    scores = sums.result()
    flat = quantiles.reshape(-1, 5)
    expected = [metrics.mean_pinball_loss(truth.ravel(), flat[:, at], alpha=level) for at, level in enumerate(levels)]
    assert scores.figures["pinball"] == pytest.approx(np.mean(expected))
    assert scores.figures["crps"] == pytest.approx(2 * np.mean(expected))
    assert scores.figures["mae"] == pytest.approx(metrics.mean_absolute_error(truth, quantiles[..., 2]))
    assert scores.figures["mse"] == pytest.approx(metrics.mean_squared_error(truth, quantiles[..., 2]))
    inside = (truth >= quantiles[..., 0]) & (truth <= quantiles[..., 4])
    assert scores.figures["coverage_80"] == pytest.approx(inside.mean())
    assert scores.figures["width_80"] == pytest.approx((quantiles[..., 4] - quantiles[..., 0]).mean())
    assert set(scores.figures) >= {"coverage_50", "width_50"}


def test_the_crps_of_samples_is_the_integral():
    random = np.random.default_rng(1)
    samples, truth = random.normal(size=(4, 30)), random.normal(size=4)
    grid = np.linspace(-6, 6, 200_001)
    for row in range(4):
        below = (samples[row][:, None] <= grid).mean(0)
        integral = ((below - (grid >= truth[row])) ** 2).sum() * (grid[1] - grid[0])
        assert sample_crps(truth[row : row + 1], samples[row : row + 1])[0] == pytest.approx(integral, rel=1e-3)


def test_many_quantiles_and_many_samples_agree():
    """Of a standard normal and y = 0 the CRPS is (√2 − 1) / √π = 0.2337."""
    stats = pytest.importorskip("scipy.stats")
    levels = (np.arange(200) + 0.5) / 200
    quantiles = stats.norm.ppf(levels)[None]
    exact = (np.sqrt(2) - 1) / np.sqrt(np.pi)
    assert 2 * pinball(np.zeros(1), quantiles, levels).mean() == pytest.approx(exact, rel=0.01)
    assert sample_crps(np.zeros(1), quantiles)[0] == pytest.approx(exact, rel=0.01)


def test_missing_targets_do_not_count_whatever_the_forecast_is():
    truth = np.array([[1.0, np.nan]])
    sums = ScoreSums(horizon=2, levels=(0.1, 0.9))
    sums.add(truth, np.array([[2.0, np.nan]]), quantiles=np.array([[[0.0, 3.0], [np.nan, np.nan]]]))
    scores = sums.result()
    assert scores.figures["mae"] == 1
    assert scores.figures["coverage_80"] == 1
    assert scores.figures["width_80"] == 3
    assert np.isnan(scores.by_step["mae"][1])
    assert scores.to_json()["by_step"]["mae"] == [1.0, None]


def test_mase_of_constant_and_short_series_is_left_out_and_told():
    found = seasonal_errors([np.array([1.0, 5.0, 1.0, 7.0]), np.ones(5), np.array([1.0])], 2)
    assert found[0] == 1
    assert np.isnan(found[1:]).all()
    sums = ScoreSums(horizon=1, ids=["a", "b", "c"], seasonal_errors=found)
    sums.add(np.ones((3, 1)), np.full((3, 1), 3.0), np.arange(3))
    scores = sums.result()
    assert scores.figures["mase"] == 2
    assert scores.findings[0].startswith("2 of 3 series have no MASE")
    assert "'b', 'c'" in scores.findings[0]
    assert seasonal_errors([np.array([1.0, np.nan, 3.0, 4.0])])[0] == 1


def test_what_does_not_fit_is_refused():
    sums = ScoreSums(horizon=2)
    with pytest.raises(DataError, match=r"forecast \(1, 3\) arrived with targets \(1, 2\); expected \(1, 2\)"):
        sums.add(np.zeros((1, 2)), np.zeros((1, 3)))
    with pytest.raises(DataError, match="the forecast hold 1 numbers that are not finite"):
        sums.add(np.zeros((1, 2)), np.array([[1.0, np.inf]]))
    with pytest.raises(DataError, match="no observed target"):
        sums.result()
    with pytest.raises(ConfigError, match="levels="):
        ScoreSums(horizon=1, levels=(0.9, 0.1))
    with pytest.raises(ConfigError, match="period=0"):
        seasonal_errors([np.ones(3)], 0)
    with pytest.raises(DataError, match=r"quantiles None arrived"):
        ScoreSums(horizon=1, levels=(0.5,)).add(np.zeros((1, 1)), np.zeros((1, 1)))
