"""The layers of a model as groups of parameters."""

from __future__ import annotations

import torch
from torch import nn

import rnnkit
from rnnkit.finetuning.groups import layer_groups, named_groups


def test_every_layer_is_a_group_with_both_directions_and_what_options_add():
    body = rnnkit.LSTM(3, 5, num_layers=2, bidirectional=True, layer_norm=True, learn_initial_state=True)
    groups = named_groups(rnnkit.SequenceTagger(body, outputs=4))
    assert list(groups) == ["body.l0", "body.l1", "head"]
    assert {"body.weight_ih_l0", "body.weight_hh_l0_reverse", "body.gain_c_l0", "body.initial_h"} <= {
        name for name, _ in groups["body.l0"]
    }
    assert all("_l1" in name for name, _ in groups["body.l1"])


def test_any_module_is_walked_from_input_to_output():
    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            self.head = nn.Linear(6, 2)  # made first, and still the last group
            self.embedding = nn.Embedding(9, 4)
            self.front = nn.Sequential(nn.Conv1d(4, 4, 3), nn.BatchNorm1d(4), nn.ReLU(), nn.Conv1d(4, 4, 3))
            self.body = nn.GRU(4, 6, 2)
            self.attention = nn.MultiheadAttention(6, 2)
            self.side = rnnkit.ConvFront(6, 4, (3, 5))
            self.scale = nn.Parameter(torch.ones(()))

    model = Net()
    groups = layer_groups(model)
    assert list(groups) == [
        "scale", "embedding", "front.0", "front.3", "body.l0", "body.l1", "attention", "side", "head"
    ]  # fmt: skip
    assert len(groups["front.0"]) == 4  # with its normalisation
    together = [id(parameter) for group in groups.values() for parameter in group]
    assert sorted(together) == sorted(map(id, model.parameters()))


def test_tied_weights_count_once_and_parametrised_ones_stay_with_their_layer():
    model = nn.Sequential(nn.Embedding(7, 4), nn.LSTM(4, 4, 2), nn.Linear(4, 7))
    model[2].weight = model[0].weight
    nn.utils.parametrizations.weight_norm(model[1], "weight_hh_l1")
    groups = named_groups(model)
    assert list(groups) == ["0", "1.l0", "1.l1", "2"]
    assert [name for name, _ in groups["2"]] == ["2.bias"]
    assert sum("parametrizations.weight_hh_l1" in name for name, _ in groups["1.l1"]) == 2
    nn.utils.parametrizations.weight_norm(model[2], "weight")
    assert list(layer_groups(model)) == ["0", "1.l0", "1.l1", "2"]


def test_a_layer_alone_is_a_model_too():
    assert list(layer_groups(rnnkit.GRU(2, 3, num_layers=2))) == ["l0", "l1"]
    assert list(layer_groups(nn.Linear(2, 3))) == ["model"]
    assert layer_groups(nn.ReLU()) == {}
