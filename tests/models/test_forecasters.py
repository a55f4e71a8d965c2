import pytest
import torch
from forecasters import FULL, KINDS, PLAIN, make, windows
from tolerances import assert_close
from torch import nn

import rnnkit
from rnnkit.errors import ConfigError, DataError, ShapeError
from rnnkit.layers._recurrent import RecurrentLayer
from rnnkit.models.distributions import DISTRIBUTIONS
from rnnkit.serialization import save_module
from rnnkit.types import WindowLayout


def loss_of(model, x, y):
    """The loss as a Learner computes it."""
    learner = rnnkit.Learner(model, metrics=[])
    return learner._session.objective(
        learner._session.objective.call(model, rnnkit.Batch(x, y)), rnnkit.Batch(x, y)
    ).loss


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("output", DISTRIBUTIONS)
def test_every_forecaster_has_every_output(kind, output):
    layout = FULL if output != "point" else PLAIN
    more = {"norm": "mean"} if output == "negative_binomial" else {}
    if "normed" in kind and more:
        more["linear"] = False
    model = make(kind, layout, output=output, **more).train()
    x, y = windows(layout)
    if output == "negative_binomial":
        y, x[:, :12, 0] = y.abs().round(), x[:, :12, 0].abs().round()
    loss = loss_of(model, x, y)
    loss.backward()
    assert loss.isfinite()
    grads = {name: parameter.grad for name, parameter in model.named_parameters()}
    assert [name for name, grad in grads.items() if grad is None or not grad.isfinite().all()] == []
    with torch.no_grad():
        found = model.eval()(x)
    size = model.distribution.size
    assert found.shape == ((5, 6) if output == "point" else (5, 6, size))
    assert found.isfinite().all()
    assert model.distribution.mean(found).shape == (5, 6)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("layout", [PLAIN, FULL], ids=["plain", "full"])
def test_saved_forecasters_come_back(tmp_path, kind, layout):
    model = make(kind, layout, output="quantile")
    save_module(model, tmp_path)
    again = rnnkit.load(tmp_path)
    assert type(again) is type(model)
    assert again.config() == model.config()
    assert again.layout == model.layout
    x, _ = windows(layout)
    with torch.no_grad():
        torch.testing.assert_close(again(x), model(x), rtol=0, atol=0)
    assert "\n" not in repr(model)
    assert "12 steps of" in repr(model)


@pytest.mark.parametrize("kind", KINDS)
def test_the_native_core_and_the_reference_agree(kind):
    results = []
    for backend in ("native", "reference"):
        model = make(kind, FULL, output="gaussian")
        for part in model.modules():
            if isinstance(part, RecurrentLayer):
                part.backend = backend
        x, y = windows(FULL)
        x[1, :5, model.layout.columns("observed")] = 0
        loss = loss_of(model, x, y)
        loss.backward()
        results.append([loss.detach(), *(one.grad for one in model.parameters())])
    assert_close(*results)


def test_direct_is_a_recurrence_and_a_linear_map():
    model = make("direct deep")
    x, _ = windows()
    theirs = nn.LSTM(1, 10, 2, batch_first=True)
    theirs.load_state_dict(model.body.state_dict())
    assert_close(model(x), model.head(theirs(x[:, :12])[0][:, -1]))


def test_direct_sees_the_known_covariates_of_each_step():
    layout = {**PLAIN, "known": ("hour",)}
    model = make("direct", layout)
    x, _ = windows(layout)
    changed = x.clone()
    changed[:, 12 + 2, 1] += 1
    differs = (model(x) != model(changed)).any(0)
    assert differs.tolist() == [False, False, True, False, False, False]


def test_a_linear_map_of_the_window_is_added():
    model = make("direct normed", norm="last")
    x, _ = windows()
    before = model(x)
    with torch.no_grad():
        model.linear.weight.normal_()
    window = x[:, :12, 0] - x[:, 11:12, 0]
    assert_close(model(x), before + model.linear(window))


