"""Forecasts with scikit-learn's interface: training, intervals, scores, parameters, and the recipe's own weights."""

import pickle
import warnings

import numpy as np
import pytest

pytest.importorskip("sklearn")
pd = pytest.importorskip("pandas")

import torch  # noqa: E402
from forecaster_data import STEPS, fitted, long, stamps, values  # noqa: E402
from sklearn.base import clone  # noqa: E402
from sklearn.exceptions import NotFittedError  # noqa: E402

import rnnkit  # noqa: E402
from rnnkit.data.forecasting import TimeSeries, read_time_series  # noqa: E402
from rnnkit.errors import ConfigError, DataError, DataWarning  # noqa: E402
from rnnkit.tasks.forecasting import load_forecaster  # noqa: E402


@pytest.fixture(scope="module")
def model():
    return fitted(long())


def test_rows_that_are_finer_than_the_steps_are_joined_aloud():
    daily = pd.DataFrame({"ds": pd.date_range("2023-01-01", periods=STEPS), "y": values()})
    hourly = pd.DataFrame({"ds": pd.date_range("2024-01-01", periods=288, freq="h"), "y": np.arange(288.0)})
    model = fitted(daily)
    told = "finer than the steps of the model, which are daily: 288 of 288 rows are joined to 12 steps; the mean"
    for ask in (model.predict, lambda data: model.stream(data=data)):
        with pytest.warns(DataWarning, match=told):
            ask(hourly)
    with pytest.warns(DataWarning):
        assert model.score(hourly) == -np.inf  # drift forecasts a line without an error
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        model.predict(daily)
        fitted(hourly.iloc[: 24 * 9], frequency="6 hours", lookback=4).predict(hourly)  # as in the training
    predictor, series = model.predictor_, read_time_series(hourly, **model.predictor_.preprocessing.read_options)
    with pytest.warns(DataWarning, match=told):
        predictor.table(series)
    with pytest.raises(DataError, match='steps are hourly; the model .* daily; type frequency="day" to join'):
        predictor.table(read_time_series(hourly))
    weekly = pd.DataFrame({"ds": pd.date_range("2024-01-01", periods=30, freq="7D"), "y": np.arange(30.0)})
    with pytest.raises(DataError, match="give rows that are daily"):
        predictor.table(read_time_series(weekly))


def test_arrays_and_dates_do_not_fit_each_other():
    dated, plain = fitted(pd.DataFrame({"when": stamps(), "load": values()})), fitted(values())
    for ask in (dated.predict, dated.score, dated.fine_tune, dated.predict_interval):
        with pytest.raises(DataError, match=r"an array arrived, .* on steps with dates, hourly.* pass a Series"):
            ask(values())
    with pytest.raises(DataError, match="a list arrived, .* pass a DataFrame with the columns 'when', 'load'"):
        dated.predict([values(), values()])
    with pytest.raises(DataError, match="give the numbers of the steps in place of dates"):
        plain.predict(pd.Series(values(), stamps()))
    with pytest.raises(DataError, match="give rows with their dates"):
        dated.predictor_.table(TimeSeries.from_arrays([values()]))


def test_bounds_of_counts_are_counts_and_other_targets_are_refused():
    counts = np.random.default_rng(0).poisson(1, STEPS).astype(float)
    counts[7] = np.nan
    settings = {"output": "negative_binomial", "scale": "none", "norm": "mean"}
    model = fitted(counts, **settings)
    found = model.predict_interval(coverage=0.9)
    assert (found >= 0).all()
    assert (found[:, 1] <= found[:, 0]).all()
    assert model.stream().forecast().min() >= 0
    windows = model.predictor_.preprocessing.divide(model.parts_)[-1]
    forecast = model.predictor_.forecast(windows)
    bounds = model.predictor_.bounds(windows, forecast)
    assert min(low.min() for low, _ in bounds.values()) == 0
    odd = pd.DataFrame({"ds": stamps(), "y": np.where(np.arange(STEPS) == 3, 1.5, counts)})
    told = r"1 of 119 targets are no counts: 1.5 at 2024-01-01 03:00 of the series 'y'; .* take the output student_t"
    with pytest.raises(DataError, match=told):
        fitted(odd, **settings)
    with pytest.raises(DataError, match=r"119 of 119 .* at 0, .* at 1, .* at 2 of the series '0' and 116 more"):
        fitted(counts + 0.5, **settings)
    with pytest.raises(DataError, match="are no counts: -1 at"):
        model.fine_tune(counts - 1)
    halves = pd.DataFrame({"ds": stamps(), "y": np.arange(STEPS) % 3 + 0.0})
    with pytest.raises(DataError, match="no counts.* join rows by their sum"):
        fitted(halves, frequency="2 hours", **settings)


def test_fine_tuning_replays_the_windows_of_the_last_training():
    model = fitted(values())
    model.fine_tune(values(60, seed=3), epochs=1, replay=0.5, protect="ewc")
    assert model.history_.report.method["replay"] == "old rows are 50% of each epoch"


