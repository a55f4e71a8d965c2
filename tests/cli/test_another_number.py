"""A run on shards that is killed at a random step goes on in another number of processes by the command line."""

import json
import os
import random
import signal
import time
from datetime import timedelta
from pathlib import Path

import pytest
import survive
import together
from empty_pictures import pictures_saved_empty
from shard_folders import counted_shards

from rnnkit.data import shards, train_tokenizer
from rnnkit.ops.machine import usable_cores
from rnnkit.serialization import STATE, read_values

TOKENS, ROWS, WINDOW = 1201, 4, 10
SETTINGS = [
    "data.shards=shards", "vocabulary.file=numbers.json", "data.validation=0", "data.test=0", "fit.keep_best=false",
    "fit.epochs=1", f"fit.batch_size={ROWS}", f"fit.window={WINDOW}", "fit.random_windows=false", "device=cpu",
    "model.hidden_size=4", "model.embedding_size=4", "model.num_layers=1",
]  # fmt: skip
BEGIN = ["train", "lm", "--out", "run", *(word for one in SETTINGS for word in ("--set", one))]


def run_command(folder, log, *words):
    """Run the command line, write a checkpoint after each step, and note the targets of each step in a file."""
    from rnnkit.cli.main import app
    from rnnkit.recipes import lm_results
    from rnnkit.training.resuming import checkpoint

    os.chdir(folder)
    checkpoint.WITHIN_EPOCHS, checkpoint._ASKED, lm_results.SAMPLE_TOKENS = timedelta(0), 1, 5
    rest = shards.ShardTokenBatches._rest
    file = Path(f"{log}-{os.environ.get('RANK', '0')}.jsonl")

    def noted(self):
        with file.open("a", buffering=1) as lines:
            for batch in rest(self):
                lines.write(json.dumps([self.progress.batch, batch.targets.flatten().tolist()]) + "\n")
                yield batch

    shards.ShardTokenBatches._rest = noted
    with pictures_saved_empty():
        app(list(words), standalone_mode=False)


def processes_of(world, folder, log, *words):
    member = {"TORCHELASTIC_RUN_ID": "test"} if world > 1 else {}
    return together.start(run_command, str(folder), log, *words, world=world, **member)


def killed(started, folder, checkpoints):
    """Kill all processes behind so many checkpoints, at a random moment of the step that follows."""
    seen, deadline = 0, time.monotonic() + 300
    while checkpoints and time.monotonic() < deadline and all(one.is_alive() for one in started):
        now = survive.written(folder / "run")
        checkpoints, seen = checkpoints - (now != seen), now
        time.sleep(0.001)
    for one in started:
        one.kill()
        one.join()
    return [one.exitcode for one in started] == [-signal.SIGKILL] * len(started)


def targets_of(folder, log, before=None):
    """Return the targets that all processes noted, of the steps before one of that number."""
    lines = [json.loads(line) for file in folder.glob(f"{log}-*.jsonl") for line in file.read_text().splitlines()]
    return [one for step, targets in lines if before is None or step <= before for one in targets]


@pytest.mark.skipif(usable_cores() < 2, reason="two processes need two cores")
@pytest.mark.parametrize(("first", "second"), [(2, 1), (1, 2)])
def test_each_target_of_the_epoch_is_seen_once(tmp_path, first, second):
    counted_shards(tmp_path / "shards", TOKENS)
    train_tokenizer("word", [" ".join(f"w{number}" for number in range(TOKENS))]).save(tmp_path / "numbers.json")
    steps = (TOKENS - 1) // (ROWS * first * WINDOW)
    with together.search_path():
        begun = processes_of(first, tmp_path, "before", *BEGIN)
        # One checkpoint is from before the first step; the last steps are left to the second run.
        assert killed(begun, tmp_path, random.Random(first).randrange(3, steps - 2))
        state = read_values(tmp_path / "run" / STATE, tensors=False)
        ended = processes_of(second, tmp_path, "after", "train", "--resume", "run")
        assert together.finish(ended, 300) == [0] * second
    assert state["identity"]["processes"] == first
    done = state["place"]["batch"]
    assert 0 < done < steps
    before, after = targets_of(tmp_path, "before", done), targets_of(tmp_path, "after")
    assert len(before) == done * ROWS * first * WINDOW
    assert len({*before, *after}) == len(before) + len(after)
    assert TOKENS - 1 - ROWS * 2 < len(before) + len(after) <= TOKENS - 1
    versions = json.loads((tmp_path / "run" / "versions.json").read_text())
    assert versions["processes"] == first  # as it began
    assert json.loads((tmp_path / "run" / "metrics.json").read_text())["epochs"] == 1
