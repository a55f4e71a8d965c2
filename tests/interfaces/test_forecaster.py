"""A forecaster whose horizon equals its window, on the public interfaces alone."""

from __future__ import annotations

import pytest
import torch
from torch import nn

import rnnkit
from rnnkit.errors import ShapeError


class Forecaster(nn.Module):
    """The last state of a window, and from it all steps of the horizon: [B, T, 1] → [B, S, 1]."""

    default_loss, default_objective = "mse", "horizon"

    def __init__(self, horizon: int) -> None:
        super().__init__()
        self.body = rnnkit.LSTM(1, 24, batch_first=True)
        self.head = nn.Linear(24, horizon)

    def forward(self, x: torch.Tensor, lengths: torch.Tensor | None = None) -> torch.Tensor:
        _, (h, _) = self.body(x, lengths=lengths)
        return self.head(h[-1])[:, :, None]


def windows(length: int, horizon: int, rows: int = 64) -> tuple[torch.Tensor, torch.Tensor]:
    start = torch.linspace(0, 6.28, rows)[:, None]
    waves = torch.sin(start + 0.4 * torch.arange(length + horizon))[:, :, None]
    return waves[:, :length], waves[:, length:]


@pytest.mark.parametrize("horizon", [12, 24])
def test_a_horizon_as_long_as_the_window_is_no_other_than_a_shorter_one(horizon):
    torch.manual_seed(0)
    x, y = windows(24, horizon)
    learner = rnnkit.Learner(Forecaster(horizon), lr=0.02, metrics="mae")
    learner.fit(x, y, epochs=40, batch_size=16, seed=0, progress=False)
    assert learner.evaluate(x, y)["mae"] < 0.1
    assert learner.predict(x).shape == (64, horizon, 1)


def test_windows_of_unequal_lengths_keep_their_whole_horizon():
    """By the shapes alone, targets of 24 steps would be taken for those of inputs of at most 24 steps."""
    torch.manual_seed(0)
    x, y = windows(24, 24, 8)
    rows = [row[: 24 - 2 * index] for index, row in enumerate(x)]
    learner = rnnkit.Learner(Forecaster(24))
    alone = [learner.evaluate((row[None], target[None]))["loss"] for row, target in zip(rows, y, strict=True)]
    assert learner.evaluate((rows, y), batch_size=3)["loss"] == pytest.approx(sum(alone) / 8, rel=1e-5)
    assert learner.predict(rows).shape == (8, 24, 1)


def test_horizons_may_end_early():
    x, y = windows(24, 24, 4)
    ends = rnnkit.Sequences(y.clone(), torch.tensor([24, 3, 10, 1]))
    ends.values[torch.arange(24) >= ends.lengths[:, None]] = float("nan")
    torch.manual_seed(0)
    learner = rnnkit.Learner(Forecaster(24))
    error = (learner.predict(x) - y).square()[torch.arange(24) < ends.lengths[:, None]]
    assert learner.evaluate((x, ends), batch_size=2)["loss"] == pytest.approx(error.mean().item(), rel=1e-5)


def test_another_horizon_is_refused_with_both_numbers():
    x, y = windows(24, 12)
    with pytest.raises(ShapeError, match=r"outputs of 24 steps, \[2, 24, 1\], but the targets have shape \[2, 12, 1\]"):
        rnnkit.Learner(Forecaster(24)).fit(x, y, progress=False)


def test_weights_scale_the_loss_of_their_target():
    x, y = windows(24, 12, 6)
    torch.manual_seed(0)
    learner = rnnkit.Learner(Forecaster(12))
    error = (learner.predict(x) - y).square().mean((1, 2))
    weights = torch.tensor([0.0, 1, 2, 3, 4, 5])
    history = learner.fit(x, y, epochs=1, batch_size=6, sample_weight=weights, progress=False)
    assert history.rows[0]["loss"] == pytest.approx((weights * error).sum().item() / 5, rel=1e-4)
