"""The learning-rate range test."""

from __future__ import annotations

import copy
import random

import numpy as np
import pytest
import torch
from digits import made_mnist
from fitting import quiet, same, weights
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

import rnnkit
from rnnkit.errors import ConfigError, DataError, DivergenceError
from rnnkit.training.learner import Learner
from rnnkit.training.reports.rate_finder import suggest_rate


def quadratic(curvature=4.0):
    """θ from 10 under the loss (curvature / 2) θ², of which gradient descent diverges above 2 / curvature."""
    model = nn.Linear(1, 1, bias=False)
    nn.init.constant_(model.weight, 10.0)
    x = torch.ones(8, 1)
    return Learner(model, loss=lambda out, _: curvature / 2 * out.square().mean(), optimizer="sgd"), (x, torch.zeros(8))


def test_the_sweep_is_gradient_descent_at_rising_rates():
    learner, data = quadratic()
    sweep = learner.find_rate(data, low=1e-3, high=0.1, steps=20)
    weight, expected = 10.0, []
    for rate in np.geomspace(1e-3, 0.1, 20):
        expected.append(2 * weight**2)
        weight -= rate * 4 * weight
    assert sweep.losses == pytest.approx(expected, rel=1e-4)
    assert sweep.rates == pytest.approx(np.geomspace(1e-3, 0.1, 20))
    assert sweep.stopped == "end"


def test_the_noise_of_the_batches_is_taken_out():
    """Rows of very different losses, which no rate below 1e-4 moves: the adjusted curve is flat, then falls."""
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(256, 5, generator=generator) * torch.logspace(-0.7, 0.7, 256)[:, None]
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(5, 5), nn.Dropout(0.5), nn.Linear(5, 1))
    sweep = Learner(model, loss="mse").find_rate((x, x.sum(1)), batch_size=16, low=1e-6, high=1.0, steps=150)
    early = slice(0, 50)  # up to 1e-4
    assert np.std(sweep.adjusted[early]) < 0.05 * np.std(sweep.losses[early])
    assert np.mean(sweep.adjusted[early]) == pytest.approx(np.mean(sweep.losses), rel=0.5)
    assert 1e-4 < sweep.suggestion < 0.3


def test_it_stops_at_a_blow_up_and_suggests_a_rate_below_it():
    learner, data = quadratic()
    sweep = learner.find_rate(data, low=1e-4, high=1e4, steps=200)
    assert sweep.stopped == "blow-up"
    assert len(sweep.rates) < 150
    assert 1e-3 < sweep.suggestion < 2 / 4
    assert "most steeply" in sweep.reason
    learner, data = quadratic(curvature=400.0)  # a hundred times as steep: about a hundredth of the rate
    assert learner.find_rate(data, low=1e-6, high=1e2, steps=200).suggestion == pytest.approx(
        sweep.suggestion / 100, rel=0.2
    )


class Noisy(nn.Module):
    """Draws from every generator, counts its calls, and has both kinds of buffers."""

    def __init__(self):
        super().__init__()
        self.body = nn.Sequential(nn.Flatten(), nn.Linear(10, 4), nn.BatchNorm1d(4), nn.Dropout(0.5), nn.Linear(4, 2))
        self.register_buffer("calls", torch.zeros(1), persistent=False)

    def forward(self, x):
        self.calls = self.calls + 1
        return self.body(x) * (1 + 0 * random.random() + 0 * np.random.rand())  # noqa: NPY002


