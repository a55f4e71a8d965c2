"""Memory for the native calls' own use is used again, and never by two at a time."""

import gc
import threading

import pytest
import torch

import rnnkit
from rnnkit.ops import memory
from rnnkit.ops.memory import BlockCache, scratch_memory, work_memory

BYTES = 100_000


@pytest.mark.parametrize("count", [1, 5_000, 700_000, 3_000_000])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.uint8])
def test_any_size_and_type(count, dtype):
    tensor = work_memory((count // 5, 5) if count > 1 else (1, 1), dtype)
    assert (tensor.numel(), tensor.dtype) == (count, dtype)
    assert tensor.is_contiguous()
    tensor.fill_(1)
    assert tensor.sum() == count


@pytest.mark.parametrize("wanted", [0, 1, 200_000, 9_000_000])
def test_scratch_has_the_bytes_that_are_wanted(wanted):
    scratch = scratch_memory(wanted)
    assert scratch.dtype == torch.uint8
    assert scratch.numel() >= wanted
    assert wanted < 100_000 or scratch.data_ptr() % 64 == 0


def test_a_freed_block_is_used_again():
    cache = BlockCache()
    first = cache.take(BYTES)
    address = first.ctypes.data
    assert address % 64 == 0
    assert cache.take(BYTES).ctypes.data != address  # the first is still in use
    del first
    gc.collect()
    kept = cache.kept_bytes
    assert kept >= 2 * BYTES
    addresses = {(one := cache.take(BYTES)).ctypes.data, (two := cache.take(BYTES - 100)).ctypes.data}
    assert address in addresses
    assert one.size == two.size >= BYTES
    assert cache.kept_bytes == 0


def test_a_view_keeps_its_block_in_use():
    cache = BlockCache()
    view = torch.from_numpy(cache.take(BYTES))[10:20].view(5, 2)
    gc.collect()
    assert cache.kept_bytes == 0
    del view
    assert cache.kept_bytes >= BYTES


def test_no_more_is_kept_than_the_limit():
    cache = BlockCache(limit=3 * BYTES)
    blocks = [cache.take(BYTES) for _ in range(10)]
    del blocks
    gc.collect()
    assert BYTES <= cache.kept_bytes <= 3 * BYTES


def test_sizes_that_take_turns_keep_their_blocks():
    cache = BlockCache()
    sizes = (BYTES, 2 * BYTES, 3 * BYTES)
    addresses = [cache.take(size).ctypes.data for _ in range(3) for size in sizes]
    assert addresses == 3 * addresses[:3]
    assert cache.kept_bytes == sum(map(memory._round_up, sizes))


def test_sizes_that_are_no_longer_asked_for_are_given_back():
    cache = BlockCache()
    held = cache.take(BYTES)
    del held
    for _ in range(70):
        cache.take(2 * BYTES)
    assert cache.kept_bytes == memory._round_up(BYTES) + memory._round_up(2 * BYTES)
    cache.take(3 * BYTES)  # which no kept block serves
    assert cache.kept_bytes == memory._round_up(2 * BYTES) + memory._round_up(3 * BYTES)
    cache.release()
    assert cache.kept_bytes == 0


def test_blocks_waste_a_quarter_at_most():
    for size in range(16_384, 200_000, 777):
        assert size <= memory._round_up(size) <= 1.25 * size


def test_threads_never_share_a_block():
    cache, wrong = BlockCache(), []

    def use(value):
        for _ in range(200):
            block = cache.take(BYTES)
            block[:64] = value
            wrong.extend(block[:64] != value)

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
