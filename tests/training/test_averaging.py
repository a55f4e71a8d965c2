"""Averaged weights against their definitions."""

from __future__ import annotations

import json
import math

import pytest
import torch
from torch import nn

from rnnkit.errors import ConfigError, DataError
from rnnkit.training.optimization.averaging import EMA, NTASGD, resolve_average


def walk(model, average, steps, seed=0):
    """Moves all floating weights at random, and returns them after each step, flat."""
    generator = torch.Generator().manual_seed(seed)
    path = []
    for _ in range(steps):
        for tensor in model.state_dict().values():
            if tensor.is_floating_point():
                tensor.add_(torch.randn(tensor.shape, generator=generator))
            else:
                tensor.add_(1)
        average.update()
        path.append(flat(model))
    return path


def flat(model):
    return torch.cat([tensor.flatten().double() for tensor in model.state_dict().values()])


def norm():
    return nn.Sequential(nn.Linear(2, 3), nn.BatchNorm1d(3))


@pytest.mark.parametrize("warmup", [True, False])
def test_ema_is_its_equation_for_parameters_and_buffers(warmup):
    model, average = norm(), EMA(0.8, warmup=warmup)
    average.begin(model)
    expected = flat(model)
    for t, weights in enumerate(walk(model, average, 20), start=1):
        d = min(0.8, (1 + t) / (10 + t)) if warmup else 0.8
        expected = d * expected + (1 - d) * weights
    expected[-1] = 20  # the number of batches is counted, not averaged
    average.finish()
    torch.testing.assert_close(flat(model), expected, rtol=1e-5, atol=1e-5)


def test_an_early_ema_has_forgotten_the_initial_weights():
    weight, average = torch.ones(1), EMA(0.9999)
    average.begin([weight])
    weight.zero_()
    for t in range(1, 9):
        average.update()
        share = math.factorial(10) * math.factorial(t + 1) / math.factorial(t + 10)
        assert average.average[0].item() == pytest.approx(share, rel=1e-4)


def test_swapping_puts_the_weights_back_to_the_bit_even_after_an_error():
    model, average = norm(), EMA()
    average.begin(model)
    walk(model, average, 3)
    raw = flat(model)

    def fail():
        with average.swapped():
            assert not torch.equal(flat(model), raw)
            raise RuntimeError("inside")

    with pytest.raises(RuntimeError, match="inside"):
        fail()
    assert torch.equal(flat(model), raw)


def test_half_precision_is_averaged_in_full():
    weight, average = torch.zeros(1, dtype=torch.bfloat16), EMA(0.999, warmup=False)
    average.begin([weight])
    weight.fill_(1.0)
    for _ in range(100):
        average.update()
    assert average.average[0].item() == pytest.approx(1 - 0.999**100, rel=1e-3)
    average.finish()
    assert weight.dtype == torch.bfloat16
    assert weight.item() == pytest.approx(1 - 0.999**100, rel=1e-2)


def triggers(figures, n, higher=False):
    """The epoch (from 0) at which the paper's algorithm triggers, or None."""
    logs = []
    for t, v in enumerate(figures):
        if t > n and (v < max(logs[: t - n]) if higher else v > min(logs[: t - n])):
            return t
        logs.append(v)
    return None


@pytest.mark.parametrize("n", [1, 2, 5])
@pytest.mark.parametrize("higher", [False, True])
def test_nt_asgd_triggers_when_the_paper_does_and_then_takes_the_mean(n, higher):
    generator = torch.Generator().manual_seed(n)
    figures = [1 / (e + 1) + 0.1 * torch.rand((), generator=generator).item() for e in range(30)]
    figures = [-figure for figure in figures] if higher else figures
    model, average = nn.Linear(2, 2), NTASGD(n)
    average.begin(model, monitor="val_x", higher_is_better=higher)
    path, trigger = [], triggers(figures, n, higher)
    assert trigger is not None
    for epoch, figure in enumerate(figures[: trigger + 3]):
        since = walk(model, average, 2, seed=epoch)
        path += since if epoch > trigger else []
        raw = flat(model)
        with average.swapped():
            expected = torch.stack(path).mean(0) if path else raw
            torch.testing.assert_close(flat(model), expected, rtol=1e-5, atol=1e-5)
        average.epoch({"val_x": figure, "val_loss": 0.0})
        assert average.triggered == (epoch >= trigger)
    assert len(path) == 4


def test_a_rising_figure_never_triggers_where_higher_is_better():
    average = NTASGD(1)
    average.begin([torch.zeros(1)], monitor="val_accuracy", higher_is_better=True)
    for epoch in range(9):
        average.epoch({"val_accuracy": float(epoch)})
    assert not average.triggered


@pytest.mark.parametrize("make", [EMA, lambda: NTASGD(1)])
def test_a_resumed_average_goes_on_to_the_same_bits(make):
    def run(model, average, epochs):
        for epoch in epochs:
            walk(model, average, 3, seed=epoch)
            average.epoch({"val_loss": math.nan if epoch == 1 else float(epoch)})

    torch.manual_seed(0)
    model, average = norm(), make()
    average.begin(model)
    run(model, average, range(4))
    state = average.state_dict()
    tensors = [tensor.clone() for tensor in state.pop("average")]
    state, weights = json.loads(json.dumps(state)), {name: t.clone() for name, t in model.state_dict().items()}
    run(model, average, range(4, 8))
    average.finish()

    other, resumed = norm(), make()
    other.load_state_dict(weights)
    resumed.begin(other)
    resumed.load_state_dict({**state, "average": tensors})
    run(other, resumed, range(4, 8))
    resumed.finish()
    assert torch.equal(flat(model), flat(other))
    assert resumed.averaging


def test_names_and_what_is_refused():
    mine = NTASGD(3)
    copied = resolve_average(mine)
    assert copied is not mine
    assert repr(copied) == repr(mine) == "NTASGD(n=3)"
    assert isinstance(resolve_average("ema"), EMA)
    assert resolve_average(None) is None
    for make, message in [
        (lambda: resolve_average("emma"), "did you mean 'ema'"),
        (lambda: resolve_average(0.9), "expected 'ema'"),
        (lambda: EMA(1.0), "decay=1.0"),
        (lambda: NTASGD(0), "n=0"),
    ]:
        with pytest.raises(ConfigError, match=message):
            make()
    average = EMA()
    average.begin(nn.Linear(2, 2))
    state = average.state_dict()
    average.begin(nn.Linear(2, 3))
    with pytest.raises(DataError, match="same model"):
        average.load_state_dict(state)
