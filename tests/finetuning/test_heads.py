"""A new head for other classes."""

from __future__ import annotations

import pytest
import torch
from torch import nn

import rnnkit
from rnnkit.errors import ConfigError
from rnnkit.finetuning.heads import replace_head, same_name


@pytest.mark.parametrize(
    ("build", "argument"),
    [(rnnkit.SequenceClassifier, "classes"), (rnnkit.SequenceTagger, "outputs"), (rnnkit.SequenceRegressor, "outputs")],
)
def test_rows_of_outputs_that_stay_are_copied_and_the_description_follows(build, argument, tmp_path):
    model = build(rnnkit.LSTM(3, 4, dtype=torch.float64), 3).requires_grad_(False)
    old = model.head
    head = replace_head(model, 5, same_name(["a", "b", "c"], ["new", "c", "other", "a", "last"]))
    assert model.head is head
    assert torch.equal(head.weight[[1, 3]], old.weight[[2, 0]])
    assert torch.equal(head.bias[[1, 3]], old.bias[[2, 0]])
    assert not any(torch.equal(row, kept) for row in head.weight[[0, 2, 4]] for kept in old.weight)
    assert bool((head.weight[0].abs() <= 0.5).all())
    assert (head.weight.dtype, head.weight.requires_grad) == (torch.float64, False)
    assert model.config()["arguments"][argument] == 5
    rnnkit.serialization.save_module(model, tmp_path / "m.safetensors")
    x = torch.randn(2, 6, 3, dtype=torch.float64)
    torch.testing.assert_close(rnnkit.load(tmp_path / "m.safetensors")(x), model.eval()(x))


def test_without_a_word_equal_numbers_are_the_same_class_and_the_draw_is_the_generators():
    def make(outputs):
        torch.manual_seed(0)
        model = nn.Sequential(nn.Flatten(), nn.Linear(4, 8), nn.ReLU(), nn.Linear(8, 3, bias=False))
        return model, model[3], replace_head(model, outputs, generator=torch.Generator().manual_seed(7))

    model, old, head = make(4)
    assert model[3] is head
    assert torch.equal(head.weight[:3], old.weight)
    assert torch.equal(make(4)[2].weight, head.weight)
    assert torch.equal(make(2)[2].weight, old.weight[:2])


def test_what_cannot_be_replaced_is_refused():
    tied = nn.Sequential(nn.Embedding(5, 4), nn.Linear(4, 5))
    tied[1].weight = tied[0].weight
    with pytest.raises(ConfigError, match=r"1 shares its weight with 0\.weight"):
        replace_head(tied, 6)
    with pytest.raises(ConfigError, match="no head"):
        replace_head(nn.Sequential(nn.GRU(2, 3)), 6)
    model = nn.Sequential(nn.Linear(4, 3))
    with pytest.raises(ConfigError, match="new output 1 is old output 3; there are 2 new and 3 old"):
        replace_head(model, 2, {0: 0, 1: 3})
    with pytest.raises(ConfigError, match="outputs=0"):
        replace_head(model, 0)
    with pytest.raises(ConfigError, match=r"\['a'\] occur twice"):
        same_name(["a", "b"], ["a", "a"])
