"""Memory maps as X: read batch by batch, and checked."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from fitting import quiet, same, weights
from torch import nn

from rnnkit.errors import DataError
from rnnkit.training.batching.arrays import to_stored_inputs
from rnnkit.training.batching.mapped import MappedRows
from rnnkit.training.learner import Learner


@pytest.mark.parametrize("dtype", ["float32", "float64", ">f4", "int16", "uint8"])
def test_a_memory_map_is_read_batch_by_batch(tmp_path, classifier, blobs, dtype):
    array = (10 * blobs[0].numpy()).round().clip(0 if dtype == "uint8" else -99).astype(dtype)
    np.save(tmp_path / "x.npy", array)
    mapped, y = np.load(tmp_path / "x.npy", mmap_mode="r"), blobs[1]
    rows = to_stored_inputs(mapped, torch.float32)
    assert isinstance(rows, MappedRows)
    assert rows.array is mapped
    whole, by_batch = Learner(classifier()), Learner(classifier())
    settings = {"validation": 0.25, "batch_size": 16}
    expected = quiet(whole, array, y=y, **settings)
    found = quiet(by_batch, mapped, y=y, **settings)
    assert same(weights(by_batch.model), weights(whole.model))
    assert found["val_loss"] == expected["val_loss"]
    assert torch.equal(by_batch.predict(mapped, batch_size=16), whole.predict(array, batch_size=16))
    assert by_batch.evaluate(mapped[8:40], y[8:40]) == whole.evaluate(array[8:40], y[8:40])
    batches = [(mapped[at : at + 16], y[at : at + 16]) for at in range(0, 96, 16)]
    assert by_batch.evaluate(batches) == by_batch.evaluate(array, y, batch_size=16)
    report = by_batch.fine_tune(mapped, y, replay=(mapped, y), epochs=1, progress=False)
    assert len(report.rows) == 1


def test_only_the_rows_of_a_batch_are_read(tmp_path, monkeypatch):
    np.save(tmp_path / "x.npy", np.ones((500, 3, 2)))
    read = []
    monkeypatch.setattr(MappedRows, "__getitem__", count(read, MappedRows.__getitem__))
    monkeypatch.setattr("rnnkit.training.batching.mapped._CHUNK", 48)  # 8 rows
    model = nn.Sequential(nn.Flatten(), nn.Linear(6, 2))
    x = np.load(tmp_path / "x.npy", mmap_mode="r")
    quiet(Learner(model, loss="cross_entropy"), x, y=np.arange(500) % 2, batch_size=4, epochs=1)
    assert max(read) < 100  # for the fingerprint


def count(read, original):
    def counted(self, rows):
        found = original(self, rows)
        read.append(len(found))
        return found

    return counted


def test_a_memory_map_is_checked(tmp_path, classifier):
    x = np.ones((30, 3, 2))
    x[17, 1, 0] = np.nan
    np.save(tmp_path / "x.npy", x)
    with pytest.raises(DataError, match="the inputs hold nan in row 17;"):
        quiet(Learner(classifier()), np.load(tmp_path / "x.npy", mmap_mode="r"), y=np.arange(30) % 2)
