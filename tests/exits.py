"""How programs of two processes end: `python tests/exits.py 100` counts those that Python's ordinary exit aborts.

The programs are forked from one that has imported torch, train a little, and run to their end: all of Python's exit is
that of a program that was started.
"""

from __future__ import annotations

import os
import socket
import sys
from collections import Counter

import torch
import torch._dynamo  # an optimizer imports it, which takes seconds: once, before the forks
from torch import nn

import rnnkit
from rnnkit.training.learner import Learner


def train() -> Learner:
    torch.set_num_threads(1)
    learner = Learner(rnnkit.SequenceClassifier(rnnkit.GRU(2, 4, batch_first=True), 2), metrics=[], device="cpu")
    learner.fit((torch.randn(16, 3, 2), torch.randint(2, (16,))), epochs=1, batch_size=4, progress=False)
    return learner


def pairs(count: int, *, wrapped: bool = False) -> Counter[int]:
    """Let pairs of processes train and end; return how often which exit code there was.

    Args:
        count: of pairs.
        wrapped: whether PyTorch's wrapper holds the group, as on GPUs.
    """
    codes: Counter[int] = Counter()
    for _ in range(count):
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            port = str(free.getsockname()[1])
        children = []
        for rank in ("0", "1"):
            child = os.fork()
            if not child:
                os.environ |= {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": port, "WORLD_SIZE": "2", "RANK": rank}
                KEPT.append(train())
                if wrapped:
                    KEPT.append(nn.parallel.DistributedDataParallel(nn.Linear(2, 2)))
                    KEPT[-1](torch.ones(1, 2)).sum().backward()
                sys.exit(0)
            children.append(child)
        codes.update(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) for child in children)
    return codes


KEPT: list[object] = []  # to the end of a program, as variables of a user's program are

if __name__ == "__main__":
    wanted = int(sys.argv[1]) if len(sys.argv) > 1 else 100
    found = {name: pairs(wanted, wrapped=wrapped) for name, wrapped in (("plain", False), ("wrapped", True))}
    for name, codes in found.items():
        print(f"{name}: {dict(codes)}")
    sys.exit(any(set(codes) != {0} for codes in found.values()))
