"""Monitored figures that are NaN: in every epoch, and in some."""

from __future__ import annotations

import math
import warnings
from types import SimpleNamespace

import pytest
import torch
from fitting import quiet, same, weights

from rnnkit.errors import RnnkitWarning
from rnnkit.serialization import read_config
from rnnkit.training.history import History
from rnnkit.training.learner import Learner
from rnnkit.training.optimization.averaging import NTASGD
from rnnkit.training.optimization.schedules import Plateau
from rnnkit.training.watching.callbacks import Callback
from rnnkit.training.watching.early_stopping import EarlyStopping

WATCHERS = [{"restore_best": True}, {"early_stopping": 1}, {"schedule": "plateau"}, {"average": "nt-asgd"}]


class Last(Callback):
    """Keeps a copy of the weights after each epoch."""

    def on_fit_begin(self, learner, run):
        self.weights = []

    def on_epoch_end(self, learner, row):
        self.weights.append(weights(learner.model))


@pytest.mark.parametrize("settings", WATCHERS, ids=lambda one: next(iter(one)))
def test_a_figure_that_is_never_defined_is_told_and_the_last_weights_stay(classifier, blobs, settings):
    x, y = blobs
    one_class = (x[y == 0], y[y == 0])
    learner, last = Learner(classifier(), metrics=["auc"]), Last()
    with pytest.warns(RnnkitWarning, match="val_auc is NaN in every epoch") as caught:
        history = quiet(learner, blobs, validation=one_class, monitor="val_auc", epochs=7, callbacks=[last], **settings)
    name = next(iter(settings))
    assert name in str(caught[0].message)
    assert 'type monitor="val_loss"' in str(caught[0].message)
    assert history.stopped == "finished"
    assert history.best_epoch is None
    assert len(history.rows) == 7
    assert same(weights(learner.model), last.weights[-1])
    assert set(history["lr"]) == {1e-3}


def test_the_model_is_written_where_no_epoch_is_the_best(classifier, blobs, tmp_path):
    x, y = blobs
    learner = Learner(classifier(), metrics=["auc"])
    settings = {"validation": (x[y == 0], y[y == 0]), "monitor": "val_auc", "checkpoint": tmp_path}
    with pytest.warns(RnnkitWarning):
        quiet(learner, blobs, restore_best=True, epochs=2, **settings)
    assert read_config(tmp_path)["extra"]["epoch"] == 2
    resumed = Learner(classifier(), metrics=["auc"])
    with pytest.warns(RnnkitWarning):
        quiet(resumed, blobs, restore_best=True, epochs=3, resume=True, **settings)
    whole = Learner(classifier(), metrics=["auc"])
    quiet(whole, blobs, epochs=3)
    assert same(weights(resumed.model), weights(whole.model))


class Given:
    """A metric of given values, one an evaluation."""

    higher_is_better = True

    def __init__(self, values):
        self.values = iter(values)
        self.training = True

    def __call__(self, output, target):
        return next(self.values)


def of_validation(values):
    """The values for the validation, 0 for the training data, of one batch each."""
    return Given([number for value in values for number in (0.0, value)])


def test_epochs_without_a_figure_are_passed_over(classifier, blobs):
    """Patience counts epochs that have a figure; the best is among them."""
    nan = math.nan
    metric = of_validation([nan, 0.5, nan, 0.4, nan, nan, 0.3, 0.9])
    learner, last = Learner(classifier(), metrics={"given": metric}), Last()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        history = quiet(
            learner, blobs, validation=blobs, batch_size=96, monitor="val_given", epochs=8, early_stopping=2,
            restore_best=True, callbacks=[last],
        )  # fmt: skip
    assert history.stopped == "early stopping"
    assert len(history.rows) == 7
    assert history.best_epoch == 2
    assert same(weights(learner.model), last.weights[1])


def test_schedule_and_average_pass_over_epochs_without_a_figure():
    schedule = Plateau(factor=0.5, patience=2)
    for figure in (math.nan, 1.0, math.nan, 1.1, math.nan, math.nan):
        schedule.epoch(figure, higher_is_better=False)
    assert schedule(0, 0) == 1.0
    schedule.epoch(1.2, higher_is_better=False)
    assert schedule(0, 0) == 0.5

    average = NTASGD(n=1)
    average.begin([torch.zeros(1)])
    for figure in (3.0, math.nan, 2.0, math.nan, 2.5):
        average.epoch({"val_loss": figure})
    assert not average.triggered
    average.epoch({"val_loss": 2.6})
    assert average.triggered
    again = NTASGD(n=1)
    again.begin([torch.zeros(1)])
    again.load_state_dict({**average.state_dict(), "figures": [3.0, None, 2.0]})  # as earlier versions wrote them
    assert again.figures == [3.0, 2.0]


@pytest.mark.parametrize("infinite", [math.inf, -math.inf])
@pytest.mark.parametrize("higher_is_better", [True, False])
def test_an_infinite_figure_is_never_the_best_and_does_not_count(infinite, higher_is_better):
    history = History(monitor="figure", higher_is_better=higher_is_better)
    assert [history.add({"figure": figure}) for figure in (infinite, 2.0, infinite)] == [False, True, False]
    assert history.best_epoch == 2

    stopping, run = EarlyStopping(2), SimpleNamespace(stop_reason=None)
    stopping.on_prepare(None, run)
    stopping.on_epoch_end(SimpleNamespace(history=history), {})
    history.add({"figure": infinite})
    stopping.on_epoch_end(SimpleNamespace(history=history), {})
    assert run.stop_reason is None

    plateau, average = Plateau(factor=0.5, patience=1), NTASGD(n=1)
    average.begin([torch.zeros(1)], monitor="figure", higher_is_better=higher_is_better)
    for figure in (infinite, 2.0, infinite, infinite):
        plateau.epoch(figure, higher_is_better=higher_is_better)
        average.epoch({"figure": figure})
    assert plateau(0, 0) == 1.0
    assert not average.triggered
