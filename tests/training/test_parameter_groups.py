"""Decay and rates by group of parameters, against PyTorch's optimizers on the same gradients."""

from __future__ import annotations

import copy

import pytest
import torch
from fitting import quiet, same, weights

import rnnkit
from rnnkit.errors import ConfigError
from rnnkit.finetuning.rates import discriminative_rates
from rnnkit.training.learner import Learner
from rnnkit.training.optimization.optimizers import make_optimizer


def trained(model, make, steps=3):
    """The weights after a few steps of the optimizer that `make` gives, on made gradients."""
    model = copy.deepcopy(model)
    optimizer = make(model)
    generator = torch.Generator().manual_seed(0)
    for _ in range(steps):
        for parameter in model.parameters():
            parameter.grad = torch.randn(parameter.shape, generator=generator)
        model.body.bias_hh_l0.grad = None  # frozen: neither step nor decay
        optimizer.step()
    return weights(model)


def check(model, ours, theirs):
    for left, right in zip(trained(model, ours), trained(model, theirs), strict=True):
        torch.testing.assert_close(left, right)


def named(optimizer, **settings):
    settings = {"lr": 0.1, "weight_decay": 0.0, "fused": optimizer != "rmsprop", **settings}
    return lambda model: make_optimizer(optimizer, model, **settings)


@pytest.mark.parametrize("name", ["adam", "adamw"])
def test_weight_decay_of_adam_is_decoupled_and_l2_is_in_the_gradient(classifier, name):
    check(
        classifier(), named(name, weight_decay=0.3), lambda m: torch.optim.AdamW(m.parameters(), 0.1, weight_decay=0.3)
    )
    check(classifier(), named(name, l2=0.3), lambda m: torch.optim.Adam(m.parameters(), 0.1, weight_decay=0.3))


@pytest.mark.parametrize(
    ("name", "kind"), [("sgd", torch.optim.SGD), ("rmsprop", torch.optim.RMSprop), ("adam", torch.optim.Adam)]
)
def test_decoupled_decay_comes_before_the_step_of_every_optimizer(classifier, name, kind):
    """PyTorch's optimizer with its L2 after a shrinking by hand."""

    class ByHand(kind):
        def step(self):
            for group in self.param_groups:
                for parameter in group["params"]:
                    if parameter.grad is not None:
                        parameter.data.mul_(1 - 0.1 * 0.3)
            super().step()

    check(
        classifier(), named(name, weight_decay=0.3, l2=0.2), lambda m: ByHand(m.parameters(), lr=0.1, weight_decay=0.2)
    )


def test_patterns_add_up_and_the_later_one_wins(classifier):
    groups = {"body.*": {"lr": 0.01, "betas": (0.5, 0.9)}, "*bias*": {"weight_decay": 0}, "head.bias": {"lr": 0.0}}
    model = classifier()
    check(
        model,
        named("adam", weight_decay=0.3, parameter_groups=groups),
        lambda m: torch.optim.AdamW([
            {"params": [m.body.weight_ih_l0, m.body.weight_hh_l0], "lr": 0.01, "betas": (0.5, 0.9)},
            {"params": [m.body.bias_ih_l0, m.body.bias_hh_l0], "lr": 0.01, "betas": (0.5, 0.9), "weight_decay": 0},
            {"params": [m.head.weight]},
            {"params": [m.head.bias], "lr": 0.0, "weight_decay": 0},
        ], lr=0.1, weight_decay=0.3),
    )  # fmt: skip
    optimizer = named("adam", parameter_groups=groups)(model)
    assert optimizer.defaults["fused"]
    assert optimizer.param_groups[0]["lr"] == 0.1  # the learner's own comes first, so that it is what is reported


def test_the_list_of_dicts_of_torch(classifier):
    check(
        classifier(),
        named("sgd", parameter_groups=[{"params": m_body, "lr": 0.01, "momentum": 0.9}])
        if (m_body := ["body.weight_ih_l0", "body.weight_hh_l0"])
        else None,
        lambda m: torch.optim.SGD([
            {"params": [m.body.weight_ih_l0, m.body.weight_hh_l0], "lr": 0.01, "momentum": 0.9},
            {"params": [m.body.bias_ih_l0, m.body.bias_hh_l0, *m.head.parameters()]},
        ], lr=0.1),
    )  # fmt: skip


