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


def test_an_optimizer_of_a_part_of_the_model_trains_that_part(classifier, blobs):
    model = classifier()
    last = list(model.parameters())[-1]
    before = [parameter.detach().clone() for parameter in model.parameters()]
    quiet(Learner(model, optimizer=torch.optim.SGD([last], lr=0.1)), blobs)
    same = [torch.equal(left, right) for left, right in zip(before, model.parameters(), strict=True)]
    assert same == [True] * (len(same) - 1) + [False]