def test_segments_are_those_of_the_paper():
    """The authors' code with channel ids, on the same weights."""
    layout = {"lookback": 12, "horizon": 8, "series": 3}
    torch.manual_seed(0)
    model = rnnkit.SegmentForecaster(WindowLayout(**layout), 4, 16).eval()
    x, _ = windows(layout)
    gru = nn.GRU(16, 16, batch_first=True)
    gru.load_state_dict(model.body.state_dict())
    series, last = x[:, :12, 0], x[:, 11:12, 0]
    segments = (series - last).reshape(-1, 3, 4)
    _, h = gru(torch.relu(model.front(segments)))
    asked = torch.cat((model.positions.repeat(5, 1), model.embedding(x[:, 0, 1].long()).repeat_interleave(2, 0)), -1)[
        :, None
    ]
    _, h = gru(asked, h.repeat(1, 1, 2).view(1, -1, 16))
    assert_close(model(x), model.head(h[0]).view(5, 8) + last)


def test_segments_that_do_not_divide_the_window_begin_with_zeros():
    model = make("segments cut", norm="last")
    x, _ = windows()
    longer = torch.cat((x[:, 11:12].expand(-1, 3, -1), x), 1)  # the last value, which is 0 when it is subtracted
    assert_close(model(x), model.forecast(longer))


def test_the_decoder_steps_through_the_horizon():
    layout = {**PLAIN, "known": ("hour",)}
    model = make("feedback", layout, norm="none")
    x, _ = windows(layout)
    _, state = model.encoder(x[:, :12])
    last, expected = x[:, 11, 0], []
    for step in range(6):
        place = torch.full((5, 1), (step + 1) / 6)
        output, state = model.decoder(torch.cat((x[:, 12 + step, 1:], place, last[:, None]), 1)[:, None], state)
        last = model.head(output)[:, 0, 0]
        expected.append(last)
    assert_close(model(x), torch.stack(expected, 1))


# --- normalisation, short histories, series ------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["direct normed", "segments", "feedback", "deepar"])
@pytest.mark.parametrize("output", ["point", "quantile", "gaussian", "student_t"])
def test_normalised_windows_make_forecasts_follow_level_and_scale(kind, output):
    x, _ = windows()
    moved = x.clone()
    moved[:, :12] = 3 * x[:, :12] + 50
    levels = (0.1, 0.5, 0.9)
    for norm, factor in (("standard", 3.0), ("last", 1.0)):
        model = make(kind, output=output, norm=norm)
        if norm == "last":
            moved[:, :12] = x[:, :12] + 50
        one, other = (
            (model(w) if output == "point" else model.distribution.quantiles(model(w), levels)) for w in (x, moved)
        )
        torch.testing.assert_close(other, factor * one + 50, rtol=2e-4, atol=2e-3)


@pytest.mark.parametrize("kind", [kind for kind in KINDS if kind not in ("direct conv", "direct both ways")])
@pytest.mark.parametrize("output", ["point", "gaussian"])
def test_a_series_that_begins_late_is_forecast_as_if_the_window_began_there(kind, output):
    if "normed" in kind:
        model = make(kind, FULL, output=output, linear=False)
    else:
        model = (
            make(kind, FULL, output=output, norm="none") if "deepar" not in kind else make(kind, FULL, output=output)
        )
    begin = 4 if kind == "segments" else 2 if kind == "segments cut" else 5
    x, _ = windows(FULL)
    layout = model.layout
    for name in ("target", "past", "known"):
        x[1, :begin, layout.columns(name)] = torch.nan
    x[1, :begin, layout.columns("observed")] = 0
    together = model(x)
    assert together.isfinite().all()
    alone = model.forecast(x[1:2, begin:])
    if kind == "deepar" and output == "gaussian":  # other draws
        mean, expected = (model.distribution.mean(one) for one in (together[1:2], alone))
        torch.testing.assert_close(mean, expected, rtol=1, atol=1)
        return
    assert_close(together[1:2], alone)


def test_series_have_embeddings_and_an_unknown_one_is_allowed():
    for kind in KINDS:
        model = make(kind, FULL, output="point")
        x, _ = windows(FULL, rows=2)
        x[1] = x[0]
        x[:, :, model.layout.columns("series")] = torch.tensor([0.0, 2.0])[:, None, None]
        first, second = model(x)
        assert not torch.allclose(first, second), kind
        x[0, :, model.layout.columns("series")] = 4.0
        with pytest.raises(DataError, match="the series number 4 arrived; expected 1 to 3, or 0"):
            model(x)


