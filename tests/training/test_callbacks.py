"""Hooks: when they are called, what they see, and that a step pays for none that nobody wrote."""

from __future__ import annotations

import pytest
import torch
from fitting import quiet, same, weights

from rnnkit.errors import ConfigError
from rnnkit.training.learner import Learner
from rnnkit.training.watching.callbacks import Callback, Callbacks


class Notes(Callback):
    """Writes down every call."""

    def __init__(self):
        self.calls = []

    def on_fit_begin(self, learner, run):
        self.calls.append(("begin", run.epochs))

    def on_backward_end(self, learner, step):
        norm = torch.linalg.vector_norm(torch.cat([p.grad.flatten() for p in learner.model.parameters()]))
        self.calls.append(("backward", step, float(norm), weights(learner.model)))

    def on_step_end(self, learner, step):
        self.calls.append(("step", step, weights(learner.model)))

    def on_epoch_end(self, learner, row):
        self.calls.append(("epoch", row["epoch"], learner.history.rows[-1] is row))

    def on_fit_end(self, learner, history):
        self.calls.append(("end", history.stopped))


def test_hooks_come_in_order_and_see_what_they_say(classifier, blobs):
    notes = Notes()
    learner = Learner(classifier(), clip_norm=1e-6)
    quiet(learner, blobs, epochs=2, batch_size=48, callbacks=[notes])
    names = [call[0] for call in notes.calls]
    assert names == ["begin", *["backward", "step"] * 2, "epoch", *["backward", "step"] * 2, "epoch", "end"]
    assert [call[1] for call in notes.calls if call[0] == "backward"] == [0, 1, 2, 3]
    backward, step, following = notes.calls[1], notes.calls[2], notes.calls[3]
    assert backward[2] > 1e-3  # not yet clipped
    assert not same(backward[3], step[2])
    assert same(step[2], following[3])
    assert notes.calls[0] == ("begin", 2)
    assert notes.calls[5] == ("epoch", 1, True)
    assert notes.calls[-1] == ("end", "finished")


def test_a_hook_nobody_wrote_is_not_called(classifier, blobs):
    class Epochs(Callback):
        def on_epoch_end(self, learner, row):
            pass

    hooks = Callbacks(Learner(classifier()), [Epochs(), Callback(), lambda learner, row: None])
    assert hooks.backward_end == hooks.step_end == ()
    late = Callback()
    late.on_step_end = lambda learner, step: None  # on the object instead of in a class
    assert len(Callbacks(Learner(classifier()), [Epochs(), late]).step_end) == 1


@pytest.mark.parametrize(("hook", "rows"), [("on_backward_end", 1), ("on_step_end", 1), ("on_epoch_end", 2)])
def test_a_callback_stops_the_run_after_the_step_at_hand(classifier, blobs, hook, rows):
    steps, calls = [], []

    def stop(learner, _):
        calls.append(1)
        if len(calls) == (2 if hook == "on_epoch_end" else 5):  # batches of 32: the second step of the second epoch
            learner.stop()

    stopper, counter = Callback(), Callback()
    setattr(stopper, hook, stop)
    counter.on_step_end = lambda learner, step: steps.append(step)
    learner = Learner(classifier())
    history = quiet(learner, blobs, epochs=9, callbacks=[stopper, counter])
    assert history.stopped == "callback"
    assert len(history.rows) == rows
    assert steps == list(range(6 if hook == "on_epoch_end" else 5))
    with pytest.raises(ConfigError, match="none is under way"):
        learner.stop()


def test_the_end_is_called_after_an_error_with_the_weights_put_back(classifier, blobs):
    class End(Callback):
        def on_fit_end(self, learner, history):
            self.weights, self.rows = weights(learner.model), len(history.rows)

    model, end = classifier(), End()
    before = weights(model)
    with pytest.raises(ArithmeticError, match="weights were put back"):
        quiet(Learner(model, loss=lambda output, target: output.sum() * float("inf")), blobs, callbacks=[end])
    assert same(end.weights, before)
    assert end.rows == 0


def test_what_is_no_callback_is_refused(classifier, blobs):
    for wrong, message in ((3, "3 arrived in callbacks"), (Notes, "the class Notes")):
        with pytest.raises(ConfigError, match=message):
            quiet(Learner(classifier()), blobs, callbacks=[wrong])
