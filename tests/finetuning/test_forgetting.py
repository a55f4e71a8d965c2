"""Replay, and penalties that hold weights where they were."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch.nn import Parameter

from rnnkit.errors import ConfigError, DataError
from rnnkit.finetuning.forgetting import EWC, L2SP, Reference, Replay, memory, resolve_protection
from rnnkit.types import Sequences


def test_a_replay_says_how_many_old_rows_an_epoch_sees():
    assert [Replay(rows=rows).drawn(400, 50) for rows in (None, 30, 0.2, 80, 0.001)] == [50, 30, 100, 80, 1]
    for rows in (0, -1, 1.5, 0.0, 1.0, True, "all"):
        with pytest.raises(ConfigError, match="replay of"):
            Replay(rows=rows)


def test_the_memory_holds_so_many_rows_of_each_class():
    y = torch.tensor([0, 1, 2] * 10 + [7])
    x, kept = memory((torch.arange(31.0), y), per_class=4, seed=1)
    assert kept.bincount().tolist() == [4, 4, 4, 0, 0, 0, 0, 1]
    assert torch.equal(y[x.long()], kept)
    assert not torch.equal(x, memory((torch.arange(31.0), y), per_class=4, seed=2)[0])
    rows, labels = memory((np.arange(31.0), y.numpy()), per_class=4, seed=1)
    assert rows.tolist() == x.tolist()
    assert labels.tolist() == kept.tolist()
    sequences = Sequences(torch.zeros(31, 3, 1), torch.arange(31) % 3 + 1)
    assert len(memory((sequences, y), per_class=1)[0]) == 4
    with pytest.raises(DataError, match=r"expected integers \[N\]"):
        memory((torch.zeros(3), torch.zeros(3)), per_class=1)
    with pytest.raises(ConfigError, match="per_class=0"):
        memory((x, kept), per_class=0)


def test_l2_sp_draws_old_weights_to_their_start_and_new_rows_to_zero():
    shared, head = Parameter(torch.tensor([1.0, 3.0])), Parameter(torch.tensor([[2.0], [5.0]]))
    penalty = L2SP(alpha=0.5, beta=0.1).penalty(
        [
            Reference("w", shared, torch.tensor([0.0, 1.0])),
            Reference("head", head, torch.tensor([[1.0], [4.0]]), old=torch.tensor([[True], [False]])),
        ]
    )
    assert penalty().item() == pytest.approx(0.25 * (1 + 4 + 1) + 0.05 * 25)
    penalty().backward()
    assert shared.grad.tolist() == [0.5, 1.0]
    torch.testing.assert_close(head.grad, torch.tensor([[0.5], [0.5]]))


def test_the_empirical_fisher_is_the_mean_of_squared_gradients_row_by_row():
    torch.manual_seed(0)
    model = torch.nn.Linear(3, 4).double()
    model.bias.requires_grad_(False)
    x, y = torch.randn(6, 3, dtype=torch.float64), torch.tensor([0, 1, 2, 3, 0, 1])
    losses = (torch.nn.functional.cross_entropy(model(x[i : i + 1]), y[i : i + 1]) for i in range(6))
    found = EWC().measure(dict(model.named_parameters()), losses)
    # ∂ -log softmax_y / ∂W = (p - onehot) xᵀ
    error = model(x).softmax(1) - torch.nn.functional.one_hot(y, 4)
    torch.testing.assert_close(found["weight"], (error[:, :, None] * x[:, None]).square().mean(0).detach())
    assert list(found) == ["weight"]

    start = model.weight.detach() - 0.1
    penalty = EWC(strength=10.0).penalty([Reference("weight", model.weight, start, importance=found["weight"])])
    torch.testing.assert_close(penalty(), 5 * 0.01 * found["weight"].sum())


def test_protections_by_name_or_object():
    assert resolve_protection(None) is None
    assert isinstance(resolve_protection("l2-sp"), L2SP)
    mine = EWC(3.0)
    assert resolve_protection(mine) is mine
    for bad, message in (("l2sp", "did you mean 'l2-sp'"), (EWC, "EWC"), (0.1, "protect=0.1")):
        with pytest.raises(ConfigError, match=message):
            resolve_protection(bad)
    for make in (lambda: L2SP(alpha=-1), lambda: EWC(strength=float("nan")), lambda: EWC(rows=0)):
        with pytest.raises(ConfigError, match="expected"):
            make()
