"""Memory for the native calls' own use: saved rows and scratch, kept from call to call."""

from __future__ import annotations

import math
import threading

import numpy as np
import torch

_SMALLEST, _LARGEST = 1 << 17, 1 << 23  # bytes of a kept block; the C library keeps smaller ones itself
_KEPT_BYTES = 1 << 26
_LINE = 64  # bytes of a line of the cache


class BlockCache:
    """Blocks of memory that are used again.

    The C library gives memory back to the system when it is freed, or keeps it; which of the two depends on what else
    lies on the heap. Where it gives memory back, the next call takes it anew in pages of 4 KiB. That cost an LSTM over
    28 steps up to a third of its training step, in some processes and not in others. So freed blocks are kept here, up
    to a limit in bytes. Block sizes are rounded up, so that batches of about the same length share blocks.
    """

    def __init__(self, limit: int = _KEPT_BYTES) -> None:
        self.limit, self.kept_bytes = limit, 0
        self._free: dict[int, list[np.ndarray]] = {}
        # Tensors may be freed by the threads of autograd, and by a garbage collection within a method of this class.
        self._lock = threading.RLock()

    def take(self, wanted: int) -> np.ndarray:
        """Return at least so many unset bytes, aligned. The block comes back when the array is freed."""
        size = _round_up(wanted)
        with self._lock:
            blocks = self._free.get(size)
            block = blocks.pop() if blocks else None
            if block is not None:
                self.kept_bytes -= size
        if block is None:
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
                self._free.setdefault(block.size, []).append(block)


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
    if _SMALLEST <= wanted <= _LARGEST:
        return torch.from_numpy(_blocks.take(wanted))
    return work_memory((wanted,), torch.uint8)


def work_memory(shape: tuple[int, ...], dtype: torch.dtype) -> torch.Tensor:
    """Return unset memory for a native call's own use.

    Blocks of middling size come from a cache. Larger ones come from NumPy, which asks for huge pages: with pages of
    4 KiB the LSTM over 784 steps took half as long again.
    """
    wanted = math.prod(shape) * dtype.itemsize
    if wanted < _SMALLEST:
        return torch.empty(shape, dtype=dtype, device="cpu")
    if wanted <= _LARGEST:
        memory = torch.from_numpy(_blocks.take(wanted))
        return memory[:wanted].view(dtype).view(shape)
    memory = torch.from_numpy(np.empty(wanted + _LINE, np.uint8))
    start = -memory.data_ptr() % _LINE
    return memory[start : start + wanted].view(dtype).view(shape)
