"""Windows: what a model sees, what it must not see, and their batches."""

import json
from dataclasses import replace

import numpy as np
import pytest
import torch

import rnnkit
from rnnkit.data.forecasting import ForecastPreprocessing, TimeSeries, WindowLayout, divide_time
from rnnkit.errors import ConfigError, DataError
from rnnkit.types import Batches, Dataset


def make(count=2, steps=40, missing=False):
    """Series that count from 0 and from 1,000, with a covariate of each kind."""
    values = [np.arange(float(steps)) + 1000 * row for row in range(count)]
    if missing:
        values[0][[5, 21, 22]] = np.nan
    return TimeSeries.from_arrays(
        values,
        start="2024-01-01",
        frequency="hour",
        ids=[f"s{row}" for row in range(count)],
        past={"wind": [np.arange(float(steps)) * 10 for _ in range(count)]},
        known={"open": [np.arange(steps) % 2 for _ in range(count)]},
        static={"size": [1.0 + row for row in range(count)], "kind": ["x", "y", "z"][:count]},
    )


def prepared(series, **settings):
    parts = divide_time(series, (0.5, 0.25, 0.25))
    settings = {"lookback": 6, "horizon": 3, "scale": "none", "calendar": ("hour",), **settings}
    preprocessing = ForecastPreprocessing.fit(parts, **settings)
    return preprocessing, parts, preprocessing.divide(parts)


def test_the_channels_are_in_the_order_of_the_layout():
    preprocessing, _, (train, _, test) = prepared(make(), observed=True, series_index=True)
    layout = preprocessing.layout
    assert layout == WindowLayout(
        6, 3, past=("wind",), known=("open", "hour_sin", "hour_cos"), static=("size", "kind"), observed=True, series=2
    )
    batch = test[[0, len(test) - 1]]
    assert batch.inputs.shape == (2, 9, layout.channels)
    assert batch.inputs.dtype == batch.targets.dtype == torch.float32
    x = batch.inputs[1]
    assert x[:, 0].tolist() == [1031, 1032, 1033, 1034, 1035, 1036, 0, 0, 0]
    assert batch.targets[1].tolist() == [1037, 1038, 1039]
    wind = np.arange(20.0) * 10  # of the training part
    expected = (np.arange(31, 37) * 10 - wind.mean()) / wind.std()
    assert np.allclose(x[:6, 1], expected)
    assert (x[6:, 1] == 0).all()
    assert np.allclose(x[:, 2], (np.arange(31, 40) % 2 - 0.5) / 0.5)
    assert np.allclose(x[:, 3], np.sin(2 * np.pi * np.arange(31, 40) / 24), atol=1e-6)
    assert x[:, layout.columns("observed")].ravel().tolist() == [1] * 6 + [0] * 3
    assert x[:, layout.columns("static")].tolist() == [[1, 2]] * 9
    assert batch.inputs[:, 0, layout.columns("series")].ravel().tolist() == [1, 2]
    assert train[[0]].inputs[0, :, 0].tolist() == [0, 1, 2, 3, 4, 5, 0, 0, 0]


def test_the_horizons_of_a_part_stay_inside_it_and_no_target_is_left_out():
    _, _, (train, validation, test) = prepared(make(1))
    assert sorted(set(train.truth().ravel())) == list(range(6, 20))
    assert sorted(set(validation.truth().ravel())) == list(range(20, 30))
    assert sorted(set(test.truth().ravel())) == list(range(30, 40))
    assert (len(train), len(validation), len(test)) == (12, 8, 8)
    assert validation[[0]].inputs[0, :6, 0].tolist() == list(range(14, 20))  # looks back into the training part


def test_what_comes_later_changes_nothing_before():
    series = make(1, missing=True)
    poisoned = replace(
        series,
        targets=(np.where(np.arange(40) < 20, series.targets[0], 1e6),),
        past=(np.where(np.arange(40)[:, None] < 20, series.past[0], -1e6),),
    )
    one, other = (prepared(each, scale="standard") for each in (series, poisoned))
    assert one[0].scaling == other[0].scaling
    assert one[0].covariates == other[0].covariates
    every = np.arange(len(one[2][0]))
    assert torch.equal(one[2][0][every].inputs, other[2][0][every].inputs)
    assert torch.equal(one[2][0][every].targets, other[2][0][every].targets)


