"""Optimizers, schedules, callbacks and models of the user's own that a run cannot use: each error says what to type."""

from __future__ import annotations

import functools

import pytest
import torch
from fitting import quiet
from torch import nn
from torch.optim import lr_scheduler

import rnnkit
from rnnkit.errors import ConfigError
from rnnkit.training.learner import Learner
from rnnkit.training.objectives.sequence_to_sequence import SequenceToSequence
from rnnkit.training.optimization.schedules import SCHEDULES, resolve_schedule
from rnnkit.training.watching.callbacks import Callback


class Twice(torch.optim.SGD):
    def step(self, closure):
        closure()


def test_an_optimizer_that_needs_a_closure_is_refused_when_the_learner_is_made(classifier, blobs):
    model = classifier()
    kinds = (torch.optim.LBFGS, functools.partial(torch.optim.LBFGS, lr=0.1), torch.optim.LBFGS(model.parameters()))
    for optimizer in (*kinds, Twice):
        with pytest.raises(ConfigError, match=r"(LBFGS|Twice) .*closure.*type optimizer='adam'"):
            Learner(model, optimizer=optimizer)
    hidden = Learner(model, optimizer=lambda parameters: torch.optim.LBFGS(parameters))
    with pytest.raises(ConfigError, match="LBFGS .*closure"):
        quiet(hidden, blobs)
    with pytest.raises(ConfigError, match="returned a list; expected an Optimizer"):
        quiet(Learner(model, optimizer=list), blobs)


class Flat(nn.Module):
    """A model that takes no lengths."""

    def __init__(self):
        super().__init__()
        self.body, self.head = nn.GRU(2, 4, batch_first=True), nn.Linear(4, 2)

    def forward(self, x):
        return self.head(self.body(x)[0][:, -1])


class Decoder(Flat):
    def forward(self, x, previous):
        return self.head(self.body(x)[0])


class Deep(Flat):
    """Takes lengths, and calls a part wrongly."""

    def forward(self, x, lengths=None):
        return self.body(x, lengths=lengths)


def test_rows_of_unequal_lengths_for_a_model_without_lengths(blobs):
    x, y = blobs
    rows = [row[: 2 + at % 3] for at, row in enumerate(x)]
    explained = r"{}\.forward takes \({}\).*forward\(self, x, lengths=None\).*rows of equal length"
    flat = Learner(Flat(), loss="cross_entropy")
    for call in (lambda: quiet(flat, (rows, y)), lambda: flat.predict(rows), lambda: flat.evaluate(rows, y)):
        with pytest.raises(ConfigError, match=explained.format("Flat", "x")):
            call()
    with pytest.raises(ConfigError, match=explained.format("Sequential", "input")):
        Learner(nn.Sequential(nn.Linear(2, 2)), loss="mse").predict(rows)
    with pytest.raises(ConfigError, match=explained.format("Decoder", "x, previous")):
        quiet(
            Learner(Decoder(), objective=SequenceToSequence()), (rows, [torch.zeros(len(row)).long() for row in rows])
        )
    with pytest.raises(TypeError, match="lengths"):  # not the model's own fault to explain
        quiet(Learner(Deep(), loss="cross_entropy"), (rows, y))
    assert len(quiet(flat, blobs, epochs=1).rows) == 1


def hook(name, function):
    return type("Mine", (Callback,), {name: function})()


@pytest.mark.parametrize(
    ("name", "advice"),
    [
        ("on_epoch_ends", "did you mean 'on_epoch_end'"),
        ("on_fit_beginn", "did you mean 'on_fit_begin'"),
        ("on_train_begin", "type on_fit_begin"),
        ("on_train_batch_end", "type on_step_end"),
        ("on_epoch_begin", "on_epoch_closed, after the epoch before"),
        ("on_qqqqqqq", "known: 'on_prepare'.*does not begin with on_: qqqqqqq"),
    ],
)
def test_a_hook_that_nothing_calls_is_refused(classifier, blobs, name, advice):
    with pytest.raises(ConfigError, match=f"Mine.{name} is no hook.*{advice}"):
        quiet(Learner(classifier()), blobs, callbacks=[hook(name, lambda self, learner, row: None)])


