"""Optimizers that the user brings."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from fitting import quiet, same, weights

from rnnkit import Learner
from rnnkit.errors import ConfigError, RnnkitWarning


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

    learner = Learner(classifier())
    with pytest.raises(ConfigError, match=r"lr=.* arrived; expected a number of at least 0") as error:
        learner.lr = rate
    assert ("read sweep.reason" in str(error.value)) == (rate is None)
    assert learner.lr == 1e-3
    with pytest.raises(ConfigError, match=r"lr=.* arrived; expected a number of at least 0"):
        Learner(classifier(), lr=rate)


def rates(learner):
    return [group["lr"] for group in learner._session.optimizer.param_groups]


@pytest.mark.parametrize("trained", [False, True])
@pytest.mark.parametrize("kind", ["finished", "callable", "name"])
def test_a_rate_that_is_set_holds_for_every_kind_of_optimizer(classifier, blobs, kind, trained):
    """Groups of an optimizer of the user's keep their ratio."""
    model = classifier()
    one, *rest = model.parameters()
    groups = [{"params": rest, "lr": 0.1}, {"params": [one], "lr": 0.05}]
    made = {
        "finished": torch.optim.SGD(groups),
        "callable": lambda parameters: torch.optim.SGD(groups),
        "name": "sgd",
    }[kind]
    learner = Learner(model, optimizer=made, lr=0.1)
    if trained:
        quiet(learner, blobs)
        assert rates(learner) == ([0.1] if kind == "name" else [0.1, 0.05])
    learner.lr = np.float64(0.02)
    expected = [0.02] if kind == "name" else pytest.approx([0.02, 0.01])
    for _ in range(2):
        assert quiet(learner, blobs)["lr"] == [0.02] * 3
        assert rates(learner) == expected
    if kind == "finished":  # a rate that the user sets in the optimizer later holds, too
        made.param_groups[0]["lr"] = 0.5
        assert quiet(learner, blobs)["lr"] == [0.5] * 3


@pytest.mark.parametrize("when", ["before the learner's first run", "after it"])
@pytest.mark.parametrize("change", ["new head", "unfrozen"])
def test_parameters_that_a_finished_optimizer_lacks_are_refused_by_name(classifier, blobs, three, when, change):
    model = classifier()
    if change == "unfrozen":
        model.head.requires_grad_(False)
    optimizer = torch.optim.SGD([one for one in model.parameters() if one.requires_grad], lr=0.1)
    learner = Learner(model, optimizer=optimizer)
    if when == "after it":
        quiet(learner, blobs)
    if change == "unfrozen":
        model.head.requires_grad_(True)
    else:
        model.head = torch.nn.Linear(8, 2)
    before = weights(model.head)
    with pytest.raises(ConfigError, match=r"head\.weight, head\.bias would not train: the SGD .*add_param_group"):
        quiet(learner, blobs)
    assert same(before, weights(model.head))
    optimizer.add_param_group({"params": list(model.head.parameters())})
    quiet(learner, blobs)
    assert not same(before, weights(model.head))


def test_another_finished_optimizer_takes_up_a_new_head_and_keeps_its_own_state(classifier, blobs):
    model = classifier()
    learner = Learner(model, optimizer=torch.optim.Adam(model.parameters(), lr=0.1))
    quiet(learner, blobs)
    model.head = torch.nn.Linear(8, 2)
    before = weights(model.head)
    learner.optimizer = torch.optim.Adam(model.parameters(), lr=0.1)
    quiet(learner, blobs, epochs=1)
    assert not same(before, weights(model.head))
    steps = {float(state["step"]) for state in learner.optimizer.state.values()}
    assert steps == {3.0}  # of this run alone: nothing of another optimizer was put into it


def test_an_optimizer_of_a_model_whose_head_was_replaced_is_warned_of(classifier):
    model = classifier()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    model.head = torch.nn.Linear(8, 3)
    with pytest.warns(RnnkitWarning, match=r"lacks head\.weight, head\.bias, which will not train"):
        Learner(model, optimizer=optimizer)
    frozen = classifier().requires_grad_(False)
    with pytest.raises(ConfigError, match="all parameters that the SGD holds are frozen"):
        Learner(frozen, optimizer=torch.optim.SGD(frozen.parameters(), lr=0.1))


@pytest.mark.parametrize(
    ("name", "value", "advice"),
    [
        ("loss", "mse", "Learner(learner.model, loss=...)"),
        ("label_smoothing", 0.1, "Learner(learner.model, label_smoothing=...)"),
        ("metrics", ["f1"], "Learner(learner.model, metrics=...)"),
        ("device", "cpu", "Learner(learner.model, device=...)"),
        ("model", None, "Learner(model, ...)"),
        ("learning_rate", 0.1, "learner.lr = ..."),
    ],
)
def test_what_cannot_be_changed_is_refused(classifier, name, value, advice):
    with pytest.raises(ConfigError) as error:
        setattr(Learner(classifier()), name, value)
    assert advice in str(error.value)


def test_settings_that_are_changed_are_checked_by_the_next_run(classifier, blobs):
    learner = Learner(classifier())
    learner.clip_norm = -1.0
    with pytest.raises(ConfigError, match="clip_norm=-1.0 arrived"):
        quiet(learner, blobs)
    with pytest.raises(ConfigError, match="weight_decay=0.1 is for optimizers by name"):
        Learner(model := classifier(), optimizer=torch.optim.SGD(model.parameters(), lr=0.1), weight_decay=0.1)


def test_an_optimizer_of_a_part_of_the_model_trains_that_part(classifier, blobs):
    model = classifier()
    last = list(model.parameters())[-1]
    before = [parameter.detach().clone() for parameter in model.parameters()]
    quiet(Learner(model, optimizer=torch.optim.SGD([last], lr=0.1)), blobs)
    same = [torch.equal(left, right) for left, right in zip(before, model.parameters(), strict=True)]
    assert same == [True] * (len(same) - 1) + [False]
