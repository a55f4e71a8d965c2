"""Forecasts with scikit-learn's interface: every form of series in, the same form out, and the recipe's own weights."""

import pickle
import warnings

import numpy as np
import pytest

pytest.importorskip("sklearn")
pd = pytest.importorskip("pandas")

import torch  # noqa: E402
from sklearn.base import clone  # noqa: E402
from sklearn.exceptions import NotFittedError  # noqa: E402

import rnnkit  # noqa: E402
from rnnkit.data.forecasting import TimeSeries, read_time_series  # noqa: E402
from rnnkit.errors import ConfigError, DataError, DataWarning  # noqa: E402
from rnnkit.tasks.forecasting import load_forecaster  # noqa: E402

SMALL = {"horizon": 3, "lookback": 8, "hidden_size": 4, "epochs": 1, "random_state": 0, "validation_fraction": 0.2}
STEPS = 120


def values(steps=STEPS, seed=0):
    random = np.random.default_rng(seed)
    return 50 + 10 * np.sin(np.arange(steps) * 2 * np.pi / 24 + seed) + random.normal(size=steps)


def stamps(steps=STEPS):
    return pd.date_range("2024-01-01", periods=steps, freq="h")


def long(names=("a", "b"), columns=("unique_id", "ds", "y")):
    blocks = [
        pd.DataFrame(dict(zip(columns, (name, stamps(), values(seed=at)), strict=True)))
        for at, name in enumerate(names)
    ]
    return pd.concat(blocks, ignore_index=True)


def fitted(data, **settings):
    return rnnkit.RNNForecaster(**SMALL | settings).fit(data)


@pytest.fixture(scope="module")
def model():
    return fitted(long())


def test_a_long_table_comes_back_as_a_long_table(model):
    found = model.predict()
    assert list(found.columns) == ["unique_id", "ds", "forecast"]
    assert found["unique_id"].tolist() == ["a"] * 3 + ["b"] * 3
    assert found["ds"].tolist() == [*pd.date_range("2024-01-06", periods=3, freq="h")] * 2
    assert np.isfinite(found["forecast"]).all()
    latest = model.predictor_.preprocessing.latest(model.parts_.series)
    np.testing.assert_array_equal(found["forecast"], model.predictor_.forecast(latest).ravel())
    assert len(model.predict(horizon=2)) == 4


def test_names_and_ids_of_any_kind():
    table = long(("7", "007"), ("门店", "日期", "销量")).assign(天气=np.tile(np.arange(STEPS) % 5, 2))
    table["门店"] = pd.Categorical(table["门店"])
    found = fitted(table, id_column="门店", time_column="日期", target="销量").predict_interval(coverage=(0.5, 0.8))
    assert list(found.columns) == [
        "门店", "日期", "forecast", "forecast-lo-50", "forecast-hi-50", "forecast-lo-80", "forecast-hi-80"
    ]  # fmt: skip
    assert found["门店"].tolist() == ["7"] * 3 + ["007"] * 3
    numbered = fitted(long((5, 3))).predict()
    assert numbered["unique_id"].tolist() == [5, 5, 5, 3, 3, 3]
    assert numbered["unique_id"].dtype == np.int64


def test_a_wide_table_comes_back_as_a_wide_table():
    wide = pd.DataFrame({"a": values(), "b": values(seed=1)}, index=stamps())
    with pytest.raises(DataError, match=r'target=\["a", "b"\] if each is a series'):
        fitted(wide)
    model = fitted(wide, target=["a", "b"])
    found = model.predict()
    assert list(found.columns) == ["a", "b"]
    assert isinstance(found.index, pd.DatetimeIndex)
    assert found.index.name is None
    assert list(model.predict_interval().columns) == ["a", "a-lo-80", "a-hi-80", "b", "b-lo-80", "b-hi-80"]
    column = fitted(wide.rename_axis("when").reset_index(), target=["a", "b"]).predict()
    assert list(column.columns) == ["when", "a", "b"]
    np.testing.assert_array_equal(column["b"], found["b"])
    single = fitted(wide[["a"]]).predict()
    assert list(single.columns) == ["forecast"]
    assert isinstance(single.index, pd.DatetimeIndex)
    both = fitted(long(("x", "y")).assign(z=lambda one: one["y"] + 1), target=["y", "z"]).predict()
    assert list(both.columns) == ["unique_id", "ds", "y", "z"]
    assert both["unique_id"].tolist() == ["x"] * 3 + ["y"] * 3


def test_pandas_series_of_every_index():
    dated = pd.Series(values(), stamps(), name="load")
    model = fitted(dated)
    found = model.predict()
    assert isinstance(found, pd.Series)
    assert found.name == "load"
    assert found.index[0] == pd.Timestamp("2024-01-06")
    assert list(model.predict_interval().columns) == ["forecast", "forecast-lo-80", "forecast-hi-80"]
    again = model.predict(pd.Series(values(20), pd.date_range("2024-03-01", periods=20, freq="h")))
    assert again.index[0] == pd.Timestamp("2024-03-01 20:00")
    zoned = fitted(pd.Series(values(), stamps().tz_localize("Asia/Shanghai"))).predict()
    assert zoned.index[0] == pd.Timestamp("2024-01-06", tz="Asia/Shanghai")
    months = pd.Series(values(60), pd.period_range("2010-01", periods=60, freq="M"))
    assert fitted(months, lookback=4).predict().index.tolist() == [*pd.period_range("2015-01", periods=3, freq="M")]
    counted = fitted(pd.Series(values())).predict()
    assert counted.index.tolist() == [120, 121, 122]
    nested = long().set_index(["unique_id", "ds"])["y"]
    both = fitted(nested).predict()
    assert both.index.names == ["unique_id", "ds"]
    assert both["forecast"].shape == (6,)


