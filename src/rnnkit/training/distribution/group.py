"""The group of processes that torchrun started: joining and leaving it, and values that all of them need."""

from __future__ import annotations

import atexit
import gc
import os
from datetime import timedelta
from typing import Any

import torch

from ...errors import ConfigError

TIMEOUT = "RNNKIT_TIMEOUT"
_SECONDS = 600.0
_JOINING = timedelta(minutes=5)


def world_size() -> int:
    """Return how many processes torchrun started, by its environment; 1 without it."""
    return int(os.environ.get("WORLD_SIZE", "1"))


def timeout() -> timedelta:
    """Return how long a process waits for another one before the run ends: ``RNNKIT_TIMEOUT`` seconds, 600 unless set.

    Raises:
        ConfigError: the variable holds no number above 0.
    """
    text = os.environ.get(TIMEOUT, "")
    try:
        seconds = float(text) if text else _SECONDS
    except ValueError:
        seconds = 0.0
    if not 0 < seconds < float("inf"):
        raise ConfigError(f"{TIMEOUT}={text} arrived; expected seconds above 0, as in {TIMEOUT}=600")
    return timedelta(seconds=seconds)


def join_group(device: torch.device) -> None:
    """Join the other processes, unless that was done: gloo for what is on the CPU, NCCL for what is on GPUs."""
    if world_size() == 1 or several_processes():
        return
    backend = "cpu:gloo,cuda:nccl" if device.type == "cuda" else "gloo"
    # To start takes longer than to answer, where the processes import at different speeds.
    torch.distributed.init_process_group(backend, timeout=max(timeout(), _JOINING))
    torch.distributed.distributed_c10d._set_pg_timeout(timeout())
    atexit.register(leave_group)


def leave_group() -> None:
    """End the process group before Python ends: threads of gloo that run on then can abort the process.

    What holds the group, such as a wrapper around a model that waits in a cycle of references, is collected first.
    """
    if several_processes():
        gc.collect()
        torch.distributed.destroy_process_group()


def several_processes() -> bool:
    """Return whether this process has joined others."""
    return torch.distributed.is_available() and torch.distributed.is_initialized()


def from_all_processes(value: Any) -> list[Any]:
    """Return what each process gave, in the order of their ranks; all must call it."""
    if not several_processes():
        return [value]
    values: list[Any] = [None] * torch.distributed.get_world_size()
    torch.distributed.all_gather_object(values, value)
    return values


def from_first_process(value: Any) -> Any:
    """Return the first process's value in all processes; all must call it."""
    if not several_processes():
        return value
    values = [value]
    torch.distributed.broadcast_object_list(values, src=0)
    return values[0]


def is_first_process() -> bool:
    """Return whether this process is the one that writes and prints; the only one is."""
    return not several_processes() or torch.distributed.get_rank() == 0
