"""Low-rank adapters on recurrent layers."""

from __future__ import annotations

import copy

import pytest
import torch
from torch import nn

import rnnkit
from rnnkit.errors import ConfigError, DataError
from rnnkit.finetuning.adapters import (
    add_adapters,
    load_adapters,
    merge_adapters,
    remove_adapters,
    save_adapters,
)

LAYERS = {
    "lstm": lambda: rnnkit.LSTM(3, 6, num_layers=2, bidirectional=True),
    "gru": lambda: rnnkit.GRU(3, 6, weight_dropout=0.5, layer_norm=True),
    "simple_rnn": lambda: rnnkit.SimpleRNN(3, 6, batch_first=True),
    "projected": lambda: rnnkit.LSTM(3, 6, proj_size=4, coupled_gates=True, peepholes=True),
    "torch": lambda: nn.LSTM(3, 6, num_layers=2, bidirectional=True),
    "through torch": lambda: rnnkit.LSTM(3, 6, backend="torch"),
}


@pytest.fixture
def x():
    return torch.randn(5, 4, 3, generator=torch.Generator().manual_seed(1))


def classifier(classes=3):
    torch.manual_seed(2)
    return rnnkit.SequenceClassifier(rnnkit.LSTM(3, 16, batch_first=True), classes=classes)


def stir(model, seed=3):
    """Gives every B numbers, as training would."""
    torch.manual_seed(seed)
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if name.endswith(".B"):
                parameter.normal_()
    return model


@pytest.mark.parametrize("make", LAYERS.values(), ids=LAYERS)
def test_an_adapter_is_the_identity_first_trains_alone_and_merges_into_the_same_layer(make, x):
    torch.manual_seed(0)
    layer = make().eval()
    kind, keys, before = type(layer), list(layer.state_dict()), layer(x)[0]
    weights = {name: parameter.detach().clone() for name, parameter in layer.named_parameters()}
    names = add_adapters(layer, rank=2)
    assert {"weight_ih_l0", "weight_hh_l0"} <= set(names)
    assert len(names) == sum(name.startswith(("weight_ih", "weight_hh")) for name in weights)
    assert torch.equal(layer(x)[0], before)

    stir(layer).train()
    torch.manual_seed(5)
    layer(x)[0].square().sum().backward()
    grads = {name: parameter.grad for name, parameter in layer.named_parameters()}
    assert all((grad is not None) == name.endswith((".A", ".B")) for name, grad in grads.items())
    assert all(bool(grad.abs().sum() > 0) for grad in grads.values() if grad is not None)

    # The same gradients as by hand from W' = W + (α/r) B A.
    name = names[0]
    adapter = layer.parametrizations[name][0]
    assert (adapter.scale, tuple(adapter.A.shape)) == (2.0, (2, 3))
    plain = make()
    plain.load_state_dict(weights)
    with torch.no_grad():
        for one in names:
            part = layer.parametrizations[one][0]
            plain.get_parameter(one).add_(part.B @ part.A, alpha=2.0)
    torch.manual_seed(5)
    plain.train()(x)[0].square().sum().backward()
    torch.testing.assert_close(adapter.B.grad, 2.0 * plain.get_parameter(name).grad @ adapter.A.T)
    torch.testing.assert_close(adapter.A.grad, 2.0 * adapter.B.T @ plain.get_parameter(name).grad)

    adapted = layer.eval()(x)[0]
    merge_adapters(layer)
    assert type(layer) is kind
    assert list(layer.state_dict()) == keys
    torch.testing.assert_close(layer(x)[0], adapted)
    assert not torch.equal(layer(x)[0], before)
    assert all(parameter.requires_grad for parameter in layer.parameters())


def test_removed_adapters_leave_the_network_that_was(x):
    model = classifier()
    model.body.bias_hh_l0.requires_grad_(False)  # the user's own flag
    before = copy.deepcopy(model.state_dict())
    add_adapters(model, train="head")
    stir(model)
    with torch.no_grad():
        model.head.weight.add_(1)
    remove_adapters(model)
    after = model.state_dict()
    assert all(torch.equal(after[name], before[name]) for name in before if "head.weight" not in name)
    assert not torch.equal(after["head.weight"], before["head.weight"])
    assert [name for name, one in model.named_parameters() if not one.requires_grad] == ["body.bias_hh_l0"]


