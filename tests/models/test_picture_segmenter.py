"""The network that names pixels."""

import pytest
import torch
from tolerances import assert_close

import rnnkit
from rnnkit.errors import ConfigError, ShapeError


def contexts():
    return {
        "renet": rnnkit.ReNet(16, 6),
        "conv": rnnkit.layers.picture_front.PictureFront(16, (10,), (1,), blocks=1),
        "none": None,
    }


@pytest.mark.parametrize("context", ["renet", "conv", "none"])
@pytest.mark.parametrize("shapes", [0, 2])
def test_nothing_outside_of_a_picture_counts(context, shapes):
    torch.manual_seed(0)
    model = rnnkit.PictureSegmenter(3, 4, (4, 8, 16), shapes=shapes, context=contexts()[context]).eval()
    x = torch.rand(3, 3, 22, 19)
    x[1, :, 13:], x[1, :, :, 7:] = torch.nan, torch.nan
    y = model(x, heights=[22, 13, 1], widths=[19, 7, 1])
    assert y.shape == (3, 4 + shapes, 22, 19)
    assert_close(y[1:2, :, :13, :7], model(x[1:2, :, :13, :7]))
    assert_close(y[2:, :, :1, :1], model(x[2:, :, :1, :1]))


def test_bright_is_told_from_dark():
    torch.manual_seed(0)
    model = rnnkit.PictureSegmenter(1, 2, (4, 8)).eval()
    plain = [model(torch.full((1, 1, 9, 9), value))[0, :, 4, 4] for value in (0.2, 0.8)]
    assert (plain[0] - plain[1]).abs().max() > 1e-3


@pytest.mark.parametrize("context", ["renet", "conv", "none"])
def test_a_file_rebuilds_it(tmp_path, context):
    model = rnnkit.PictureSegmenter(3, 3, (4, 8, 16), shapes=1, context=contexts()[context])
    rnnkit.Learner(model).save(tmp_path)
    again = rnnkit.load(tmp_path)
    x = torch.rand(2, 3, 9, 10)
    assert_close(again(x), model.eval()(x))
    assert repr(again) == repr(model)


def test_a_context_sees_what_is_far(tmp_path):
    torch.manual_seed(0)
    seen = {}
    for name, context in contexts().items():
        model = rnnkit.PictureSegmenter(1, 2, (4, 8, 16), blocks=0, context=context).eval()
        x = torch.rand(1, 1, 96, 96, requires_grad=True)
        model(x)[0, 0, 90, 90].backward()
        seen[name] = bool((x.grad[0, 0, 2:8, 2:8] != 0).any())
    assert seen == {"renet": True, "conv": False, "none": False}


def test_it_learns_by_its_own_objective():
    torch.manual_seed(0)
    x = torch.rand(8, 1, 12, 12)
    y = (x[:, 0] > 0.5).long()
    y[:, 0] = -100
    learner = rnnkit.Learner(rnnkit.PictureSegmenter(1, 2, (8, 16), blocks=0), lr=0.01)
    learner.fit((x, y), epochs=25, batch_size=4, progress=False)
    named = learner.predict(x).argmax(1)
    assert (named == y)[:, 1:].float().mean() > 0.8


def test_pictures_and_sizes_that_do_not_fit_are_refused():
    with pytest.raises(ConfigError, match="two stages or more"):
        rnnkit.PictureSegmenter(3, 2, (8,))
    with pytest.raises(ConfigError, match="does not declare its output_size"):
        rnnkit.PictureSegmenter(3, 2, (4, 8), context=torch.nn.Identity())
    model = rnnkit.PictureSegmenter(3, 2, (4, 8))
    with pytest.raises(ShapeError, match="expects pictures"):
        model(torch.rand(2, 1, 8, 8))
    with pytest.raises(ConfigError, match="precision"):
        model.take_form("float16", True)
