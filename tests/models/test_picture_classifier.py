"""PictureClassifier, and PictureWarp, which changes its pictures."""

import pytest
import torch
from tolerances import assert_close

import rnnkit
from rnnkit.errors import ConfigError, DataError, ShapeError
from rnnkit.finetuning.heads import replace_head
from rnnkit.layers.picture_front import PictureFront


def made(**options):
    torch.manual_seed(0)
    layers = [PictureFront(3, (4,), (2,), blocks=0), rnnkit.ReNet(4, 3, patch=2)]
    return rnnkit.PictureClassifier(layers, ["a", "b", "c"], **options).eval()


@pytest.mark.parametrize("pooling", ["mean", "max", "concat", "flatten"])
def test_it_is_its_layers_its_pooling_and_its_head(pooling):
    model = made(pooling=pooling, size=(8, 12), mean=[0.1, 0.2, 0.3], std=0.5)
    x = torch.rand(5, 3, 8, 12)
    y = (x - torch.tensor([0.1, 0.2, 0.3])[:, None, None]) / 0.5
    for layer in model.body:
        y = layer(y)
    pooled = {
        "mean": y.mean((2, 3)),
        "max": y.amax((2, 3)),
        "concat": torch.cat([y.mean((2, 3)), y.amax((2, 3))], 1),
        "flatten": y.flatten(1),
    }[pooling]
    assert_close(model(x), model.head(pooled))
    assert_close(torch.cat([model(x[row : row + 1]) for row in range(5)]), model(x))


def test_it_is_saved_and_loaded_with_classes_and_changes(tmp_path):
    model = made(
        pooling="flatten", size=8, mean=0.2, std=[1.0, 2.0, 3.0], augment=rnnkit.PictureWarp(degrees=5, flip=0.5)
    )
    x = torch.rand(2, 3, 8, 8)
    rnnkit.Learner(model).save(tmp_path)
    again = rnnkit.load(tmp_path)
    assert torch.equal(again(x), model(x))
    assert (again.class_names, again.size, again.augment.config()) == (("a", "b", "c"), (8, 8), model.augment.config())
    replace_head(again, 4)
    assert (again.class_names, again.config()["arguments"]["classes"]) == (None, 4)
    with pytest.raises(DataError, match="the labels have 2 names"):
        again.class_names = ["a", "b"]


def test_what_does_not_fit_is_refused():
    for error, call, words in (
        (ConfigError, lambda: made(pooling="flatten"), 'pooling="flatten" arrived without a size'),
        (ConfigError, lambda: made(pooling="last"), "pooling"),
        (ConfigError, lambda: made(mean=[1.0, 2.0]), "expected one number, or 3"),
        (ConfigError, lambda: made(std=0.0), "expected numbers above 0"),
        (ConfigError, lambda: rnnkit.PictureClassifier([], 3), "no layer arrived"),
        (ConfigError, lambda: rnnkit.PictureClassifier(torch.nn.Linear(3, 3), 3), "expected a layer over pictures"),
        (ConfigError, lambda: rnnkit.PictureClassifier(rnnkit.ReNet(3, 4), 1), "expected at least two"),
        (
            ConfigError,
            lambda: rnnkit.PictureClassifier([rnnkit.ReNet(3, 4), rnnkit.ReNet(3, 4)], 3),
            "puts out 8 channels, but",
        ),
        (ShapeError, lambda: made(size=8)(torch.rand(1, 3, 9, 8)), r"takes pictures of \(8, 8\)"),
        (ShapeError, lambda: made()(torch.rand(1, 1, 8, 8)), "expects pictures"),
        (ConfigError, lambda: rnnkit.PictureWarp(degrees=-1), "degrees"),
    ):
        with pytest.raises(error, match=words):
            call()


def test_changes_are_those_that_were_asked_for():
    torch.manual_seed(0)
    x = torch.zeros(64, 1, 20, 30)
    x[:, :, 8:12, 13:17] = 1.0
    changes = {
        "shift": 3.0, "scale": 0.2, "shear": 0.2, "elastic": 0.7, "degrees": 20.0, "brightness": 0.2, "contrast": 0.3,
        "noise": 0.1,
    }  # fmt: skip
    for name, value in changes.items():
        y = rnnkit.PictureWarp(**{name: value})(x)
        assert y.shape == x.shape
        assert 0 <= y.min() <= y.max() <= 1
        assert not torch.equal(y, x), name
    assert torch.equal(rnnkit.PictureWarp(flip=1.0)(x), x.flip(-1))
    assert torch.equal(rnnkit.PictureWarp()(x), x)
    rows, columns = torch.arange(20.0) + 0.5, torch.arange(30.0) + 0.5
    moved = rnnkit.PictureWarp(shift=3.0)(x)[:, 0]
    weights = moved.sum((1, 2))
    down = (moved.sum(2) @ rows) / weights - 10
    right = (moved.sum(1) @ columns) / weights - 15
    assert max(down.abs().max(), right.abs().max()) <= 3.01
    assert min(down.std(), right.std()) > 1  # alike within ±3
    turned = rnnkit.PictureWarp(degrees=20.0)(torch.ones(2, 1, 20, 30))
    assert_close(turned, torch.ones_like(turned))  # behind the edge there is the edge


def test_a_turn_keeps_lengths_in_pictures_that_are_no_squares():
    x = torch.zeros(1, 1, 21, 41)
    x[:, :, 10, 12:29] = 1.0
    torch.manual_seed(3)
    y = rnnkit.PictureWarp(degrees=60)(x)[0, 0]
    rows, columns = (y > 0.3).nonzero().double().unbind(1)
    length = ((rows.max() - rows.min()) ** 2 + (columns.max() - columns.min()) ** 2).sqrt()
    assert 14 <= length <= 18
