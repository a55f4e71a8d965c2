"""Schedules against PyTorch's and against their equations."""

from __future__ import annotations

import json

import pytest
import torch
from fitting import quiet, same, weights

from rnnkit.errors import ConfigError
from rnnkit.training.learner import Learner
from rnnkit.training.optimization.rates import Rates
from rnnkit.training.optimization.schedules import (
    SCHEDULES,
    Constant,
    Cosine,
    OneCycle,
    Plateau,
    SlantedTriangular,
    resolve_schedule,
)  # fmt: skip


def optimizer(kind=torch.optim.SGD, **settings):
    groups = [{"params": [torch.nn.Parameter(torch.ones(2))]}, {"params": [torch.nn.Parameter(torch.ones(2))]}]
    groups[1]["lr"] = 0.01
    return kind(groups, lr=0.1, **settings)


@pytest.mark.parametrize("shape", ["cosine", "linear"])
@pytest.mark.parametrize(("steps", "warmup"), [(10, 0.3), (97, 0.25), (4, 0.5)])
@pytest.mark.parametrize("kind", [torch.optim.SGD, torch.optim.Adam])
def test_one_cycle_is_torchs(steps, warmup, shape, kind):
    settings = {"momentum": 0.5} if kind is torch.optim.SGD else {}
    ours, theirs = optimizer(kind, **settings), optimizer(kind, **settings)
    rates = Rates(ours, OneCycle(warmup=warmup, shape=shape), steps, 1)
    torchs = torch.optim.lr_scheduler.OneCycleLR(
        theirs, [0.1, 0.01], total_steps=steps, pct_start=warmup, anneal_strategy=shape.replace("cosine", "cos")
    )
    for step in range(steps):
        rates.set(step)
        for left, right in zip(ours.param_groups, theirs.param_groups, strict=True):
            assert left["lr"] == pytest.approx(right["lr"])
            key = "betas" if kind is torch.optim.Adam else "momentum"
            assert left[key] == pytest.approx(right[key])
        theirs.step()
        torchs.step() if step < steps - 1 else None
    rates.restore()
    assert ours.state_dict() == optimizer(kind, **settings).state_dict()


def test_one_cycle_reaches_its_peak_in_the_first_group_and_keeps_ratios():
    ours = optimizer()
    rates = Rates(ours, OneCycle(peak=0.5), 10, 1)
    rates.set(2)
    assert [group["lr"] for group in ours.param_groups] == pytest.approx([0.5, 0.05])
    assert ours.param_groups[0]["momentum"] == 0  # without momentum there is none to cycle
    assert OneCycle(warmup=0)(0, 10) == 1.0


def test_cosine_is_torchs():
    ours, theirs = optimizer(), optimizer()
    rates = Rates(ours, Cosine(), 7, 2)
    torchs = torch.optim.lr_scheduler.CosineAnnealingLR(theirs, 14)
    for step in range(14):
        rates.set(step)
        assert ours.param_groups[1]["lr"] == pytest.approx(theirs.param_groups[1]["lr"])
        theirs.step()
        torchs.step()


@pytest.mark.parametrize("total", [1, 2, 9, 10, 19, 250])
def test_slanted_triangular_follows_the_paper_where_the_cut_is_whole(total):
    factors = [SlantedTriangular()(step, total) for step in range(total)]
    assert max(factors) == 1.0 or total == 1
    assert min(factors) >= 1 / 32
    if total % 10 == 0:
        cut = total // 10
        for step, factor in enumerate(factors):
            p = step / cut if step < cut else 1 - (step - cut) / (cut * (1 / 0.1 - 1))
            assert factor == pytest.approx((1 + p * 31) / 32)


@pytest.mark.parametrize("name", [name for name in SCHEDULES if name != "plateau"])
def test_every_schedule_stays_in_range_for_every_length(name):
    schedule = resolve_schedule(name)
    for total in (1, 2, 3, 7, 40):
        assert all(0 < schedule(step, total) <= 1 for step in range(total)), total