def test_discriminative_rates_of_finetuning(classifier):
    model = classifier()
    groups = discriminative_rates(model, lr=0.26)
    optimizer = named("adam", parameter_groups=groups)(model)
    assert [(group["name"], group["lr"]) for group in optimizer.param_groups] == [
        (group["name"], pytest.approx(group["lr"])) for group in groups
    ]
    assert [group["lr"] for group in groups] == pytest.approx([0.26, 0.1])
    learner = Learner(model, parameter_groups=groups)  # kept by name, so that settings compare
    assert learner.parameter_groups[0]["params"] == ["head.weight", "head.bias"]


def test_no_decay_for_biases_gains_and_initial_states():
    body = rnnkit.LSTM(2, 4, layer_norm=True, peepholes=True, learn_initial_state=True, batch_first=True)
    model = rnnkit.SequenceClassifier(body, 2)
    optimizer = named(
        "adamw", weight_decay=0.1, decay_biases=False, parameter_groups={"head.bias": {"weight_decay": 0.2}}
    )(model)
    decay = {parameter: group["weight_decay"] for group in optimizer.param_groups for parameter in group["params"]}
    decayed = {name: decay[parameter] for name, parameter in model.named_parameters() if decay[parameter]}
    matrices = {"body.weight_ih_l0", "body.weight_hh_l0", "body.peephole_l0", "head.weight"}
    assert decayed == dict.fromkeys(matrices, 0.1) | {"head.bias": 0.2}
    assert len(decay) > 8


def test_a_callable_gets_the_groups_and_a_tied_parameter_goes_by_both_names(classifier):
    model = classifier()
    model.tied = model.head
    learner = Learner(
        model,
        optimizer=lambda groups: torch.optim.SGD(groups, lr=0.5),
        parameter_groups={"tied.weight": {"lr": 0.0}},
    )
    optimizer = learner.config.make_optimizer(learner._session.execution)
    assert [group["lr"] for group in optimizer.param_groups] == [0.5, 0.0]
    assert optimizer.param_groups[1]["params"] == [model.head.weight]


def test_rates_by_group_in_a_run_with_a_schedule(classifier, blobs):
    model = classifier()
    before = weights(model.body)
    learner = Learner(model, lr=0.1, parameter_groups={"body.*": {"lr": 0.0}})
    history = quiet(learner, blobs, schedule="one_cycle", epochs=1)
    assert same(weights(model.body), before)
    assert 0 < history.rows[0]["lr"] < 0.1


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"parameter_groups": {"bodi.weight*": {"lr": 0.1}}}, "no parameter is called 'bodi.weight.'; near: .*'body"),
        ({"parameter_groups": {"zzz": {"lr": 0.1}}}, "known: 'body.weight_ih_l0'"),
        ({"parameter_groups": {"*": {"learning_rate": 0.1}}}, "has the setting 'learning_rate'"),
        ({"parameter_groups": {"*": {"beta": (0.5, 0.9)}}}, "did you mean 'betas'"),
        ({"parameter_groups": {"*": {"lr": -0.1}}}, "lr=-0.1"),
        ({"parameter_groups": {"*": 0.1}}, "expected a pattern and its settings"),
        ({"parameter_groups": [{"lr": 0.1}]}, "expected a dict with 'params'"),
        ({"parameter_groups": [{"params": "head.wait"}]}, "near: 'head.weight'"),
        ({"parameter_groups": [{"params": ["head.bias"]}, {"params": "head.bias"}]}, "'head.bias', which an earlier"),
        ({"parameter_groups": [{"params": [torch.ones(3)]}]}, "not a parameter of the model"),
        ({"l2": -1}, "l2=-1"),
        ({"l2": 0.1, "optimizer": torch.optim.SGD([torch.nn.Parameter(torch.ones(1))])}, "give your own its"),
        ({"decay_biases": False, "optimizer": torch.optim.SGD([torch.nn.Parameter(torch.ones(1))])}, "finished SGD"),
    ],
)  # fmt: skip
def test_what_is_refused(classifier, settings, message):
    with pytest.raises(ConfigError, match=message):
        Learner(classifier(), **settings)
