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
    patience = max(timeout(), _JOINING)
    torch.distributed.init_process_group(backend, timeout=patience, **_own_store(patience))
    torch.distributed.distributed_c10d._set_pg_timeout(timeout())
    atexit.register(leave_group)


def _own_store(patience: timedelta) -> dict[str, Any]:
    """Return a store for this attempt alone, with rank and number of processes, where one agent starts them all.

    torchrun's agent keeps one store over its restarts, and with it the addresses of processes that were killed; a
    process that reads one before the new one stands there waits for nobody. Agents of several hosts count their
    restarts each for itself, so there the number is no name that all know.
    """
    if os.environ.get("GROUP_WORLD_SIZE") != "1" or "TORCHELASTIC_RESTART_COUNT" not in os.environ:
        return {}
    distributed: Any = torch.distributed
    store, rank, world = next(distributed.rendezvous("env://", timeout=patience))
    attempt = distributed.PrefixStore(f"attempt {os.environ['TORCHELASTIC_RESTART_COUNT']}", store)
    return {"store": attempt, "rank": rank, "world_size": world}


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
