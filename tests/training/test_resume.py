"""Runs that are cut off and go on: the same bits as if they never were."""

from __future__ import annotations

import random
import signal
from contextlib import suppress

import numpy as np
import pytest
import torch
from fitting import figures, quiet, same, stored, weights
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

from rnnkit.errors import ConfigError, RunFolderError
from rnnkit.serialization import read_config, read_values, write_values
from rnnkit.training.learner import Learner
from rnnkit.training.optimization.averaging import NTASGD
from rnnkit.training.watching.callbacks import Callback


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


def test_a_state_from_before_batches_had_one_goes_on(classifier, blobs, tmp_path):
    """States of earlier versions have no "batches": the position of the epoch says where they go on."""
    settings = {"batch_size": 16, "epochs": 3}
    whole, resumed = Learner(classifier(dropout=0.3)), Learner(classifier(dropout=0.3))
    quiet(whole, blobs, **settings)
    with suppress(Cut):
        quiet(
            Learner(classifier(dropout=0.3)),
            blobs,
            checkpoint=tmp_path,
            checkpoint_every=1,
            callbacks=[CutAt(8)],
            **settings,
        )
    state = read_values(tmp_path / "training.safetensors")
    assert state["place"]["batch"] > 0
    del state["batches"]
    write_values(state, tmp_path / "training.safetensors")
    quiet(resumed, blobs, checkpoint=tmp_path, checkpoint_every=1, resume=True, **settings)
    assert same(weights(whole.model), weights(resumed.model))


# What a run that is over, or another one, finds ----------------------------------------------------------------------


def test_a_run_that_is_over_returns_at_once(classifier, blobs, tmp_path):
    settings = {"validation": 0.25, "restore_best": True, "average": "ema", "checkpoint": tmp_path, "resume": True}
    first = Learner(classifier(), lr=0.5)
    history = quiet(first, blobs, **settings)

    class Never(Callback):
        def on_fit_begin(self, learner, run):
            raise AssertionError("it began")

    (tmp_path / "model.safetensors").unlink()  # as if it had been killed before it was written
    again = Learner(classifier(), lr=0.5)
    found = quiet(again, blobs, callbacks=[Never()], **settings)
    assert found is again.history
    assert (found.rows, found.best_epoch, found.stopped) == (history.rows, history.best_epoch, "finished")
    assert 0 < found.seconds <= history.seconds
    assert same(weights(again.model), weights(first.model))
    assert same(stored(tmp_path, again.model), weights(again.model))
    assert read_config(tmp_path)["extra"]["epoch"] == history.best_epoch


def test_a_run_that_is_over_goes_on_for_more_epochs(classifier, blobs, tmp_path):
    whole = Learner(classifier(dropout=0.3), lr=0.1)
    settings = {"validation": 0.25, "restore_best": True, "average": "ema"}
    expected = figures(quiet(whole, blobs, epochs=5, **settings))
    settings |= {"checkpoint": tmp_path, "resume": True}
    quiet(Learner(classifier(dropout=0.3), lr=0.1), blobs, epochs=2, **settings)
    longer = Learner(classifier(dropout=0.3), lr=0.1)
    assert figures(quiet(longer, blobs, epochs=5, **settings)) == expected
    assert same(weights(longer.model), weights(whole.model))
    with pytest.raises(ConfigError, match="epochs=4 arrived, but 5 epochs"):
        quiet(Learner(classifier(), lr=0.1), blobs, epochs=4, **settings)


def test_more_epochs_move_a_schedule_and_say_so(classifier, blobs, tmp_path):
    settings = {"schedule": "cosine", "checkpoint": tmp_path, "resume": True}
    quiet(Learner(classifier()), blobs, epochs=2, **settings)
    with pytest.warns(UserWarning, match=r"begun with 2 epochs and goes on with 4.*step 6 .* is 0\.5, not 0"):
        history = quiet(Learner(classifier()), blobs, epochs=4, **settings)
    assert history.rows[2]["lr"] == pytest.approx(0.001 * (1 + np.cos(np.pi * 8 / 12)) / 2)


def test_a_stop_is_kept_and_a_pause_goes_on(classifier, blobs, tmp_path):
    class Stop(Callback):
        def __init__(self, how):
            self.how = how

        def on_step_end(self, learner, step):
            if step == 4:
                self.how(learner)

    whole = Learner(classifier())
    quiet(whole, blobs)
    pause = Stop(lambda learner: signal.raise_signal(signal.SIGINT))
    settings = {"resume": True, "checkpoint": tmp_path / "paused"}
    assert quiet(Learner(classifier()), blobs, callbacks=[pause], **settings).stopped == "interrupted"
    learner = Learner(classifier())
    assert quiet(learner, blobs, **settings).stopped == "finished"
    assert same(weights(learner.model), weights(whole.model))

    settings["checkpoint"] = tmp_path / "stopped"
    stopped = Learner(classifier())
    quiet(stopped, blobs, callbacks=[Stop(Learner.stop)], **settings)
    learner = Learner(classifier())
    assert quiet(learner, blobs, **settings).stopped == "callback"
    assert same(weights(learner.model), weights(stopped.model))


