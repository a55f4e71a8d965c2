"""The cross-entropy over many classes against PyTorch's."""

import pytest
import torch
from torch.nn import functional as F

from rnnkit.ops import wide_softmax
from rnnkit.ops.losses import LOSSES, resolve_loss
from rnnkit.ops.wide_softmax import LEAST, wide_cross_entropy


def both(logits, labels):
    """Loss and gradient of ours and of PyTorch's, each behind a factor of 3."""
    found = []
    for function in (wide_cross_entropy, F.cross_entropy):
        own = logits.clone().requires_grad_()
        loss = function(own, labels)
        (3 * loss).backward()
        found.append((loss.detach(), own.grad))
    return found


@pytest.mark.parametrize("classes", [2, 7, 40])
@pytest.mark.parametrize("rows", [1, 5, 6, 13])
def test_values_and_gradients_are_those_of_pytorch(rows, classes, monkeypatch):
    monkeypatch.setattr(wide_softmax, "_AT_ONCE", 3 * classes)  # three rows at once: also a part of fewer
    torch.manual_seed(rows)
    logits = 5 * torch.randn(rows, classes, dtype=torch.float64)
    (loss, gradient), (expected, wanted) = both(logits, torch.randint(classes, (rows,)))
    torch.testing.assert_close(loss, expected, rtol=1e-12, atol=1e-12)
    torch.testing.assert_close(gradient, wanted, rtol=1e-12, atol=1e-12)


def test_logits_of_any_size_are_finite():
    logits = torch.tensor([[1e4, -1e4, 0.0], [-1e30, 1e30, 0.0], [float("-inf"), 0.0, 0.0]])
    (loss, gradient), (expected, wanted) = both(logits, torch.tensor([0, 1, 2]))
    torch.testing.assert_close(loss, expected)
    torch.testing.assert_close(gradient, wanted)


def test_a_logit_that_is_no_number_stays_in_its_row():
    logits = torch.zeros(3, 4)
    logits[1, 2] = float("nan")
    (loss, gradient), _ = both(logits, torch.tensor([0, 1, 2]))
    assert loss.isnan()
    assert gradient[1].isnan().all()
    assert gradient[[0, 2]].isfinite().all()


def count_saved(loss, logits, labels):
    """The bytes that a loss keeps for its gradient."""
    kept = {}
    with torch.autograd.graph.saved_tensors_hooks(lambda x: kept.update({x.data_ptr(): x.nbytes}) or x, lambda x: x):
        loss.mean(logits, labels)
    return sum(kept.values())


def test_the_loss_by_name_keeps_no_second_array_of_that_size():
    rows, classes = 64, LEAST // 64
    logits, labels = torch.randn(rows, classes, requires_grad=True), torch.randint(classes, (rows,))
    assert count_saved(LOSSES["cross_entropy"], logits, labels) < 1.01 * logits.nbytes
    assert LOSSES["cross_entropy"].mean(logits, labels).item() == pytest.approx(F.cross_entropy(logits, labels).item())


def test_a_loss_of_the_users_ignores_the_labels_it_ignored():
    logits, labels = torch.zeros(64, LEAST // 64), torch.full((64,), -100)
    labels[0] = 3
    loss = resolve_loss(F.cross_entropy, torch.nn.Identity())
    torch.testing.assert_close(loss.mean(logits, labels), F.cross_entropy(logits, labels))
