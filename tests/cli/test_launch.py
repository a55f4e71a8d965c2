"""``rnnkit train`` and ``finetune --processes``: what they refuse, and a process that is killed and started again."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from typer.testing import CliRunner

from rnnkit.cli.main import app
from rnnkit.ops.machine import usable_cores
from rnnkit.recipes.finetuning import FineTuneJob

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
        (["--resume", "here", "--restartable"], "--restartable"),
    ],
)
def test_what_is_refused(words, expected):
    result = CliRunner().invoke(app, [*(SMALL if "--resume" not in words else ["train"]), *words])
    assert result.exit_code == 2, result.output
    assert expected in " ".join(result.output.split())
    assert not Path("runs").exists()


def test_a_restartable_run_begins_and_is_finished_once():
    line = [*SMALL, "--out", "here", "--restartable", "--exchange", "fp16"]
    first, second = (CliRunner().invoke(app, line) for _ in range(2))
    assert (first.exit_code, second.exit_code) == (0, 0), first.output + second.output
    assert "epoch 4/4" in first.output
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


@pytest.mark.skipif(usable_cores() < 2, reason="two processes need two cores")
def test_a_killed_process_is_started_again(tmp_path):
    """One process prints and writes; it is killed behind a checkpoint; both start again and go on from there."""
    out = tmp_path / "printed"
    path = os.pathsep.join([str(Path(__file__).parents[2] / "src"), *sys.path])
    longer = [one.replace("rows=400", "rows=1000") for one in SMALL]
    command = [sys.executable, "-m", "rnnkit", *longer, "--processes", "2", "--max-restarts", "1"]
    environment = {**os.environ, "PYTHONPATH": path, "OMP_NUM_THREADS": "1", "MPLBACKEND": "agg"}
    with out.open("w") as printed:
        launched = subprocess.Popen(command, stdout=printed, stderr=printed, cwd=tmp_path, env=environment)
    try:
        while "epoch 2/" not in out.read_text() and launched.poll() is None:
            time.sleep(0.02)
        victim = next(pid for pid in children(launched.pid) if rank(pid) == "0")
        os.kill(victim, signal.SIGKILL)
        assert launched.wait(600) == 0, out.read_text()
    finally:
        launched.kill()
    text = out.read_text()
    assert text.count("Run folder: runs/adding") == 2
    assert "Going on: 1 of 4" in text or "Going on: 2 of 4" in text or "Going on: 3 of 4" in text
    assert text.count("epoch 4/4") == 1
    assert json.loads((tmp_path / "runs/adding/versions.json").read_text())["processes"] == 2
    assert json.loads((tmp_path / "runs/adding/metrics.json").read_text())["epochs"] == 4


def children(parent):
    found = []
    for place in Path("/proc").glob("[0-9]*/stat"):
        try:
            if int(place.read_text().rsplit(")", 1)[1].split()[1]) == parent:
                found.append(int(place.parent.name))
        except OSError:
            continue
    return found


def rank(pid):
    variables = Path(f"/proc/{pid}/environ").read_bytes().split(b"\0")
    return next((one[5:].decode() for one in variables if one.startswith(b"RANK=")), None)
