"""Memory for the native calls' own use: saved rows and scratch, kept from call to call."""

from __future__ import annotations

import math
import threading

import numpy as np
import torch

_SMALLEST = 1 << 17  # bytes of a kept block; the C library keeps smaller ones itself
_KEPT_BYTES = 1 << 29
_RECENT = 64  # calls in which a size is asked for again, if it is still in use
_LINE = 64  # bytes of a line of the cache


class BlockCache:
    """Blocks of memory that are used again.

    The C library gives memory back to the system when it is freed, or keeps it; which of the two depends on what else
    lies on the heap. Where it gives memory back, the next call takes it anew, and the system clears it page by page.
    That cost an LSTM over 28 steps up to a third of its training step, in some processes and not in others, and a GRU
    of 128 units over 256 × 96 steps a third of its forward pass. So freed blocks are kept here, up to a limit in bytes.
    Block sizes are rounded up, so that batches of about the same length share blocks. Where no kept block serves, those
    are given back to the system whose size was not asked for in the last 64 calls.
    """

    def __init__(self, limit: int = _KEPT_BYTES) -> None:
        self.limit, self.kept_bytes = limit, 0
        self._kept: dict[int, list[np.ndarray]] = {}  # by size
        self._takes = 0
        self._asked: dict[int, int] = {}  # the last of the takes that asked for a size
        # Tensors may be freed by the threads of autograd, and by a garbage collection within a method of this class.
        self._lock = threading.RLock()

    def take(self, wanted: int) -> np.ndarray:
        """Return at least so many unset bytes, aligned. The block comes back when the array is freed."""
        size = _round_up(wanted)
        with self._lock:
            self._takes += 1
            self._asked[size] = self._takes
            kept = self._kept.get(size)
            block = kept.pop() if kept else None
            if block is None:
                self._release_unasked()
            else:
                self.kept_bytes -= size
        if block is None:
            # NumPy asks for huge pages: with pages of 4 KiB the LSTM over 784 steps took half as long again.
            memory = np.empty(size + _LINE, np.uint8)
            start = -memory.ctypes.data % _LINE
            block = memory[start : start + size]
        lease = block.view(_Lease)
        lease.cache, lease.block = self, block
        return lease

    def give_back(self, block: np.ndarray) -> None:
        with self._lock:
            if self.kept_bytes + block.size <= self.limit:
                self.kept_bytes += block.size
                self._kept.setdefault(block.size, []).append(block)

    def release(self) -> None:
        """Give all kept blocks back to the system."""
        with self._lock:
            self._kept.clear()
            self.kept_bytes = 0

    def _release_unasked(self) -> None:
        for size in [size for size in self._kept if self._takes - self._asked[size] > _RECENT]:
            self.kept_bytes -= size * len(self._kept.pop(size))


class _Lease(np.ndarray):
    """A block in use. Views of it have no block."""

    cache: BlockCache
    block: np.ndarray | None = None

    def __del__(self) -> None:
        if self.block is not None:
            self.cache.give_back(self.block)


def _round_up(size: int) -> int:
    """To three significant binary digits: at most a quarter more."""
    step = 1 << max(0, size.bit_length() - 3)
    return -(-size // step) * step


_blocks = BlockCache()


def scratch_memory(wanted: int) -> torch.Tensor:
    """Return at least so many unset bytes, aligned: to cut to the exact size would cost three operations of PyTorch."""
    if wanted < _SMALLEST:
        return torch.empty(wanted, dtype=torch.uint8, device="cpu")
    return torch.from_numpy(_blocks.take(wanted))


def work_memory(shape: tuple[int, ...], dtype: torch.dtype) -> torch.Tensor:
    """Return unset memory for a native call's own use; all but small blocks come from a cache."""
    wanted = math.prod(shape) * dtype.itemsize
    if wanted < _SMALLEST:
        return torch.empty(shape, dtype=dtype, device="cpu")
    memory = torch.from_numpy(_blocks.take(wanted))
    return memory[:wanted].view(dtype).view(shape)


def release_work_memory() -> None:
    """Give the memory that is kept for later calls back to the system, as at the end of a training."""
    _blocks.release()
