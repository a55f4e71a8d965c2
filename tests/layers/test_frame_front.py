"""Features of frames: what lies behind a clip's end does not matter, and what a frame's features depend on."""

import pytest
import torch

import rnnkit
from rnnkit.errors import ConfigError, ShapeError


def front(**changes):
    torch.manual_seed(0)
    options = {"channels": (4, 4), "strides": (2, 2), "features": 6, "grid": 2} | changes
    return rnnkit.FrameFront(1, **options)


def test_nothing_behind_a_clips_end_is_read():
    x = torch.rand(2, 4, 1, 12, 16)
    x[1, 2:] = float("nan")
    layer = front()
    y, lengths, state = layer(x, lengths=torch.tensor([4, 2]))
    assert y.shape == (2, 4, 6)
    assert not y[1, 2:].any()
    assert (lengths.tolist(), state) == ([4, 2], None)
    y.sum().backward()
    assert all(bool(weight.grad.isfinite().all()) for weight in layer.parameters())
    torch.testing.assert_close(y[1:, :2], layer(x[1:, :2])[0])


def test_a_frame_depends_on_itself_and_the_one_before():
    x = torch.rand(1, 5, 1, 8, 8)
    other = x.clone()
    other[:, 1] = 0
    changed = (front()(x)[0] != front()(other)[0]).any(-1)[0].tolist()
    assert changed == [False, True, True, False, False]
    alone = front(differences=False)
    changed = (alone(x)[0] != alone(other)[0]).any(-1)[0].tolist()
    assert changed == [False, True, False, False, False]


def test_features_tell_where_something_is():
    x = torch.zeros(2, 1, 1, 16, 16)
    x[0, 0, 0, 2:6, 2:6] = x[1, 0, 0, 10:14, 2:6] = 1
    y = front()(x)[0][:, 0]
    assert (y[0] - y[1]).abs().max() > 0.01


def test_a_saved_front_is_the_same(tmp_path):
    model = rnnkit.SequenceClassifier(rnnkit.GRU(6, 4), ["a", "b"], front=front(dropout=0.5))
    rnnkit.Learner(model).save(tmp_path)
    x = torch.rand(1, 3, 1, 8, 8)
    torch.testing.assert_close(rnnkit.load(tmp_path).eval()(x), model.eval()(x))


def test_what_does_not_fit_is_refused():
    with pytest.raises(ShapeError, match=r"type x\[:, :, None\] for frames of one channel"):
        front()(torch.rand(2, 3, 8, 8))
    with pytest.raises(ShapeError, match="expects clips"):
        front()(torch.rand(2, 3, 3, 8, 8))
    with pytest.raises(ConfigError, match="grid=0"):
        front(grid=0)
