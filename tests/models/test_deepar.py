"""DeepAR: teacher forcing in training, ancestral sampling in forecasts."""

import pytest
import torch
from forecasters import FULL, PLAIN, make, windows
from tolerances import assert_close
from torch import nn

import rnnkit
from rnnkit.errors import ConfigError, ShapeError
from rnnkit.types import WindowLayout


def steps_by_hand(model, x, y):
    """Raw numbers [B, L + H, M]: each step given the value before."""
    layout = model.layout
    gru = nn.GRU(model.step_size, 10, batch_first=True)
    gru.load_state_dict(model.body.state_dict())
    values = torch.cat((x[:, :12, 0], y), 1)
    lagged = torch.cat((torch.zeros(len(x), 1), values[:, :-1]), 1)[:, :, None]
    parts = [lagged]
    if layout.past:
        past = x[:, :, layout.columns("past")]
        parts.append(torch.cat((torch.zeros_like(past[:, :1]), past[:, :-1]), 1))
    parts.append(x[:, :, layout.columns("known")])
    if layout.observed:
        parts.append(torch.cat((torch.zeros(len(x), 1, 1), torch.ones(len(x), x.shape[1] - 1, 1)), 1))
    parts.append(x[:, :, layout.columns("static")])
    if layout.series:
        parts.append(model.embedding(x[:, :, -1].long()))
    return model.head(gru(torch.cat(parts, 2))[0])


@pytest.mark.parametrize("layout", [PLAIN, FULL], ids=["plain", "full"])
def test_with_targets_each_step_is_given_the_true_value_before(layout):
    model = make("deepar", layout)
    x, y = windows(layout)
    by_hand = steps_by_hand(model, x, y)
    assert_close(model(x, y), by_hand[:, 12:])
    horizon, (lookback, targets) = model.train()(x, y)
    assert_close(horizon, by_hand[:, 12:])
    assert_close(lookback, by_hand[:, 1:12].flatten(0, 1))
    assert_close(targets, x[:, 1:12, 0].flatten())


def test_training_counts_all_steps_and_evaluation_those_of_the_horizon():
    model = make("deepar")
    x, y = windows()
    by_hand = steps_by_hand(model, x, y).detach()
    each = model.distribution.losses(by_hand, torch.cat((x[:, :12, 0], y), 1))
    learner = rnnkit.Learner(model)
    assert learner.evaluate(x, y)["loss"] == pytest.approx(each[:, 12:].mean().item(), rel=1e-4)
    assert learner.evaluate(x, y, batch_size=2)["loss"] == pytest.approx(each[:, 12:].mean().item(), rel=1e-4)
    history = learner.fit(x, y, epochs=1, batch_size=5, progress=False)
    assert history.rows[0]["loss"] == pytest.approx(each[:, 1:].mean().item(), rel=1e-4)


def test_missing_targets_and_weights_count_nothing():
    model = make("deepar", FULL)
    x, y = windows(FULL)
    observed = model.layout.columns("observed")
    x[0, :4, observed] = 0
    x[2, 7, observed] = 0
    y[1, 2] = torch.nan
    _, (_, targets) = model.train()(x, y)
    assert len(targets) == 5 * 11 - 4 - 1  # steps 2 to 4 and the first one that has no step before, and one in between
    assert not any((targets == x[2, 7, 0]).tolist())
    learner = rnnkit.Learner(model)
    loss = learner.fit(x, y, epochs=1, batch_size=5, progress=False).rows[0]["loss"]
    assert torch.isfinite(torch.tensor(loss))
    assert all(one.isfinite().all() for one in model.parameters())


def test_a_target_without_weight_is_missing_for_the_model_too():
    x, y = windows(FULL)
    weights = torch.ones(5, 6)
    weights[1, 2] = 0
    marked, filled = y.clone(), y.clone()
    marked[1, 2], filled[1, 2] = torch.nan, 7.0
    losses = []
    for targets, sample_weight in ((marked, torch.ones(5, 6)), (filled, weights)):
        learner = rnnkit.Learner(make("deepar", FULL))
        fit = learner.fit(x, targets, sample_weight=sample_weight, epochs=2, batch_size=5, seed=0, progress=False)
        losses.append([row["loss"] for row in fit.rows])
    assert losses[0] == pytest.approx(losses[1], rel=1e-5)


