"""Linear forecasters: their equations, and ridge against scikit-learn on the same inputs."""

import numpy as np
import pytest
import torch
from tolerances import assert_close

from rnnkit.data.forecasting import ForecastPreprocessing, TimeSeries, divide_time
from rnnkit.errors import ConfigError, DataError, ShapeError
from rnnkit.tasks import forecast_linear
from rnnkit.tasks.forecast_linear import DLinear, NLinear, Ridge, train_linear
from rnnkit.tasks.forecasting import forecast_windows


def divided(missing=False, **settings):
    steps = np.arange(120)
    values = np.sin(steps / 3) * 5 + 20 + np.random.default_rng(0).normal(scale=0.1, size=120)
    if missing:
        values[[20, 21, 90]] = np.nan
    series = TimeSeries.from_arrays(
        [values], start="2024-01-01", frequency="hour", past={"wind": [np.cos(steps / 3)]}, known={"open": [steps % 2]}
    )
    parts = divide_time(series, (0.6, 0.2, 0.2))
    settings = {"lookback": 8, "horizon": 3, **settings}
    return ForecastPreprocessing.fit(parts, **settings).divide(parts)


def test_the_equations_of_nlinear_and_dlinear():
    torch.manual_seed(0)
    x = torch.randn(4, 7, 3)
    nlinear, dlinear = NLinear(5, 2), DLinear(5, 2, kernel=3)
    history = x[:, :5, 0]
    last = history[:, -1:]
    assert_close(nlinear(x), (history - last) @ nlinear.linear.weight.T + nlinear.linear.bias + last)
    padded = torch.cat([history[:, :1], history, history[:, -1:]], 1)
    trend = (padded[:, :-2] + padded[:, 1:-1] + padded[:, 2:]) / 3
    assert_close(dlinear(x), dlinear.of_trend(trend) + dlinear.of_rest(history - trend))
    changed = x.clone()
    changed[:, 5:] = float("nan")
    changed[:, :, 1:] = float("nan")
    assert torch.equal(dlinear(x), dlinear(changed))
    with pytest.raises(ShapeError, match=r"\[4, 6, 3\]; expected \[B, 7, C\]"):
        nlinear(x[:, :6])
    with pytest.raises(ConfigError, match="kernel=4"):
        DLinear(5, 2, kernel=4)


@pytest.mark.parametrize("kind", ["dlinear", "nlinear"])
def test_linear_models_learn_a_wave(kind):
    train, validation, test = divided(calendar=())
    model = train_linear(kind, train, validation, epochs=40, batch_size=16, lr=0.02)
    again = train_linear(kind, train, validation, epochs=40, batch_size=16, lr=0.02)
    error = np.abs(forecast_windows(model, test) - test.truth()).mean()
    assert error < 1.0
    assert torch.equal(model(test[:].inputs), again(test[:].inputs))
    assert np.allclose(forecast_windows(model, test, [2, 5], batch_size=1), forecast_windows(model, test)[[2, 5]])
    with pytest.raises(ConfigError, match="did you mean 'nlinear'"):
        train_linear("linear", train)


def test_ridge_is_scikit_learns_on_the_same_inputs():
    linear = pytest.importorskip("sklearn.linear_model")
    train, _, test = divided(missing=True)
    ridge = Ridge.fit(train, penalties=(3.0,), batch_size=7)
    batch, later = train[:], test[:]
    whole = batch.weights.bool().all(1).numpy()
    assert 0 < whole.sum() < len(train)

    def features(x):
        layout = train.layout
        assert layout.observed
        past = torch.cat([x[:, :8, :2], x[:, :8, layout.columns("observed")]], 2).flatten(1)
        return torch.cat([past, x[:, :, layout.columns("known")].flatten(1)], 1).double().numpy()

    other = linear.Ridge(alpha=3.0).fit(features(batch.inputs)[whole], batch.targets.double().numpy()[whole])
    assert np.allclose(ridge.forecast(test), test.unscale(other.predict(features(later.inputs))), atol=1e-6)
    assert np.allclose(ridge.forecast(test, [4]), ridge.forecast(test)[[4]])


def test_validation_windows_choose_the_penalty():
    train, validation, test = divided(calendar=())
    ridge = Ridge.fit(train, validation, penalties=(1e-3, 1e6))
    assert ridge.penalty == 1e-3
    assert np.abs(ridge.forecast(test) - test.truth()).mean() < 0.3
    assert Ridge.fit(train, penalties=(1.0, 2.0, 5.0)).penalty == 2.0
    with pytest.raises(ConfigError, match="penalties="):
        Ridge.fit(train, penalties=())


def test_many_features_are_fewer_or_refused(monkeypatch):
    train, _, test = divided()
    assert Ridge.fit(train).known == "all"
    monkeypatch.setattr(forecast_linear, "_MOST", 30)
    ridge = Ridge.fit(train)
    assert ridge.known == "first"
    assert ridge.weights.shape == (8 * 2 + 7, 3)
    assert np.isfinite(ridge.forecast(test)).all()
    monkeypatch.setattr(forecast_linear, "_MOST", 10)
    with pytest.raises(DataError, match="17 features; ridge takes at most 10"):
        Ridge.fit(train)
