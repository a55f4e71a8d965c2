"""Which rows make which batch."""

from __future__ import annotations

import itertools

import pytest
import torch

import rnnkit
from rnnkit.errors import ConfigError, DataError
from rnnkit.training.batching.arrays import in_memory, select, to_batch, to_inputs, to_targets
from rnnkit.training.batching.batches import ArrayBatches
from rnnkit.training.batching.order import Order
from rnnkit.types import Batch, Sequences


def batches(inputs, targets, order, size=4, follow="rows"):
    return ArrayBatches(to_batch(inputs, targets), order, size, device=torch.device("cpu"), follow=follow)


def test_every_row_once_an_epoch_in_a_new_order_each_time():
    order = Order(torch.arange(10), torch.Generator().manual_seed(0))
    data = batches(torch.arange(10.0), torch.arange(10), order)
    assert data.steps == 3
    epochs = [[row for batch in data for row in batch.targets.tolist()] for _ in range(2)]
    assert sorted(epochs[0]) == sorted(epochs[1]) == list(range(10))
    assert epochs[0] != epochs[1]
    rows, batch = data.recall(2)
    assert rows == epochs[1][8:] == batch.targets.tolist() == batch.inputs.tolist()


def test_processes_share_the_rows():
    def shares(count: int, even: bool) -> list[list[int]]:
        orders = [Order(torch.arange(count), torch.Generator().manual_seed(7), rank, 3, even) for rank in range(3)]
        drawn = [order.draw().tolist() for order in orders]
        assert [len(order) for order in orders] == [len(rows) for rows in drawn]
        return drawn

    for count in (1, 2, 9, 10, 11):
        assert sorted(itertools.chain(*shares(count, even=False))) == list(range(count))
        evened = shares(count, even=True)
        assert len({len(rows) for rows in evened}) == 1
        assert set(itertools.chain(*evened)) == set(range(count))


def test_batches_of_sequences_are_as_long_as_their_longest():
    sequences = Sequences(torch.zeros(4, 9, 1), torch.tensor([2, 9, 3, 1]))
    data = batches(sequences, torch.zeros(4, 9), Order(torch.arange(4)), size=2, follow="inputs")
    assert [(batch.inputs.shape[1], batch.targets.shape[1]) for batch in data] == [(9, 9), (3, 3)]


def test_what_arrays_become():
    float32 = torch.float32
    assert to_inputs(torch.zeros(2, 3, dtype=torch.uint8), float32).dtype == torch.int64  # token ids
    assert to_inputs(torch.zeros(2, 3, 4, dtype=torch.uint8), float32).dtype == float32  # pixels
    assert to_inputs([[1, 2], [3, 4]], float32).tolist() == [[1, 2], [3, 4]]
    assert to_inputs([[1.0, 2.0], [3.0, 4.0]], float32).shape == (2, 2, 1)  # rows of one number a step
    ragged = to_inputs([[1, 2], [3]], float32)
    assert ragged.lengths.tolist() == [2, 1]
    assert ragged.values.dtype == torch.int64
    assert to_targets([1, 2], float32).dtype == torch.int64
    assert to_targets([1.0, 2.0], float32).dtype == float32
    assert to_targets([torch.tensor(1), torch.tensor(2)], float32).tolist() == [1, 2]
    assert to_targets([[1, 2], [3]], float32).lengths.tolist() == [2, 1]


def test_a_batch_of_the_users_is_brought_to_the_models_dtype():
    batch = Batch(torch.randn(4, 5, 2).double(), torch.randn(4).double(), weights=torch.ones(4).double())
    found = in_memory(batch, torch.float32)
    assert (found.inputs.dtype, found.targets.dtype, found.weights.dtype) == (torch.float32,) * 3
    tokens = Batch(torch.ones(4, 5, dtype=torch.int64), torch.ones(4, dtype=torch.int64))
    found = in_memory(tokens, torch.float32)
    assert (found.inputs.dtype, found.targets.dtype) == (torch.int64,) * 2
    learner = rnnkit.Learner(rnnkit.SequenceRegressor(rnnkit.GRU(2, 4)), metrics=[], device="cpu")
    assert learner.evaluate(batch) == learner.evaluate([batch])
    assert learner.evaluate(batch)["loss"] == pytest.approx(
        learner.evaluate(batch.inputs.float(), batch.targets.float())["loss"]
    )


def test_resets_stay_with_their_rows():
    resets = torch.rand(4, 5) < 0.5
    batch = Batch(torch.randn(4, 5, 2), torch.randn(4, 5), input_lengths=torch.tensor([5, 3, 2, 4]), resets=resets)
    assert torch.equal(select(batch, torch.tensor([2, 1]), follow="inputs").resets, resets[[2, 1], :3])
    batch.resets = resets[:, 0]
    assert torch.equal(select(batch, torch.tensor([2, 1]), follow="inputs").resets, resets[[2, 1], 0])


