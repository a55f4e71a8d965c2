"""Batches of rows that are about as long: all rows, little padding, the same bits after a break."""

import numpy as np
import pytest
import torch

import rnnkit
from rnnkit.data import LengthBatches, RaggedRows
from rnnkit.errors import ConfigError, DataError


def rows(count=230, longest=30):
    draw = np.random.default_rng(0)
    inputs = [draw.integers(1, 90, draw.integers(1, longest)) for _ in range(count)]
    return RaggedRows(inputs, [row[::-1][: len(row) // 2 + 1] for row in inputs])


def listed(batches):
    return [(batch.inputs.tolist(), batch.targets.tolist(), batch.input_lengths.tolist()) for batch in batches]


def test_every_row_comes_once_with_little_padding():
    data = rows()
    batches = LengthBatches(data, 8, seed=3)
    epochs = [list(batches), list(batches)]
    assert batches.steps == len(epochs[0]) == 29
    for epoch in epochs:
        found = sorted(
            (tuple(batch.inputs[row, : batch.input_lengths[row]].tolist()), int(batch.target_lengths[row]))
            for batch in epoch
            for row in range(len(batch))
        )
        whole = data[range(len(data))]
        expected = sorted(
            (tuple(whole.inputs[row, : whole.input_lengths[row]].tolist()), int(whole.target_lengths[row]))
            for row in range(len(data))
        )
        assert found == expected
        steps = sum(batch.inputs.numel() for batch in epoch)
        assert sum(int(batch.input_lengths.sum()) for batch in epoch) > 0.9 * steps
        longest = [int(batch.target_lengths.max()) for batch in epoch]
        assert longest != sorted(longest)  # the batches are in a random order
    assert listed(epochs[0]) != listed(epochs[1])
    assert listed(LengthBatches(data, 8, seed=3)) == listed(epochs[0])
    assert listed(LengthBatches(data, 8, seed=4)) != listed(epochs[0])


def test_without_shuffling_the_order_is_by_length_and_stays():
    batches = LengthBatches(rows(), 8, shuffle=False)
    first = list(batches)
    longest = [int(batch.target_lengths.max()) for batch in first]
    assert longest == sorted(longest)
    assert listed(first) == listed(batches)


def test_a_limit_of_steps_counts_the_padding():
    data = rows()
    batches = LengthBatches(data, 50, steps=100)
    found = list(batches)
    assert batches.steps is None
    assert sum(map(len, found)) == len(data)
    assert all(batch.inputs.numel() <= 100 for batch in found)
    assert max(map(len, found)) > 8
    wide = LengthBatches(RaggedRows([[1] * 9, [1], [1]], [[1], [1] * 7, [2]]), 5, steps=8, shuffle=False)
    assert [len(batch) for batch in wide] == [1, 1, 1]
    assert wide.steps == 3


@pytest.mark.parametrize("broken", [0, 1, 7, 29])
def test_a_broken_epoch_goes_on_with_the_same_batches(broken):
    whole = LengthBatches(rows(), 8, seed=1)
    list(whole)
    expected = listed(whole)
    first = LengthBatches(rows(), 8, seed=1)
    list(first)
    iterator = iter(first)
    for _ in range(broken):
        next(iterator)
    again = LengthBatches(rows(), 8, seed=9)
    again.load_state_dict(first.state_dict())
    rest = listed(again)
    assert rest == (expected[broken:] if broken else listed(rest_of_new(first)))


def rest_of_new(batches):
    """An epoch that was not begun: the next one."""
    other = LengthBatches(rows(), 8)
    other.load_state_dict(batches.state_dict())
    return other


def test_a_learner_takes_them_and_a_resumed_run_has_the_same_bits(tmp_path):
    data = rows(40, 8)

    def learner():
        torch.manual_seed(0)
        model = rnnkit.EncoderDecoder(rnnkit.GRU(4, 4), rnnkit.GRU(4, 4), 90, 90, dropout=0.2)
        return rnnkit.Learner(model, label_smoothing=0.1)

    class Stop(rnnkit.Callback):
        def on_step_end(self, learner, step):
            if step == 6:
                import signal

                signal.raise_signal(signal.SIGINT)

    def fit(one, folder, **more):
        return one.fit(
            LengthBatches(data, 8, seed=5),
            validation=LengthBatches(data, 16, shuffle=False),
            epochs=3,
            seed=0,
            checkpoint=folder,
            progress=False,
            resume=True,
            **more,
        )

    whole, broken, resumed = learner(), learner(), learner()
    rows_of = fit(whole, tmp_path / "whole").rows
    assert fit(broken, tmp_path / "broken", callbacks=[Stop()]).stopped == "interrupted"
    again = fit(resumed, tmp_path / "broken").rows
    assert [row["val_loss"] for row in again] == [row["val_loss"] for row in rows_of]
    for one, other in zip(whole.model.parameters(), resumed.model.parameters(), strict=True):
        assert torch.equal(one, other)


def test_rows_that_are_none():
    with pytest.raises(DataError, match="no inputs arrived"):
        RaggedRows([])
    with pytest.raises(DataError, match="row 1 of the inputs has shape \\(0,\\)"):
        RaggedRows([[1], []])
    with pytest.raises(DataError, match="1 targets arrived for 2 inputs"):
        RaggedRows([[1], [2]], [[1]])
    with pytest.raises(ConfigError, match="batch_size=0"):
        LengthBatches(rows(), 0)
    assert rows().fingerprint() == rows().fingerprint() != rows(229).fingerprint()
    x, y = rows(5).arrays()
    assert (len(x), len(y), rows(5).select([1, 0])[[0]].inputs.tolist()) == (5, 5, rows(5)[[1]].inputs.tolist())