def test_adapters_are_saved_apart_in_little_space_and_know_their_base(tmp_path, x):
    torch.manual_seed(2)
    model = rnnkit.SequenceClassifier(rnnkit.LSTM(28, 256, batch_first=True), classes=10)
    base = copy.deepcopy(model)
    add_adapters(model, rank=8, train="head")
    stir(model)
    with torch.no_grad():
        model.head.bias.add_(1)
    file = save_adapters(model, tmp_path / "adapters.safetensors")
    rnnkit.Learner(base).save(tmp_path / "base.safetensors")
    assert file.stat().st_size < 0.1 * (tmp_path / "base.safetensors").stat().st_size
    images = torch.rand(2, 28, 28)
    again = load_adapters(copy.deepcopy(base), file)
    assert torch.equal(again(images), model(images))
    trained = {name for name, one in model.named_parameters() if one.requires_grad}
    assert {name for name, one in again.named_parameters() if one.requires_grad} == trained
    with torch.no_grad():
        base.body.bias_hh_l0[3] += 1e-6
    before = copy.deepcopy(base.state_dict())
    with pytest.raises(DataError, match="another model.*other values"):
        load_adapters(base, file)
    with pytest.raises(DataError, match=r"another model.*weight_ih_l1"):
        load_adapters(rnnkit.SequenceClassifier(rnnkit.LSTM(28, 256, num_layers=2), classes=10), file)
    assert base.state_dict().keys() == before.keys()  # nothing was put on


def test_a_saved_head_of_other_classes_comes_back_with_its_adapters(tmp_path, x):
    from rnnkit.finetuning.heads import replace_head

    base = classifier(classes=3)
    model = copy.deepcopy(base)
    replace_head(model, 5)
    add_adapters(model, rank=2, train="head")
    stir(model)
    file = save_adapters(model, tmp_path / "a.safetensors")
    again = load_adapters(base, file)
    x = x.transpose(0, 1)
    assert torch.equal(again(x), model(x))
    assert again.config()["arguments"]["classes"] == 5


def test_a_model_is_saved_and_loaded_with_its_adapters_on(tmp_path, x):
    model = classifier()
    add_adapters(model, rank=2)
    stir(model)
    rnnkit.Learner(model).save(tmp_path / "on.safetensors")
    again = rnnkit.load(tmp_path / "on.safetensors")
    x = x.transpose(0, 1)
    assert torch.equal(again(x), model.eval()(x))
    assert {name for name, one in again.named_parameters() if one.requires_grad} >= {
        "body.parametrizations.weight_hh_l0.0.A"
    }
    merged = merge_adapters(again)
    rnnkit.Learner(merged).save(tmp_path / "merged.safetensors")
    plain = rnnkit.load(tmp_path / "merged.safetensors")
    torch.testing.assert_close(plain(x), model(x))
    assert list(plain.state_dict()) == list(classifier().state_dict())


def test_linear_layers_and_embeddings_have_adapters_on_request():
    model = nn.Sequential(nn.Embedding(9, 4), nn.Linear(4, 5))
    tokens = torch.tensor([1, 8])
    before = model(tokens)
    assert add_adapters(model, rank=2, targets=["0.weight", "1.*"]) == ["0.weight", "1.weight"]
    assert torch.equal(model(tokens), before)
    stir(model)(tokens).sum().backward()
    assert model[0].parametrizations.weight[0].B.grad.abs().sum() > 0


def test_streams_step_with_the_adapted_weights(x):
    layer = rnnkit.GRU(3, 6)
    add_adapters(layer, rank=3)
    stir(layer)
    stream = layer.stream(batch=4)
    outputs = torch.stack([stream(step) for step in x])
    torch.testing.assert_close(outputs, layer(x)[0].detach(), atol=1e-5, rtol=1e-5)


def test_what_cannot_be_adapted_is_refused(tmp_path):
    model = classifier()
    for settings, message in (
        ({"rank": 0}, "rank=0"),
        ({"rank": 4, "alpha": -1}, "alpha=-1"),
        ({"targets": "wieght"}, "matches no weight"),
        ({"train": "haed"}, "did you mean 'head'"),
    ):
        with pytest.raises(ConfigError, match=message):
            add_adapters(model, **{"rank": 2, **settings})
    assert all(one.requires_grad for one in model.parameters())
    for act in (merge_adapters, remove_adapters):
        with pytest.raises(ConfigError, match="no adapters"):
            act(model)
    add_adapters(model, rank=2)
    with pytest.raises(ConfigError, match="already"):
        add_adapters(model, rank=2)
    with pytest.raises(ConfigError, match=r"\.safetensors"):
        save_adapters(model, tmp_path / "adapters")
    with pytest.raises(DataError, match="does not exist"):
        load_adapters(model, tmp_path / "none.safetensors")
    with pytest.raises(DataError, match="holds no adapters"):
        load_adapters(model, rnnkit.serialization.save_module(model, tmp_path / "whole.safetensors"))
