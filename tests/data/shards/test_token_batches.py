"""Batches of shards of tokens: those of memory, in constant memory, once each, to the same bits."""

import gc
import math
import threading
import warnings

import pytest
import torch
from shard_folders import all_tokens, counted_shards, token_shards

import rnnkit
from rnnkit.data import TokenBatches, shards
from rnnkit.data.shards import token_batches
from rnnkit.errors import ConfigError, DataError, DataWarning
from rnnkit.types import Batches


@pytest.fixture(scope="module")
def found(tmp_path_factory):
    return token_shards(tmp_path_factory.mktemp("tokens"))


def numbers(batches):
    return [(batch.inputs.tolist(), batch.targets.tolist()) for batch in batches]


def test_the_batches_are_those_of_the_same_tokens_in_memory(found):
    assert len(found.manifest.shards) > 5
    batches = found.batches(4, window=30)
    assert isinstance(batches, Batches)
    assert batches.steps == TokenBatches(all_tokens(found), 4, 30).steps
    expected = numbers(TokenBatches(all_tokens(found), 4, 30))
    assert numbers(batches) == expected
    assert numbers(batches) == expected  # the second epoch, without shuffle
    one = next(iter(batches))
    assert (one.inputs.dtype, one.weights) == (torch.int64, None)


@pytest.mark.parametrize("options", [{}, {"shuffle": True, "random_windows": True, "seed": 5}])
def test_an_epoch_goes_on_to_the_bit_behind_every_batch(found, options):
    def make():
        return found.batches(8, window=50, **options)

    whole = make()
    first, second = numbers(whole), numbers(whole)
    assert len(first) > 10
    assert (first != second) == bool(options)
    for stop in (0, 1, 7, len(first) - 1, len(first)):
        begun = make()
        iterator = iter(begun)
        for _ in range(stop):
            next(iterator)
        state = begun.state_dict()
        assert sum(len(part) for part in state["parts"]) <= 2
        again = make()
        again.load_state_dict(state)
        rest = numbers(again)
        assert rest == first[stop:]
        assert numbers(again) == second


def seen(parts, steps=None):
    """The targets that processes see, each taking the same number of steps, and the state behind them."""
    iterators = [iter(part) for part in parts]
    targets = []
    while steps is None or steps:
        batches = [next(iterator, None) for iterator in iterators]
        if batches[0] is None:
            assert all(batch is None for batch in batches)
            break
        assert len({batch.inputs.shape for batch in batches}) == 1
        targets += [
            pair for batch in batches for pair in zip(*map(torch.ravel, (batch.inputs, batch.targets)), strict=True)
        ]
        steps = None if steps is None else steps - 1
    states = [part.state_dict() for part in parts]
    assert all(state == states[0] for state in states)
    return [(int(one), int(other)) for one, other in targets], states[0]


@pytest.fixture(scope="module")
def counted(tmp_path_factory):
    """Shards whose tokens are their own numbers."""
    return counted_shards(tmp_path_factory.mktemp("counted"), 7000)


def test_processes_have_the_streams_of_one_process_with_a_batch_as_large(counted):
    one = [batch.inputs for batch in counted.batches(6, window=40, shuffle=True, seed=1)]
    parts = [counted.batches(2, window=40, shuffle=True, seed=1).shard(rank, 3) for rank in range(3)]
    together = [torch.cat([batch.inputs for batch in batches]) for batches in zip(*parts, strict=True)]
    assert all(torch.equal(first, second) for first, second in zip(one, together, strict=True))
    assert len(one) == len(together)
    assert len({str(part.fingerprint()) for part in parts}) == 1


