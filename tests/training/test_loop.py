"""The loop's own parts: how losses are read and the rows of an epoch are made."""

from __future__ import annotations

import math

import pytest
import torch

from rnnkit.errors import DataError
from rnnkit.training.watching.divergence import NonFinite
from rnnkit.training.watching.losses import LossMeter


def test_losses_weigh_as_many_rows_as_they_are_the_mean_of():
    meter = LossMeter(torch.device("cpu"), strict=True)
    meter.add(torch.tensor(1.0), 3, 0)
    meter.add(torch.tensor(5.0), 1, 1)
    assert meter.mean() == 2.0


def test_a_cpu_notices_nan_at_once_and_an_accelerator_within_fifty_steps():
    at_once = LossMeter(torch.device("cpu"), strict=True)
    at_once.add(torch.tensor(1.0), 1, 0)
    with pytest.raises(NonFinite) as caught:
        at_once.add(torch.tensor(float("nan")), 1, 1)
    assert caught.value.step == 1

    later = LossMeter(torch.device("cuda"), strict=True)  # the device only says how often to read
    for step in range(60, 109):
        later.add(torch.tensor(float("inf") if step == 70 else 1.0), 1, step - 60)
    assert later.count == 0
    with pytest.raises(NonFinite, match="the loss became inf") as caught:
        later.add(torch.tensor(1.0), 1, 49)
    assert caught.value.step == 10


def test_an_evaluation_reports_nan_instead():
    meter = LossMeter(torch.device("cpu"), strict=False)
    meter.add(torch.tensor(float("nan")), 1, 0)
    assert math.isnan(meter.mean())
    with pytest.raises(DataError, match="not a single batch"):
        LossMeter(torch.device("cpu"), strict=False).mean()