@pytest.mark.parametrize(
    ("name", "function", "told"),
    [
        ("on_epoch_end", lambda self, learner: None, r"takes \(learner\) .*def on_epoch_end\(self, learner, row\)"),
        ("on_fit_begin", lambda self: None, r"takes \(\) .*def on_fit_begin\(self, learner, run\)"),
        ("on_step_end", lambda self, learner, step, loss: None, r"\(learner, step, loss\).*\(self, learner, step\)"),
        ("state_dict", lambda self, all: {}, r"def state_dict\(self\)"),
    ],
)
def test_a_hook_that_takes_other_arguments_is_refused_before_the_first_step(classifier, blobs, name, function, told):
    learner = Learner(classifier())
    before = learner.model.head.weight.detach().clone()
    with pytest.raises(ConfigError, match=f"Mine.{name} {told}" if "takes" in told else told):
        quiet(learner, blobs, callbacks=[hook(name, function)])
    assert torch.equal(before, learner.model.head.weight)


def test_hooks_that_can_be_called_are_taken(classifier, blobs):
    seen = []
    taken = [
        hook("on_epoch_end", lambda self, learner, row, *, loud=False: seen.append("more")),
        hook("on_epoch_end", lambda self, *all: seen.append("all")),
        hook("_on_own", lambda self: None),
        hook("on_disk", property(lambda self: 1 / 0)),  # not a hook, and not read
        lambda learner, row: seen.append("function"),
    ]
    quiet(Learner(classifier()), blobs, epochs=1, callbacks=taken)
    assert seen == ["more", "all", "function"]
    with pytest.raises(ConfigError, match=r"<lambda> takes \(row\); expected \(learner, row\)"):
        quiet(Learner(classifier()), blobs, callbacks=[lambda row: None])


def test_schedulers_of_torch_name_the_schedule_that_takes_their_place(classifier, blobs):
    optimizer = torch.optim.SGD([nn.Parameter(torch.zeros(1))], lr=0.1)

    class Mine(lr_scheduler.StepLR):
        pass

    third = r"lambda step, total: 0\.1 \*\* \(3 \* step // total\)"
    for schedule, advice in (
        (lr_scheduler.StepLR, third),
        (lr_scheduler.StepLR(optimizer, 3), third),
        (functools.partial(lr_scheduler.StepLR, step_size=3), third),
        ("StepLR", third),
        (Mine(optimizer, 3), third),
        (lr_scheduler.CosineAnnealingLR(optimizer, 9), "schedule='cosine'"),
        (lr_scheduler.OneCycleLR(optimizer, 0.1, 9), "schedule='one_cycle'.*OneCycle"),
        (lr_scheduler.ReduceLROnPlateau(optimizer), "schedule='plateau'.*Plateau"),
        (lr_scheduler.LinearLR, "Constant"),
        (lr_scheduler.ChainedScheduler, "'constant', 'warmup_constant'"),
    ):
        with pytest.raises(ConfigError, match=f"PyTorch's .* arrived as schedule; .*type .*{advice}"):
            quiet(Learner(classifier()), blobs, schedule=schedule)
    quiet(Learner(classifier()), blobs, epochs=1, schedule=lambda step, total: 0.1 ** (3 * step // total))
    assert all(hasattr(rnnkit.training, type(resolve_schedule(name)).__name__) for name in SCHEDULES)


def test_a_schedule_or_a_metric_of_other_arguments_is_refused(classifier, blobs):
    with pytest.raises(ConfigError, match=r"takes \(step\); expected a callable \(step from 0, total steps\)"):
        quiet(Learner(classifier()), blobs, schedule=lambda step: 1.0)
    with pytest.raises(ConfigError, match=r"the metric <lambda> takes \(output\); expected \(output, target\)"):
        Learner(classifier(), metrics=lambda output: 0.0)


def test_a_model_without_parameters_is_refused():
    with pytest.raises(ConfigError, match="this Flatten has no parameters; expected a model that can be trained"):
        Learner(nn.Flatten(), loss="mse")
