"""Errors about the shape of a tensor: made of parts, and written for those who pass arrays."""

import copy
import pickle

import numpy as np
import pytest
import torch

import rnnkit
from rnnkit import Learner
from rnnkit.errors import ShapeError, TensorCode, Words

CODE = TensorCode("x[..., None]", "np.asarray(x)[..., None]")


class Arrays(Words):
    def code(self, change):
        return change.numpy


def test_the_parts_make_the_message():
    error = ShapeError.of("x", [2, 9], "; expected [batch, time, 1]: type ", CODE, " first")
    assert str(error) == error.problem == "x has shape [2, 9]; expected [batch, time, 1]: type x[..., None] first"
    assert (error.tensor, error.shape) == ("x", [2, 9])
    every = error.with_shape(torch.Size([40, 9])).in_words(Arrays())
    assert str(every) == "x has shape [40, 9]; expected [batch, time, 1]: type np.asarray(x)[..., None] first"
    assert str(error.in_words(Words())) == str(error)
    assert str(ShapeError.of("x", (2, 9), "!").with_shape([3, 9])) == "x has shape (3, 9)!"
    for again in (copy.copy(every), pickle.loads(pickle.dumps(every))):
        assert (str(again), again.shape) == (str(every), [40, 9])


class Plain(torch.nn.Module):
    """A model of the user's own, in which a layer of rnnkit checks its input."""

    def __init__(self, layer, inner=None):
        super().__init__()
        self.layer, self.inner = layer, inner or torch.nn.Identity()

    def forward(self, x):
        return self.layer(self.inner(x))[0][:, -1]


@pytest.mark.parametrize("layer", [rnnkit.GRU(3, 2, batch_first=True), rnnkit.ConvFront(3, 6)])
def test_a_layer_in_a_model_of_ones_own_shows_all_rows(layer):
    x, y = np.zeros((10, 7, 4), np.float32), np.arange(10) % 2
    with pytest.raises(ShapeError, match=r"^(x|input) has shape \(10, 7, 4\)"):
        Learner(Plain(layer), loss="cross_entropy").fit(x, y, epochs=1, progress=False)
    with pytest.raises(ShapeError, match=r"^(x|input) has shape \(2, 7, 5\)"):  # what the layer got, not what arrived
        Learner(Plain(layer, torch.nn.Linear(4, 5)), loss="cross_entropy").fit(x, y, epochs=1, progress=False)
