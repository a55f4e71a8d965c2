"""Runs on series that were stopped, killed or finished, and what goes on from them."""

import errno
import json
import signal
from pathlib import Path

import pytest
import torch
from commands import call, refused
from series_files import write_waves
from series_runs import QUICK, same, weights

from rnnkit.serialization import read_values, write_values
from rnnkit.training.resuming import checkpoint
from rnnkit.training.watching.progress import Progress


def test_a_stopped_run_goes_on_to_the_same_bits(train, monkeypatch):
    train("whole")
    step, seen = Progress.step, []

    def stop_at_the_third(self, *arguments):
        step(self, *arguments)
        seen.append(1)
        if len(seen) == 3:
            signal.raise_signal(signal.SIGINT)

    monkeypatch.setattr(Progress, "step", stop_at_the_third)
    stopped = call("train", "classify", *QUICK, "--set", "fit.epochs=4", "--out", "part")
    assert stopped.exit_code == 130, stopped.output
    assert "rnnkit train --resume part" in stopped.stderr
    assert json.loads(Path("part/metrics.json").read_text())["stopped"] == "interrupted"
    assert not same(weights("part"), weights("whole"))

    assert refused(call("train", "--resume", "part", "--seed", "3"), "part was begun with seed=0, not 3")
    assert refused(call("train", "--resume", "part", "--set", "model.cell=lstm"), "model.cell=gru, not lstm")
    assert refused(call("train", "--resume", "part", "--set", "fit.epochs=2"), "begun with 4; expected more")
    assert refused(call("train", "--resume", "part", "--out", "else"), "goes on in its own folder")

    resumed = call("train", "--resume", "part")
    assert resumed.exit_code == 0, resumed.output
    assert "of 4 epochs are done" in resumed.stdout
    assert same(weights("part"), weights("whole"))
    assert json.loads(Path("part/metrics.json").read_text())["stopped"] == "finished"
    assert (Path("part/predictions.csv").read_bytes()) == Path("whole/predictions.csv").read_bytes()


def test_a_finished_run_has_nothing_to_go_on_with_but_more_epochs(train):
    finished = train()
    before = Path("runs/classify/model.safetensors").read_bytes()
    result = call("train", "--resume", "runs/classify")
    assert result.exit_code == 0
    assert "runs/classify is finished (4 of 4 epochs are done)" in result.stdout
    assert result.stdout.splitlines()[-1] == finished.stdout.splitlines()[-1]
    assert Path("runs/classify/model.safetensors").read_bytes() == before

    more = call("train", "--resume", "runs/classify", "--set", "fit.epochs=6")
    assert more.exit_code == 0, more.output
    assert json.loads(Path("runs/classify/metrics.json").read_text())["epochs"] == 6
    assert json.loads(Path("runs/classify/recipe.json").read_text())["settings"]["fit"]["epochs"] == 6


def test_a_run_that_counts_steps_goes_on_by_steps():
    write_waves("my.csv")
    line = ["train", "classify", *QUICK, "--set", "fit.batch_size=8"]
    assert call(*line, "--set", "fit.steps=6").exit_code == 0
    assert "add --set fit.steps=N" in call("train", "--resume", "runs/classify").stdout
    assert refused(call("train", "--resume", "runs/classify", "--set", "fit.steps=3"), "begun with 6; expected more")
    more = call("train", "--resume", "runs/classify", "--set", "fit.steps=9")
    assert more.exit_code == 0, more.output
    assert json.loads(Path("runs/classify/metrics.json").read_text())["epochs"] == 3


def test_a_run_whose_length_the_recipe_chose_gets_no_shorter(monkeypatch):
    monkeypatch.setattr("rnnkit.tasks.settings.Fit.schedule_for", lambda self, rows: (8, self.epochs or 3))
    write_waves("my.csv")
    assert call("train", "classify", *QUICK).exit_code == 0
    resume = ["train", "--resume", "runs/classify", "--set"]
    assert refused(call(*resume, "fit.epochs=2"), "fit.epochs=2 arrived", "begun with 3; expected more")
    assert call(*resume, "fit.epochs=4").exit_code == 0
    assert json.loads(Path("runs/classify/metrics.json").read_text())["epochs"] == 4


def test_a_run_that_was_killed_between_its_first_two_files_goes_on(train):
    train(epochs=1)
    whole = weights("runs/classify")
    for path in Path("runs/classify").iterdir():
        if path.name != "recipe.json":
            path.unlink()
    resumed = call("train", "--resume", "runs/classify")
    assert resumed.exit_code == 0, resumed.output
    assert "no epoch is done yet" in resumed.stdout
    assert same(weights("runs/classify"), whole)
    assert json.loads(Path("runs/classify/versions.json").read_text())["threads"] == torch.get_num_threads()


@pytest.mark.parametrize(("folder", "words"), [("nowhere", "does not exist"), ("empty", "has no recipe.json")])
def test_what_cannot_be_resumed(folder, words):
    Path("empty").mkdir()
    assert refused(call("train", "--resume", folder), words)


def test_resuming_tells_another_device_and_refuses_one_of_another_kind(train):
    train()
    versions = Path("runs/classify/versions.json")
    versions.write_text(versions.read_text().replace('"device": "cpu"', '"device": "cpu:1"'))
    resume = ["train", "--resume", "runs/classify", "--set"]
    assert "device was cpu:1, now cpu; the weights will not be the same bits" in call(*resume, "fit.epochs=5").stderr
    file = Path("runs/classify/training.safetensors")
    state = read_values(file)
    state["identity"]["device"] = "cuda"
    write_values(state, file)
    assert refused(call(*resume, "fit.epochs=6"), "was trained on cuda, and here it would go on on cpu")


@pytest.mark.parametrize("until", ["begin", "save"])
def test_a_full_disk_is_told_to_one_who_can_only_type_a_command(monkeypatch, until):
    def full(*_):
        raise OSError(errno.ENOSPC, "No space left on device")

    write_waves("my.csv")
    line = ["train", "classify", *QUICK, "--set", "fit.epochs=2", "--out", "runs/a b"]
    with monkeypatch.context() as patch:
        written = iter(range(1 if until == "save" else 0))
        pack = checkpoint.pack_values

        def packed(*values):
            write = pack(*values)
            return lambda file: write(file) if next(written, None) is not None else full()

        patch.setattr(checkpoint, "pack_values", packed)
        result = call(*line)
    if until == "begin":
        assert refused(result, "No space left on device. Make room and train again")
        assert not Path("runs/a b").exists()
    else:
        assert refused(
            result, "Make room and go on with `rnnkit train --resume 'runs/a b'`. The checkpoint from before"
        )
        assert "(epoch 2) could not be written" in result.stderr
        assert "(epoch 3)" not in result.stderr
        assert call("train", "--resume", "runs/a b").exit_code == 0