@pytest.mark.parametrize("given", [False, True])
@pytest.mark.parametrize("loader", [False, True])
def test_everything_is_as_before_and_training_goes_on_to_the_same_bits(blobs, given, loader):
    torch.manual_seed(0)
    model = Noisy()
    model.body[2].eval()
    optimizer = torch.optim.Adam(model.parameters(), lr=0.01, amsgrad=True) if given else "adam"
    learner = Learner(model, loss="cross_entropy", optimizer=optimizer, clip_norm=1.0)
    quiet(learner, blobs, epochs=1)
    other = Learner(twin := copy.deepcopy(model), loss="cross_entropy", clip_norm=1.0)
    other.optimizer = torch.optim.Adam(twin.parameters(), lr=0.01, amsgrad=True) if given else "adam"
    other._session.optimizer = other.config.make_optimizer(other._session.execution)
    other._session.optimizer.load_state_dict(copy.deepcopy(learner._session.optimizer.state_dict()))
    generator = torch.Generator().manual_seed(5)
    data = DataLoader(TensorDataset(*blobs), 16, shuffle=True, generator=generator) if loader else blobs

    def drawn():
        return torch.get_rng_state(), generator.get_state(), torch.tensor(np.random.get_state()[1].tolist())  # noqa: NPY002

    before, flags, gradients = drawn(), [m.training for m in model.modules()], [p.grad for p in model.parameters()]
    kept, of_python, groups = weights(model), random.getstate(), copy.deepcopy(learner._session.optimizer.param_groups)
    sweep = learner.find_rate(data, steps=30, high=100.0)
    assert len(set(sweep.losses)) > 5
    assert same(weights(model), kept)
    assert model.calls.item() == twin.calls.item()
    assert same(drawn(), before)
    assert random.getstate() == of_python
    assert [m.training for m in model.modules()] == flags
    assert all(p.grad is gradient for p, gradient in zip(model.parameters(), gradients, strict=True))
    assert [g["lr"] for g in learner._session.optimizer.param_groups] == [g["lr"] for g in groups]
    quiet(learner, blobs, epochs=2)
    quiet(other, blobs, epochs=2)
    assert same(weights(model), weights(twin))


def test_balanced_weights_are_those_of_the_data_and_put_back(classifier, blobs):
    learner = Learner(classifier(), class_weights="balanced")
    learner.find_rate(blobs, steps=10)
    assert learner._session.objective.loss.function.weights is None


def test_it_is_restored_after_an_error_too(classifier, blobs):
    model = classifier()
    before, seen = weights(model), []

    def fail(output, target):
        seen.append(1)
        if len(seen) == 5:
            raise RuntimeError("from the loss")
        return nn.functional.cross_entropy(output, target)

    with pytest.raises(RuntimeError, match="from the loss"):
        Learner(model, loss=fail).find_rate(blobs)
    assert same(weights(model), before)
    assert all(p.grad is None for p in model.parameters())


@pytest.mark.parametrize("shape", ["flat", "rising", "noise"])
def test_a_curve_that_never_falls_suggests_nothing(shape):
    rates = np.geomspace(1e-6, 10, 100).tolist()
    noise = 0.1 * np.random.default_rng(0).standard_normal(100)
    curve = {"flat": np.ones(100), "rising": 1 + np.geomspace(1e-6, 10, 100), "noise": 1 + noise}[shape]
    assert suggest_rate(rates, curve.tolist())[1] is None


def test_noise_alone_seldom_suggests_a_rate():
    """Of one size, larger at higher rates, and heavy in its tails."""
    rates, generator = np.geomspace(1e-6, 10, 100), np.random.default_rng(0)
    found = []
    for scale in (np.full(100, 0.1), 0.01 * np.geomspace(1e-3, 30, 100), np.where(rates > 1e-3, 0.1, 0.001)):
        for draw in (generator.standard_normal, lambda count: generator.standard_t(3, count)):
            found += [suggest_rate(rates.tolist(), (2.3 + scale * draw(100)).tolist())[1] for _ in range(50)]
    assert np.mean([rate is not None for rate in found]) < 0.1


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("body", ["README", "LSTM"])
def test_it_finds_a_rate_on_digits(body, seed):
    """Noise and blow-ups behind the valley do not hide it."""
    torch.manual_seed(seed)
    bodies = {
        "README": lambda: rnnkit.SimpleRNN(28, 128, nonlinearity="relu", init="keras"),
        "LSTM": lambda: rnnkit.LSTM(28, 64),
    }
    model = rnnkit.SequenceClassifier(bodies[body](), classes=10)
    learner = Learner(model, loss="cross_entropy", optimizer="adam", metrics=["accuracy"])
    sweep = learner.find_rate(made_mnist(640, 10).train, seed=seed)
    assert sweep.stopped == "blow-up"
    assert 5e-4 < sweep.suggestion < 0.05
    at = sweep.rates.index(sweep.suggestion)
    assert sweep.smoothed[at] < sweep.smoothed[0]
    assert min(sweep.smoothed) < 0.97 * sweep.smoothed[0]


