"""Measures of the machine and of this process: the peak speed of matrix products, and the memory in use."""

from __future__ import annotations

import os
import re
import time
from collections.abc import Callable
from pathlib import Path

import torch

from .backend import native_core

SIZES = (1024, 1536, 2048)
"""Sizes of the square matrices whose products are timed for the peak of a CPU; an accelerator gets larger ones."""
BUSY = 0.5
"""Cores that other programs may use before it is reported."""
_LARGE = (4096, 8192)
_RESET_PEAK = "5"


def synchronise(device: torch.device) -> None:
    """Wait for the work that was started on an accelerator; on a CPU return at once."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    elif device.type == "mps":
        torch.mps.synchronize()


def matrix_product(
    size: int, device: torch.device | str = "cpu", dtype: torch.dtype = torch.float32
) -> Callable[[], None]:
    """Return a function that multiplies two matrices [size, size] by PyTorch and waits: 2·size³ operations a call."""
    device = torch.device(device)
    generator = torch.Generator().manual_seed(0)  # the caller's random numbers stay as they were
    a, b = (torch.rand(size, size, generator=generator).to(device, dtype) for _ in range(2))
    out = torch.empty_like(a)

    def product() -> None:
        torch.mm(a, b, out=out)
        synchronise(device)

    return product


def matrix_peak(device: torch.device | str = "cpu", dtype: torch.dtype = torch.float32, *, repeats: int = 4) -> float:
    """Return the FLOP/s of PyTorch's best product of square matrices on this device, on PyTorch's present threads.

    Each of a few sizes is multiplied once untimed and then ``repeats`` times; the best time counts. On two cores this
    takes about half a second. Gradients and autocast are off.
    """
    device = torch.device(device)
    best = 0.0
    with torch.no_grad(), torch.autocast(device.type, enabled=False):
        for size in SIZES if device.type == "cpu" else _LARGE:
            product = matrix_product(size, device, dtype)
            product()
            for _ in range(repeats):
                began = time.perf_counter()
                product()
                best = max(best, 2 * size**3 / (time.perf_counter() - began))
    return best


def busy_cores_of_others() -> float | None:
    """Return how many of this process's cores other programs keep busy; None where that is not known.

    It is known from the second call in a process on, and read again at most four times a second.
    """
    core = native_core()
    cores: float = -1.0 if core is None else core.cpu_info()["busy_cores_of_others"]
    return None if cores < 0 else cores


def waiting_advice() -> str:
    """Return what to type where other programs use the cores; empty where threads wait asleep already.

    rnnkit's layers change by themselves how their threads wait. PyTorch's read the variable once, when they begin.
    """
    if os.environ.get("OMP_WAIT_POLICY", "").lower() == "passive" or torch.get_num_threads() == 1:
        return ""
    return "PyTorch's own layers lose less if waiting threads sleep: type OMP_WAIT_POLICY=passive before the command"


def usable_cores() -> int:
    """Return how many cores this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def resident(what: str) -> int | None:
    """Return this process's bytes in memory: "VmRSS" now, "VmHWM" at most since `reset_peak`; None without Linux."""
    try:
        found = re.search(rf"^{what}:\s+(\d+) kB$", Path("/proc/self/status").read_text(encoding="ascii"), re.MULTILINE)
    except OSError:
        return None
    return int(found[1]) * 1024 if found else None


def reset_peak() -> bool:
    """Set "VmHWM" back to what is in memory now; return whether the system could."""
    try:
        Path("/proc/self/clear_refs").write_text(_RESET_PEAK, encoding="ascii")
    except OSError:
        return False
    return True