def test_new_series_are_forecast_and_what_cannot_be_is_refused(model):
    later = pd.DataFrame({"unique_id": "new", "ds": pd.date_range("2024-03-01", periods=8, freq="h"), "y": values(8)})
    assert model.predict(later)["ds"].iloc[0] == pd.Timestamp("2024-03-01 08:00")
    with pytest.raises(DataError, match="fewer than 8 observed steps, the lookback"):
        model.predict(later[:6])
    with pytest.raises(
        DataError, match="no two steps in a row have a target: the closest are 24 steps apart; the model was trained on"
    ):
        model.predict(later.assign(ds=pd.date_range("2024-03-01", periods=8)))
    with pytest.raises(ConfigError, match=r"horizon=9.*at most 3.*fit RNNForecaster\(horizon=9\)"):
        model.predict(horizon=9)
    with pytest.raises(NotFittedError):
        rnnkit.RNNForecaster().predict()


def test_a_model_that_goes_on_forecasts_further_without_intervals():
    model = fitted(values(), model="deepar", output="gaussian", norm="none")
    found = model.predict_interval(horizon=5)
    assert found.shape == (5, 3)
    assert np.isfinite(found[:3]).all()
    assert np.isfinite(found[3:, 0]).all()
    assert np.isnan(found[3:, 1:]).all()
    assert model.predict_interval(horizon=2).shape == (2, 3)


def test_covariates_of_the_steps_to_come():
    table = long(("a",)).assign(holiday=np.arange(STEPS) % 2)
    model = fitted(table, known=["holiday"])
    with pytest.raises(DataError, match="'holiday' of the series 'a' has no value at 2024-01-06, step 1"):
        model.predict()
    to_come = pd.DataFrame({"unique_id": "a", "ds": pd.date_range("2024-01-06", periods=3, freq="h"), "holiday": 1})
    assert len(model.predict(pd.concat([table, to_come]))) == 3
    stream = model.stream()
    stream.update({"ds": "2024-01-06", "y": 50.0, "holiday": 1})
    assert stream.forecast({"holiday": [0, 1, 0]})["ds"].iloc[0] == pd.Timestamp("2024-01-06 01:00")


def test_intervals_cover_what_they_were_calibrated_on(model):
    from rnnkit.tasks.conformal import ConformalIntervals

    found = model.predict_interval(coverage=0.6)
    assert (found["forecast-lo-60"] < found["forecast"]).all()
    windows = model.predictor_.preprocessing.divide(model.parts_)[1]
    assert model.parts_.names[1] == "validation"
    expected = ConformalIntervals.fit(
        windows.truth(), model.predictor_.forecast(windows), coverages=(0.6,), scale=windows.scales()
    )
    np.testing.assert_allclose(model.predictor_.intervals.radius(0.6), expected.radius(0.6))
    with pytest.raises(DataError, match="a coverage of 0.999 needs at least 999"):
        model.predict_interval(coverage=0.999)
    with pytest.raises(ConfigError, match="expected numbers between 0 and 1"):
        model.predict_interval(coverage=80)


def test_equal_settings_have_the_weights_of_the_recipe(tmp_path):
    from rnnkit.recipes.forecast import Fit, Forecast, Model
    from rnnkit.recipes.forecast_source import ForecastSource
    from rnnkit.tasks.forecast_training import forecast_learner, train_forecaster

    long().to_csv(tmp_path / "t.csv", index=False)
    recipe = Forecast(
        horizon=3,
        lookback=8,
        model=Model(hidden_size=4),
        fit=Fit(epochs=1),
        data=ForecastSource(path=str(tmp_path / "t.csv")),
        baselines="naive",
    )
    prepared = recipe.prepare()
    predictor = prepared.predictor()
    train_forecaster(forecast_learner(predictor, recipe.fit), recipe.fit, *prepared.windows[:2], seed=0, progress=False)
    predictor.calibrate(prepared.windows[1], (recipe.coverage,))
    own = fitted(tmp_path / "t.csv", validation_fraction=0.1)
    for one, other in zip(own.module_.parameters(), predictor.model.parameters(), strict=True):
        torch.testing.assert_close(one, other, rtol=0, atol=0)
    np.testing.assert_array_equal(own.predictor_.intervals.radius(0.8), predictor.intervals.radius(0.8))


def test_the_comparison_says_whether_the_network_is_worth_it(model, monkeypatch):
    monkeypatch.setattr("rnnkit.tasks.forecast_comparison._STEPS", (20, 20))  # of DLinear
    found = model.compare()
    assert {"persistence", "seasonal_24", "ridge", "dlinear"} <= set(found.baselines)
    assert str(found).startswith(found.verdict)
    assert "network" in str(found)
    assert found.verdict.startswith("The network is")
    naive = model.compare(baselines="naive")
    best = min(one.figures["mase"] for one in naive.baselines.values())
    assert model.score() == pytest.approx(1 - naive.network.figures["mase"] / best)
    with pytest.raises(ConfigError, match="baselines='some'"):
        model.compare(baselines="some")