OTHER = {
    "lr was 0.001, is 0.01": ({"lr": 0.01}, {}),
    "batch_size was 32, is 16": ({}, {"batch_size": 16}),
    "optimizer was 'adam', is 'sgd'": ({"optimizer": "sgd"}, {}),
    "schedule was None, is 'cosine'": ({}, {"schedule": "cosine"}),
    "average was None, is 'ema'": ({}, {"average": "ema"}),
    "seed was 0, is 1": ({}, {"seed": 1}),
    r"model: head.weight was 'float32 \[2, 8\]', is 'float32 \[3, 8\]'": ({"outputs": 3}, {}),
    "data: rows was 96, is 95": ({}, {"data": lambda x, y: (x[:95], y[:95])}),
    "data: hash was": ({}, {"data": lambda x, y: (x + 1, y)}),
    "validation: rows was None, is 96": ({}, {"validation": True}),
}


@pytest.mark.parametrize("message", OTHER)
def test_another_run_is_refused_by_what_differs(classifier, blobs, tmp_path, message):
    settings = {"epochs": 2, "checkpoint": tmp_path, "resume": True}
    with pytest.raises(Cut):
        quiet(Learner(classifier()), blobs, callbacks=[CutAt(4)], **settings)
    before = (tmp_path / "training.safetensors").read_bytes()
    options, other = (dict(part) for part in OTHER[message])
    model = classifier(options.pop("outputs", 2))
    start = weights(model)
    data = other.pop("data", lambda *data: data)(*blobs)
    if other.pop("validation", False):
        other["validation"] = blobs
    with pytest.raises(ConfigError, match=message):
        quiet(Learner(model, **options), data, **settings | other)
    assert same(weights(model), start)
    with pytest.raises(RunFolderError, match="not over, 1 of 2 epochs: pass resume=True"):
        quiet(Learner(classifier()), blobs, **settings | {"resume": False})
    assert (tmp_path / "training.safetensors").read_bytes() == before
    quiet(Learner(classifier()), blobs, **settings)
    quiet(Learner(classifier()), blobs, **settings | {"resume": False})  # over: it may begin anew


# What is kept --------------------------------------------------------------------------------------------------------


class Counter(Callback):
    """Counts epochs, in numbers and in a tensor."""

    def __init__(self):
        self.epochs, self.tensor, self.began = 0, torch.zeros(2), None

    def on_fit_begin(self, learner, run):
        self.began = len(learner.history.rows)

    def on_epoch_end(self, learner, row):
        self.epochs += 1
        self.tensor += row["epoch"]

    def state_dict(self):
        return {"epochs": self.epochs, "tensor": self.tensor}

    def load_state_dict(self, state):
        self.epochs, self.tensor = state["epochs"], state["tensor"]


def test_callbacks_get_their_states_back(classifier, blobs, tmp_path):
    settings = {"checkpoint": tmp_path, "resume": True}
    with pytest.raises(Cut):
        quiet(Learner(classifier()), blobs, callbacks=[Counter(), CutAt(7)], **settings)
    counter, new = Counter(), Counter()
    quiet(Learner(classifier()), blobs, callbacks=[counter, new], **settings)
    assert (counter.epochs, counter.tensor.tolist(), counter.began) == (3, [6.0, 6.0], 2)
    assert new.epochs == 1  # the second of its class, which the first run did not have

    foreign = Callback()
    foreign.state_dict = lambda: {"a": [object()]}
    with pytest.raises(ConfigError, match=r"callbacks\.Callback 1\.a\.0 is a object"):
        quiet(Learner(classifier()), blobs, callbacks=[foreign], checkpoint=tmp_path / "other")


def test_generators_outside_of_torch_are_kept_where_they_are_drawn_from(classifier, blobs, tmp_path):
    x, y = blobs

    def noisy():
        """Batches in an order of Python's generator, with noise of numpy's: what many an augmentation does."""

        class Noisy:
            def __iter__(self):
                for at in random.sample(range(6), 6):
                    noise = np.random.normal(size=(16, 5, 2)).astype(np.float32)  # noqa: NPY002
                    yield x[16 * at : 16 * at + 16] + torch.from_numpy(noise), y[16 * at : 16 * at + 16]

            def __len__(self):
                return 6

        random.seed(3)
        np.random.seed(3)  # noqa: NPY002
        return Noisy()

    def loader():
        return DataLoader(TensorDataset(*blobs), 16, shuffle=True)

    def seeded_loader():
        return DataLoader(TensorDataset(*blobs), 16, shuffle=True, generator=torch.Generator().manual_seed(1))

    for number, data in enumerate((noisy, loader, seeded_loader)):
        whole = Learner(classifier(dropout=0.3))
        expected = figures(quiet(whole, data(), epochs=2))
        found, history = cut_and_resume(
            lambda: Learner(classifier(dropout=0.3)), data, tmp_path / str(number), (0, 4, 8), epochs=2
        )
        assert same(found, weights(whole.model))
        assert history == expected
    state = read_values(tmp_path / "1" / "training.safetensors")["random"][0]
    assert "numpy" not in state
    assert "python" not in state
