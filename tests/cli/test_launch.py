"""``rnnkit train`` and ``finetune --processes``: what they refuse, and a process that is killed and started again."""

import json
import os
import runpy
import signal
import subprocess
import sys
import time
import traceback
from pathlib import Path

import pytest
import together
from typer.testing import CliRunner

from rnnkit.cli.launch import Launch
from rnnkit.cli.main import app
from rnnkit.ops.machine import usable_cores
from rnnkit.recipes.finetuning import FineTuneJob
from rnnkit.runs.folders import resume_again

SMALL = [
    "train", "adding", "--epochs", "4", "--device", "cpu",
    *("--set", "data.steps=8"), *("--set", "data.rows=400"), *("--set", "model.hidden_size=4"),
    *("--set", "fit.batch_size=4"),
]  # fmt: skip


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (["--processes", "0"], "at least 1"),
        (["--processes", "1000"], f"there are {usable_cores()} cores; expected {usable_cores()} at most"),
        (["--max-restarts", "2"], "add --processes N"),
        (["--processes", "1", "--max-restarts", "-1"], "at least 0"),
        (["--restartable"], "add --out FOLDER"),
        (["--exchange", "fp8"], "expected fp16, bf16, powersgd"),
        (["--exchange", "rank=4"], "expected fp16, bf16, powersgd"),
        (["-"], "- arrived, which is standard input; training reads its data more than once, from a file"),
        (["--resume", "here", "--restartable"], "--restartable"),
    ],
)
def test_what_is_refused(words, expected):
    result = CliRunner().invoke(app, [*(SMALL if "--resume" not in words else ["train"]), *words])
    assert result.exit_code == 2, result.output
    assert expected in " ".join(result.output.split())
    assert not Path("runs").exists()


@pytest.mark.parametrize("words", [["--exchange", "fp16"], ["--exchange=fp16"]])
def test_a_killed_run_goes_on_in_as_many_processes_and_with_the_exchange_it_has(words):
    launch = Launch("train", 2, 0, resume_again)
    again = launch.going_on(Path("my runs"), ["adding", "--epochs", "4", *words, "--processes", "2"])
    assert again == f"rnnkit train --resume 'my runs' --processes 2 {' '.join(words)}"
    assert launch.going_on(Path("a"), ["adding"]) == "rnnkit train --resume a --processes 2"


def test_a_restartable_run_begins_and_is_finished_once():
    line = [*SMALL, "--out", "here", "--restartable", "--exchange", "fp16"]
    first, second = (CliRunner().invoke(app, line) for _ in range(2))
    assert (first.exit_code, second.exit_code) == (0, 0), first.output + second.output
    assert "epoch 4/4" in first.output
    assert "--exchange fp16 changes nothing in one process; --processes 2 starts two" in first.output
    assert "here is finished" in second.output
    other = CliRunner().invoke(app, ["train", "mnist", "--out", "here", "--restartable"])
    assert other.exit_code == 2
    assert "a run of adding, not of mnist" in other.output
    assert "RNNKIT_EXCHANGE" not in os.environ


def break_off(job, settings, folder):
    (folder / "half").write_text("")
    raise OSError(28, "No space left on device")


