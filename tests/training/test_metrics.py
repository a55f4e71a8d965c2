"""Metrics by name, as torchmetrics objects and as callables, in pieces and at once."""

from __future__ import annotations

import pytest
import torch
from torchmetrics.classification import MulticlassAccuracy, MulticlassF1Score

from rnnkit.errors import ConfigError
from rnnkit.training.watching import metrics as module
from rnnkit.training.watching.metrics import Metrics


@pytest.fixture
def classes() -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(0)
    return torch.randn(50, 4, generator=generator), torch.randint(4, (50,), generator=generator)


def over_batches(metrics: Metrics, output: torch.Tensor, targets: torch.Tensor) -> dict[str, float]:
    for pair in zip(output.split(7), targets.split(7), strict=True):
        metrics.add(*pair)
    return metrics.compute()


@pytest.mark.parametrize("waiting", [1, 60, 1 << 22])
def test_pieces_of_any_size_give_the_same(classes, monkeypatch, waiting):
    monkeypatch.setattr(module, "_WAITING", waiting)
    f1 = MulticlassF1Score(4, average="macro")
    chosen = {"accuracy": "accuracy", "f1": f1, "calls": lambda output, target: len(output)}
    metrics = Metrics(chosen)
    result = over_batches(metrics, *classes)
    output, targets = classes
    assert result["accuracy"] == pytest.approx(MulticlassAccuracy(4, average="micro")(output, targets).item())
    assert result["f1"] == pytest.approx(MulticlassF1Score(4, average="macro")(output, targets).item())
    assert result["calls"] == 50
    assert over_batches(metrics, *classes) == result  # nothing is left from before


def test_numbers():
    output, target = torch.tensor([[1.0], [2.0], [4.0]]), torch.tensor([[1.0], [0.0], [0.0]])
    result = over_batches(Metrics(["mse", "rmse", "mae"]), output, target)
    assert result == pytest.approx({"mse": 20 / 3, "rmse": (20 / 3) ** 0.5, "mae": 2.0})


def test_a_look_in_between_changes_nothing(classes):
    output, targets = classes
    metrics = Metrics(["accuracy", MulticlassF1Score(4), lambda output, target: 1.0])
    metrics.add(output[:20], targets[:20])
    seen = metrics.peek()
    assert seen["accuracy"] == pytest.approx((output[:20].argmax(1) == targets[:20]).float().mean().item())
    assert set(seen) == {"accuracy", "MulticlassF1Score"}  # callables are not asked twice
    metrics.add(output[20:], targets[20:])
    expected = over_batches(Metrics("accuracy"), output, targets)["accuracy"]
    assert metrics.compute()["accuracy"] == pytest.approx(expected)


def test_half_precision_is_counted_in_full():
    output = torch.full((3000, 1), 1.0, dtype=torch.bfloat16)
    assert over_batches(Metrics("mae"), output, torch.zeros(3000, 1))["mae"] == 1.0


def test_directions():
    metrics = Metrics(["accuracy", "mse", MulticlassF1Score(4), max])
    assert [metrics.higher_is_better(name) for name in metrics.names] == [True, False, True, None]


def test_a_metric_that_is_no_number(classes):
    with pytest.raises(ConfigError, match="expected one number"):
        over_batches(Metrics(MulticlassAccuracy(4, average=None)), *classes)
