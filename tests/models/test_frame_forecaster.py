"""The network that predicts frames: pieces of clips, predictions from predictions, files, and what is refused."""

import pytest
import torch

import rnnkit
from rnnkit.errors import ConfigError, ShapeError


@pytest.fixture(params=[0, 2], ids=["drawn", "moved"])
def model(request):
    torch.manual_seed(0)
    return rnnkit.FrameForecaster(3, (4, 4), frames=7, motions=request.param, reach=2)


def test_predictions_are_frames(model):
    found = model(torch.rand(2, 4, 3, 16, 8))
    assert found.shape == (2, 6, 3, 16, 8)
    assert 0 <= found.min() <= found.max() <= 1


def test_a_clip_in_pieces_is_the_clip(model):
    clip = torch.rand(1, 5, 3, 8, 8)
    whole, last = model.observe(clip)
    first, state = model.observe(clip[:, :2])
    second, state = model.observe(clip[:, 2:], state)
    torch.testing.assert_close(torch.cat([first, second], 1), whole)
    for one, other in zip(state, last, strict=True):
        torch.testing.assert_close(one, other)
    rolled = torch.cat([whole[:, -1:], model.roll(whole[:, -1], last, 2)], 1)
    torch.testing.assert_close(model.forecast(clip, 3), rolled)


def test_a_call_predicts_from_true_frames_and_then_from_predictions(model):
    clip = torch.rand(2, 6, 3, 8, 8)
    found = model(clip[:, :4])
    torch.testing.assert_close(found[:, :4], model(clip)[:, :4])
    torch.testing.assert_close(found[:, 3:], model.forecast(clip[:, :4], 3))


def test_a_saved_network_predicts_the_same(model, tmp_path):
    rnnkit.Learner(model).save(tmp_path)
    clip = torch.rand(1, 3, 3, 8, 8)
    with torch.no_grad():
        torch.testing.assert_close(rnnkit.load(tmp_path)(clip), model(clip))


def test_every_weight_gets_a_gradient(model):
    model(torch.rand(1, 3, 3, 8, 8)).square().mean().backward()
    lost = [name for name, weight in model.named_parameters() if weight.grad is None or not weight.grad.any()]
    assert not [name for name in lost if "bias_hh" not in name]


def test_what_does_not_fit_is_refused(model):
    with pytest.raises(ShapeError, match=r"expects clips \(batch, time, 3, height, width\)"):
        model(torch.rand(1, 3, 1, 8, 8))
    with pytest.raises(ShapeError, match="expected multiples of 8"):
        model(torch.rand(1, 3, 3, 8, 12))
    with pytest.raises(ShapeError, match="x has 7 frames; expected fewer than 7"):
        model(torch.rand(1, 7, 3, 8, 8))
    with pytest.raises(ConfigError, match="hidden_sizes"):
        rnnkit.FrameForecaster(1, (4,))
