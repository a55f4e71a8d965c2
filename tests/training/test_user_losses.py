"""Losses of the user's own that cannot be learned from, and data that a model of the user's does not take."""

from __future__ import annotations

import pytest
import torch
from fitting import quiet
from torch import nn
from torch.nn import functional as F

from rnnkit.errors import ConfigError
from rnnkit.training.learner import Learner

each_row = {
    "tensor of shape": lambda output, target: F.cross_entropy(output, target, reduction="none"),
    "the number 0.5; .*without .item": lambda output, target: 0.5,
    "returned None": lambda output, target: None,
    "returned a tuple": lambda output, target: (output.mean(), target),
}


@pytest.mark.parametrize(("problem", "loss"), each_row.items())
def test_a_loss_that_is_not_one_number_says_so(classifier, blobs, problem, loss):
    for call in (quiet, Learner.evaluate):
        with pytest.raises(ConfigError, match=problem):
            call(Learner(classifier(), loss=loss), blobs)


def test_the_remedy_for_a_loss_of_each_row_trains(classifier, blobs):
    model = classifier(1)
    with pytest.raises(ConfigError, match=r"shape \[32, 32\].*return its \.mean\(\).*output\.squeeze\(-1\)"):
        quiet(Learner(model, loss=lambda output, target: (output - target) ** 2), blobs)
    learner = Learner(model, loss=lambda output, target: ((output.squeeze(-1) - target) ** 2).mean())
    assert quiet(learner, blobs, epochs=1).rows[0]["loss"] > 0


class Cut(nn.Module):
    """A model whose output has no gradient."""

    def __init__(self):
        super().__init__()
        self.head = nn.Linear(10, 2)

    @torch.no_grad()
    def forward(self, x):
        return self.head(x.flatten(1))


def test_a_loss_without_a_gradient_says_so(classifier, blobs):
    cut_loss = Learner(classifier(), loss=lambda output, target: F.cross_entropy(output.detach(), target))
    cut_model = Learner(Cut(), loss="cross_entropy", recurrent_l2=0.0)
    for learner in (cut_loss, cut_model):
        assert learner.evaluate(blobs)["loss"] > 0
        for train in (quiet, Learner.find_rate):
            with pytest.raises(ConfigError, match=r"the loss has no gradient.*\.detach\(\)"):
                train(learner, blobs)


def test_a_loss_of_other_parameters_is_refused_at_once(classifier):
    with pytest.raises(ConfigError, match=r"loss=<lambda> takes \(output\); expected a callable \(output, target\)"):
        Learner(classifier(), loss=lambda output: output.mean())
    Learner(classifier(), loss=lambda *both: both[0].mean())
    Learner(classifier(), loss=nn.CrossEntropyLoss())