def test_a_convolution_in_front_has_fewer_steps():
    model = make("direct conv", FULL)
    x, _ = windows(FULL)
    x[0, :5, model.layout.columns("observed")] = 0
    assert model(x).shape == (5, 6)
    assert model.front(torch.zeros(1, 12, model.step_size))[0].shape == (1, 6, 6)


# --- learning ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", KINDS)
def test_each_learns_a_sine(kind):
    torch.manual_seed(0)
    start = torch.rand(128, 1) * 6.28
    waves = torch.sin(start + 0.5 * torch.arange(18))
    x = waves[:, :, None].clone()
    x[:, 12:] = 0
    y = waves[:, 12:]
    model = make(kind, output="point")
    learner = rnnkit.Learner(model, lr=0.02, objective="horizon")
    learner.fit(x, y, epochs=7 if kind != "deepar" else 12, batch_size=16, seed=0, progress=False)
    # Persistence and the mean, 0, are off by about 0.8 and 0.64.
    assert (learner.predict(x) - y).abs().mean() < 0.2
    assert learner.evaluate(x, y)["loss"] < 0.06


def test_a_distribution_learns_its_spread():
    torch.manual_seed(0)
    x = torch.randn(256, 18, 1)
    x[:, 12:] = 0
    y = 2 + 0.5 * torch.randn(256, 6)
    learner = rnnkit.Learner(make("direct", output="gaussian"), lr=0.02)
    learner.fit(x, y, epochs=8, batch_size=32, seed=0, progress=False)
    raw = learner.predict(x)
    assert learner.model.distribution.mean(raw).mean().item() == pytest.approx(2, abs=0.15)
    assert learner.model.distribution.std(raw).mean().item() == pytest.approx(0.5, abs=0.15)


def test_weights_leave_targets_out():
    model = make("direct", output="student_t")
    x, y = windows()
    y[0] = 1e3
    weights = torch.ones(5, 6)
    weights[0] = 0
    learner = rnnkit.Learner(model)
    each = model.distribution.losses(learner.predict(x), y)
    history = learner.fit(x, y, sample_weight=weights, epochs=1, batch_size=5, progress=False)
    assert history.rows[0]["loss"] == pytest.approx(each[1:].mean().item(), rel=1e-4)


# --- errors --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", KINDS)
def test_windows_of_another_shape_are_refused(kind):
    with pytest.raises(ShapeError, match=r"expected \(batch, 18, 1\): 12 lookback and 6 horizon steps of 1 channels"):
        make(kind)(torch.zeros(2, 12, 1))


def test_settings_that_are_refused():
    layout = WindowLayout(**PLAIN)
    with pytest.raises(ConfigError, match="expected 'none' or 'mean' with output='negative_binomial'"):
        rnnkit.DirectForecaster(layout, output="negative_binomial", norm="last")
    with pytest.raises(ConfigError, match="expected False with output='negative_binomial'"):
        rnnkit.DirectForecaster(layout, output="negative_binomial", linear=True)
    with pytest.raises(ConfigError, match="did you mean 'lstm'"):
        rnnkit.DeepAR(layout, "LSTM")
    with pytest.raises(ConfigError, match=r"segment=0 arrived"):
        rnnkit.SegmentForecaster(layout, 0)
    with pytest.raises(ConfigError, match="has no argument 'horizon'; give it to the layout"):
        rnnkit.DirectForecaster(layout, horizon=6)
    with pytest.raises(ConfigError, match="has no argument 'units'; type hidden_size=3"):
        rnnkit.EncoderDecoderForecaster(layout, units=3)
    with pytest.raises(ConfigError, match="has no argument 'loss'; give it to the learner"):
        rnnkit.DeepAR(layout, loss="mse")
    with pytest.raises(ConfigError, match=r"layout=12 arrived; expected a WindowLayout"):
        rnnkit.DirectForecaster(12)


def test_a_layout_may_be_its_json():
    layout = WindowLayout(**FULL)
    assert rnnkit.DirectForecaster(layout.to_json()).layout == layout
