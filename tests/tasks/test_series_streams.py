"""A stream in the user's units equals a forecast of the whole history from the same start."""

import numpy as np
import pytest
import torch

import rnnkit
from rnnkit.data.forecasting import ForecastPreprocessing, TimeSeries, divide_time
from rnnkit.errors import DataError
from rnnkit.tasks.forecasting import ForecastPredictor

L, H = 12, 3
KINDS = {
    "direct": rnnkit.DirectForecaster,
    "deepar": rnnkit.DeepAR,
    "encoder_decoder": rnnkit.EncoderDecoderForecaster,
}


def made(steps=90, missing=(), covariates=False, series=1, frequency="hour"):
    random = np.random.default_rng(0)
    values = [100 * (row + 1) + 10 * np.sin(np.arange(steps) / 4) + random.normal(size=steps) for row in range(series)]
    for one in values:
        one[list(missing)] = np.nan
    more = {}
    if covariates:
        more["past"] = {"wind": [random.normal(5, 2, steps) for _ in values]}
        more["known"] = {"holiday": [random.integers(0, 2, steps).astype(float) for _ in values]}
        more["static"] = {"size": [float(row) for row in range(series)]}
    ids = [f"plant {row}" for row in range(series)]
    return TimeSeries.from_arrays(values, start="2024-01-01", frequency=frequency, ids=ids, **more)


def predictor_of(series, kind="direct", **settings):
    preprocessing = ForecastPreprocessing.fit(divide_time(series), lookback=L, horizon=H, series_index=len(series) > 1)
    torch.manual_seed(0)
    model = KINDS[kind](preprocessing.layout, "gru", 6, output="gaussian", **settings)
    predictor = ForecastPredictor(model, preprocessing)
    predictor.calibrate(preprocessing.divide(divide_time(series))[1], (0.5,))
    return predictor


def cut(series, end):
    """The series up to a step."""
    parts = {name: tuple(one[:end] for one in getattr(series, name)) for name in ("times", "targets", "past", "known")}
    return TimeSeries(
        series.ids, frequency=series.frequency, static=series.static,
        past_names=series.past_names, known_names=series.known_names, **parts,
    )  # fmt: skip


def row_of(series, step, row=0):
    found = {"ds": series.times[row][step], "y": series.targets[row][step]}
    for kind in ("past", "known"):
        names = getattr(series, f"{kind}_names")
        found |= dict(zip(names, getattr(series, kind)[row][step], strict=True))
    return found


def window(predictor, series, begin, end, row=0):
    """The steps from `begin` to `end` of a series and its horizon, [1, T + H, C]."""
    source = predictor.preprocessing.prepare(series)
    start = int(source.starts[row])
    steps = source.steps[start + begin : start + end + H].clone()
    layout = predictor.preprocessing.layout
    for kind in ("target", "past", "observed"):
        steps[end - begin :, layout.columns(kind)] = 0
    fixed = source.fixed[row].expand(len(steps), -1)
    return torch.cat([steps, fixed], 1)[None]


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("form", ["plain", "covariates and gaps"])
def test_a_carried_state_equals_the_whole_history(kind, form):
    full = form != "plain"
    series = made(missing=(70, 71, 79) if full else (), covariates=full, series=2 if full else 1)
    predictor = predictor_of(series, kind)
    stream = predictor.stream(cut(series, 65), series.ids[-1])
    assert stream.recomputes is None
    row = len(series) - 1
    for step in range(65, 82):
        stream.update(row_of(series, step, row))
    known = {"holiday": series.known[row][82:85, 0]} if full else None
    found = stream.forecast(known)
    model = predictor.model.eval()
    with torch.no_grad():
        raw = model.forecast(window(predictor, series, 65 - L, 82, row))
    scaling = predictor.preprocessing.scaling
    middle = model.distribution.quantiles(raw, (0.5,))[0, :, 0].double().numpy()
    np.testing.assert_allclose(found["forecast"], scaling.centers[row] + scaling.scales[row] * middle, rtol=1e-5)
    assert found["ds"].tolist() == series.times[row][82:85].tolist()
    low, high = predictor.intervals.interval(found["forecast"][None], 0.5, scale=np.array([scaling.scales[row]]))
    np.testing.assert_allclose(found["low_50"], low[0])
    np.testing.assert_allclose(found["high_50"], high[0])


@pytest.mark.parametrize("kind", ["direct", "deepar"])
def test_from_a_window_on_it_equals_the_predictor_and_others_always_do(kind):
    series = made(missing=(84,))
    carried = predictor_of(series, kind)
    expected = carried.forecast(carried.preprocessing.latest(series))[0]
    np.testing.assert_allclose(carried.stream(series).forecast()["forecast"], expected, rtol=1e-5)
    normed = predictor_of(series, kind, norm="standard")
    stream = normed.stream(cut(series, 70))
    assert "normalises each window" in stream.recomputes
    assert stream.recomputes in repr(stream)
    for step in range(70, 90):
        stream.update(row_of(series, step))
    expected = normed.forecast(normed.preprocessing.latest(series))[0]
    np.testing.assert_allclose(stream.forecast()["forecast"], expected, rtol=1e-5)