def test_the_future_of_a_window_is_not_in_its_inputs():
    series = make(1)
    changed = replace(series, targets=(np.where(np.arange(40) < 30, series.targets[0], np.nan),))
    both = []
    for each in (series, replace(changed, targets=(np.nan_to_num(changed.targets[0], nan=7e5),))):
        preprocessing, _, _ = prepared(series, scale="standard")
        both.append(preprocessing.divide(divide_time(each, (0.5, 0.25, 0.25)))[2][[0]])
    assert torch.equal(both[0].inputs, both[1].inputs)
    assert not torch.equal(both[0].targets, both[1].targets)


def test_missing_targets_have_weight_0_and_inputs_repeat_the_last_value():
    preprocessing, _, (train, validation, _) = prepared(make(1, missing=True))
    assert preprocessing.layout.observed
    window = validation[[0]]
    assert window.weights.tolist() == [[1, 0, 0]]
    assert window.targets.tolist() == [[20, 20, 20]]
    assert np.array_equal(validation.truth([0]), [[20, np.nan, np.nan]], equal_nan=True)
    column = preprocessing.layout.columns("observed")
    assert validation[[3]].inputs[0, :6, 0].tolist() == [17, 18, 19, 20, 20, 20]
    assert validation[[3]].inputs[0, :6, column].ravel().tolist() == [1, 1, 1, 1, 0, 0]
    assert train[:].weights is None
    assert [field.name for field in validation.schema] == ["inputs", "targets", "weights"]


def test_windows_without_any_observed_target_are_left_out():
    series = make(1)
    series.targets[0][21:25] = np.nan
    _, _, (_, validation, _) = prepared(series)
    assert len(validation) == 6
    series.targets[0][20:39] = np.nan
    with pytest.raises(DataError, match="all 8 windows have no observed target"):
        prepared(series)


def test_a_short_history_is_padded_and_not_observed():
    preprocessing, _, (train, _, _) = prepared(make(), shortest=2)
    first = train[[0]].inputs[0]
    assert first[:, 0].tolist() == [0, 0, 0, 0, 0, 1, 0, 0, 0]
    assert first[:6, preprocessing.layout.columns("observed")].ravel().tolist() == [0, 0, 0, 0, 1, 1]
    assert len(train) == 2 * 16


def test_series_that_are_too_short_are_counted_or_refused_with_the_numbers():
    series = TimeSeries.from_arrays([np.arange(40.0), np.arange(8.0)], ids=["long", "short"])
    parts = divide_time(series, (0.5, 0.25, 0.25))
    preprocessing = ForecastPreprocessing.fit(parts, lookback=6, horizon=3)
    assert preprocessing.divide(parts)[1].short == 1
    too_long = ForecastPreprocessing.fit(parts, lookback=50, horizon=3)
    with pytest.raises(DataError, match=r"no window fits into the steps of train: the longest series has 20.*least 53"):
        too_long.divide(parts)
    long_horizon = ForecastPreprocessing.fit(parts, lookback=6, horizon=11)
    with pytest.raises(DataError, match=r"of validation.*6 of lookback and 11 of horizon"):
        long_horizon.divide(parts)


def test_batches_are_shuffled_by_seed_and_resume_in_the_middle():
    _, _, (train, validation, _) = prepared(make())
    assert isinstance(train, Dataset)
    batches = train.batches(5, shuffle=True, seed=3)
    assert isinstance(batches, Batches)
    first = [batch.targets for batch in batches]
    assert sum(map(len, first)) == len(train) == 24
    assert len(first[-1]) == 4
    assert next(iter(validation.batches(3))).targets.tolist() == [[20, 21, 22], [21, 22, 23], [22, 23, 24]]
    again = train.batches(5, shuffle=True, seed=3)
    iterator = iter(again)
    next(iterator)
    resumed = train.batches(5, shuffle=True, seed=3)
    resumed.load_state_dict(again.state_dict())
    assert all(torch.equal(one.targets, other) for one, other in zip(resumed, first[1:], strict=True))
    assert not torch.equal(next(iter(train.batches(5, shuffle=True, seed=4))).targets, first[0])


def test_stride_shards_and_fingerprints():
    preprocessing, parts, (train, _, test) = prepared(make())
    wide = preprocessing.divide(parts, stride=4)
    assert [len(one) for one in wide] == [6, 16, 16]
    shares = [train.shard(rank, 5) for rank in range(5)]
    assert {len(one) for one in shares} == {4}
    assert train.fingerprint() == prepared(make())[2][0].fingerprint()
    assert len({train.fingerprint(), test.fingerprint(), wide[0].fingerprint(), shares[0].fingerprint()}) == 4


