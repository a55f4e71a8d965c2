"""Losses, quantiles and samples of a forecaster's outputs, compared with SciPy."""

import numpy as np
import pytest
import torch
from scipy import stats
from tolerances import assert_close
from torch.nn.functional import softplus

import rnnkit
from rnnkit.errors import ConfigError, DataError, ShapeError
from rnnkit.models.distributions import (
    DISTRIBUTIONS,
    Gaussian,
    NegativeBinomial,
    Point,
    Quantile,
    StudentT,
    make_distribution,
)

LEVELS = (0.001, 0.1, 0.5, 0.77, 0.9, 0.999)
FAMILIES = (Gaussian, StudentT, NegativeBinomial)


def raw_of(distribution, rows=40):
    torch.manual_seed(0)
    return 3 * torch.randn(rows, distribution.size, dtype=torch.float64)


def in_scipy(distribution, raw):
    if isinstance(distribution, Gaussian):
        return stats.norm(raw[:, 0].numpy(), distribution.std(raw).numpy())
    if isinstance(distribution, StudentT):
        location, scale, df = (one.numpy() for one in distribution.parameters(raw))
        return stats.t(df, location, scale)
    mean, alpha = (one.numpy() for one in distribution.parameters(raw))
    return stats.nbinom(1 / alpha, 1 / (1 + alpha * mean))


def targets_of(distribution, raw):
    torch.manual_seed(1)
    return distribution.sample(raw, 1)[0]


@pytest.mark.parametrize("kind", FAMILIES)
def test_the_loss_is_scipys_negative_log_likelihood(kind):
    distribution = kind()
    raw = raw_of(distribution)
    y, theirs = targets_of(distribution, raw), in_scipy(distribution, raw)
    density = theirs.logpmf if kind is NegativeBinomial else theirs.logpdf
    expected = torch.tensor(-density(y.numpy()))
    assert_close(distribution.losses(raw, y), expected)
    assert_close(distribution.loss(raw, y), expected.mean())


@pytest.mark.parametrize("kind", FAMILIES)
def test_moments_and_quantiles_are_scipys(kind):
    distribution = kind()
    raw = raw_of(distribution)
    theirs = in_scipy(distribution, raw)
    assert_close(distribution.mean(raw), torch.tensor(theirs.mean()))
    assert_close(distribution.median(raw), torch.tensor(theirs.median()))
    expected = torch.stack([torch.tensor(theirs.ppf(level)) for level in LEVELS], 1)
    torch.testing.assert_close(distribution.quantiles(raw, LEVELS), expected, rtol=1e-8, atol=1e-8)


@pytest.mark.parametrize(("mean", "alpha"), [(0.01, 0.001), (1e5, 0.01), (300.0, 5.0), (40.0, 1e-3)])
def test_quantiles_of_rare_and_of_large_counts(mean, alpha):
    distribution = NegativeBinomial()
    raw = torch.tensor([mean, alpha + 1e-12], dtype=torch.float64).sub(1e-3).clamp(min=1e-9).expm1().log()
    raw[0] = mean if mean > 30 else raw[0]
    theirs = in_scipy(distribution, raw[None])
    found = distribution.quantiles(raw, LEVELS).numpy()
    # At a jump of the distribution function rounding decides: one count beside is as right there.
    assert (theirs.cdf(found) >= np.array(LEVELS) - 1e-9).all()
    assert (theirs.cdf(found - 1) < np.array(LEVELS) + 1e-9).all()


@pytest.mark.parametrize("df", [2.0, 2.5, 5.0, 30.0, 1000.0])
def test_quantiles_of_students_t_for_few_and_many_degrees(df):
    raw = torch.zeros(1, 3, dtype=torch.float64)
    raw[0, 2] = df if df > 32 else torch.tensor(max(df - 2, 1e-12), dtype=torch.float64).expm1().log()
    distribution = StudentT()
    expected = in_scipy(distribution, raw).ppf(LEVELS)
    assert_close(distribution.quantiles(raw, LEVELS)[0], torch.tensor(expected))