def test_a_stream_is_saved_and_goes_on(tmp_path):
    series = made(covariates=True)
    for norm in ("none", "standard"):
        predictor = predictor_of(series, norm=norm)
        stream = predictor.stream(cut(series, 60))
        stream.save(tmp_path / "stream.safetensors")
        again = predictor.stream(state=tmp_path / "stream.safetensors")
        assert (again.id, again.time) == ("plant 0", series.times[0][59])
        for one in (stream, again):
            one.update(row_of(series, 60))
        known = {"holiday": [0, 1, 0]}
        assert again.forecast(known)["forecast"].tolist() == stream.forecast(known)["forecast"].tolist()
    with pytest.raises(DataError, match="channels; this model reads"):
        predictor_of(made()).stream(state=tmp_path / "stream.safetensors")
    (tmp_path / "bad.safetensors").write_bytes(b"no")
    with pytest.raises(DataError, match="damaged"):
        predictor.stream(state=tmp_path / "bad.safetensors")


def test_steps_that_are_left_out_are_missing():
    series = made(missing=(60, 61))
    predictor = predictor_of(series)
    gone, told = predictor.stream(cut(series, 60)), predictor.stream(cut(series, 60))
    gone.update(row_of(series, 62))
    for step in (60, 61, 62):
        told.update(row_of(series, step))
    assert gone.forecast()["forecast"].tolist() == told.forecast()["forecast"].tolist()
    told.update(float("nan"))
    assert told.time == series.times[0][63]


def test_known_covariates_of_the_history_serve_for_the_steps_to_come():
    series = made(covariates=True)
    predictor = predictor_of(series)
    targets = series.targets[0].copy()
    targets[80:] = np.nan
    longer = TimeSeries(
        series.ids, series.times, (targets,), series.frequency, series.past, series.known, series.past_names,
        series.known_names, series.static,
    )  # fmt: skip
    stream, other = predictor.stream(longer), predictor.stream(cut(series, 80))
    stream.update({"y": 100.0, "wind": 5.0})
    other.update(row_of(series, 80) | {"y": 100.0, "wind": 5.0})
    known = {"holiday": series.known[0][81:84, 0]}
    assert stream.forecast()["forecast"].tolist() == other.forecast(known)["forecast"].tolist()
    with pytest.raises(DataError, match="values for 0 of the next 3 steps"):
        other.forecast()


def test_times_of_other_kinds_are_read():
    from datetime import datetime

    import pandas as pd

    series = made()
    predictor = predictor_of(series)
    for stamp in ("2024-01-04 18:00", datetime(2024, 1, 4, 18), pd.Timestamp("2024-01-04T19:00+01:00")):
        stream = predictor.stream(series)
        stream.update({"ds": stamp, "y": 1.0})
        assert str(stream.time).startswith("2024-01-04T18:00")
    frame = pd.DataFrame({"y": [1.0]}, index=pd.DatetimeIndex(["2024-01-04 18:00"]))
    stream = predictor.stream(series)
    stream.update(frame.iloc[0])
    assert str(stream.time).startswith("2024-01-04T18:00")


def test_a_stream_follows_the_clock_of_its_zone():
    pytest.importorskip("pandas")
    plain = made()
    zoned = TimeSeries.from_arrays(
        plain.targets, start="2024-01-01", frequency="hour", ids=plain.ids, time_zone="Asia/Shanghai"
    )
    stream = predictor_of(zoned).stream(zoned)  # the stamps of the series are UTC
    stream.update({"ds": "2024-01-05 02:00", "y": 100.0})
    assert stream.time == np.datetime64("2024-01-04T18:00")
    assert "at 2024-01-05 02:00+08:00" in repr(stream)
    with pytest.raises(DataError, match=r"2024-01-05 01:00\+08:00 is not behind the last step"):
        stream.update({"ds": "2024-01-05 01:00", "y": 100.0})
    assert stream.forecast()["ds"][0] == np.datetime64("2024-01-04T19:00")


def test_rows_that_cannot_be_taken_are_refused_with_what_to_type():
    series = made(covariates=True)
    stream = predictor_of(series).stream(series)
    row = row_of(made(120, covariates=True), 90)
    for wrong, message in (
        (row | {"ds": "2024-01-04 17:00"}, "not behind the last step of the stream, 2024-01-04 17:00"),
        (row | {"ds": "2024-01-04 18:30"}, "between two steps, which are hourly"),
        (row | {"ds": "2024-02-04 18:00"}, "at most the lookback of 12 may be missing"),
        (row | {"ds": "soon"}, "'soon' cannot be read"),
        (row | {"y": "high"}, "the target is 'high'; expected a number"),
        (row | {"wind": np.inf}, "the covariate 'wind' is inf"),
        ({"y": 1.0, "holiday": 1}, "the row has no covariate 'wind'"),
        ({"wind": 1.0, "holiday": 1}, "the row has no target 'y'"),
        ([1.0, 2.0], "a list arrived"),
        (1.0, "the row has no covariate 'wind'"),
    ):
        with pytest.raises(DataError, match=message):
            stream.update(wrong)
    several = made(series=2)
    with pytest.raises(DataError, match="2 series arrived; expected the id of one of them: 'plant 0', 'plant 1'"):
        predictor_of(several).stream(several)
    with pytest.raises(DataError, match="reads 'size' of a series"):
        predictor_of(series).stream()
    fresh = predictor_of(made()).stream()
    with pytest.raises(DataError, match="no observation has arrived"):
        fresh.forecast()
    with pytest.raises(DataError, match="the first row of a stream has no time"):
        fresh.update(1.0)
    fresh.update({"ds": "2024-05-01", "y": 101.0})
    assert fresh.forecast()["forecast"].shape == (3,)
