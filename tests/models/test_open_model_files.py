"""Models of parts that users bring are saved and loaded."""

from __future__ import annotations

import json

import pytest
import torch
from open_models import LENGTHS, PARTS, Differences, LeakyCell, own, tokens
from safetensors.torch import save_file
from torch import nn

import rnnkit
from rnnkit.errors import ConfigError, DataError
from rnnkit.serialization import save_module


def test_an_embedding_and_a_cell_of_the_users_save_and_load(tmp_path):
    model, x = own(), tokens()
    save_module(model, tmp_path)
    with pytest.raises(ConfigError, match=r"'LeakyCell' is unknown.*builders=\{'LeakyCell': \.\.\.\}"):
        rnnkit.load(tmp_path)
    again = rnnkit.load(tmp_path, builders={"LeakyCell": LeakyCell})
    assert again.config() == model.config()
    assert again.class_names == ("no", "yes")
    assert torch.equal(again(x, lengths=LENGTHS), model(x, lengths=LENGTHS))
    assert {"front.weight", "body.cell.recurrent", "head.weight"} <= set(model.state_dict())


def test_builders_are_registered_by_name(tmp_path, monkeypatch):
    from rnnkit.models import loading

    monkeypatch.setattr(loading, "_REGISTERED", {})
    save_module(own(), tmp_path)
    rnnkit.models.register(LeakyCell)
    assert isinstance(rnnkit.load(tmp_path).body.cell, LeakyCell)
    rnnkit.models.register(lambda inputs, hidden, rate: LeakyCell(inputs, hidden, 0.125), "LeakyCell")
    assert rnnkit.load(tmp_path).body.cell.rate == 0.125
    with pytest.raises(ConfigError, match="give yours another name"):
        rnnkit.models.register(LeakyCell, "GRU")
    with pytest.raises(ConfigError, match="give yours another name"):
        rnnkit.load(tmp_path, builders={"torch.nn.Linear": nn.Linear})
    with pytest.raises(ConfigError, match="expected a class or a function"):
        rnnkit.models.register(LeakyCell(1, 1))


def test_a_part_without_a_description_is_loaded_into_a_module(tmp_path):
    def make():
        return rnnkit.SequenceClassifier(rnnkit.GRU(3, 4), 2, front=Differences())

    model = make()
    assert model.config() is None
    save_module(model, tmp_path)
    with pytest.raises(DataError, match="pass rnnkit.load"):
        rnnkit.load(tmp_path)
    x = torch.randn(2, 5, 3)
    assert torch.equal(rnnkit.load(tmp_path, model=make())(x), model(x))


@pytest.mark.parametrize("make", PARTS.values(), ids=PARTS)
def test_parts_of_pytorchs_save_and_load_without_a_word(tmp_path, make):
    torch.manual_seed(0)
    model, x = make().eval(), tokens()
    save_module(model, tmp_path)
    again = rnnkit.load(tmp_path)
    assert again.config() == model.config()
    assert json.loads(json.dumps(model.config())) == json.loads(json.dumps(again.config()))
    assert torch.equal(again(x, lengths=LENGTHS), model(x, lengths=LENGTHS))
    for row, length in enumerate(LENGTHS):
        alone = model(x[row : row + 1, :length])
        together = model(x, lengths=LENGTHS)[row : row + 1]
        torch.testing.assert_close(together[:, : alone.shape[1]], alone)
        if isinstance(model, rnnkit.SequenceTagger):
            assert not together[:, length:].any()


def test_files_of_before_still_load(tmp_path):
    """A description as version 0.1 wrote it, with all parts that it had."""
    arguments = {
        "body": {
            "builder": "GRU",
            "arguments": {
                "input_size": 6, "hidden_size": 5, "num_layers": 1, "bias": True, "batch_first": False, "dropout": 0.0,
                "bidirectional": False, "init": "torch", "backend": "auto",
            },
        },
        "front": {
            "builder": "ConvFront",
            "arguments": {
                "input_size": 3, "kernel_sizes": [3, 5], "stride": 2, "differences": True, "standardised": True,
                "dropout": 0.0, "channels": 6,
            },
        },
        "augment": {"builder": "SeriesAugment", "arguments": {"jitter": 0.05, "scale": 0.1, "warp": 0.2}},
        "classes": 4, "pooling": "concat", "dropout": 0.0,
    }  # fmt: skip
    described = {"config": {"builder": "SequenceClassifier", "arguments": arguments}, "extra": {}}
    shapes = {
        "front.convs.0.weight": (3, 9, 3), "front.convs.0.bias": (3,), "front.convs.1.weight": (3, 9, 5),
        "front.convs.1.bias": (3,), "front.norm.weight": (6,), "front.norm.bias": (6,), "front.norm.running_mean": (6,),
        "front.norm.running_var": (6,), "front.mix.weight": (6, 6, 3), "front.mix.bias": (6,),
        "front.mix_norm.weight": (6,), "front.mix_norm.bias": (6,), "front.mix_norm.running_mean": (6,),
        "front.mix_norm.running_var": (6,), "body.weight_ih_l0": (15, 6), "body.weight_hh_l0": (15, 5),
        "body.bias_ih_l0": (15,), "body.bias_hh_l0": (15,), "head.weight": (4, 15), "head.bias": (4,),
    }  # fmt: skip
    weights = {name: torch.rand(shape) for name, shape in shapes.items()}
    weights |= {f"front.{name}.num_batches_tracked": torch.tensor(3) for name in ("norm", "mix_norm")}
    save_file(weights, tmp_path / "model.safetensors", {"rnnkit": json.dumps(described)})
    model = rnnkit.load(tmp_path)
    assert set(model.state_dict()) == set(weights)
    assert all(torch.equal(model.state_dict()[name], weights[name]) for name in weights)
    assert json.loads(json.dumps(model.config())) == described["config"]
    assert (model.class_names, tuple(model(torch.randn(2, 9, 3), lengths=[9, 4]).shape)) == (None, (2, 4))


def test_class_names_are_kept(tmp_path):
    import numpy as np

    for names in (["a", "b"], ("a", "b"), np.array(["a", "b"])):
        model = rnnkit.SequenceClassifier(rnnkit.GRU(3, 4), names)
        assert (model.class_names, model.head.out_features) == (("a", "b"), 2)
        save_module(model, tmp_path)
        assert rnnkit.load(tmp_path).class_names == ("a", "b")
    model = rnnkit.SequenceClassifier(rnnkit.GRU(3, 4), np.int64(2))
    assert (model.class_names, model.config()["arguments"]["classes"]) == (None, 2)
