"""Two processes of the command line, of which one stops answering, or whose disk is full."""

import os
import resource
import signal
import sys
import time
from datetime import timedelta

import pytest
import together
from commands import call
from empty_pictures import pictures_saved_empty

import rnnkit
from rnnkit.ops.machine import usable_cores
from rnnkit.serialization import STATE, read_values

BEGIN = [
    "train", "adding", "--out", "run", "--epochs", "3", "--device", "cpu", "--set", "data.steps=8",
    "--set", "data.rows=80", "--set", "model.hidden_size=4", "--set", "fit.batch_size=4",
]  # fmt: skip
SECONDS = 2  # that a process waits for another one

pytestmark = pytest.mark.skipif(usable_cores() < 2, reason="two processes need two cores")


class Stop(rnnkit.Callback):
    """Stops the second process within the second epoch."""

    order = 0

    def on_step_end(self, learner, step):
        if learner.rank == 1 and learner.history.rows:
            os.kill(os.getpid(), signal.SIGSTOP)


class FullDisk(rnnkit.Callback):
    """Lets the first process write no file of more than some bytes from the second epoch on."""

    def on_epoch_end(self, learner, row):
        if learner.rank == 0 and row["epoch"] == 2:
            resource.setrlimit(resource.RLIMIT_FSIZE, (4096, resource.RLIM_INFINITY))


def run_in_trouble(folder, trouble):
    """Run the command line as torchrun starts it, with a callback more; write what is printed into a file."""
    from rnnkit.cli import member
    from rnnkit.cli.start import main
    from rnnkit.training.fitting import FitSettings

    os.chdir(folder)
    usual = FitSettings.default_callbacks
    FitSettings.default_callbacks = lambda settings: [*usual(settings), globals()[trouble]()]
    member._AGENT_SECONDS = 0.1  # there is no agent
    with open(f"{os.environ['RANK']}.txt", "w", buffering=1, encoding="utf-8") as printed, pictures_saved_empty():
        sys.stdout = sys.stderr = printed
        sys.argv = ["rnnkit", *BEGIN]
        main()


def begin(folder, trouble):
    settings = {"TORCHELASTIC_RUN_ID": "test", "RNNKIT_TIMEOUT": str(SECONDS)}
    return together.start(run_in_trouble, str(folder), trouble, world=2, **settings)


def test_a_process_that_stops_answering_ends_the_run_in_one_error(tmp_path):
    with together.search_path():
        first, second = begin(tmp_path, "Stop")
        while not (tmp_path / "run" / STATE).exists() and first.is_alive():
            time.sleep(0.02)
        assert together.finish([first], 120) == [1]
    second.kill()
    second.join()
    said = (tmp_path / "0.txt").read_text()
    assert said.count("Error: ") == 1
    assert "Traceback" not in said
    assert "another process of the run was ended or stopped answering" in said
    assert "go on with `rnnkit train --resume run`" in said
    assert len(read_values(tmp_path / "run" / STATE)["history"]["rows"]) == 1


def test_a_full_disk_ends_in_one_error_and_leaves_the_last_checkpoint(tmp_path, monkeypatch):
    with together.search_path():
        pair = begin(tmp_path, "FullDisk")
        assert together.finish(pair[:1], 120) == [2]
    together.finish(pair[1:], 20)
    said = (tmp_path / "0.txt").read_text()
    assert said.count("Error: ") == 1
    assert "Traceback" not in said
    assert "The run goes on; the checkpoint of step" in said
    assert "Make room and go on with `rnnkit train --resume run`" in said
    assert "epoch 3/3" in said
    assert len(read_values(tmp_path / "run" / STATE)["history"]["rows"]) == 1
    monkeypatch.chdir(tmp_path)
    again = call("train", "--resume", "run")
    assert again.exit_code == 0, again.output
    assert "Going on: 1 of 3 epochs are done" in again.output


def test_seconds_are_those_of_the_variable():
    from rnnkit.training.distribution import group

    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("RNNKIT_TIMEOUT", str(SECONDS))
        assert group.timeout() == timedelta(seconds=SECONDS)
