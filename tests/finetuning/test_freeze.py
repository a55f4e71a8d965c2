"""Freezing by group and by pattern, and rates by layer."""

from __future__ import annotations

import pytest
import torch

import rnnkit
from rnnkit.errors import ConfigError
from rnnkit.finetuning.adapters import add_adapters
from rnnkit.finetuning.freeze import freeze, unfreeze, unfreezing_order
from rnnkit.finetuning.rates import discriminative_rates, divide_rates


@pytest.fixture
def model():
    return rnnkit.SequenceClassifier(rnnkit.GRU(2, 3, num_layers=2, bidirectional=True), classes=2)


def training(model):
    return [name for name, one in model.named_parameters() if one.requires_grad]


def test_groups_modules_and_parameters_freeze_by_name(model):
    freeze(model)
    assert training(model) == []
    unfreeze(model, ["head", "body.bias_hh*_reverse"])
    assert training(model) == ["body.bias_hh_l0_reverse", "body.bias_hh_l1_reverse", "head.weight", "head.bias"]
    assert len(freeze(model, "body")) == 16
    assert training(model) == ["head.weight", "head.bias"]
    with pytest.raises(ConfigError, match=r"'body\.l2' matches no group.*did you mean 'body\.l"):
        unfreeze(model, ["head", "body.l2"])
    add_adapters(model, rank=1)
    assert "body.parametrizations.weight_hh_l1.original" in freeze(model, "body.weight_hh_l1")


def test_frozen_layers_do_not_learn_but_drop(model):
    body = rnnkit.LSTM(2, 8, num_layers=2, dropout=0.5)
    freeze(body, "l0")
    x = torch.randn(3, 4, 2)
    assert not torch.equal(body(x)[0], body(x)[0])
    body(x)[0].sum().backward()
    assert body.weight_hh_l0.grad is None
    assert body.weight_hh_l1.grad is not None


def test_unfreezing_goes_from_the_head_down_and_leaves_what_is_frozen(model):
    freeze(model, "body.l1")
    assert [len(group) for group in unfreezing_order(model)] == [2, 8]


def test_rates_fall_by_2_6_a_layer_and_keep_other_settings(model):
    groups = discriminative_rates(model, 0.26)
    assert [round(group["lr"], 6) for group in groups] == [0.26, 0.1, round(0.1 / 2.6, 6)]
    decayed, plain = [p for p in model.parameters() if p.dim() > 1], [p for p in model.parameters() if p.dim() == 1]
    optimizer = torch.optim.AdamW(
        [{"params": decayed, "weight_decay": 0.1}, {"params": plain, "weight_decay": 0.0}], lr=0.26
    )
    divide_rates(optimizer, model, 2.6)
    assert [(g["name"], round(g["lr"], 6), g["weight_decay"]) for g in optimizer.param_groups[:4]] == [
        ("head", 0.26, 0.1), ("head", 0.26, 0.0), ("body.l1", 0.1, 0.1), ("body.l1", 0.1, 0.0)
    ]  # fmt: skip
    assert sum(len(g["params"]) for g in optimizer.param_groups) == len(list(model.parameters()))
    with pytest.raises(ConfigError, match="divisor=0.5"):
        discriminative_rates(model, 0.1, 0.5)