@pytest.mark.parametrize("seed", range(5))
def test_a_long_flat_start_and_noise_do_not_mislead_it(seed):
    rates = np.geomspace(1e-7, 10, 120)
    curve = 2.3 - 1.8 / (1 + (1e-2 / rates) ** 2) + np.where(rates > 0.5, 40 * (rates - 0.5), 0)
    noisy = curve + 0.1 * np.random.default_rng(seed).standard_normal(120)
    noisy[-1] = np.nan
    assert 3e-3 < suggest_rate(rates.tolist(), noisy.tolist())[1] < 4e-2


def test_the_picture(tmp_path):
    learner, data = quadratic()
    sweep = learner.find_rate(data, low=1e-4, high=1e4)
    sweep.plot(tmp_path / "rates.svg")
    assert "suggested" in (text := (tmp_path / "rates.svg").read_text()) or "<use" in text
    sweep.plot(str(tmp_path / "rates.png"))
    assert (tmp_path / "rates.png").stat().st_size > 5000
    with pytest.raises(ConfigError, match="ends in .png"):
        sweep.plot(tmp_path / "rates")


def test_what_is_refused(classifier, blobs):
    learner = Learner(classifier())
    for settings, message in [
        ({"low": 1.0, "high": 0.1}, "0 < low < high"),
        ({"steps": 5}, "steps=5"),
        ({"batch_size": 0}, "batch_size=0"),
    ]:
        with pytest.raises(ConfigError, match=message):
            learner.find_rate(blobs, **settings)
    with pytest.raises(ConfigError, match="read once"):
        learner.find_rate(iter([blobs]))
    with pytest.raises(DataError, match="not a single batch"):
        learner.find_rate([])
    with pytest.raises(DivergenceError, match="before the first step"):
        Learner(classifier(), loss=lambda out, _: out.sum() * float("nan")).find_rate(blobs)
    with pytest.raises(ConfigError, match="the first of them is 0"):
        Learner(classifier(), lr=0.0).find_rate(blobs)


def test_a_sweep_trains_as_fit_does():
    """Joined batches are one larger batch; chunks through time count by their targets; states are carried on."""
    generator = torch.Generator().manual_seed(2)
    x, y = torch.randn(32, 8, 2, generator=generator), torch.randint(0, 2, (32, 8), generator=generator)

    def sweep(data, **settings):
        torch.manual_seed(0)
        model = rnnkit.SequenceTagger(rnnkit.GRU(2, 8), outputs=2)
        learner = Learner(model, loss="cross_entropy", optimizer="sgd", metrics=[], device="cpu")
        before = weights(model)
        found = learner.find_rate(data, steps=12, high=1.0, **settings)
        assert same(before, weights(model))
        return np.array(found.losses)

    whole = sweep((x, y), batch_size=16)
    np.testing.assert_allclose(sweep((x, y), batch_size=8, accumulate=2), whole, rtol=1e-4)
    np.testing.assert_allclose(sweep((x, y), batch_size=16, bptt=8), whole, rtol=1e-4)  # nothing is cut
    np.testing.assert_allclose(sweep((x, y), batch_size=16, bptt=3)[0], whole[0], rtol=1e-4)  # values are carried on
    halves = [(x[:, :4], y[:, :4]), (x[:, 4:], y[:, 4:])]
    carried, fresh = sweep(halves, stateful=True), sweep(halves)
    assert carried[0] == pytest.approx(fresh[0], rel=1e-5)
    assert abs(carried[1] - fresh[1]) > 1e-4


def test_a_sweep_in_mixed_precision_and_with_another_objective(blobs):
    x, y = blobs
    learner = Learner(rnnkit.SequenceClassifier(rnnkit.GRU(2, 4), classes=2), precision="bf16-mixed", device="cpu")
    assert len(learner.find_rate((x, y), steps=10, high=1e-3).losses) == 10
    model = rnnkit.SequenceTagger(rnnkit.GRU(2, 4), outputs=3)
    learner = Learner(model, objective=rnnkit.training.CTC(), metrics=[], device="cpu")
    labels = torch.ones(96, 2, dtype=torch.int64)
    assert len(learner.find_rate((x, labels), steps=10, high=1e-3).losses) == 10


def test_a_sweep_without_a_suggestion_says_what_to_read(classifier, blobs):
    learner = Learner(classifier())
    sweep = learner.find_rate(blobs, low=1e-9, high=1e-8, steps=20)
    assert sweep.suggestion is None
    with pytest.raises(ConfigError, match="A sweep without a suggestion found no rate: read sweep.reason"):
        learner.lr = sweep.suggestion
    assert "lr=0.001" in repr(learner)