@pytest.mark.parametrize("higher", [False, True])
def test_plateau_is_torchs(higher):
    ours, theirs = optimizer(), optimizer()
    schedule = Plateau(factor=0.3, patience=2, cooldown=1, lowest=0.02)
    torchs = torch.optim.lr_scheduler.ReduceLROnPlateau(
        theirs, mode="max" if higher else "min", factor=0.3, patience=1, cooldown=1, min_lr=[0.002, 0.0002]
    )
    rates = Rates(ours, schedule, None, 1)
    falls = set()
    for epoch, figure in enumerate([5.0, 4, 3, 3.1, 3.2, 3.3, 3.3, 2.99999, 3, 3, 3, 3, 1, 3, 3, 3, 3, 3, 3, 3]):
        figure = 10 - figure if higher else figure
        schedule.epoch(figure, higher_is_better=higher)
        torchs.step(figure)
        rates.set(epoch)
        lrs = [group["lr"] for group in ours.param_groups]
        assert lrs == pytest.approx([group["lr"] for group in theirs.param_groups])
        falls.add(lrs[0])
        if epoch == 7:  # a resumed run goes on alike
            state = json.loads(json.dumps(rates.state_dict()))
            ours.param_groups[0]["lr"] = 77.0  # whatever the optimizer was left with
            schedule = Plateau(factor=0.3, patience=2, cooldown=1, lowest=0.02)
            rates = Rates(ours, schedule, None, 1)
            rates.load_state_dict(state)
    assert len(falls) == 5


def test_fit_tells_plateau_the_monitored_figure_and_starts_it_anew(classifier, blobs):
    worse = iter(range(100))

    def rising(output, targets):
        return float(next(worse))

    rising.higher_is_better = False
    learner = Learner(classifier(), optimizer="sgd", lr=1.0, metrics=rising)
    schedule = Plateau(factor=0.5, patience=1)
    for _ in range(2):  # a stream of unknown length, and the same object twice
        history = quiet(learner, [blobs], validation=blobs, monitor="val_rising", schedule=schedule, epochs=4)
        assert [row["lr"] for row in history.rows] == [1.0, 1.0, 0.5, 0.25]
    with pytest.raises(ConfigError, match="plateau"):
        quiet(learner, blobs, schedule="plateau")


def test_a_warm_up_to_a_constant_rate(classifier, blobs):
    learner = Learner(classifier(), optimizer="sgd", lr=1.0)
    assert [row["lr"] for row in quiet(learner, blobs, schedule=Constant(warmup=0.5), epochs=2).rows] == [1.0, 1.0]
    assert [Constant(warmup=0.5)(step, 6) for step in range(4)] == pytest.approx([1 / 3, 2 / 3, 1, 1])
    constant, none = classifier(), classifier()
    quiet(Learner(constant), blobs, schedule="constant")
    quiet(Learner(none), blobs)
    assert same(weights(constant), weights(none))


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: OneCycle(warmup=30), "share from 0 to 1"),
        (lambda: OneCycle(peak=0), "peak=0"),
        (lambda: OneCycle(shape="lin"), "did you mean 'linear'"),
        (lambda: OneCycle(momentum=(0.95, 0.85)), "lowest, highest"),
        (lambda: OneCycle(start_divisor=0.5), "at least 1"),
        (lambda: Cosine(end=-0.1), "end=-0.1"),
        (lambda: SlantedTriangular(ratio=0), "ratio=0"),
        (lambda: Plateau(factor=2), "factor=2"),
        (lambda: Plateau(patience=0), "patience=0"),
        (lambda: resolve_schedule("onecycle"), "did you mean 'one_cycle'"),
        (lambda: resolve_schedule(OneCycle), r"expected OneCycle\(\)"),
    ],
)
def test_what_is_refused(make, message):
    with pytest.raises(ConfigError, match=message):
        make()
