"""What callbacks change in the middle of a run has the same effect on native steps as on the general way."""

import pickle
from copy import deepcopy
from dataclasses import replace
from functools import partial

import pytest
import torch
from native_steps import classifier, fitted, rows
from torch.nn import functional as F

import rnnkit
from rnnkit.errors import RnnkitError
from rnnkit.ops.backend import native_core

pytestmark = pytest.mark.skipif(native_core() is None, reason="rnnkit is installed without its native core")


def momentum(parameters):
    return torch.optim.SGD(parameters, lr=0.1, momentum=0.9)


class Acts(rnnkit.Callback):
    """Acts on the run before and after each update."""

    def __init__(self, gradients=None, step=None):
        self.acts = gradients, step

    def on_fit_begin(self, learner, run):
        self.run = run

    def on_backward_end(self, learner, step):
        self.act(0, step)

    def on_step_end(self, learner, step):
        self.act(1, step)

    def act(self, number, step):
        if self.acts[number] is not None:
            self.acts[number](self.run, step)


def other_gradient_memory(run, step):
    for parameter in run.execution.model.parameters():
        parameter.grad.data = parameter.grad.data.clone() * 0.5


def set_gradient(run, step):
    for parameter in run.execution.model.parameters():
        parameter.grad.set_(parameter.grad.clone() * 0.5)


def other_weight_memory(run, step):
    if step % 3 == 2:
        for parameter in run.execution.model.parameters():
            parameter.data = parameter.data.clone() * 0.9


def other_type_and_back(run, step):
    run.execution.model.double().float()


def other_state_memory(run, step):
    for state in run.optimizer.state.values():
        state["momentum_buffer"].data = state["momentum_buffer"].clone() * 0.5


def other_nonlinearity(run, step):
    run.execution.model.body.nonlinearity = "relu" if step >= 2 else "tanh"


def other_loss(run, step):
    objective = run.forward.objective
    if step == 2:
        objective.loss = replace(objective.loss, function=partial(F.cross_entropy, label_smoothing=0.3))


def no_momentum_for_a_while(run, step):
    run.optimizer.param_groups[0]["momentum"] = 0.0 if step in (2, 3) else 0.9


def other_order_of_groups(run, step):
    one, other = run.optimizer.param_groups
    if step == 2:
        one["params"], other["params"] = other["params"], one["params"]


def wider_head(run, step):
    if step == 2:
        head = torch.nn.Linear(8, 6)
        for parameter in head.parameters():
            torch.nn.init.constant_(parameter, 0.1)
        run.execution.model.set_head(head)
        run.optimizer.add_param_group({"params": list(head.parameters())})


def two_groups(parameters):
    first, *others = parameters
    return torch.optim.SGD([{"params": [first], "lr": 0.5}, {"params": others[-1:]}], lr=0.01)


CHANGES = {
    "gradient.data": (other_gradient_memory, None, momentum),
    "gradient.set_": (set_gradient, None, momentum),
    "weight.data before the update": (other_weight_memory, None, momentum),
    "double and float before the update": (other_type_and_back, None, momentum),
    "double and float": (None, other_type_and_back, momentum),
    "state.data": (None, other_state_memory, momentum),
    "nonlinearity": (None, other_nonlinearity, momentum),
    "loss": (None, other_loss, momentum),
    "momentum": (None, no_momentum_for_a_while, momentum),
    "groups": (None, other_order_of_groups, two_groups),
    "head": (None, wider_head, momentum),
    "nesterov=1": (None, None, lambda p: torch.optim.SGD(p, lr=0.1, momentum=0.9, nesterov=1)),
}


@pytest.mark.parametrize("change", CHANGES)
def test_what_callbacks_change_has_the_effect_that_it_has_in_the_general_way(change, general):
    gradients, step, optimizer = CHANGES[change]

    def train():
        return fitted(classifier("SimpleRNN"), rows(), callback=Acts(gradients, step), optimizer=optimizer)

    ours, seen = train()
    assert seen.run.native.gradient_steps > 0
    general()
    theirs, _ = train()
    for one, expected in zip(ours.model.parameters(), theirs.model.parameters(), strict=True):
        torch.testing.assert_close(one, expected, rtol=1e-3, atol=1e-5)


@pytest.mark.parametrize(
    "change",
    [
        lambda model: setattr(model, "body", rnnkit.GRU(3, 4, batch_first=True)),
        lambda model: model.body.double(),
        lambda model: model.to("meta"),
    ],
)
def test_weights_that_do_not_fit_each_other_raise_the_error_of_the_layers(change):
    def act(run, step):
        if step == 2:
            change(run.execution.model)

    with pytest.raises((RuntimeError, RnnkitError)):
        fitted(classifier(), rows(), callback=Acts(step=act))


@pytest.mark.parametrize("natively", [True, False])
def test_gradients_are_of_one_step_whatever_the_optimizer_holds(natively, general):
    """Those of parameters that it lacks, of strangers that it holds, and of a group that is added on the way."""
    if not natively:
        general()
    stranger, seen = torch.nn.Parameter(torch.ones(2)), []

    def gradients(run, step):
        stranger.sum().backward()
        head = run.execution.model.head.bias
        seen.append((float(stranger.grad.sum()), head.grad.clone()))
        if step == 3:
            run.optimizer.add_param_group({"params": [head]})

    def optimizer(parameters):
        return torch.optim.SGD([*list(parameters)[:2], stranger], lr=0.0)

    x, y = rows(8)
    fitted(classifier(), (x, y), epochs=6, callback=Acts(gradients), optimizer=optimizer)
    assert [number for number, _ in seen] == [2.0] * 6
    for _, gradient in seen[1:]:
        torch.testing.assert_close(gradient, seen[0][1])


def test_a_run_may_be_copied_in_the_middle():
    copies = []

    def copy(run, step):
        if step == 2:
            copies.append(deepcopy(run))
            copies.append(pickle.loads(pickle.dumps(run.native)))

    _, seen = fitted(classifier(), rows(), callback=Acts(step=copy))
    assert seen.run.native.gradient_steps == 6
    assert [one.gradient_steps for one in (copies[0].native, copies[1])] == [3, 3]
    batch = next(iter(copies[0].batches))
    assert copies[0].native.score(copies[0], batch) is not None
    kept = copies[0].execution.model.head.weight.grad
    assert kept.data_ptr() != seen.run.execution.model.head.weight.grad.data_ptr()
