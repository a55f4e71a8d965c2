"""Climatology: the annual cycle of the training part."""

import numpy as np
import pytest

from rnnkit.data.forecasting import ForecastPreprocessing, TimeSeries, divide_time
from rnnkit.tasks.forecast_climatology import Climatology
from rnnkit.tasks.forecast_linear_files import load_linear, save_linear


def windows(*targets, parts=(1100, 361), horizon=3, start="2020-01-01"):
    series = TimeSeries.from_arrays([np.asarray(one, float) for one in targets], start=start, frequency="day")
    divided = divide_time(series, parts)
    return ForecastPreprocessing.fit(divided, lookback=7, horizon=horizon).divide(divided)


def year(steps=1461):
    days = np.datetime64("2020-01-01") + np.arange(steps)
    return (days - days.astype("datetime64[Y]")).astype(float) / 365.2425


def test_it_is_the_least_squares_fit_of_two_waves():
    random = np.random.default_rng(0)
    share = 2 * np.pi * year()
    days = 10 + 8 * np.cos(share) - 3 * np.sin(2 * share) + random.normal(size=1461)
    train, test = windows(days)
    design = np.stack([np.ones(1100), *(wave(k * share[:1100]) for wave in (np.cos, np.sin) for k in (1, 2))], 1)
    expected = np.linalg.lstsq(design, days[:1100], rcond=None)[0]
    found = Climatology.fit(train)
    center, scale = train.source.center[0], train.source.scale[0]
    assert np.allclose(found.coefficients * scale + center * np.eye(5)[0], expected)
    assert np.allclose(expected[[0, 1, 4]], [10, 8, -3], atol=0.2)
    at = 1100 + 5 + np.arange(3)
    later = expected @ np.stack([np.ones(3), *(wave(k * share[at]) for wave in (np.cos, np.sin) for k in (1, 2))])
    assert np.allclose(found.forecast(test, [5]), later)


def test_no_value_behind_the_training_part_counts():
    days = 10 + np.cos(2 * np.pi * year())
    changed = np.where(np.arange(1461) < 1100, days, 1e9)
    one, other = (Climatology.fit(windows(each)[0]).coefficients for each in (days, changed))
    assert np.array_equal(one, other)


def test_missing_values_are_passed_over_and_series_stand_alone():
    share = 2 * np.pi * year()
    first, second = 10 + np.cos(share), 500 - 20 * np.sin(share)
    first[[3, 400, 401]] = np.nan
    train, test = windows(first, second)
    found = Climatology.fit(train)
    assert np.allclose(train.source.center + train.source.scale * found.coefficients[:, 0], [10, 500])
    assert np.allclose(found.forecast(test), test.truth())
    assert np.allclose(found.forecast(test.standardised()), test.standardised().truth())


def test_series_are_found_by_their_ids_whatever_their_order(tmp_path):
    share = 2 * np.pi * year()
    rows = {"a": 10 + np.cos(share), "b": 500 - 20 * np.sin(share)}
    series = TimeSeries.from_arrays(list(rows.values()), start="2020-01-01", frequency="day", ids=list(rows))
    parts = divide_time(series, (1100, 361))
    preprocessing = ForecastPreprocessing.fit(parts, lookback=7, horizon=3)
    train, test = preprocessing.divide(parts)
    save_linear({"climatology": Climatology.fit(train.standardised())}, tmp_path / "baselines.safetensors")
    stored = load_linear(tmp_path / "baselines.safetensors")["climatology"]
    assert np.allclose(stored(test, slice(None)), test.truth())
    turned = TimeSeries.from_arrays([rows["b"], rows["a"]], start="2020-01-01", frequency="day", ids=["b", "a"])
    other = preprocessing.prepare(turned).windows(np.array([[1100, 1461]] * 2))
    assert np.allclose(stored(other, slice(None)), other.truth())
    new = TimeSeries.from_arrays([rows["a"]], start="2020-01-01", frequency="day", ids=["c"])
    assert stored.knows(other)
    assert not stored.knows(preprocessing.prepare(new).windows(np.array([[1100, 1461]])))


def test_less_than_a_year_is_its_mean():
    train, test = windows(np.arange(100.0), parts=(80, 20))
    assert np.allclose(Climatology.fit(train).forecast(test), np.arange(80).mean())


@pytest.mark.parametrize(
    ("frequency", "steps", "serves"),
    [("day", 460, True), ("business day", 340, True), ("day", 300, False), ("2 days", 460, False), ("h", 460, False)],
)
def test_it_is_for_days_and_needs_a_year(frequency, steps, serves):
    series = TimeSeries.from_arrays([np.arange(float(steps))], start="2020-01-01", frequency=frequency)
    divided = divide_time(series, (0.8, 0.2))
    train = ForecastPreprocessing.fit(divided, lookback=7, horizon=3).divide(divided)[0]
    assert Climatology.serves(train) is serves