@pytest.mark.parametrize("shuffle", [False, True])
@pytest.mark.parametrize("worlds", [(2, 3, 1), (1, 4, 4), (3, 2, 5)])
def test_another_number_of_processes_sees_each_target_of_the_epoch_once(counted, shuffle, worlds):
    state, all_seen = None, []
    for index, world in enumerate(worlds):
        parts = [counted.batches(4, window=25, shuffle=shuffle, seed=2).shard(rank, world) for rank in range(world)]
        for part in parts if state else ():
            part.load_state_dict(state)
        found, state = seen(parts, steps=None if index == len(worlds) - 1 else 11)
        all_seen += found
    targets = [target for _, target in all_seen]
    assert len(set(targets)) == len(targets)
    assert 6999 - len(targets) < 4 * worlds[-1]
    followed = sum(target == before + 1 for before, target in all_seen)
    assert len(targets) - followed <= 7  # but for the seams between shards
    assert state == {"epoch": 1, "batch": 0, "parts": []}


def test_shuffled_epochs_read_the_shards_in_other_orders(counted):
    batches = counted.batches(1, window=1000, shuffle=True)
    orders = [tuple(int(batch.targets[0, 500]) // 1000 for batch in batches) for _ in range(3)]
    assert len(set(orders)) == 3
    assert all(len(set(order)) == 7 for order in orders)


def test_the_last_of_a_file_of_others_may_be_empty_or_missing(tmp_path):
    import pyarrow as pa
    import pyarrow.parquet as pq

    rows = pa.array([[1, 2], [], None, [3, 4, 5]], pa.large_list(pa.int64()))
    for name, statistics in (("with", True), ("without", False)):
        pq.write_table(pa.table({"tokens": rows}), tmp_path / f"{name}.parquet", write_statistics=statistics)
        found = shards.ShardSet.open(tmp_path / f"{name}.parquet")
        assert len(found) == 5
        assert numbers(found.batches(1, window=9)) == [([[1, 2, 3, 4]], [[2, 3, 4, 5]])]


def test_a_damaged_shard_is_named_and_refused_or_left_out(tmp_path):
    whole = token_shards(tmp_path)
    expected = numbers(whole.batches(4, window=30))
    name = whole.manifest.shards[3].name
    file = tmp_path / "shards" / name
    raw = bytearray(file.read_bytes())
    for place in range(40, 200):
        raw[place] ^= 0xFF
    file.write_bytes(raw)
    with pytest.raises(DataError, match=rf"{name}: is damaged .*type damaged=.skip") as error:
        numbers(shards.ShardSet.open(tmp_path / "shards").batches(4, window=30))
    assert error.value.place.source == str(file)
    skipping = shards.ShardSet.open(tmp_path / "shards", damaged="skip")
    with pytest.warns(DataWarning, match=f"{name}: is skipped"):
        batches = list(skipping.batches(4, window=30))
    assert len(batches) == len(expected)
    assert list(skipping.skipped) == [str(file)]
    kept = sum(int(batch.targets.numel() if batch.weights is None else batch.weights.sum()) for batch in batches)
    lost = whole.manifest.shards[3].tokens
    everything = sum(len(rows) * len(rows[0]) for rows, _ in expected)
    assert kept == everything - lost - 1
    for batch, (inputs, targets) in zip(batches, expected, strict=True):
        counted = torch.ones_like(batch.targets, dtype=torch.bool) if batch.weights is None else batch.weights > 0
        assert torch.equal(batch.targets[counted], torch.tensor(targets)[counted])
        assert torch.equal(batch.inputs[counted], torch.tensor(inputs)[counted])
    # A network that knows nothing loses log V a token, whatever share of the tokens is lost.
    vocabulary = len(whole.tokenizer())
    model = rnnkit.LanguageModel(vocabulary, "gru", 2, 2, 1)
    for parameter in model.parameters():
        torch.nn.init.zeros_(parameter)
    history = rnnkit.Learner(model, lr=1e-9).fit(batches, epochs=1, stateful=True, progress=False)
    assert history.rows[0]["loss"] == pytest.approx(math.log(vocabulary), rel=1e-5)


def test_a_missing_or_cut_shard_is_told_when_the_set_is_opened(tmp_path):
    found = token_shards(tmp_path)
    first, second = (tmp_path / "shards" / one.name for one in found.manifest.shards[:2])
    first.unlink()
    with pytest.raises(DataError, match="shard-00000.parquet: cannot be read"):
        shards.ShardSet.open(tmp_path / "shards")
    second.write_bytes(second.read_bytes()[:-9])
    with pytest.warns(DataWarning, match="skipped"):
        opened = shards.ShardSet.open(tmp_path / "shards", damaged="skip")
    assert len(opened.skipped) == 2
    assert len(opened) == len(found)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        assert list(opened.batches(4, window=30))
        for one in found.manifest.shards:
            (tmp_path / "shards" / one.name).write_bytes(b"")
        with pytest.raises(DataError, match="no shard is left"):
            shards.ShardSet.open(tmp_path / "shards", damaged="skip")


def test_the_thread_that_reads_ahead_ends_with_the_iterator(found, monkeypatch):
    monkeypatch.setattr(token_batches, "_AHEAD", 8)

    def readers():
        return [one for one in threading.enumerate() if one.name == "rnnkit shards"]

    iterator = iter(found.batches(2, window=5))
    next(iterator)
    assert readers()
    del iterator
    gc.collect()
    for thread in readers():
        thread.join(5)
    assert not readers()


def test_training_on_shards_gives_the_weights_of_training_from_memory(found, tmp_path):
    tokens = all_tokens(found)

    def train(data, **options):
        torch.manual_seed(0)
        model = rnnkit.LanguageModel(len(found.tokenizer()), "gru", 8, 12, 1)
        learner = rnnkit.Learner(model, lr=0.01)
        learner.fit(data, epochs=2, stateful=True, seed=0, progress=False, **options)
        return [one.detach().clone() for one in model.parameters()]

    expected = train(TokenBatches(tokens, 8, 40))
    assert all(map(torch.equal, train(found.batches(8, window=40)), expected))


@pytest.mark.parametrize(
    ("make", "problem"),
    [
        (lambda found: found.batches(0, window=5), "batch_size=0 arrived"),
        (lambda found: found.batches(2, window=0), "window=0 arrived"),
        (lambda found: found.batches(10**6, window=5), "tokens arrived; expected at least 1000001"),
        (lambda found: found.batches(4, window=5).shard(2, 2), "rank=2"),
        (lambda found: found.batches(2000, window=5).shard(0, 99), "for 2000 streams in 99 processes"),
        (lambda found: found.part(5, 5), "a part from 5 to 5"),
        (lambda found: list(found.part(0, 5)), "no whole rows"),
    ],
)
def test_bad_numbers_are_refused(found, make, problem):
    with pytest.raises((ConfigError, DataError), match=problem):
        make(found)


def test_a_part_of_the_tokens_is_a_set_of_its_own(found):
    tokens = all_tokens(found)
    part = found.part(1000, 1500)
    assert len(part) == 500
    assert numbers(part.batches(2, window=40)) == numbers(TokenBatches(tokens[1000:1500], 2, 40))
    assert part.fingerprint() != found.fingerprint()
    assert [len(found.shard(rank, 3)) for rank in range(3)] == [len(found) // 3] * 3


def test_files_of_others_may_hold_tokens_of_other_types(tmp_path):
    import pyarrow as pa
    import pyarrow.parquet as pq

    for name, dtype, ids in (("a", pa.uint16(), [1, 2, 3]), ("b", pa.int32(), [-4, 70_000, 6])):
        pq.write_table(pa.table({"tokens": pa.array([ids], pa.list_(dtype))}), tmp_path / f"{name}.parquet")
    found = shards.ShardSet.open(tmp_path)
    assert [one.dtype for one in found.schema] == ["int32"]
    [batch] = found.batches(1, window=10)
    assert batch.inputs.tolist() == [[1, 2, 3, -4, 70_000]]
    assert batch.targets.tolist() == [[2, 3, -4, 70_000, 6]]
