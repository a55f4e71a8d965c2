"""Optimizers that the user brings."""

from __future__ import annotations

import pytest
import torch
from fitting import quiet

from rnnkit import Learner
from rnnkit.errors import ConfigError


@pytest.mark.parametrize("made", [True, False])
def test_an_optimizer_of_another_model_is_refused(classifier, blobs, made):
    """It would train nothing, and nothing would tell."""
    model, other = classifier(), classifier()
    given = torch.optim.SGD(other.parameters(), lr=0.1)
    with pytest.raises(ConfigError, match="the SGD holds no parameter of this .*; make it from model.parameters"):
        quiet(Learner(model, optimizer=given if made else lambda parameters: given), blobs)


@pytest.mark.parametrize("rate", [None, "fast", float("nan"), -1.0])
def test_a_rate_that_is_no_number_is_refused(classifier, blobs, rate):
    """None is what a sweep suggests that found no rate."""

    def use(verb):
        learner = Learner(classifier())
        learner.lr = rate
        verb(learner)

    for verb in (lambda learner: quiet(learner, blobs), lambda learner: learner.find_rate(blobs)):
        with pytest.raises(ConfigError, match=r"lr=.* arrived; expected a number of at least 0"):
            use(verb)


def test_an_optimizer_of_a_part_of_the_model_trains_that_part(classifier, blobs):
    model = classifier()
    last = list(model.parameters())[-1]
    before = [parameter.detach().clone() for parameter in model.parameters()]
    quiet(Learner(model, optimizer=torch.optim.SGD([last], lr=0.1)), blobs)
    same = [torch.equal(left, right) for left, right in zip(before, model.parameters(), strict=True)]
    assert same == [True] * (len(same) - 1) + [False]
