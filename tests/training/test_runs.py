"""The course of a run: stopping, keeping the best, checkpoints, divergence, progress."""

from __future__ import annotations

import csv
import os
import shutil
import signal
import sys
import threading

import pytest
import torch
from fitting import quiet, same, weights
from torch import nn

from rnnkit.errors import ConfigError, DivergenceError
from rnnkit.models.loading import load
from rnnkit.serialization import read_config
from rnnkit.training.contexts import CatchInterrupt
from rnnkit.training.history import History
from rnnkit.training.learner import Learner
from rnnkit.training.watching.callbacks import Callback
from rnnkit.training.watching.progress import Progress


@pytest.fixture
def saved(monkeypatch):
    """What was handed to `pack_module`, in order: (epoch, weights)."""
    calls = []

    def pack_module(module, extra=None):
        calls.append((extra and extra["epoch"], weights(module)))
        return lambda path: path

    monkeypatch.setattr("rnnkit.training.resuming.checkpoint.pack_module", pack_module)
    return calls


class Recorder:
    """A callback that keeps the weights after each epoch."""

    def __init__(self):
        self.weights = []

    def __call__(self, learner, row):
        self.weights.append(weights(learner.model))


# Early stopping, best weights, checkpoints ---------------------------------------------------------------------------


def scripted(values: list[float]):
    """A metric that takes the given values, one each time it is computed."""
    remaining = iter(values)

    def score(output, target):
        return next(remaining)

    score.higher_is_better = True
    return score


def validated(classifier, values, **settings):
    """A run whose val_score follows `values`; the training data's own calls get the zeros in between."""
    mixed = [number for value in values for number in (0.0, value)]
    return Learner(classifier(), metrics={"score": scripted(mixed)}, lr=0.01), {"monitor": "val_score", **settings}


def test_early_stopping_ends_after_as_many_worse_epochs(classifier, blobs):
    learner, settings = validated(classifier, [0.1, 0.5, 0.4, 0.5, 0.9], early_stopping=2, validation=blobs)
    history = quiet(learner, blobs, epochs=5, **settings)
    assert [row["val_score"] for row in history.rows] == [0.1, 0.5, 0.4, 0.5]  # a tie is not better
    assert history.stopped == "early stopping"
    assert history.best_epoch == 2


def test_early_stopping_on_the_training_loss_needs_no_validation(classifier, blobs):
    history = quiet(Learner(classifier(), lr=0.0), blobs, epochs=9, monitor="loss", early_stopping=3, shuffle=False)
    assert len(history.rows) == 4
    assert history.stopped == "early stopping"


def test_restore_best_ends_with_the_best_weights_and_checkpoint(classifier, blobs, saved, tmp_path):
    kept = Recorder()
    learner, settings = validated(classifier, [0.1, 0.5, 0.4], restore_best=True, validation=blobs, callbacks=[kept])
    quiet(learner, blobs, checkpoint=tmp_path / "model.safetensors", **settings)
    assert same(weights(learner.model), kept.weights[1])
    assert not same(kept.weights[1], kept.weights[2])
    assert [epoch for epoch, _ in saved] == [1, 2]
    assert same(saved[-1][1], kept.weights[1])


def test_a_folder_that_is_deleted_in_mid_run_is_written_again(classifier, blobs, tmp_path):
    """Also the best model, whose epoch is over by then."""

    def delete(learner, row):
        if row["epoch"] == 2:
            shutil.rmtree(tmp_path / "run")

    settings = {"validation": blobs, "restore_best": True, "checkpoint": tmp_path / "run", "callbacks": [delete]}
    learner, settings = validated(classifier, [0.5, 0.1, 0.4], **settings)
    quiet(learner, blobs, **settings)
    assert read_config(tmp_path / "run")["extra"]["epoch"] == 1
    assert same(weights(load(tmp_path / "run", classifier())), weights(learner.model))


def test_without_restore_best_the_last_weights_stay_and_every_epoch_is_kept(classifier, blobs, saved, tmp_path):
    kept = Recorder()
    learner, settings = validated(classifier, [0.1, 0.5, 0.4], validation=blobs, callbacks=[kept])
    history = quiet(learner, blobs, checkpoint=str(tmp_path / "model.safetensors"), **settings)
    assert history.best_epoch == 2
    assert same(weights(learner.model), kept.weights[2])
    assert [epoch for epoch, _ in saved] == [1, 2, 3]


def test_a_monitor_that_does_not_tell_its_direction_is_refused(classifier, blobs):
    learner = Learner(classifier(), metrics={"score": lambda output, target: 0.0})
    with pytest.raises(ConfigError, match="higher_is_better"):
        quiet(learner, blobs, monitor="score")


def test_a_checkpoint_is_a_file_that_load_reads(classifier, blobs, tmp_path):
    model = classifier()
    learner = Learner(model)
    quiet(learner, blobs, epochs=2, checkpoint=tmp_path / "run" / "model.safetensors")
    from safetensors.torch import load_file

    stored = load_file(tmp_path / "run" / "model.safetensors")
    assert same([stored[name] for name in model.state_dict()], weights(model))
    assert read_config(tmp_path / "run")["extra"]["epoch"] == 2
    learner.save(tmp_path / "end.safetensors")
    assert same(list(load_file(tmp_path / "end.safetensors").values()), list(stored.values()))


