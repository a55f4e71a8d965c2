"""All baselines of a run, and the limits of those that learn."""

import numpy as np

from rnnkit.data.forecasting import ForecastPreprocessing, TimeSeries, divide_time
from rnnkit.tasks import forecast_comparison
from rnnkit.tasks.forecast_climatology import Climatology
from rnnkit.tasks.forecast_comparison import score_baselines
from rnnkit.tasks.forecast_linear_files import load_linear


def windows(frequency="day", steps=120, count=2, parts=(0.6, 0.2, 0.2)):
    random = np.random.default_rng(0)
    targets = [np.sin(np.arange(steps) / 3) + 0.1 * random.normal(size=steps) for _ in range(count)]
    parts = divide_time(TimeSeries.from_arrays(targets, start="2024-01-01", frequency=frequency), parts)
    return ForecastPreprocessing.fit(parts, lookback=6, horizon=2).divide(parts)


def test_climatology_is_scored_and_stored_where_steps_are_days_of_a_year(tmp_path):
    found, limits = score_baselines(*windows(steps=400, parts=(370, 15, 15)), kinds="naive")
    assert list(found) == ["persistence", "drift", "mean", "seasonal_7", "climatology"]
    assert limits == []
    file = tmp_path / "baselines.safetensors"
    train, validation, test = windows(steps=400, parts=(370, 15, 15))
    score_baselines(train, validation, test, kinds="naive", linear_file=file)
    assert np.array_equal(load_linear(file)["climatology"](test, [3]), Climatology.fit(train).forecast(test, [3]))
    assert "climatology" not in score_baselines(*windows(), kinds="naive")[0]


def test_linear_models_learn_from_so_many_windows(monkeypatch):
    monkeypatch.setattr(forecast_comparison, "_STEPS", (20, 20))
    whole, limits = score_baselines(*windows())
    assert {"ridge", "dlinear"} < set(whole)
    assert limits == []
    monkeypatch.setattr(forecast_comparison, "_WINDOWS", 50)
    few, limits = score_baselines(*windows())
    assert limits == [
        "Ridge learned from 50 of the 130 training windows, drawn at random.",
        "DLinear learned from 50 of the 130 training windows, drawn at random.",
    ]
    assert few["ridge"].count == whole["ridge"].count
    assert few["ridge"].figures["mae"] != whole["ridge"].figures["mae"]


def test_ridge_has_fewer_windows_where_it_has_many_features(monkeypatch):
    monkeypatch.setattr(forecast_comparison, "_STEPS", (20, 20))
    monkeypatch.setattr(forecast_comparison, "_PRODUCTS", 1.0)
    train, validation, test = windows(count=4)
    limits = score_baselines(train, validation, test)[1]
    # 6 values, and 4 features of the calendar in 8 steps; as many windows again as features and horizon.
    assert limits == [f"Ridge learned from 80 of the {len(train)} training windows, drawn at random."]


def test_dlinears_epochs_follow_the_number_of_windows():
    assert [forecast_comparison._epochs(count) for count in (64, 64 * 500, 59_143, 64 * 1_500, 64 * 50_000)] == [
        2_000, 10, 10, 7, 1,
    ]  # fmt: skip
