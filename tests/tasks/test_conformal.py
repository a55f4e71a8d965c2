"""Conformal intervals: their ranks by hand, and their coverage on new data of the same kind."""

import json

import numpy as np
import pytest

from rnnkit.errors import ConfigError, DataError
from rnnkit.tasks.conformal import ConformalIntervals


def test_the_radius_is_the_residual_of_that_rank():
    truth = np.zeros((9, 2))
    forecast = np.stack([np.arange(1.0, 10), -np.arange(9.0, 0, -1) * 10], 1)
    intervals = ConformalIntervals.fit(truth, forecast, coverages=(0.8, 0.5))
    assert intervals.coverages == (0.5, 0.8)
    assert intervals.radius(0.8).tolist() == [8, 80]  # ⌈10 · 0.8⌉ = 8
    assert intervals.radius(0.5).tolist() == [5, 50]
    low, high = intervals.interval(np.array([[100.0, 0.0]]), 0.8)
    assert (low.tolist(), high.tolist()) == ([[92, -80]], [[108, 80]])


def test_missing_targets_do_not_count_and_scales_carry_over():
    truth = np.array([[0.0], [np.nan], [0.0], [0.0], [0.0]])
    forecast = np.array([[2.0], [np.nan], [40.0], [6.0], [80.0]])
    scale = np.array([1.0, 1.0, 10.0, 1.0, 10.0])
    intervals = ConformalIntervals.fit(truth, forecast, coverages=(0.6,), scale=scale)
    assert intervals.counts == (4,)
    assert intervals.radius(0.6).tolist() == [6]
    low, high = intervals.interval(np.array([[0.0], [0.0]]), 0.6, scale=np.array([1.0, 10.0]))
    assert high.tolist() == [[6], [60]]
    assert (low == -high).all()


@pytest.mark.parametrize("coverage", [0.5, 0.8, 0.95])
def test_the_coverage_on_new_windows(coverage):
    random = np.random.default_rng(0)
    spread = np.array([1.0, 5.0])
    calibration, new = (random.standard_t(3, size=(4_000, 2)) * spread for _ in range(2))
    intervals = ConformalIntervals.fit(calibration, np.zeros_like(calibration), coverages=(coverage,))
    low, high = intervals.interval(np.zeros_like(new), coverage)
    found = ((new >= low) & (new <= high)).mean(0)
    assert np.abs(found - coverage).max() < 0.03


def test_quantiles_that_are_too_narrow_or_too_wide_are_mended():
    random = np.random.default_rng(1)
    center, calibration, new = (random.normal(size=(2_000, 1)) for _ in range(3))
    for width in (0.2, 3.0):
        intervals = ConformalIntervals.fit_quantiles(center + calibration, center - width, center + width, coverage=0.8)
        low, high = intervals.around(center - width, center + width, 0.8)
        found = ((center + new >= low) & (center + new <= high)).mean()
        assert found == pytest.approx(0.8, abs=0.03)
        assert (high - low).mean() == pytest.approx(2 * 1.2816, rel=0.1)


def test_bounds_do_not_cross():
    truth = np.zeros((9, 1))
    intervals = ConformalIntervals.fit_quantiles(truth, truth - 5, truth + 5, coverage=0.8)
    low, high = intervals.around(np.array([[0.0]]), np.array([[2.0]]), 0.8)
    assert (low.tolist(), high.tolist()) == ([[1]], [[1]])


def test_too_few_windows_are_refused_with_the_numbers():
    with pytest.raises(
        DataError, match=r"step 1 of the horizon has 3 calibration targets; a coverage of 0\.8 needs at"
    ):
        ConformalIntervals.fit(np.zeros((3, 1)), np.zeros((3, 1)))
    assert ConformalIntervals.fit(np.zeros((4, 1)), np.ones((4, 1))).radius(0.8).tolist() == [1]
    with pytest.raises(DataError, match="0.95 needs at least 19"):
        ConformalIntervals.fit(np.zeros((18, 1)), np.zeros((18, 1)), coverages=(0.95,))
    assert ConformalIntervals.fit(np.zeros((19, 1)), np.ones((19, 1)), coverages=(0.95,)).radius(0.95).tolist() == [1]


def test_what_does_not_fit_is_refused():
    intervals = ConformalIntervals.fit(np.zeros((9, 2)), np.zeros((9, 2)))
    with pytest.raises(ConfigError, match=r"coverage=0\.9 arrived; expected one that was calibrated: 0\.8"):
        intervals.radius(0.9)
    with pytest.raises(DataError, match=r"expected \[W, 2\]"):
        intervals.interval(np.zeros((1, 3)), 0.8)
    with pytest.raises(DataError, match=r"forecasts \(9, 3\) arrived with targets \(9, 2\)"):
        ConformalIntervals.fit(np.zeros((9, 2)), np.zeros((9, 3)))
    with pytest.raises(ConfigError, match="coverages="):
        ConformalIntervals.fit(np.zeros((9, 2)), np.zeros((9, 2)), coverages=(80,))
    with pytest.raises(DataError, match="hold 1 numbers that are not finite"):
        ConformalIntervals.fit(np.zeros((1, 1)), np.full((1, 1), np.nan))
    with pytest.raises(DataError, match=r"scales \(2,\) arrived for 9 windows"):
        ConformalIntervals.fit(np.zeros((9, 2)), np.zeros((9, 2)), scale=np.ones(2))
    assert ConformalIntervals.from_json(json.loads(json.dumps(intervals.to_json()))) == intervals