@pytest.mark.parametrize("kind", FAMILIES)
def test_samples_have_the_distribution(kind):
    distribution = kind()
    raw = 0.3 * raw_of(distribution, 3)
    torch.manual_seed(0)
    samples = distribution.sample(raw, 4000)
    assert samples.shape == (4000, 3)
    assert not samples.requires_grad
    for row in range(3):
        below = (samples[:, row, None] <= distribution.quantiles(raw[row], (0.2, 0.5, 0.8))).double().mean(0)
        theirs = in_scipy(distribution, raw[row : row + 1])
        expected = theirs.cdf(distribution.quantiles(raw[row], (0.2, 0.5, 0.8)).numpy())
        torch.testing.assert_close(below, torch.tensor(expected), atol=0.03, rtol=0)


@pytest.mark.parametrize("kind", [Gaussian, StudentT])
def test_a_rescaled_distribution_is_that_of_the_scaled_number(kind):
    distribution = kind()
    raw = raw_of(distribution).clamp(min=-5)
    scale, offset = torch.linspace(0.5, 20, 40, dtype=torch.float64), torch.linspace(-3, 3, 40, dtype=torch.float64)
    again = distribution.rescale(raw, scale, offset)
    theirs = in_scipy(distribution, raw)
    y = targets_of(distribution, raw)
    expected = torch.tensor(theirs.logpdf(y.numpy())) - scale.log()
    torch.testing.assert_close(-distribution.losses(again, y * scale + offset), expected, rtol=1e-6, atol=1e-6)


def test_rescaled_counts_keep_their_dispersion():
    distribution, raw = NegativeBinomial(), raw_of(NegativeBinomial())
    (mean, alpha), (scaled, same) = (
        distribution.parameters(raw),
        distribution.parameters(distribution.rescale(raw, 7, 0)),
    )
    assert_close(scaled, 7 * mean)
    assert_close(same, alpha)
    with pytest.raises(ConfigError, match="leave the targets unscaled"):
        distribution.rescale(raw, 2, 1)


def test_targets_that_are_no_counts_are_refused():
    for wrong in (-0.5, -1.0, 2.5):
        with pytest.raises(
            DataError, match=rf"the target {wrong:g} arrived; output='negative_binomial' expects counts"
        ):
            NegativeBinomial().loss(torch.zeros(2, 2), torch.tensor([1.0, wrong]))
    gone = NegativeBinomial().losses(torch.zeros(2, 2), torch.tensor([1.0, torch.nan]))
    assert gone[1] == 0  # a missing one is no fraction


@pytest.mark.parametrize("form", ["sorted", "increments"])
def test_quantiles_never_cross_and_are_rescaled(form):
    distribution = Quantile((0.1, 0.4, 0.5, 0.9), form)
    raw = raw_of(distribution)
    own = distribution.quantiles(raw, distribution.levels)
    assert (own.diff(dim=-1) >= 0).all()
    if form == "increments":
        assert_close(own[:, 2], raw[:, 0] + softplus(raw[:, 1:3]).sum(1))
    again = distribution.quantiles(distribution.rescale(raw, 3.0, -2.0), distribution.levels)
    torch.testing.assert_close(again, 3 * own - 2, rtol=1e-5, atol=1e-5)


def test_the_pinball_loss_by_hand():
    distribution = Quantile((0.1, 0.5, 0.9))
    raw, y = torch.tensor([[3.0, 1.0, 2.0], [0.0, 0.0, 0.0]]), torch.tensor([2.5, -1.0])
    expected = torch.tensor([(0.1 * 1.5 + 0.5 * 0.5 + 0.1 * 0.5) / 3, (0.9 + 0.5 + 0.1) / 3])
    assert_close(distribution.losses(raw, y), expected)
    assert distribution.loss.__name__ == "pinball"


