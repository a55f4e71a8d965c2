import numpy as np
import pytest

from rnnkit.data import ArrayDataset, BucketedBatches
from rnnkit.errors import DataError

LENGTHS = np.random.default_rng(0).integers(1, 50, 1_003)


def batches(**settings):
    data = ArrayDataset(np.zeros((1_003, 50, 1)), np.arange(1_003), input_lengths=LENGTHS)
    return BucketedBatches(data, LENGTHS, 10, **settings)


def test_every_row_comes_once_beside_rows_of_its_length():
    source = batches()
    found = list(source)
    assert len(found) == source.steps == 101
    assert sorted(row for batch in found for row in batch.targets.tolist()) == list(range(1_003))
    padded = sum(batch.inputs.shape[0] * batch.inputs.shape[1] for batch in found)
    assert padded < 1.1 * LENGTHS.sum()
    again = [row for batch in source for row in batch.targets.tolist()]
    assert again != [row for batch in found for row in batch.targets.tolist()]
    means = [batch.inputs.shape[1] for batch in found[:50]]
    assert means != sorted(means)  # short batches do not come first


def test_an_epoch_goes_on_where_it_was_left():
    whole = [batch.targets.tolist() for batch in batches(seed=3)]
    source = batches(seed=3)
    begun = iter(source)
    for _ in range(7):
        next(begun)
    again = batches(seed=3)
    again.load_state_dict(source.state_dict())
    assert [batch.targets.tolist() for batch in again] == whole[7:]


def test_without_shuffling_rows_are_sorted():
    found = [int(batch.input_lengths[0]) for batch in batches(shuffle=False)]
    assert found == sorted(found)


def test_a_length_for_each_row():
    data = ArrayDataset(np.zeros((3, 5, 1)), np.arange(3))
    with pytest.raises(DataError, match="2 lengths arrived for 3 rows"):
        BucketedBatches(data, [1, 2], 2)