def test_later_steps_are_scored_behind_what_was_learned():
    model = fitted(values()[:100], test_fraction=0)
    assert model.parts_.names == ("train", "validation")
    with pytest.raises(DataError, match="no steps were left to judge by.*test_fraction=0.2"):
        model.score()
    assert len(model._judged(values())) == 18  # 20 steps behind those of fit, H = 3
    assert np.isfinite(model.score(values()))
    with pytest.raises(DataError, match="no window fits"):
        model.score(values()[:100])


def test_clone_pickle_and_repr(model, tmp_path):
    assert repr(rnnkit.RNNForecaster(horizon=7, cell="lstm")) == "RNNForecaster(cell='lstm', horizon=7)"
    copy = clone(model).set_params(hidden_size=5)
    assert copy.get_params()["hidden_size"] == 5
    assert not hasattr(copy, "predictor_")
    again = pickle.loads(pickle.dumps(model))
    pd.testing.assert_frame_equal(again.predict_interval(), model.predict_interval())
    assert again.score() == pytest.approx(model.score())
    model.save(tmp_path)
    assert load_forecaster(tmp_path).intervals == model.predictor_.intervals


def test_parameters_are_checked_in_their_own_names():
    for settings, message in (
        ({"horizon": 0}, "horizon=0"),
        ({"model": "arima"}, "model='arima'"),
        ({"learning_rate": -1.0}, "learning_rate=-1"),
        ({"loss": "mse"}, "loss=mse is for output=point"),
        ({"output": "negative_binomial"}, "expected scale=none"),
        ({"settings": {"hidden": 3}}, "no setting of the recipe"),
        ({"validation_fraction": 0.6, "test_fraction": 0.5}, "leave steps to train on"),
        ({"n_iter_no_change": 0}, "n_iter_no_change=0"),
    ):
        with pytest.raises(ConfigError, match=message):
            rnnkit.RNNForecaster(**settings).fit(values())


def test_training_goes_on(model):
    warm = fitted(long(), warm_start=True)
    before = [one.clone() for one in warm.module_.parameters()]
    warm.fit(long())
    assert warm.n_iter_ == 2
    assert [row["epoch"] for row in warm.history_.rows] == [1, 2]
    assert any(not torch.equal(one, other) for one, other in zip(before, warm.module_.parameters(), strict=True))
    with pytest.raises(ConfigError, match="hidden_size, horizon changed since the first fit"):
        warm.set_params(hidden_size=8, horizon=4).fit(long())


def test_one_series_after_many():
    model = fitted(long(), norm="none")
    scaling = model.predictor_.preprocessing.scaling
    new = long(("c",)).assign(y=lambda one: 7 * one["y"])
    model.fine_tune(new, epochs=1, lr=1e-3)
    now = model.predictor_.preprocessing.scaling
    assert now.ids == ("a", "b", "c")
    assert now.centers[:2] == scaling.centers
    train = new["y"].to_numpy()[: int(0.6 * STEPS)]
    assert now.centers[2] == pytest.approx(train.mean())
    assert model.predict()["unique_id"].tolist() == ["c"] * 3
    assert any("'c' is new" in one for one in model.findings_)
    assert np.isfinite(model.score())
    assert model.n_iter_ == 2
    assert model.history_.report is not None
    assert model.predict(long())["unique_id"].tolist() == ["a"] * 3 + ["b"] * 3
    model.fine_tune(new[:11], epochs=1)  # one window
    assert any("none can be held out" in one for one in model.findings_)
    assert len(model.predict_interval(coverage=0.8)) == 3
    with pytest.raises(DataError, match="intervals of 0.6 were not calibrated before; pass one of these"):
        model.predict_interval(coverage=0.6)
    with pytest.raises(DataError, match="no steps were left to judge by"):
        model.score()
    assert np.isfinite(model.score(new))


def test_a_network_of_ones_own():
    model = fitted(values(), network=lambda layout: rnnkit.DirectForecaster(layout, hidden_size=3, conv_channels=2))
    assert model.module_.front is not None
    assert model.predict().shape == (3,)


def test_what_is_to_be_forecast_is_not_in_the_scale_of_a_new_series(model):
    grown = values(60)
    grown[30:] *= 5
    new = pd.DataFrame({"unique_id": "new", "ds": stamps(60), "y": grown})
    windows = model._judged(new)
    assert windows.source.center.tolist() == [pytest.approx(grown[:8].mean())]
    compared = model.compare(new.iloc[:40], baselines="naive")
    assert np.isnan(compared.network.figures["mase"])  # 8 steps are no season
    assert compared.network.count == 3 * (40 - 8 - 2)


def test_targets_beside_the_data_and_columns_of_one_name_are_refused():
    with pytest.raises(ConfigError, match=r'y=ndarray arrived; the targets .* write fit\(table\) with a column "y"'):
        rnnkit.RNNForecaster().fit(long(), np.zeros(3))
    with pytest.raises(DataError, match="'y'"):
        fitted(pd.concat([long(), long()["y"]], axis=1))
    ids = pd.array([7] * STEPS + [None] * STEPS, dtype="Int64")
    with pytest.raises(DataError, match="row 121: column unique_id: the id is missing"):
        fitted(long().assign(unique_id=ids))
