"""The built-in callbacks: their order, and how users replace them."""

from __future__ import annotations

import pytest
import torch
from fitting import quiet, same, weights

from rnnkit.errors import ConfigError, DivergenceError
from rnnkit.training import (
    NTASGD,
    BestWeights,
    Callback,
    Checkpoints,
    DivergenceRescue,
    EarlyStopping,
    WeightAveraging,
)
from rnnkit.training.learner import Learner
from rnnkit.training.watching.callbacks import with_defaults


class Recorder(Callback):
    def __init__(self) -> None:
        self.order_of_run: list[str] = []

    def on_fit_begin(self, learner, run):
        self.order_of_run = [type(one).__name__ for one in run.callbacks.all]


def test_they_stand_in_the_stated_order(classifier, blobs, tmp_path):
    recorder = Recorder()
    settings = {"restore_best": True, "early_stopping": 2, "average": "ema", "checkpoint": tmp_path, "validation": 0.2}
    quiet(Learner(classifier()), blobs, callbacks=[recorder], **settings)
    expected = ["DivergenceRescue", "BestWeights", "WeightAveraging", "Recorder", "EarlyStopping", "Checkpoints"]
    assert recorder.order_of_run == expected


def test_one_of_the_same_class_takes_the_place():
    class Mine(EarlyStopping):
        pass

    mine = Mine(3)
    assert with_defaults([mine], [DivergenceRescue(), EarlyStopping(1)])[1:] == (mine,)


def test_as_arguments_and_as_callbacks_they_are_the_same(classifier, blobs, tmp_path):
    arguments, objects = Learner(classifier(), lr=0.05), Learner(classifier(), lr=0.05)
    common = {"epochs": 12, "validation": 0.3}
    settings = {"restore_best": True, "early_stopping": 2, "average": "ema", "checkpoint": tmp_path / "a"}
    first = quiet(arguments, blobs, **settings, **common)
    callbacks = [Checkpoints(tmp_path / "b"), EarlyStopping(2), WeightAveraging("ema"), BestWeights()]
    second = quiet(objects, blobs, callbacks=callbacks, **common)
    assert (first.stopped, first.best_epoch) == (second.stopped, second.best_epoch)
    assert same(weights(arguments.model), weights(objects.model))
    assert (tmp_path / "b" / "training.safetensors").exists()


def test_a_run_goes_on_from_the_checkpoints_that_a_callback_wrote(classifier, blobs, tmp_path):
    whole, broken = Learner(classifier()), Learner(classifier())
    quiet(whole, blobs, epochs=4)

    class Stop(Callback):
        def on_epoch_closed(self, learner, row):
            if row["epoch"] == 2:
                raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        quiet(broken, blobs, epochs=4, callbacks=[Checkpoints(tmp_path), Stop()])
    again = Learner(classifier())
    quiet(again, blobs, epochs=4, callbacks=[Checkpoints(tmp_path)], resume=True)
    assert same(weights(whole.model), weights(again.model))


def test_another_rescue_may_take_over(classifier, blobs):
    class Halve(DivergenceRescue):
        """Says what happened in its own words."""

        def on_exception(self, learner, error):
            try:
                super().on_exception(learner, error)
            except DivergenceError as found:
                raise DivergenceError(f"rescued: {found}") from None

    x = blobs[0].clone()
    learner = Learner(classifier(), lr=float(torch.finfo(torch.float32).max))
    with pytest.raises(DivergenceError, match="^rescued: "):
        quiet(learner, (x, blobs[1]), callbacks=[Halve()])


def test_end_hooks_run_in_the_reverse_order(classifier, blobs):
    seen = []

    class Late(Callback):
        order = 95

        def on_train_end(self, learner, history):
            seen.append("late")

    class Usual(Callback):
        def on_train_end(self, learner, history):
            seen.append("usual")

    quiet(Learner(classifier()), blobs, callbacks=[Late(), Usual()])
    assert seen == ["late", "usual"]


def test_one_object_serves_several_runs(classifier, blobs, tmp_path):
    def callbacks():
        return [Checkpoints(tmp_path / "a"), EarlyStopping(3), WeightAveraging(NTASGD(n=1)), BestWeights()]

    settings = {"epochs": 6, "validation": 0.3, "monitor": "val_loss"}
    shared, learner = callbacks(), Learner(classifier(), optimizer="sgd", lr=0.9)
    quiet(learner, blobs, callbacks=shared, **settings)
    again, fresh = Learner(classifier()), Learner(classifier())
    quiet(again, blobs, callbacks=shared, **settings)
    quiet(fresh, blobs, callbacks=callbacks(), **settings)
    assert same(weights(again.model), weights(fresh.model))


def test_a_run_has_one_place_for_checkpoints(classifier, blobs, tmp_path):
    with pytest.raises(ConfigError, match="a run writes them to one place"):
        quiet(Learner(classifier()), blobs, checkpoint=tmp_path / "a", callbacks=[Checkpoints(tmp_path / "b")])
    with pytest.raises(ConfigError, match="need a place"):
        quiet(Learner(classifier()), blobs, resume=True)
    quiet(Learner(classifier()), blobs, callbacks=[Checkpoints(tmp_path / "c")], resume=True)


def test_every_callback_hears_of_an_error(classifier, blobs):
    heard = []

    class Late(Callback):
        order = 99

        def on_exception(self, learner, error):
            heard.append(type(error).__name__)

    with pytest.raises(DivergenceError):
        quiet(Learner(classifier(), lr=1e38), blobs, callbacks=[Late()])
    assert heard == ["NonFinite"]


def test_every_callback_sees_the_end_and_the_run_says_how_it_ended(classifier, blobs):
    ended = []

    class Last(Callback):
        order = 99

        def on_fit_end(self, learner, history):
            ended.append(history.stopped)

    class Fails(Callback):
        def __init__(self, hook: str) -> None:
            setattr(self, hook, self.fail)

        def fail(self, *_):
            raise ValueError("mine")

    for hook, stopped in (("on_prepare", "error"), ("on_step_end", "error"), ("on_fit_end", "finished")):
        learner = Learner(classifier())
        with pytest.raises(ValueError, match="mine"):
            quiet(learner, blobs, callbacks=[Fails(hook), Last()])
        assert learner.history.stopped == stopped
    assert ended == ["error", "finished"]
    assert repr([EarlyStopping(2), BestWeights(), WeightAveraging("ema")]) == (
        "[EarlyStopping(2), BestWeights(), WeightAveraging(EMA(decay=0.999, warmup=True))]"
    )