def test_the_clock_of_a_named_zone():
    found = fitted(long(), time_zone="Europe/Berlin").predict()
    assert found["ds"].iloc[0] == pd.Timestamp("2024-01-06")


def test_seconds_since_1970_come_back_as_such():
    seconds = stamps().as_unit("s").astype("int64")
    model = fitted(pd.DataFrame({"ds": seconds, "y": values()}))
    assert "taken for seconds since 1970" in model.findings_[0]
    assert model.predict()["ds"].tolist() == [seconds[-1] + 3600 * step for step in (1, 2, 3)]
    stream = model.stream()
    stream.update({"ds": int(seconds[-1]) + 3600, "y": 50.0})
    assert stream.forecast()["ds"].tolist() == [seconds[-1] + 3600 * step for step in (2, 3, 4)]
    midnights = pd.date_range("2024-01-01", periods=STEPS, tz="Europe/Berlin").as_unit("s").astype("int64")
    days = fitted(pd.Series(values(), midnights), time_zone="Europe/Berlin").predict()
    assert days.index.tolist() == [midnights[-1] + 86_400 * step for step in (1, 2, 3)]


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


def test_arrays_come_back_as_arrays():
    one, two = values(), np.stack([values(), values(seed=1)])
    two[1, :9] = np.nan
    assert fitted(one).predict().shape == (3,)
    model = fitted(two)
    assert model.predict().shape == (2, 3)
    assert model.predict_interval().shape == (2, 3, 3)
    assert fitted([one, one[:90]]).predict().shape == (2, 3)
    assert fitted(torch.tensor(one)).predict().shape == (3,)
    np.testing.assert_array_equal(model.predict(two), model.predict())
    new = model.predict(1000 * one)  # another number of series: they are new ones, with a scale of their own
    assert new.min() > 40_000
    with pytest.raises(DataError, match=r"shape \(2, 3, 4\) arrived; expected \[T\] or \[S, T\]"):
        fitted(np.zeros((2, 3, 4)))
    with pytest.raises(DataError, match="frequency='hour' arrived for arrays"):
        fitted(one, frequency="hour")
    with pytest.raises(DataError, match="the number 24 arrived.*write horizon=24, or write coverage=0.8"):
        model.predict(24)
    with pytest.raises(DataError, match=r"\(120, 2\) arrived: 120 series of 2 steps; expected \[S, T\]; pass array.T"):
        fitted(two.T)
    with pytest.raises(DataError, match="None arrived; expected a DataFrame"):
        fitted(None)
    with pytest.raises(DataError, match="a dict arrived; expected a DataFrame"):
        fitted({"a": one})
    with pytest.raises(DataError, match="series 0 has no target in 50 steps"):
        fitted(np.full(50, np.nan))


def test_files_and_time_series_are_read_too(tmp_path, model):
    long().to_csv(tmp_path / "t.csv", index=False)
    of_file = fitted(str(tmp_path / "t.csv")).predict()
    pd.testing.assert_frame_equal(of_file, model.predict(), check_dtype=False)
    series = TimeSeries.from_arrays([values()], start="2024-01-01", frequency="hour", ids=["a"])
    assert fitted(series).predict()["unique_id"].tolist() == ["a"] * 3


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


def test_streams_have_the_form_of_the_data():
    model = fitted(long(), norm="none")
    stream = model.stream("b")
    assert stream.recomputes is None
    stream.update({"unique_id": "b", "ds": pd.Timestamp("2024-01-06"), "y": 51.0})
    found = stream.forecast()
    assert list(found.columns) == ["unique_id", "ds", "forecast", "forecast-lo-80", "forecast-hi-80"]
    assert found["unique_id"].tolist() == ["b"] * 3
    assert found["ds"].iloc[0] == pd.Timestamp("2024-01-06 01:00")
    with pytest.raises(DataError, match="a row of the series 'a' arrived; this is the stream of 'b'"):
        stream.update({"unique_id": "a", "y": 51.0})
    numbered = fitted(long((5, 3)), norm="none").stream(3)
    assert numbered.forecast()["unique_id"].tolist() == [3, 3, 3]
    dated = fitted(pd.Series(values(), stamps(), name="load")).stream()
    dated.update(50.0)
    assert dated.forecast().index[0] == pd.Timestamp("2024-01-06 01:00")
    wide = fitted(pd.DataFrame({"a": values(), "b": values(seed=1)}, index=stamps()), target=["a", "b"]).stream("b")
    wide.update(pd.Series({"a": 1.0, "b": 50.0}, name=pd.Timestamp("2024-01-06")))
    assert wide.forecast().columns[0] == "b"


def test_a_network_of_ones_own():
    model = fitted(values(), network=lambda layout: rnnkit.DirectForecaster(layout, hidden_size=3, conv_channels=2))
    assert model.module_.front is not None
    assert model.predict().shape == (3,)


def test_days_of_a_zone():
    days = pd.date_range("2024-01-01", periods=120, tz="Europe/Berlin")
    model = fitted(pd.Series(values()[:120], days))
    assert model.predict().index[0] == pd.Timestamp("2024-04-30", tz="Europe/Berlin")
    stream = model.stream()
    stream.update({"ds": days[-1] + pd.Timedelta(days=1), "y": 1.0})
    assert stream.forecast().index[0] == pd.Timestamp("2024-05-01", tz="Europe/Berlin")


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
