"""Forecasts with scikit-learn's interface: every form of series in, and the same form out."""

import numpy as np
import pytest

pytest.importorskip("sklearn")
pd = pytest.importorskip("pandas")

import torch  # noqa: E402
from forecaster_data import STEPS, fitted, long, stamps, values  # noqa: E402

from rnnkit.data.forecasting import TimeSeries  # noqa: E402
from rnnkit.errors import DataError  # noqa: E402


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


def test_days_of_a_zone():
    days = pd.date_range("2024-01-01", periods=120, tz="Europe/Berlin")
    model = fitted(pd.Series(values()[:120], days))
    assert model.predict().index[0] == pd.Timestamp("2024-04-30", tz="Europe/Berlin")
    stream = model.stream()
    stream.update({"ds": days[-1] + pd.Timedelta(days=1), "y": 1.0})
    assert stream.forecast().index[0] == pd.Timestamp("2024-05-01", tz="Europe/Berlin")
