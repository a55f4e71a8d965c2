"""Memory for the native calls' own use: saved rows and scratch, kept from call to call."""

from __future__ import annotations

import math
import os
import threading

import numpy as np
import torch

_SMALLEST = 1 << 17  # bytes of a block; the C library keeps smaller ones itself
_KEPT_BYTES = 1 << 29
_RECENT = 64  # calls in which a size is asked for again, if it is still in use
_LINE = 64  # bytes of a line of the cache


class Block:
    """Memory at an address that is a multiple of a cache line."""

    __slots__ = ("address", "bytes", "memory")

    def __init__(self, size: int) -> None:
        # NumPy asks for huge pages: with pages of 4 KiB the LSTM over 784 steps took half as long again.
        memory = np.empty(size + _LINE, np.uint8)
        start = -memory.ctypes.data % _LINE
        self.memory, self.address, self.bytes = memory[start : start + size], memory.ctypes.data + start, size


class BlockCache:
    """Blocks of memory that are used again.

    The C library gives memory back to the system when it is freed, or keeps it; which of the two depends on what else
    lies on the heap. Where it gives memory back, the next call allocates it again, and the system clears it page by
    page. That cost an LSTM over 28 steps up to a third of its training step, in some processes and not in others, and a
    GRU of 128 units over 256 × 96 steps a third of its forward pass. So freed blocks are kept here, up to a limit in
    bytes. Block sizes are rounded up, so that batches of about the same length share blocks. Where no kept block
    serves, those are given back to the system whose size was not asked for in the last 64 calls.
    """

    def __init__(self, limit: int = _KEPT_BYTES) -> None:
        self.limit, self.kept_bytes = limit, 0
        self._kept: dict[int, list[Block]] = {}  # by size
        self._takes = 0
        self._asked: dict[int, int] = {}  # the last of the takes that asked for a size
        self._make_lock()

    def _make_lock(self) -> None:
        # Tensors may be freed by the threads of autograd, and by a garbage collection within a method of this class.
        self._lock = threading.RLock()

    def take(self, wanted: int) -> Block:
        """Return a block of at least so many unset bytes. It belongs to the caller until :meth:`give_back`."""
        size = _round_up(wanted)
        with self._lock:
            self._takes += 1
            self._asked[size] = self._takes
            kept = self._kept.get(size)
            if kept:
                self.kept_bytes -= size
                return kept.pop()
            self._release_unasked()
        return Block(size)

    def give_back(self, block: Block) -> None:
        """Keep a block for later calls, or free it where the limit is reached. The block must not be used any more."""
        with self._lock:
            if self.kept_bytes + block.bytes <= self.limit:
                self.kept_bytes += block.bytes
                self._kept.setdefault(block.bytes, []).append(block)

    def lend(self, wanted: int) -> np.ndarray:
        """Return a block as an array of bytes. The block comes back when the array is freed."""
        block = self.take(wanted)
        loan = block.memory.view(_Loan)
        loan.cache, loan.block = self, block
        return loan

    def release(self) -> None:
        """Give all kept blocks back to the system."""
        with self._lock:
            self._kept.clear()
            self.kept_bytes = 0

    def _release_unasked(self) -> None:
        for size in list(self._kept):  # a list: a garbage collection may bring blocks back meanwhile
            if self._takes - self._asked[size] > _RECENT:
                freed = len(self._kept.pop(size)) * size
                self.kept_bytes -= freed


class _Loan(np.ndarray):
    """A block in use. Views of it have no block."""

    cache: BlockCache
    block: Block | None = None

    def __del__(self) -> None:
        if self.block is not None:
            self.cache.give_back(self.block)


def _round_up(size: int) -> int:
    """To three significant binary digits: at most a quarter more, but for small sizes."""
    size = max(size, _SMALLEST)
    step = 1 << (size.bit_length() - 3)
    return -(-size // step) * step


work_blocks = BlockCache()
"""The blocks of all native calls. A call takes one for its scratch and gives it back when it ends."""

if hasattr(os, "register_at_fork"):  # another thread may hold the lock at that moment, and the child has no such thread
    os.register_at_fork(after_in_child=work_blocks._make_lock)


def work_memory(shape: tuple[int, ...], dtype: torch.dtype) -> torch.Tensor:
    """Return unset memory for a native call's own use; all but small blocks come from a cache."""
    count = math.prod(shape)
    wanted = count * dtype.itemsize
    if wanted < _SMALLEST:
        return torch.empty(shape, dtype=dtype, device="cpu")
    return torch.frombuffer(work_blocks.lend(wanted), dtype=dtype, count=count).view(shape)


def release_work_memory() -> None:
    """Give the memory that is kept for later calls back to the system, as at the end of a training."""
    work_blocks.release()
