"""Teaching a trained model something new."""

from __future__ import annotations

import pytest
import torch
from fitting import quiet, same, weights
from torch import nn

from rnnkit.errors import ConfigError
from rnnkit.training.learner import Learner


class Recorder:
    """A callback that keeps the weights after each epoch."""

    def __init__(self):
        self.weights = []

    def __call__(self, learner, row):
        self.weights.append(weights(learner.model))


# Fine-tuning ---------------------------------------------------------------------------------------------------------


def test_fine_tune_freezes_the_body_first_and_puts_flags_back(classifier, blobs):
    model = classifier()
    model.body.bias_hh_l0.requires_grad_(False)  # the user's own flag
    learner = Learner(model, lr=0.01)
    quiet(learner, blobs, epochs=1)
    first, kept = weights(model.body), []
    flags = []

    def keep(learner, row):
        kept.append(weights(model.body))
        flags.append([p.requires_grad for p in model.body.parameters()])

    settings = {"epochs": 3, "freeze_body_epochs": 2, "callbacks": [keep], "progress": False, "seed": 0}
    history = learner.fine_tune(blobs, **settings)
    assert [row["lr"] for row in history.rows] == [0.001] * 3
    assert same(kept[0], first)
    assert same(kept[1], first)
    assert not same(kept[2], first)
    assert flags == [[False] * 4, [True, True, True, False], [True, True, True, False]]
    assert [p.requires_grad for p in model.body.parameters()] == [True, True, True, False]
    assert quiet(learner, blobs, epochs=1).rows[0]["lr"] == 0.01


def test_fine_tune_puts_flags_back_after_an_error(classifier, blobs):
    model = classifier()

    def fail(learner, row):
        raise RuntimeError("from a callback")

    with pytest.raises(RuntimeError, match="from a callback"):
        Learner(model).fine_tune(blobs, freeze_body_epochs=5, callbacks=[fail], progress=False)
    assert all(p.requires_grad for p in model.parameters())


def test_fine_tune_starts_with_a_fresh_optimizer(classifier, blobs):
    trained = Learner(classifier())
    quiet(trained, blobs)
    fresh = classifier()
    fresh.load_state_dict(trained.model.state_dict())
    trained.fine_tune(blobs, lr=0.05, epochs=1, seed=1, progress=False)
    quiet(Learner(fresh, lr=0.05), blobs, epochs=1, seed=1)
    assert same(weights(trained.model), weights(fresh))


def test_fine_tune_refuses_what_it_cannot_do(classifier, blobs):
    model = nn.Sequential(nn.Flatten(), nn.Linear(10, 2))
    with pytest.raises(ConfigError, match=r"lr=-1\.0"):
        Learner(classifier()).fine_tune(blobs, lr=-1.0)
    with pytest.raises(ConfigError, match="a model with a body"):
        Learner(model, loss="cross_entropy").fine_tune(blobs, freeze_body_epochs=1)
    given = Learner(classifier(), optimizer=torch.optim.SGD(model.parameters(), lr=0.1))
    with pytest.raises(ConfigError, match="fresh optimizer"):
        given.fine_tune(blobs)


def test_fine_tune_divides_the_rate_of_a_callable(classifier, blobs):
    learner = Learner(classifier(), optimizer=lambda parameters: torch.optim.SGD(parameters, lr=0.5))
    history = learner.fine_tune(blobs, epochs=1, progress=False)
    assert history.rows[0]["lr"] == 0.05
