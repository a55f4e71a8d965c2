"""Checkpoints on a disk that is full: nothing is lost, and it is said."""

from __future__ import annotations

import resource
from contextlib import contextmanager

import pytest
from fitting import figures, quiet, same, weights

from rnnkit.errors import CheckpointError
from rnnkit.serialization import read_config, read_values
from rnnkit.training.learner import Learner
from rnnkit.training.watching.callbacks import Callback


@contextmanager
def full(size=2000):
    """No file may grow beyond this: what a full disk does, without filling one."""
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, limits[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)


class Fill(Callback):
    """Fills the disk before a step, and makes room before another."""

    def __init__(self, at, until):
        self.at, self.until, self.disk = at, until, full()

    def on_backward_end(self, learner, step):
        if step == self.at:
            self.disk.__enter__()
        if step == self.until:
            self.disk.__exit__(None, None, None)

    def on_fit_end(self, learner, history):
        if self.until > 8:
            self.disk.__exit__(None, None, None)


def test_a_full_disk_loses_nothing_and_stops_nothing(classifier, blobs, tmp_path):
    whole = Learner(classifier())
    expected = figures(quiet(whole, blobs))
    learner = Learner(classifier())
    with pytest.warns(UserWarning, match="step 6 .epoch 2. could not be written.*The run goes on"):
        history = quiet(learner, blobs, checkpoint=tmp_path, callbacks=[Fill(3, 6)])
    assert figures(history) == expected
    assert same(weights(learner.model), weights(whole.model))
    assert read_config(tmp_path)["extra"]["epoch"] == 3
    assert list(tmp_path.glob(".*")) == []


def test_a_disk_that_stays_full_is_told_at_the_end_and_the_earlier_checkpoint_serves(classifier, blobs, tmp_path):
    whole = Learner(classifier(), lr=0.1)
    settings = {"validation": 0.25, "restore_best": True}
    quiet(whole, blobs, batch_size=24, **settings)
    settings |= {"checkpoint": tmp_path, "batch_size": 24}
    learner = Learner(classifier(), lr=0.1)
    with (
        pytest.warns(UserWarning, match="goes on"),
        pytest.raises(CheckpointError, match="call learner.save.path.. The checkpoint of step 3 .epoch 1. is still"),
    ):
        quiet(learner, blobs, callbacks=[Fill(3, 9)], **settings)
    assert same(weights(learner.model), weights(whole.model))  # nothing of the run is lost
    assert len(learner.history.rows) == 3
    state = read_values(tmp_path / "training.safetensors")
    assert state["place"]["step"] == 3
    assert read_config(tmp_path)["extra"]["epoch"] == 1
    resumed = Learner(classifier(), lr=0.1)
    quiet(resumed, blobs, resume=True, **settings)
    assert same(weights(resumed.model), weights(whole.model))


def test_a_disk_that_is_full_at_first_is_told_at_once(classifier, blobs, tmp_path):
    with full(), pytest.raises(OSError, match="File too large"):
        quiet(Learner(classifier()), blobs, checkpoint=tmp_path)
    assert list(tmp_path.iterdir()) == []