def test_a_share_held_out_is_never_trained_on(classifier, blobs):
    x, y = blobs
    seen = []

    class Watching(nn.Module):
        def __init__(self):
            super().__init__()
            self.model = classifier()

        def forward(self, x):
            seen.append((self.training, x[:, 0, 0].detach().clone()))
            return self.model(x)

    def rows_seen(**settings):
        seen.clear()
        quiet(Learner(Watching(), loss="cross_entropy"), (x, y), epochs=2, validation=0.25, **settings)
        trained = torch.cat([rows for training, rows in seen if training]).unique()
        validated = torch.cat([rows for training, rows in seen[1:] if not training]).unique()
        return trained, validated

    for shuffle in (True, False):
        trained, held_out = rows_seen(shuffle=shuffle)
        assert len(trained) == 72
        assert len(held_out) == 24
        assert torch.isin(trained, held_out).sum() == 0
    assert torch.equal(held_out, x[72:, 0, 0].sort().values)  # without shuffling, the last rows


# Ctrl-C --------------------------------------------------------------------------------------------------------------


def interrupt() -> None:
    os.kill(os.getpid(), signal.SIGINT)


def test_ctrl_c_ends_after_the_step_and_keeps_what_there_is(classifier, blobs, saved, tmp_path):
    handler = signal.getsignal(signal.SIGINT)
    steps = []

    def schedule(step, total):
        steps.append(step)
        if step == 4:  # the second step of the second epoch
            interrupt()
        return 1.0

    model = classifier()
    history = quiet(Learner(model), blobs, schedule=schedule, checkpoint=tmp_path / "model.safetensors")
    assert steps == [0, 1, 2, 3, 4]
    assert history.stopped == "interrupted"
    assert [row["epoch"] for row in history.rows] == [1]
    assert [epoch for epoch, _ in saved] == [1]
    assert not same(saved[0][1], weights(model))  # the steps after the epoch were taken
    assert signal.getsignal(signal.SIGINT) is handler


def test_ctrl_c_between_epochs(classifier, blobs):
    history = quiet(Learner(classifier()), blobs, callbacks=[lambda learner, row: interrupt()])
    assert history.stopped == "interrupted"
    assert len(history.rows) == 1


def test_ctrl_c_after_the_last_epoch_stops_nothing(classifier, blobs):
    last = [lambda learner, row: row["epoch"] == 3 and interrupt()]
    history = quiet(Learner(classifier()), blobs, callbacks=last)
    assert history.stopped == "finished"


def test_a_second_ctrl_c_raises_at_once(classifier, blobs):
    handler = signal.getsignal(signal.SIGINT)

    def twice(learner, row):
        interrupt()
        interrupt()

    learner = Learner(classifier())
    with pytest.raises(KeyboardInterrupt):
        quiet(learner, blobs, callbacks=[twice])
    assert learner.history.stopped == "interrupted"
    assert signal.getsignal(signal.SIGINT) is handler


@pytest.mark.parametrize(("raised", "stopped"), [(KeyboardInterrupt, "interrupted"), (OSError, "error")])
def test_what_is_raised_in_a_hook_is_why_the_run_ended(classifier, blobs, raised, stopped):
    seen = []

    class Hooks(Callback):
        def on_step_end(self, learner, step):
            raise raised

        def on_fit_end(self, learner, history):
            seen.append(history.stopped)

    with pytest.raises(raised):
        quiet(Learner(classifier()), blobs, callbacks=[Hooks()])
    assert seen == [stopped]


def test_signals_that_are_ignored_or_not_ours_stay_so(classifier, blobs):
    handler = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        with CatchInterrupt():
            assert signal.getsignal(signal.SIGINT) is signal.SIG_IGN
    finally:
        signal.signal(signal.SIGINT, handler)

    histories = []
    thread = threading.Thread(target=lambda: histories.append(quiet(Learner(classifier()), blobs, epochs=1)))
    thread.start()
    thread.join()
    assert histories[0].stopped == "finished"


# Divergence ----------------------------------------------------------------------------------------------------------


def test_a_loss_that_turns_nan_is_explained_and_undone(classifier, blobs, saved, tmp_path):
    x, y = blobs
    model = classifier()
    kept = Recorder()
    calls = []

    def loss(output, target):
        calls.append(1)
        value = nn.functional.cross_entropy(output, target)
        return value * float("nan") if len(calls) == 5 else value

    learner = Learner(model, loss=loss, lr=0.03)
    with pytest.raises(DivergenceError) as caught:
        quiet(learner, (x, y), shuffle=False, callbacks=[kept], checkpoint=tmp_path / "model.safetensors")
    message = str(caught.value)
    assert "the loss became nan in epoch 2, step 2" in message
    assert "rows 32, 33, 34" in message
    assert "(32 in all)" in message
    assert f"largest input {x[32:64].abs().max().item():.4g}, largest target 1" in message
    assert "norm of the last gradient" in message
    assert "largest weights" in message
    assert "weights were put back to those of epoch 1" in message
    assert "a lower lr (now 0.03)" in message
    assert same(weights(model), kept.weights[0])
    assert [epoch for epoch, _ in saved] == [1]
    assert len(learner.history.rows) == 1
    history = quiet(learner, (x, y), epochs=2)  # and it can go on
    assert all(row["loss"] < 1 for row in history.rows)