def test_between_quantiles_the_level_is_linear():
    distribution, raw = Quantile((0.2, 0.4, 0.8)), torch.tensor([1.0, 2.0, 6.0])
    assert_close(distribution.quantiles(raw, (0.3, 0.5, 0.8)), torch.tensor([1.5, 3.0, 6.0]))
    assert_close(distribution.median(raw), torch.tensor(3.0))
    assert_close(distribution.mean(raw), torch.tensor(0.2 * 1 + 0.2 * 1.5 + 0.4 * 4 + 0.2 * 6))
    torch.manual_seed(0)
    samples = distribution.sample(raw, 20_000)
    assert samples.min() == 1
    assert samples.max() == 6
    assert samples.mean().item() == pytest.approx(3.3, abs=0.05)
    with pytest.raises(
        ConfigError, match=r"the quantile 0.9 was asked for, but the model has quantiles from 0.2 to 0.8"
    ):
        distribution.quantiles(raw, (0.9,))


@pytest.mark.parametrize("kind", [*FAMILIES, Quantile])
def test_missing_targets_count_nothing_and_send_no_gradient(kind):
    distribution = kind()
    raw = raw_of(distribution, 4).requires_grad_()
    y = targets_of(distribution, raw)
    y[2] = torch.nan
    each = distribution.losses(raw, y)
    assert each[2] == 0
    each.sum().backward()
    assert raw.grad.isfinite().all()
    assert not raw.grad[2].any()
    assert raw.grad[[0, 1, 3]].any(1).all()


@pytest.mark.parametrize("kind", [*FAMILIES, Quantile])
def test_extreme_raw_numbers_keep_loss_and_gradient_finite(kind):
    distribution = kind()
    raw = torch.tensor([[sign * 40.0] * distribution.size for sign in (-1, 1)], requires_grad=True)
    loss = distribution.loss(raw, torch.tensor([0.0, 3.0]))
    loss.backward()
    assert loss.isfinite()
    assert raw.grad.isfinite().all()


@pytest.mark.parametrize("kind", [*FAMILIES, Quantile, Point])
def test_raw_numbers_come_back_from_samples(kind):
    distribution = kind()
    torch.manual_seed(0)
    raw = torch.tensor([2.0, 0.5, 3.0, 4, 5, 6, 7, 8, 9])[: distribution.size]
    if kind is Point:
        raw = raw[0]
    samples = distribution.sample(raw, 20_000)
    again = distribution.from_samples(samples)
    assert again.shape == raw.shape
    assert distribution.mean(again).item() == pytest.approx(samples.mean().item(), rel=0.02)
    if kind is not Point:
        levels = (0.2, 0.8)
        torch.testing.assert_close(
            distribution.quantiles(again, levels), distribution.quantiles(raw, levels), rtol=0.15, atol=0.15
        )


def test_weights_reach_the_loss_of_each_target():
    model = rnnkit.SequenceRegressor(rnnkit.GRU(1, 3), outputs=2)
    learner = rnnkit.Learner(model, loss=Gaussian().loss, metrics=[])
    x, y = torch.randn(6, 4, 1), torch.randn(6)
    each = Gaussian().losses(learner.predict(x), y)
    weights = 1 + torch.arange(6.0)
    history = learner.fit(x, y, epochs=1, batch_size=6, sample_weight=weights, progress=False)
    assert history.rows[0]["loss"] == pytest.approx((weights * each).mean().item(), rel=1e-4)


@pytest.mark.parametrize("name", DISTRIBUTIONS)
def test_each_is_made_of_its_json(name):
    distribution = make_distribution(name)
    assert make_distribution(distribution.to_json()) == distribution
    assert make_distribution(distribution) is distribution
    assert eval(repr(distribution)) == distribution


def test_errors():
    with pytest.raises(ConfigError, match="did you mean 'gaussian'"):
        make_distribution("gausian")
    with pytest.raises(ConfigError, match="expected settings of Gaussian"):
        make_distribution({"name": "gaussian", "levels": [0.1]})
    for levels in ((), (0, 0.5), (0.5, 1.2), 0.5):
        with pytest.raises(ConfigError, match="expected numbers between 0 and 1"):
            Quantile(levels)
    with pytest.raises(ConfigError, match="expected ascending numbers"):
        Quantile((0.9, 0.1))
    with pytest.raises(ConfigError, match="a point forecast has no quantiles"):
        Point().quantiles(torch.zeros(3), (0.5,))
    with pytest.raises(ShapeError, match="expected 9 numbers, a number a level"):
        Quantile().mean(torch.zeros(3, 2))
