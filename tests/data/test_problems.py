"""The adding and the copying problem are what they are defined as."""

import pytest
import torch

from rnnkit.data.problems import adding, copying
from rnnkit.errors import ConfigError


def test_adding_has_one_mark_in_each_half():
    x, y = adding(2000, 11, seed=3)
    marks = x[..., 1]
    assert (marks[:, :5].sum(1) == 1).all()
    assert (marks[:, 5:].sum(1) == 1).all()
    assert marks.sum(0).min() > 0  # every step is marked in some row
    assert torch.equal((x[..., 0] * marks).sum(1, keepdim=True), y)
    assert y.var() == pytest.approx(1 / 6, rel=0.1)  # the error of the constant answer


def test_copying_repeats_the_word_after_the_signal():
    x, y = copying(50, 7, length=4, symbols=5, seed=1)
    seen = x.argmax(-1)
    assert x.shape == (50, 15, 7)
    assert torch.equal(y[:, -4:], seen[:, :4])
    assert (seen[:, 4:10] == 5).all()
    assert (seen[:, 10] == 6).all()
    assert (seen[:, 11:] == 5).all()
    assert (y[:, :11] == 5).all()
    assert seen[:, :4].unique().tolist() == [0, 1, 2, 3, 4]


def test_a_seed_makes_the_rows():
    assert torch.equal(adding(5, 9, seed=1)[0], adding(5, 9, seed=1)[0])
    assert not torch.equal(copying(5, 9, seed=1)[0], copying(5, 9, seed=2)[0])


def test_refused():
    with pytest.raises(ConfigError, match="steps=1"):
        adding(5, 1)
    with pytest.raises(ConfigError, match="delay=0"):
        copying(5, 0)