@pytest.mark.parametrize("ragged", [False, True])
def test_resets_of_rows_in_memory_reach_the_model(ragged):
    """A row that is reset before its step 3 is two rows."""
    torch.manual_seed(0)
    x, y = torch.randn(2, 6, 2), torch.randn(2, 6, 1)
    lengths = torch.tensor([6, 5]) if ragged else None
    resets = torch.zeros(2, 6, dtype=torch.bool)
    resets[0, 3] = True
    model = rnnkit.SequenceTagger(rnnkit.GRU(2, 4), outputs=1)
    learner = rnnkit.Learner(model, loss="mse", metrics=[], objective="step", lr=1e-9, device="cpu")
    settings = {"bptt": 4, "epochs": 1, "batch_size": 2, "shuffle": False, "progress": False}
    found = learner.fit(Batch(x, y, lengths, resets=resets), **settings).rows[-1]["loss"]
    pieces = [x[0, :3], x[0, 3:], x[1, :5] if ragged else x[1]]
    wanted = [y[0, :3], y[0, 3:], y[1, :5] if ragged else y[1]]
    assert found == pytest.approx(learner.evaluate(pieces, wanted)["loss"], rel=1e-5)


def reset_rows():
    """Rows with resets, and the same as rows of their own."""
    torch.manual_seed(0)
    x, resets = torch.randn(2, 6, 2), torch.zeros(2, 6, dtype=torch.bool)
    resets[0, 3] = True
    return x, resets, [x[0, 3:], x[1]]


@pytest.mark.parametrize("bptt", [None, 2, 4])
@pytest.mark.parametrize("ragged", [False, True])
def test_resets_hold_in_every_way_of_running_a_model(ragged, bptt):
    """One target a sequence: the output after the last reset is that of the steps from there on."""
    x, resets, pieces = reset_rows()
    lengths = torch.tensor([6, 5]) if ragged else None
    pieces = [pieces[0], pieces[1][:5]] if ragged else pieces
    y = torch.randn(2, 1)
    learner = rnnkit.Learner(rnnkit.SequenceRegressor(rnnkit.GRU(2, 4)), metrics=[], lr=1e-9, device="cpu")
    expected = learner.evaluate(pieces, y)["loss"]
    batch = Batch(x, y, lengths, resets=resets)
    for data in (batch, [batch]):
        assert learner.evaluate(data)["loss"] == pytest.approx(expected, rel=1e-5)
        settings = {"epochs": 1, "bptt": bptt, "shuffle": False, "progress": False}
        learner.fit(data, validation=data, **settings)
        assert learner.history["val_loss"] == pytest.approx([expected], rel=1e-5)
        assert learner.history["loss"] == pytest.approx([expected], rel=1e-5)
    first = Batch(x, y, lengths, resets=torch.ones(2, dtype=torch.bool))  # every row begins anew in any case
    assert learner.evaluate(first) == learner.evaluate(Batch(x, y, lengths))


def test_resets_that_cannot_be_are_refused():
    x, resets, _ = reset_rows()
    y = torch.randn(2, 6, 1)
    plain = torch.nn.Sequential(torch.nn.Linear(2, 1))
    with pytest.raises(ConfigError, match=r"a batch with resets \[B, T\] .* Sequential does not return its state"):
        rnnkit.Learner(plain, loss="mse").evaluate([Batch(x, y, resets=resets)])
    both = rnnkit.SequenceTagger(rnnkit.GRU(2, 4, bidirectional=True), outputs=1)
    with pytest.raises(ConfigError, match="resets"):
        rnnkit.Learner(both, loss="mse", metrics=[]).evaluate([Batch(x, y, resets=resets)])
    learner = rnnkit.Learner(rnnkit.SequenceTagger(rnnkit.GRU(2, 4), outputs=1), loss="mse", metrics=[])
    for data in (lambda one: one, lambda one: [one]):
        with pytest.raises(DataError, match=r"has resets \[2, 5\] of torch.bool with inputs \[2, 6, 2\]"):
            learner.evaluate(data(Batch(x, y, resets=resets[:, :5])))
        with pytest.raises(DataError, match=r"of torch.float32"):
            learner.evaluate(data(Batch(x, y, resets=resets.float())))
    with pytest.raises(DataError, match="rows of unequal length"):
        learner.evaluate([Batch(x, y, torch.tensor([6, 5]))], stateful=True)