def test_weights_that_overflow_in_the_last_step_are_caught_before_they_are_kept(classifier, blobs, saved, tmp_path):
    model = classifier()
    before = weights(model)
    with pytest.raises(DivergenceError, match=r"(?s)epoch 1, step 1.*weights not finite.*before training"):
        quiet(
            Learner(model, loss=lambda output, target: (output * 1e30).sum(), optimizer="sgd", lr=1e30),
            blobs,
            batch_size=96,
            checkpoint=tmp_path / "model.safetensors",
        )
    assert same(before, weights(model))
    assert saved == []


def test_divergence_on_an_iterable_names_the_step(classifier, blobs):
    x, y = blobs
    pairs = [(x[:32], y[:32]), (torch.full((32, 5, 2), 7.0), y[32:64])]
    calls = []

    def loss(output, target):
        calls.append(1)
        return nn.functional.cross_entropy(output, target) / (2 - len(calls))

    with pytest.raises(DivergenceError, match=r"epoch 1, step 2\n  largest input 7, "):
        quiet(Learner(classifier(), loss=loss), pairs)


# Progress and history ------------------------------------------------------------------------------------------------


def test_a_line_per_epoch_where_the_output_is_no_terminal(classifier, blobs, capsys):
    Learner(classifier()).fit(blobs, epochs=2, validation=blobs)
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 2
    assert lines[1].startswith("epoch 2/2  loss 0.")
    for part in ("accuracy ", "%  val_loss 0.", "val_accuracy ", " samples/s  ", " s"):
        assert part in lines[1]
    quiet(Learner(classifier()), blobs)
    assert capsys.readouterr().out == ""


def test_a_bar_on_a_terminal_with_a_line_above_it_for_each_epoch(classifier, blobs, monkeypatch, capsys):
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True, raising=False)
    monkeypatch.setenv("FORCE_COLOR", "1")  # rich then draws as on a terminal
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("COLUMNS", "120")
    monkeypatch.setattr("rnnkit.training.watching.progress._REFRESH_SECONDS", 0.0)  # every step is drawn
    Learner(classifier()).fit(blobs, epochs=2, seed=0)
    out = capsys.readouterr().out
    assert "epoch 1/2  loss" in out  # the line
    for part in ("epoch 2/2 ", "━", "accuracy", "samples/s", "0:00:0"):  # the bar
        assert part in out


def test_steps_do_not_redraw_the_bar_more_than_ten_times_a_second(monkeypatch):
    clock = iter(index * 0.01 for index in range(1000))
    monkeypatch.setattr("rnnkit.training.watching.progress.time.monotonic", lambda: next(clock))
    drawn = []

    class Bar:
        update = refresh = staticmethod(lambda *args, **kwargs: drawn.append(args))

    class Figures:
        mean = staticmethod(lambda **kwargs: 0.0)
        peek = staticmethod(dict)

    progress = Progress(True, epochs=1, steps=200)
    progress._bar, progress._next_refresh = Bar(), 0.0
    for step in range(200):  # two seconds
        progress.step(step, 1, 1, -1.0, Figures(), Figures())
    assert 2 <= len(drawn) / 2 <= 21


def test_busy_cores_are_told_once_with_what_to_type(monkeypatch, capsys):
    monkeypatch.setattr("rnnkit.training.watching.progress.busy_cores_of_others", lambda: 1.5)
    monkeypatch.setattr("torch.get_num_threads", lambda: 2)
    row = {"epoch": 1, "loss": 0.5, "lr": 0.1, "samples_per_second": 10.0, "seconds": 1.0}
    for policy, told in (("", True), ("PASSIVE", False)):
        monkeypatch.setenv("OMP_WAIT_POLICY", policy)
        with Progress(True, epochs=2, steps=1) as progress:
            progress.epoch(row)
            progress.epoch(row)
        (line,) = capsys.readouterr().err.splitlines()
        assert line.startswith("other programs keep 1.5 of ")
        assert ("type OMP_WAIT_POLICY=passive before the command" in line) == told


def test_history_as_a_table(tmp_path):
    history = History()
    history.add({"epoch": 1, "loss": 0.25})
    history.add({"epoch": 2, "loss": float("nan")})
    history.add({"epoch": 3, "loss": 0.125})
    assert history.best_epoch == 3
    history.to_csv(tmp_path / "history.csv")
    with open(tmp_path / "history.csv", newline="") as file:
        assert [row["loss"] for row in csv.DictReader(file)] == ["0.25", "nan", "0.125"]
