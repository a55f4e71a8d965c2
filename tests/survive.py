"""Trainings in two processes that are killed with SIGKILL at random moments and go on to the bits of one that was not.

``python tests/survive.py 30`` kills 30 times, shared among runs, and says what each run ended with. After each kill the
other process is ended and both are started again, as torchrun does.
"""

from __future__ import annotations

import os
import random
import signal
import sys
import tempfile
import time
from datetime import timedelta
from pathlib import Path

import together
import torch

import rnnkit
from rnnkit.training.learner import Learner

MOST = 12  # checkpoints before a kill


def train(folder: str, every: int = 3, background: bool = False, epochs: int = 4) -> None:
    """Train a language model with dropout, or go on with it."""
    from rnnkit.data.tokens import TokenArray
    from rnnkit.training import Checkpoints

    torch.manual_seed(4)
    model = rnnkit.LanguageModel(11, "lstm", 6, 8, 1, hidden_dropout=0.2, output_dropout=0.3)
    learner = Learner(model, lr=0.01, clip_norm=0.5, device="cpu")
    tokens = TokenArray((torch.arange(2400) ** 2 % 11).numpy())
    held = TokenArray((torch.arange(300) ** 2 % 11).numpy()).batches(2, 10)
    learner.fit(
        tokens.batches(4, 9, random_windows=True, seed=5), validation=held, stateful=True, epochs=epochs, seed=1,
        schedule="warmup_cosine", restore_best=True, average="ema", progress=False, resume=True,
        callbacks=[Checkpoints(folder, every, background=background)],
    )  # fmt: skip
    if learner.rank == 0:
        learner.save(os.path.join(folder, "final.safetensors"))
    os._exit(0)


def stall(out: str) -> None:
    """Exchange something, and then say nothing in the second process; write what the first one sees."""
    from rnnkit.training.distribution.group import join_group

    join_group(torch.device("cpu"))
    torch.distributed.all_reduce(torch.ones(1))
    if os.environ["RANK"] == "1":
        os.kill(os.getpid(), signal.SIGSTOP)
    began = time.monotonic()
    try:
        torch.distributed.all_reduce(torch.ones(1))
    except RuntimeError as error:
        Path(out).write_text(f"{time.monotonic() - began} {error}")
    os._exit(0)


def run(folder: Path, kill: tuple[int, float] | None = None, victim: int = 0, **settings) -> bool:
    """Train in two processes, and return whether the run came to its end.

    Args:
        folder: of the run.
        kill: after how many checkpoints, and so many seconds, one process is killed; None: none is.
        victim: which one.
        settings: of `train`.
    """
    pair = together.start(train, str(folder), *settings.values(), world=2)
    if kill is not None:
        count, seconds = kill
        seen = written(folder)
        while count and pair[victim].is_alive():
            now = written(folder)
            count, seen = count - (now != seen), now
            time.sleep(0.005)
        pair[victim].join(seconds)
        if pair[victim].exitcode is None:
            os.kill(pair[victim].pid, signal.SIGKILL)
            pair[victim].join()
    codes = together.finish(pair, 300 if kill is None or pair[victim].exitcode == 0 else 0.3)
    return codes == [0, 0]


def written(folder: Path) -> int:
    """Return what changes with each checkpoint."""
    try:
        return (folder / "training.safetensors").stat().st_ino
    except FileNotFoundError:
        return 0


def outcome(folder: Path) -> dict[str, torch.Tensor]:
    from safetensors.torch import load_file

    from rnnkit.serialization import read_values

    found = dict(load_file(folder / "final.safetensors"))
    rows = read_values(folder / "training.safetensors")["history"]["rows"]
    found |= {f"{name} {row['epoch']}": torch.tensor(row[name]) for row in rows for name in ("loss", "val_loss", "lr")}
    return found


def same(found: dict[str, torch.Tensor], expected: dict[str, torch.Tensor]) -> bool:
    return found.keys() == expected.keys() and all(found[name].equal(expected[name]) for name in found)


def kill_often(kills: int, folder: Path, seed: int = 0, **settings) -> tuple[int, int, list[bool]]:
    """Kill so many times in as many runs as it takes.

    Returns:
        how many kills there were, how many of them met a run on its way, and whether each run ended with the bits.
    """
    draw, done, within, ends = random.Random(seed), 0, 0, []
    assert run(folder / "whole", **settings)
    expected = outcome(folder / "whole")
    while done < kills:
        place = folder / f"run-{len(ends)}"
        killed = 0
        while killed < 3 and done < kills:  # of one run, so that it comes to an end
            if run(place, (draw.randrange(MOST), draw.uniform(0, 0.1)), draw.randrange(2), **settings):
                break
            killed, done = killed + 1, done + 1
            within += (place / "training.safetensors").exists()
        assert (place / "final.safetensors").exists() or run(place, **settings)
        ends.append(same(outcome(place), expected))
        print(f"{done} kills, {sum(ends)} of {len(ends)} runs with the same bits", flush=True)
    return done, within, ends


if __name__ == "__main__":
    wanted = int(sys.argv[1]) if len(sys.argv) > 1 else 30
    began = time.monotonic()
    with together.search_path(), tempfile.TemporaryDirectory() as place:
        number, under_way, runs = kill_often(wanted, Path(place))
    print(f"{number} kills ({under_way} with a checkpoint there), {len(runs)} runs, {sum(runs)} with the same bits")
    print(f"{timedelta(seconds=round(time.monotonic() - began))}")
    sys.exit(not all(runs))
