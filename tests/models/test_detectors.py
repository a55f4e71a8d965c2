"""Detectors: saved and loaded, with further classes, and with pictures of any size."""

import pytest
import torch

import rnnkit
from rnnkit.errors import ConfigError
from rnnkit.layers.picture_front import PictureFront
from rnnkit.models.loading import build


def centres(context=True):
    front, deep = PictureFront(3, (4, 8), (2, 2), blocks=0), PictureFront(8, (8,), (2,), blocks=0)
    return rnnkit.CentreDetector(front, deep, 2, rnnkit.ReNet(8, 4) if context else None, features=8).eval()


def cells(context=True):
    decoder = rnnkit.SetDecoder(rnnkit.LSTM(16 if context else 8, 6), steps=2, classes=2)
    front, deep = PictureFront(3, (4,), (4,), blocks=0), PictureFront(4, (8,), (4,), blocks=0)
    return rnnkit.CellDetector(front, decoder, rnnkit.ReNet(8, 4) if context else None, deep).eval()


MODELS = pytest.mark.parametrize("make", [centres, cells])


@MODELS
@pytest.mark.parametrize("context", [True, False])
def test_a_model_is_built_anew_from_its_config(make, context):
    model = make(context)
    again = build(model.config())
    again.load_state_dict(model.state_dict())
    x = torch.rand(2, 3, 35, 50)
    assert torch.equal(again.eval()(x), model(x))
    assert repr(again) == repr(model)


@MODELS
def test_further_classes_leave_the_others_as_they_were(make):
    model, x = make(), torch.rand(1, 3, 32, 48)
    before = model(x)
    model.add_classes(2, generator=torch.Generator().manual_seed(0))
    after = model(x)
    axis = 1 if make is centres else -1
    old = [0, 1, *range(4, after.shape[axis])]
    assert model.classes == 4
    assert torch.allclose(after.index_select(axis, torch.tensor(old)), before, atol=1e-6)
    again = build(model.config())
    again.load_state_dict(model.state_dict())
    assert torch.equal(again.eval()(x), after)
    with pytest.raises(ConfigError, match="count"):
        model.add_classes(0)


@MODELS
def test_untrained_models_tell_little(make):
    from rnnkit.tasks.detection import detections_of_cells, detections_of_centres

    told = detections_of_centres if make is centres else detections_of_cells
    [(_, _, scores)] = told(make()(torch.rand(1, 3, 32, 48)).detach(), 8)
    assert (scores < 0.3).all()


def test_parts_that_do_not_fit():
    with pytest.raises(ConfigError, match="build deep with input_size=4"):
        rnnkit.CentreDetector(PictureFront(3, (4,), (2,)), PictureFront(8, (8,), (2,)), 2)
    with pytest.raises(ConfigError, match="does not declare its output_size"):
        rnnkit.CentreDetector(PictureFront(3, (4,), (2,)), PictureFront(4, (8,), (2,)), 2, torch.nn.Identity())
    decoder = rnnkit.SetDecoder(rnnkit.LSTM(8, 6), steps=2, classes=2, values=2)
    with pytest.raises(ConfigError, match="build it with values=4"):
        rnnkit.CellDetector(PictureFront(3, (8,), (4,)), decoder)