def test_a_restartable_fine_tuning_goes_on_where_it_failed_and_is_finished_once(train, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    train()
    line = ["finetune", "runs/classify", "my.csv", "--epochs", "1", "--device", "cpu", "--out", "here", "--restartable"]
    with monkeypatch.context() as patch:
        patch.setattr(FineTuneJob, "run", break_off)
        full = CliRunner().invoke(app, line)
    assert full.exit_code == 2
    assert "Make room and go on with `rnnkit finetune --resume here`" in full.output
    assert Path("here/finetune.json").exists()
    first, second = (CliRunner().invoke(app, line) for _ in range(2))
    assert (first.exit_code, second.exit_code) == (0, 0), first.output + second.output
    assert "epoch 1/1" in first.output
    assert "here is finished" in second.output
    assert "epoch" not in second.output
    other = CliRunner().invoke(app, [*line, "--set", "rank=2"])
    assert other.exit_code == 2
    assert "here began as another fine-tuning" in other.output
    for words, expected in (
        (["--processes", "0"], "at least 1"),
        (["--max-restarts", "2"], "add --processes N"),
        (["--exchange", "fp8"], "expected fp16"),
    ):
        refused = CliRunner().invoke(app, [*line, *words])
        assert refused.exit_code == 2
        assert expected in " ".join(refused.output.split())


class Forked:
    """A process in the place of the program ``python -u -m rnnkit``: a fork of this one, which has torch already."""

    def __init__(self, words, environment):
        assert words[:4] == (sys.executable, "-u", "-m", "rnnkit")
        self.returncode = None
        self.pid = os.fork()
        if not self.pid:
            self._run(words[4:], environment)
        os.setpgid(self.pid, self.pid)  # torchrun ends its processes by their group
        Path(f"rank-{environment['RANK']}").write_text(str(self.pid))

    def _run(self, words, environment):
        code = 1
        try:
            os.setpgid(0, 0)
            signal.signal(signal.SIGTERM, signal.SIG_DFL)  # a new program has none of the launcher's handlers
            signal.signal(signal.SIGINT, signal.default_int_handler)
            os.environ.clear()
            os.environ.update(environment)
            sys.argv = ["rnnkit", *words]
            runpy.run_module("rnnkit", run_name="__main__")
        except SystemExit as ended:
            code = ended.code or 0
        except BaseException:
            traceback.print_exc()
        finally:
            os._exit(code)

    def poll(self):
        if self.returncode is None:
            ended, status = os.waitpid(self.pid, os.WNOHANG)
            self.returncode = os.waitstatus_to_exitcode(status) if ended else None
        return self.returncode

    def wait(self, seconds):
        deadline = time.monotonic() + seconds
        while self.poll() is None:
            if time.monotonic() > deadline:
                raise subprocess.TimeoutExpired("rnnkit", seconds)
            time.sleep(0.01)


def launch(folder, line):
    """Run a command line in this process, and what it starts in forks of it, which print into a file, too."""
    from torch.distributed.elastic.multiprocessing.subprocess_handler import SubprocessHandler

    os.chdir(folder)
    os.environ["OMP_NUM_THREADS"] = "1"
    SubprocessHandler._popen = lambda _, words, environment: Forked(words, environment)
    sys.argv = ["rnnkit", *line]
    with open("printed", "a", buffering=1, encoding="utf-8") as sys.stdout:
        sys.stderr = sys.stdout
        runpy.run_module("rnnkit", run_name="__main__")


@pytest.mark.skipif(usable_cores() < 2, reason="two processes need two cores")
@pytest.mark.skipif(sys.platform != "linux", reason="processes are forked from one that has torch")
def test_a_killed_process_is_started_again(tmp_path):
    """One process prints and writes; it is killed behind a checkpoint; both start again and go on from there."""
    printed, first = tmp_path / "printed", tmp_path / "rank-0"
    longer = [one.replace("rows=400", "rows=1000") for one in SMALL]
    launched = together.CONTEXT.Process(
        target=launch, args=(tmp_path, [*longer, "--processes", "2", "--max-restarts", "1"])
    )
    launched.start()
    try:
        while launched.is_alive() and not (printed.exists() and "epoch 2/" in printed.read_text()):
            time.sleep(0.02)
        killed = int(first.read_text())
        os.kill(killed, signal.SIGKILL)
        launched.join(600)
    finally:
        launched.kill()
    text = printed.read_text()
    assert launched.exitcode == 0, text
    assert int(first.read_text()) != killed
    assert text.count("Run folder: runs/adding") == 2
    assert "Going on: 1 of 4" in text or "Going on: 2 of 4" in text or "Going on: 3 of 4" in text
    assert text.count("epoch 4/4") == 1
    assert json.loads((tmp_path / "runs/adding/versions.json").read_text())["processes"] == 2
    assert json.loads((tmp_path / "runs/adding/metrics.json").read_text())["epochs"] == 4
