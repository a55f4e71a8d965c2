"""`Learner.fit` on an `ArrayDataset`: the same training as on its arrays and on its batches."""

import numpy as np
import pytest
import torch
from torch import nn

import rnnkit
from rnnkit.data import ArrayDataset
from rnnkit.errors import DataError
from rnnkit.types import Sequences

random = np.random.default_rng(0)
X = random.normal(size=(12, 5, 2)).astype(np.float32)
Y = np.arange(12) % 3
LENGTHS = random.integers(1, 6, 12)


def trained(data, **settings):
    torch.manual_seed(0)
    model = rnnkit.SequenceClassifier(rnnkit.GRU(2, 4, batch_first=True), 3)
    learner = rnnkit.Learner(model)
    learner.fit(data, epochs=1, seed=0, progress=False, **settings)
    return torch.cat([weight.detach().flatten() for weight in model.parameters()])


def test_fit_takes_an_array_dataset():
    assert torch.equal(trained(ArrayDataset(X, Y), batch_size=4), trained((X, Y), batch_size=4))


def test_lengths_arrive():
    padded = X.copy()
    padded[np.arange(5) >= LENGTHS[:, None]] = np.nan
    rows = (Sequences(torch.from_numpy(X), torch.from_numpy(LENGTHS)), Y)
    found = trained(ArrayDataset(padded, Y, input_lengths=LENGTHS), batch_size=4)
    assert found.isfinite().all()
    assert torch.equal(found, trained(rows, batch_size=4))


def test_a_share_gives_its_own_rows():
    data = ArrayDataset(X, X, input_lengths=LENGTHS, target_lengths=LENGTHS)
    inputs, targets = data.shard(1, 2).arrays()
    for part in (inputs, targets):
        assert part.lengths.tolist() == LENGTHS[1::2].tolist()
        assert np.array_equal(part.values.numpy(), X[1::2])


def test_rows_without_targets_and_rows_with_weights_are_refused():
    with pytest.raises(DataError, match="no targets"):
        rnnkit.Learner(nn.Linear(2, 1), loss="mse").fit(ArrayDataset(X))
    weighted = ArrayDataset(X, Y, weights=np.linspace(0, 1, 12))
    with pytest.raises(DataError, match=r"weights, which \(X, y\) cannot carry; .*fit\(dataset\.batches\(32\)\)"):
        trained(weighted)
    assert not torch.equal(trained(weighted.batches(4)), trained(ArrayDataset(X, Y).batches(4)))
