"""What the machine gives: the speed of its best matrix product, and how much memory this process took."""

from __future__ import annotations

import re
import time
from collections.abc import Callable
from pathlib import Path

import torch

SIZES = (1024, 1536, 2048)
"""Sides of the square matrices whose products are timed for the peak of a CPU; an accelerator gets larger ones."""
_LARGE = (4096, 8192)
_RESET_PEAK = "5"


def synchronise(device: torch.device) -> None:
    """Waits for what was started on an accelerator; a CPU has nothing to wait for."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    elif device.type == "mps":
        torch.mps.synchronize()


def matrix_product(
    size: int, device: torch.device | str = "cpu", dtype: torch.dtype = torch.float32
) -> Callable[[], None]:
    """A function that multiplies two matrices [size, size] by PyTorch, 2·size³ operations a call, and waits for it."""
    device = torch.device(device)
    generator = torch.Generator().manual_seed(0)  # the caller's random numbers stay as they were
    a, b = (torch.rand(size, size, generator=generator).to(device, dtype) for _ in range(2))
    out = torch.empty_like(a)

    def product() -> None:
        torch.mm(a, b, out=out)
        synchronise(device)

    return product


def matrix_peak(device: torch.device | str = "cpu", dtype: torch.dtype = torch.float32, *, repeats: int = 4) -> float:
    """FLOP/s of PyTorch's best product of square matrices on this device, on as many threads as PyTorch uses now.

    The best time of ``repeats`` for each of a few sizes, after one that is not timed. On two cores it takes about half
    a second. Without gradients and outside of autocast.
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


def resident(what: str) -> int | None:
    """Bytes of this process in memory: "VmRSS" now, "VmHWM" at most since `reset_peak`; None where Linux is not."""
    try:
        found = re.search(rf"^{what}:\s+(\d+) kB$", Path("/proc/self/status").read_text(encoding="ascii"), re.MULTILINE)
    except OSError:
        return None
    return int(found[1]) * 1024 if found else None


def reset_peak() -> bool:
    """Lets "VmHWM" begin anew from what is in memory now; returns whether the system could."""
    try:
        Path("/proc/self/clear_refs").write_text(_RESET_PEAK, encoding="ascii")
    except OSError:
        return False
    return True
