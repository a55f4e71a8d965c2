"""Rows of unequal length in batches of similar length, and a learner that trains on them."""

import numpy as np
import pytest
import torch

import rnnkit
from rnnkit.data import BucketedBatches, RaggedRows
from rnnkit.errors import DataError


def rows(count=230, longest=30):
    draw = np.random.default_rng(0)
    inputs = [draw.integers(1, 90, draw.integers(1, longest)) for _ in range(count)]
    return RaggedRows(inputs, [row[::-1][: len(row) // 2 + 1] for row in inputs])


def test_rows_are_sorted_by_their_targets_then_by_their_inputs():
    data = RaggedRows([[1] * 3, [1], [1] * 2, [1] * 9], [[1, 1], [1], [1, 1], [1]])
    found = [batch.input_lengths.tolist() for batch in BucketedBatches(data, data.order_key, 2, shuffle=False)]
    assert found == [[1, 9], [2, 3]]
    many = rows()
    epoch = list(BucketedBatches(many, many.order_key, 8, seed=3))
    assert sum(map(len, epoch)) == len(many)
    assert sum(int(one.input_lengths.sum()) for one in epoch) > 0.9 * sum(one.inputs.numel() for one in epoch)
    assert RaggedRows([[1, 2], [3]]).order_key.tolist() == [2, 1]


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
            BucketedBatches(data, data.order_key, 8, seed=5),
            validation=BucketedBatches(data, data.order_key, 16, shuffle=False),
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
    assert rows().fingerprint() == rows().fingerprint() != rows(229).fingerprint()
    x, y = rows(5).arrays()
    assert (len(x), len(y), rows(5).select([1, 0])[[0]].inputs.tolist()) == (5, 5, rows(5)[[1]].inputs.tolist())