def test_outputs_in_the_users_units_and_the_stamps_of_the_horizon():
    _, _, (_, _, test) = prepared(make(), scale="standard")
    batch = test[:]
    assert np.allclose(test.unscale(batch.targets), test.truth())
    picked = np.array([3, 9])
    several = torch.stack([batch.targets[picked], batch.targets[picked] + 1], 2)
    back = test.unscale(several, picked)
    assert np.allclose(back[..., 0], test.truth(picked))
    assert np.allclose(back[..., 1] - back[..., 0], np.std(np.arange(20)))
    assert np.allclose(test.scales(picked), np.std(np.arange(20)))
    assert test.stamps([0]).astype("datetime64[h]").astype(str).tolist() == [
        ["2024-01-02T06", "2024-01-02T07", "2024-01-02T08"]
    ]


def test_the_latest_window_is_what_is_to_be_forecast():
    series = make()
    preprocessing, _, _ = prepared(series)
    with pytest.raises(DataError, match=r"'open' of the series 's0' has no value at 2024-01-02 16:00, step 1 of 3"):
        preprocessing.latest(series)
    longer = series.with_future(3)
    for column in longer.known:
        column[40:, 0] = [1, 0, 1]
    latest = preprocessing.latest(longer)
    assert len(latest) == 2
    x = latest[:].inputs
    assert x[1, :, 0].tolist() == [1034, 1035, 1036, 1037, 1038, 1039, 0, 0, 0]
    assert x[1, 6:, 2].tolist() == [1, -1, 1]
    assert latest.stamps()[0].astype("datetime64[h]").astype(str).tolist()[0] == "2024-01-02T16"
    assert preprocessing.latest(longer[["s1"]])[:].inputs[0, 0, 0] == 1034
    short = TimeSeries.from_arrays([[1.0, 2.0]], start="2024-01-01", frequency="hour")
    bare = ForecastPreprocessing.fit(
        divide_time(TimeSeries.from_arrays([np.arange(40.0)], start="2024-01-01", frequency="hour")),
        lookback=6,
        horizon=2,
    )
    with pytest.raises(DataError, match="fewer than 6 observed steps.*the shortest has 2"):
        bare.latest(short)


def test_series_of_another_kind_are_refused():
    preprocessing, _, _ = prepared(make())
    with pytest.raises(DataError, match=r"the steps are daily; the model was trained on steps that are hourly"):
        preprocessing.prepare(TimeSeries.from_arrays([np.arange(9.0)], start="2024-01-01", frequency="day"))
    with pytest.raises(DataError, match=r'no past covariate \'wind\'.*type past=\["wind"\]'):
        preprocessing.prepare(TimeSeries.from_arrays([np.arange(9.0)], start="2024-01-01", frequency="hour"))


def test_an_unknown_series_has_index_0_an_unknown_text_0_and_a_scale_of_its_own():
    preprocessing, _, _ = prepared(make(), scale="standard", series_index=True)
    new = replace(make(1), ids=("new",), static={"size": np.array([np.nan]), "kind": np.array(["q"])})
    source = preprocessing.prepare(new)
    assert source.fixed.tolist() == [[0, 0, 0]]
    assert source.center.tolist() == [19.5]
    again = ForecastPreprocessing.from_json(json.loads(json.dumps(preprocessing.to_json())))
    assert again == preprocessing
    assert torch.equal(again.prepare(new).steps, source.steps)


def test_a_learner_takes_the_batches():
    torch.manual_seed(0)
    series = TimeSeries.from_arrays([np.sin(np.arange(80) * 0.5)], start="2024-01-01", frequency="hour")
    series.targets[0][30] = np.nan
    parts = divide_time(series, (0.6, 0.2, 0.2))
    train, validation, _ = ForecastPreprocessing.fit(parts, lookback=8, horizon=2, calendar=()).divide(parts)
    model = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(20, 2))
    learner = rnnkit.Learner(model, loss="mse", objective="horizon", lr=0.03, metrics=[])
    learner.fit(train.batches(8, shuffle=True), epochs=60, validation=validation.batches(8), progress=False)
    assert learner.evaluate(validation.batches(8))["loss"] < 0.05
    outputs = learner.predict(validation[:].inputs)
    assert np.abs(validation.unscale(outputs) - validation.truth()).mean() < 0.2


def test_a_layout_of_wrong_sizes_is_refused():
    with pytest.raises(ConfigError, match="lookback=0"):
        WindowLayout(0, 1)
    with pytest.raises(ConfigError, match="'a' arrived twice"):
        WindowLayout(1, 1, past=("a",), known=("a",))
    with pytest.raises(ConfigError, match="did you mean 'horizon'"):
        WindowLayout.from_json({"lookback": 1, "horizons": 2})
