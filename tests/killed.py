"""A run in a process of its own, to be killed, which is forked from one that has torch."""

from __future__ import annotations

import os
import signal
from functools import partial
from itertools import count

import safetensors.torch
import torch
import torch._dynamo  # an optimizer imports it, which takes seconds: once, before the forks
from torch import nn

from rnnkit.training.learner import Learner

OPTIMIZERS = {
    "adam": partial(torch.optim.Adam, lr=0.02),
    "momentum": partial(torch.optim.SGD, lr=0.1, momentum=0.9),
}


class Dropped(nn.Module):
    """A small classifier of [B, T, 2] with dropout."""

    def __init__(self) -> None:
        super().__init__()
        self.body, self.dropout, self.head = nn.GRU(2, 6, batch_first=True), nn.Dropout(0.3), nn.Linear(6, 2)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.head(self.dropout(self.body(x)[0][:, -1]))


def train(folder: str, optimizer: str, moment: str | None, nth: int) -> None:
    """Trains in a process of its own that kills itself at a moment, or that somebody else kills.

    Args:
        folder: for the checkpoints, a new one or that of a run that was killed.
        optimizer: a key of `OPTIMIZERS`.
        moment: "half" (the file is half written), "before" or "after" (a file takes its place); None for never.
        nth: the file for which it does, from 1.
    """
    torch.set_num_threads(1)
    calls = count(1)
    replace, save_file = os.replace, safetensors.torch.save_file

    def kill(when: str, number: int) -> None:
        if (when, number) == (moment, nth):
            os.kill(os.getpid(), signal.SIGKILL)

    def replacing(source: str, target: str) -> None:
        number = next(calls)
        kill("before", number)
        replace(source, target)
        kill("after", number)

    def half(tensors: dict, path: str, metadata: dict) -> None:
        save_file(tensors, path, metadata)
        if moment == "half" and nth <= next(calls) * 2:  # every second file is a model, and not written here
            os.truncate(path, os.path.getsize(path) // 2)
            os.link(path, os.path.join(os.path.dirname(path), ".tmpUEvWHn"))  # as safetensors writes
            os.kill(os.getpid(), signal.SIGKILL)

    if moment == "half":
        safetensors.torch.save_file = half
    elif moment is not None:
        os.replace = replacing
    torch.manual_seed(4)
    x = torch.randn(90, 5, 2)
    learner = Learner(Dropped(), loss="cross_entropy", optimizer=OPTIMIZERS[optimizer], device="cpu")
    data = (x, (x.sum((1, 2)) > 0).long())
    learner.fit(
        data, validation=0.2, epochs=4, batch_size=8, schedule="warmup_cosine", seed=1, restore_best=True,
        checkpoint=folder, resume=True, checkpoint_every=1, average="ema", progress=False,
    )  # fmt: skip
    learner.save(os.path.join(folder, "final.safetensors"))