def test_a_point_forecast_reads_its_own_values():
    layout = {**PLAIN, "known": ("hour",)}
    model = make("deepar", layout, output="point")
    x, _ = windows(layout)
    y = torch.zeros(5, 6)
    for step in range(6):
        y[:, step] = model(x, y)[:, step].detach()
    assert_close(model(x), y)
    assert_close(model.sample(x), y[:, None])


@pytest.mark.parametrize("output", ["gaussian", "student_t", "negative_binomial", "quantile"])
def test_the_first_step_has_the_distribution_of_its_parameters(output):
    layout = {**PLAIN, "horizon": 2}
    model = make("deepar", layout, output=output)
    x, _ = windows(layout, rows=2)
    raw = model(x, torch.zeros(2, 2))[:, 0].detach()
    samples = model.sample(x, 4000, seed=0)
    assert samples.shape == (2, 4000, 2)
    expected = model.distribution.sample(raw, 4000)
    torch.testing.assert_close(samples[:, :, 0].mean(1), expected.mean(0), atol=0.08, rtol=0)
    torch.testing.assert_close(samples[:, :, 0].std(1), expected.std(0), atol=0.3, rtol=0.1)


def test_later_steps_are_drawn_given_the_values_drawn_before():
    """z_t = z_{t−1} + noise: the spread grows as the root of the steps."""
    torch.manual_seed(0)
    model = rnnkit.DeepAR(WindowLayout(lookback=3, horizon=4), "simple_rnn", 1, 1, num_samples=4000)
    with torch.no_grad():
        for one in model.parameters():
            one.zero_()
        model.body.weight_ih_l0.fill_(0.01)  # tanh is linear here
        model.head.weight[0] = 100
        model.head.bias[1] = -2.2521  # softplus of it is 0.1
    x = torch.zeros(1, 7, 1)
    x[:, :3] = 0.5
    raw = model.eval()(x)[0]
    torch.testing.assert_close(model.distribution.mean(raw), torch.full((4,), 0.5), atol=0.02, rtol=0)
    torch.testing.assert_close(model.distribution.std(raw), 0.1 * torch.arange(1, 5).sqrt(), atol=0.01, rtol=0.05)


def test_forecasts_are_the_same_each_time_and_leave_the_global_generator_alone():
    model = make("deepar", FULL)
    x, _ = windows(FULL)
    state = torch.get_rng_state()
    first = model(x)
    assert torch.equal(torch.get_rng_state(), state)
    assert torch.equal(model(x), first)
    assert torch.equal(rnnkit.Learner(model).predict(x), first)
    assert torch.equal(model.train()(x), first)  # without dropout
    assert not torch.equal(model.sample(x), model.sample(x))
    assert torch.equal(model.sample(x, 3, seed=1), model.sample(x, 3, seed=1))


@pytest.mark.parametrize("output", ["gaussian", "negative_binomial", "point"])
def test_with_the_scale_of_a_window_forecasts_follow_it(output):
    model = make("deepar", output=output, norm="mean")
    x, y = windows()
    x, y = x.abs().mul(50), y.abs().mul(50)
    if output == "negative_binomial":
        x, y = x.round() + 300, y.round()  # wider than a byte
    scale = 1 + x[:, :12, 0].mean(1, keepdim=True)
    plain = make("deepar", output=output)
    raw = plain(x / scale[:, :, None], y / scale)
    assert_close(model(x, y), model.distribution.rescale(raw, scale, 0.0))
    samples = model.sample(x, 400, seed=0)
    mean = model.distribution.mean(model(x, y))[:, 0]
    torch.testing.assert_close(samples[:, :, 0].mean(1), mean, rtol=0.25, atol=0.5)
    assert rnnkit.Learner(model).fit(x, y, epochs=1, progress=False).rows[0]["loss"] > 0


def test_other_targets_are_refused():
    model = make("deepar")
    x, _ = windows()
    with pytest.raises(ShapeError, match=r"targets has shape \(5, 7\); expected \(5, 6\)"):
        model(x, torch.zeros(5, 7))
    with pytest.raises(ShapeError, match="outputs of 6 steps"):
        rnnkit.Learner(make("direct")).fit(x, torch.zeros(5, 7), progress=False)
    with pytest.raises(ShapeError, match=r"targets has shape \(2, 7\); expected \(2, 6\)"):
        rnnkit.Learner(model).fit(x, torch.zeros(5, 7), progress=False)
    with pytest.raises(ConfigError, match="samples=0 arrived"):
        model.sample(x, 0)
