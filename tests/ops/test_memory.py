"""Memory for the native calls' own use is used again, and never by two at a time."""

import gc
import os
import signal
import threading

import pytest
import torch

import rnnkit
from rnnkit.ops import memory
from rnnkit.ops.memory import BlockCache, work_blocks, work_memory

BYTES = 300_000


def used(cache, wanted):
    """A block that was taken and given back."""
    block = cache.take(wanted)
    cache.give_back(block)
    return block


@pytest.mark.parametrize("count", [1, 5_000, 700_000, 3_000_000])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.uint8])
def test_any_size_and_type(count, dtype):
    tensor = work_memory((count // 5, 5) if count > 1 else (1, 1), dtype)
    assert (tensor.numel(), tensor.dtype) == (count, dtype)
    assert tensor.is_contiguous()
    tensor.fill_(1)
    assert tensor.sum() == count


@pytest.mark.parametrize("wanted", [0, 1, 200_000, 9_000_000])
def test_a_block_has_the_bytes_that_are_wanted(wanted):
    block = BlockCache().take(wanted)
    assert block.memory.size == block.bytes >= wanted
    assert block.memory.ctypes.data == block.address
    assert block.address % 64 == 0


def test_a_block_that_came_back_is_used_again():
    cache = BlockCache()
    first = cache.take(BYTES)
    assert cache.take(BYTES).address != first.address  # the first is still in use
    cache.give_back(first)
    assert cache.kept_bytes == first.bytes
    assert cache.take(BYTES - 100) is first
    assert cache.kept_bytes == 0


def test_a_loan_comes_back_when_it_is_freed():
    cache = BlockCache()
    view = torch.frombuffer(cache.lend(BYTES), dtype=torch.float32)[10:20].view(5, 2)
    gc.collect()
    assert cache.kept_bytes == 0
    del view
    assert cache.kept_bytes >= BYTES


def test_a_loan_comes_back_once():
    cache = BlockCache()
    loan = cache.lend(BYTES)
    part = loan[:10]
    del loan, part
    gc.collect()
    assert cache.kept_bytes == cache.take(BYTES).bytes


def test_a_call_that_fails_gives_its_scratch_back(monkeypatch):
    from rnnkit.ops import native_call

    class Failing:
        saved_width = 0

        def scratch(self, backward):
            return 8 * BYTES

        def forward(self, arrays):
            raise ValueError("failed")

    monkeypatch.setattr(native_call, "recurrent_problem", lambda *_: Failing())
    work_blocks.release()
    with pytest.raises(ValueError, match="failed"):
        rnnkit.GRU(3, 5)(torch.zeros(4, 2, 3))
    assert work_blocks.kept_bytes >= 8 * BYTES
    work_blocks.release()


@pytest.mark.skipif(not hasattr(os, "fork"), reason="the system has no fork")
@pytest.mark.filterwarnings("ignore:.*multi-threaded.*fork")
def test_a_forked_process_does_not_wait_for_a_lock_of_its_parent():
    held, done = threading.Event(), threading.Event()

    def hold():
        with work_blocks._lock:
            held.set()
            done.wait(20)

    holder = threading.Thread(target=hold)
    holder.start()
    held.wait(20)
    child = os.fork()
    if child == 0:
        signal.alarm(10)  # ends a child that waits
        work_blocks.give_back(work_blocks.take(BYTES))
        os._exit(0)
    done.set()
    holder.join()
    assert os.waitpid(child, 0)[1] == 0


def test_no_more_is_kept_than_the_limit():
    cache = BlockCache(limit=3 * BYTES)
    for block in [cache.take(BYTES) for _ in range(10)]:
        cache.give_back(block)
    assert BYTES <= cache.kept_bytes <= 3 * BYTES


def test_sizes_that_take_turns_keep_their_blocks():
    cache = BlockCache()
    sizes = (BYTES, 2 * BYTES, 3 * BYTES)
    addresses = [used(cache, size).address for _ in range(3) for size in sizes]
    assert addresses == 3 * addresses[:3]
    assert cache.kept_bytes == sum(map(memory._round_up, sizes))


def test_sizes_that_are_no_longer_asked_for_are_given_back():
    cache = BlockCache()
    used(cache, BYTES)
    for _ in range(70):
        used(cache, 2 * BYTES)
    assert cache.kept_bytes == memory._round_up(BYTES) + memory._round_up(2 * BYTES)
    used(cache, 3 * BYTES)  # which no kept block serves
    assert cache.kept_bytes == memory._round_up(2 * BYTES) + memory._round_up(3 * BYTES)
    cache.release()
    assert cache.kept_bytes == 0


def test_blocks_waste_a_quarter_at_most():
    for size in range(1 << 17, 1 << 21, 7_777):
        assert size <= memory._round_up(size) <= 1.25 * size


def test_threads_never_share_a_block():
    cache, wrong = BlockCache(), []

    def use(value):
        for _ in range(200):
            block = cache.take(BYTES)
            block.memory[:64] = value
            wrong.extend(block.memory[:64] != value)
            cache.give_back(block)

    threads = [threading.Thread(target=use, args=(value,)) for value in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not any(wrong)


def test_gradients_of_two_passes_that_are_alive_at_once():
    torch.manual_seed(0)
    layer, x = rnnkit.LSTM(16, 64, batch_first=True), torch.randn(16, 40, 16)
    expected = torch.autograd.grad(layer(x)[0].sum(), list(layer.parameters()))
    first, second = layer(x)[0].sum(), layer(2 * x)[0].sum()
    torch.autograd.grad(second, list(layer.parameters()))
    found = torch.autograd.grad(first, list(layer.parameters()))
    assert all(torch.equal(one, other) for one, other in zip(found, expected, strict=True))
