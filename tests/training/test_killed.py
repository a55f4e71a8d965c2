"""Processes that are killed with SIGKILL, again and again, and end with the bits of one that was not."""

from __future__ import annotations

import random
import signal
from pathlib import Path

import killed
import pytest
import together
from safetensors.torch import load_file

from rnnkit.serialization import read_values


def run(folder: Path, optimizer: str, moment: str | None = None, nth: int = 0, kill_after: float | None = None) -> int:
    """Trains in another process; returns how it ended: 0, or −9 where it was killed, from within or after seconds."""
    process = together.CONTEXT.Process(target=killed.train, args=(str(folder), optimizer, moment, nth))
    process.start()
    process.join(kill_after or 60)
    process.kill()
    process.join()
    return process.exitcode


def outcome(folder: Path):
    final, model = load_file(folder / "final.safetensors"), load_file(folder / "model.safetensors")
    rows = read_values(folder / "training.safetensors")["history"]["rows"]
    return final, model, [{name: row[name] for name in ("epoch", "loss", "val_loss", "lr")} for row in rows]


@pytest.fixture(scope="module", autouse=True)
def server():
    """The server of processes finds what it imports."""
    with together.search_path():
        yield


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """What a run that nobody kills ends with, by optimizer."""
    found = {}
    for optimizer in ("adam", "momentum"):
        folder = tmp_path_factory.mktemp(optimizer)
        assert run(folder, optimizer) == 0
        found[optimizer] = outcome(folder)
    return found


def check_same(found, expected):
    for ours, theirs in zip(found[:2], expected[:2], strict=True):
        assert ours.keys() == theirs.keys()
        assert all(ours[name].equal(theirs[name]) for name in ours)
    assert found[2] == expected[2]
    assert len(found[2]) == 4


@pytest.mark.parametrize("optimizer", ["adam", "momentum"])
def test_killed_at_random_moments(whole, tmp_path, optimizer):
    draw, kills = random.Random(optimizer), 0
    while (code := run(tmp_path, optimizer, kill_after=draw.uniform(0.02, 0.35) if kills < 8 else None)) != 0:
        assert code == -signal.SIGKILL
        kills += 1
    assert kills > 0  # how many there is time for depends on the machine
    check_same(outcome(tmp_path), whole[optimizer])


@pytest.mark.parametrize(("moment", "nth"), [("half", 1), ("half", 9), ("before", 12), ("after", 11), ("before", 25)])
def test_killed_while_a_checkpoint_is_written(whole, tmp_path, moment, nth):
    assert run(tmp_path, "adam", moment, nth) == -signal.SIGKILL
    assert len(list(tmp_path.glob(".*"))) == 1
    assert run(tmp_path, "adam") == 0
    assert list(tmp_path.glob(".*")) == []
    check_same(outcome(tmp_path), whole["adam"])
