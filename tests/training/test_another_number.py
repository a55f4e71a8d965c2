"""A run on shards that goes on, within an epoch, in another number of processes."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest
import together
import torch
from shard_folders import counted_shards

import rnnkit
from rnnkit.data import shards
from rnnkit.errors import ConfigError

TOKENS = 601
STEPS = 5  # before a run is cut off


class CutOffError(Exception):
    """A run was cut off."""


class CutOff(rnnkit.Callback):
    """Ends a run with an error, once its state is written."""

    order = 95

    def on_step_end(self, learner, step):
        if step + 1 == STEPS:
            raise CutOffError


class Watched(shards.ShardTokenBatches):
    """Batches that keep the targets that they yielded."""

    seen: list[int]

    def _rest(self):
        for batch in super()._rest():
            self.seen += batch.targets.flatten().tolist()
            yield batch


def train(folder, run, *, whole, window=10, exchange=""):
    """Train on the shards of a folder, or go on; return the targets that this process saw."""
    torch.manual_seed(0)
    batches = Watched(shards.ShardSet.open(Path(folder) / "shards"), 4, window, shuffle=True, seed=3)
    batches.seen = []
    model, how = rnnkit.LanguageModel(TOKENS, "gru", 4, 4, 1), rnnkit.training.Exchange.parse(exchange)
    learner = rnnkit.Learner(model, lr=0.01, device="cpu", exchange=how)
    settings = {"epochs": 1, "stateful": True, "seed": 1, "schedule": "warmup_cosine", "progress": False}
    settings |= {"checkpoint": Path(folder) / run, "checkpoint_every": STEPS, "resume": True}
    try:
        learner.fit(batches, callbacks=[] if whole else [CutOff()], **settings)
    except CutOffError:
        assert not whole
    return batches.seen


def two_processes(folder):
    """Begin a run, and end the one that one process began; write what was seen."""
    counting = together.Reductions()
    begun = train(folder, "by two", whole=False)
    messages = counting.count
    with pytest.raises(ConfigError, match="exchanged gradients as they are, and these .*=fp16; leave --exchange out"):
        train(folder, "by two", whole=True, exchange="fp16")
    ended = train(folder, "by one", whole=True, exchange="bf16")  # one process exchanged nothing
    found = {"by two": begun, "by one": ended, "messages": messages}
    (Path(folder) / f"{os.environ['RANK']}.json").write_text(json.dumps(found))


@pytest.fixture(scope="module")
def seen(tmp_path_factory):
    """The targets that all processes saw before a change of their number and after it, of two runs."""
    folder = tmp_path_factory.mktemp("runs")
    counted_shards(folder / "shards", TOKENS)
    first = train(folder, "by one", whole=False)
    with together.search_path():
        assert together.finish(together.start(two_processes, str(folder), world=2), 120) == [0, 0]
    pair = [json.loads((folder / f"{rank}.json").read_text()) for rank in (0, 1)]
    with pytest.raises(ConfigError, match="window was 10, is 9"):
        train(folder, "by two", whole=True, window=9)
    last = train(folder, "by two", whole=True)
    return {
        "by one": (first, pair[0]["by one"] + pair[1]["by one"]),
        "by two": (pair[0]["by two"] + pair[1]["by two"], last),
        "messages": [one["messages"] for one in pair],
    }


@pytest.mark.parametrize("begun", ["by one", "by two"])
def test_each_target_of_the_epoch_is_seen_once(seen, begun):
    before, after = seen[begun]
    lanes = 4 if begun == "by one" else 8
    assert len(before) == STEPS * 10 * lanes
    assert len({*before, *after}) == len(before) + len(after)
    assert len(before) + len(after) > TOKENS - 1 - 8


def test_a_step_on_shards_sends_the_gradient_alone(seen):
    """All processes have as many batches, so none asks the others."""
    assert seen["messages"] == [STEPS, STEPS]
