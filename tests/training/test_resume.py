"""Runs that are cut off and go on: the same bits as if they never were."""

from __future__ import annotations

from contextlib import suppress

import pytest
import torch
from fitting import quiet, same, weights
from torch import nn

from rnnkit.training.averaging import NTASGD
from rnnkit.training.callbacks import Callback
from rnnkit.training.learner import Learner


class Cut(BaseException):
    """What a kill is in one process: nothing catches it."""


class CutAt(Callback):
    """Ends the run behind a step."""

    def __init__(self, step):
        self.step = step

    def on_step_end(self, learner, step):
        if step == self.step:
            raise Cut


def cut_and_resume(make, data, folder, steps, **settings):
    """The weights and the history of a run that is cut off after each of these steps and goes on each time."""
    settings = {"checkpoint": folder, "resume": True, "checkpoint_every": 2, **settings}
    own = settings.pop("callbacks", list)
    for step in steps:
        with pytest.raises(Cut):
            quiet(make(), data(), callbacks=[*own(), CutAt(step)], **settings)
    learner = make()
    history = quiet(learner, data(), callbacks=own(), **settings)
    return weights(learner.model), figures(history)


def figures(history):
    """What of a history is no time."""
    times = ("seconds", "samples_per_second")
    rows = [{name: value for name, value in row.items() if name not in times} for row in history.rows]
    return rows, history.best_epoch, history.stopped


SETTINGS = {
    "adam": ({"lr": 0.01}, {"schedule": "warmup_cosine", "validation": 0.25, "restore_best": True}),
    "adamw": ({"optimizer": "adamw", "weight_decay": 0.1, "clip_norm": 0.1}, {"seed": None, "accumulate": 2}),
    "sgd": ({"optimizer": lambda p: torch.optim.SGD(p, 0.1, momentum=0.9, nesterov=True)}, {"schedule": "one_cycle"}),
    "rmsprop": (
        {"optimizer": "rmsprop", "metrics": {"score": lambda output, target: output.sum()}},
        {"monitor": "loss", "early_stopping": 1, "schedule": "plateau"},
    ),
    "average": ({"optimizer": "sgd", "lr": 0.1}, {"average": "ema", "validation": 0.25, "restore_best": True}),
    "nt-asgd": ({"optimizer": "sgd", "lr": 0.9}, {"average": NTASGD(n=1), "monitor": "loss", "epochs": 4}),
    "amsgrad": (
        {
            "optimizer": lambda p: torch.optim.Adam(p, 0.01, amsgrad=True),
            "precision": "bf16-mixed",
            "recurrent_l2": 0.1,
        },
        {"shuffle": False},
    ),
}


@pytest.mark.parametrize("name", SETTINGS)
def test_the_same_bits_as_without_a_break(classifier, blobs, tmp_path, name):
    options, settings = SETTINGS[name]
    settings = {"batch_size": 16, "epochs": 3, **settings}

    def make():
        torch.manual_seed(8)
        return Learner(classifier(dropout=0.3), device="cpu", **options)

    whole = make()
    expected = figures(quiet(whole, blobs, **settings))
    steps = (0, 3, 4, 6, 7)  # of 3 to 6 an epoch, stored after each second
    found, history = cut_and_resume(make, lambda: blobs, tmp_path, steps, **settings)
    assert same(found, weights(whole.model))
    assert history == expected
    assert len(history[0]) == settings["epochs"] or history[2] == "early stopping"


def test_a_resumed_run_takes_no_step_twice_or_never(classifier, blobs, tmp_path):
    class Rows(nn.Module):
        """Notes which rows it sees; the first number of a row is its own."""

        def __init__(self):
            super().__init__()
            self.model, self.seen = classifier(), []

        def forward(self, x):
            if self.training:
                self.seen.append(x[:, 0, 0].tolist())
            return self.model(x)

    def run(**settings):
        learner = Learner(Rows(), loss="cross_entropy")
        with suppress(Cut):
            quiet(learner, blobs, batch_size=16, epochs=2, **settings)
        return learner.model.seen

    whole = run()
    settings = {"checkpoint": tmp_path, "resume": True, "checkpoint_every": 1}
    first, second = run(callbacks=[CutAt(7)], **settings), run(**settings)
    assert first + second == [*whole[:8], *whole[7:]]  # the step that was cut off is the one that is repeated
    assert len(whole) == 12
