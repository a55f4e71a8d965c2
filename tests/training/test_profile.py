"""Times of a step's parts add up and land where the time was spent, and profiling trains nothing."""

import copy
import random
import time

import numpy as np
import pytest
import torch
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

import rnnkit
from rnnkit.errors import ConfigError
from rnnkit.training.resuming.preserve import generators

SLOW = 0.02


@pytest.fixture
def data():
    generator = torch.Generator().manual_seed(0)
    return torch.randn(24, 6, 3, generator=generator), torch.arange(24) % 4


def make(optimizer="adam", **options):
    torch.manual_seed(0)
    body = rnnkit.LSTM(3, 8, recurrent_dropout=0.2, **options)
    return rnnkit.Learner(rnnkit.SequenceClassifier(body, classes=4, dropout=0.3), optimizer=optimizer)


def part(found, name):
    (one,) = [one for one in found.parts if one.name == name]
    return one


def test_parts_and_totals(data):
    found = make(num_layers=2).profile(data, steps=4, batch_size=8)
    names = [one.name for one in found.parts]
    assert names[:4] == ["body", "layer 0", "layer 1", "head"]
    assert names[4:] == ["between the layers", "loss, metrics", "optimizer, clipping", "batch, loop"]
    body, first, second, head = found.parts[:4]
    for layer in (body, first, second, head):
        assert layer.forward > 0
        assert layer.backward > 0
    assert body.forward >= first.forward + second.forward
    assert sum(one.share for one in found.parts if one.level == 0) == pytest.approx(1)
    assert sum(one.ms for one in found.parts if one.level == 0) < 3 * found.watched_ms
    assert found.steps == 4
    assert found.sequences == pytest.approx(8e3 / found.step_ms)
    assert found.tokens == pytest.approx(6 * found.sequences)
    assert found.steps_per_second == pytest.approx(1e3 / found.step_ms)
    assert found.peak > 1e6


def test_operations_are_the_summarys(data):
    learner = make(num_layers=2)
    found, expected = learner.profile(data, steps=2, batch_size=8), learner.summary((8, 6, 3))
    assert found.flops == expected.flops
    counted = {(one.name, one.level): one.flops for one in found.parts if one.kind or one.level}
    assert counted == {(one.name, one.level): one.forward + one.backward for one in expected.rows}
    body = part(found, "body")
    assert body.gflops == pytest.approx(body.flops / body.ms / 1e6)
    assert body.peak_share == pytest.approx(body.gflops * 1e9 / found.peak)


def test_no_part_is_faster_than_the_peak(data, monkeypatch):
    monkeypatch.setattr(
        "rnnkit.training.reports.profile.matrix_peak", lambda device, dtype: 1.0
    )  # as if other work had slowed it
    found = make().profile(data, steps=2, batch_size=8)
    assert max(one.peak_share for one in found.parts if one.peak_share) == pytest.approx(1)


def test_true_lengths_count(data):
    rows = [torch.randn(length, 3) for length in (2, 6, 4, 4)]
    found = make().profile((rows, torch.arange(4)), steps=2, batch_size=4)
    assert found.tokens == pytest.approx(found.sequences * 4)


def rest(seconds):
    if seconds:  # to sleep for 0 seconds gives a busy machine's core away
        time.sleep(seconds)


class Slow(torch.autograd.Function):
    """The identity, which sleeps forward or backward."""

    @staticmethod
    def forward(ctx, x, forward, backward):
        ctx.backward = backward
        rest(forward)
        return x.clone()

    @staticmethod
    def backward(ctx, gradient):
        rest(ctx.backward)
        return gradient, None, None


class Sleeper(nn.Module):
    def __init__(self, forward=0.0, backward=0.0):
        super().__init__()
        self.weight = nn.Parameter(torch.ones(()))
        self.times = forward, backward

    def forward(self, x):
        # a nested output, as recurrent layers have
        return x * self.weight, (Slow.apply(x * self.weight, *self.times),)


class Chain(nn.Module):
    def __init__(self, *parts, between=0.0):
        super().__init__()
        self.parts = nn.ModuleList(parts)
        self.between = between

    def forward(self, x):
        for one in self.parts:
            x = one(x)[1][0]
        return Slow.apply(x, self.between, 0.0)


@pytest.mark.parametrize(
    ("slow", "where"),
    [
        ({"first": {"forward": SLOW}}, ("parts.0", "forward")),
        ({"first": {"backward": SLOW}}, ("parts.0", "backward")),
        ({"second": {"backward": SLOW}}, ("parts.1", "backward")),
        ({"between": SLOW}, ("between the layers", "forward")),
        ({"loss": SLOW}, ("loss, metrics", "forward")),
        ({"optimizer": SLOW}, ("optimizer, clipping", "forward")),
        ({"data": SLOW}, ("batch, loop", "forward")),
    ],
    ids=lambda slow: next(iter(slow)) if isinstance(slow, dict) else None,
)
def test_time_lands_where_it_was_spent(slow, where):
    class SlowSgd(torch.optim.SGD):
        def step(self, closure=None):
            rest(slow.get("optimizer", 0.0))
            return super().step(closure)

    class Batches:
        def __iter__(self):
            for _ in range(20):
                rest(slow.get("data", 0.0))
                yield torch.ones(2, 3), torch.zeros(2, 3)

        def __len__(self):
            return 20

    def loss(output, target):
        return Slow.apply((output - target).square().mean(), 0.0, slow.get("loss", 0.0))

    first, second = Sleeper(**slow.get("first", {})), Sleeper(**slow.get("second", {}))
    model = Chain(first, second, between=slow.get("between", 0.0))
    learner = rnnkit.Learner(model, loss=loss, optimizer=lambda parameters: SlowSgd(parameters, lr=1e-3))
    found = learner.profile(Batches(), steps=3)
    times = {(one.name, way): getattr(one, way) for one in found.parts for way in ("forward", "backward")}
    slowest = max(times, key=times.get)
    assert slowest == where
    assert times[where] >= 1e3 * SLOW
    assert sorted(times.values())[-2] < 0.5e3 * SLOW
    name, _ = where
    words = f"{name} (Sleeper) takes" if name.startswith("parts") else f"most of it {name}"
    assert words in found.sentence


def test_nothing_is_trained(data):
    profiled, plain = make(), make()
    for learner in (profiled, plain):
        learner.fit(data, epochs=1, seed=1, progress=False)
    weights = copy.deepcopy(profiled.model.state_dict())
    state = copy.deepcopy(profiled._session.optimizer.state_dict())
    optimizer, history = profiled._session.optimizer, profiled.history
    gradients = [parameter.grad for parameter in profiled.model.parameters()]
    profiled.model.head.eval()
    drawn = torch.get_rng_state(), random.getstate(), np.random.get_state()[1].tolist()  # noqa: NPY002

    profiled.profile(data, steps=3, batch_size=8)

    assert all(torch.equal(one, weights[name]) for name, one in profiled.model.state_dict().items())
    assert profiled._session.optimizer is optimizer
    assert profiled.history is history
    for index, of in state["state"].items():
        assert all(torch.equal(one, optimizer.state_dict()["state"][index][name]) for name, one in of.items())
    assert optimizer.state_dict()["param_groups"] == state["param_groups"]
    assert all(one.grad is gradient for one, gradient in zip(profiled.model.parameters(), gradients, strict=True))
    assert (profiled.model.training, profiled.model.head.training, profiled.model.body.training) == (True, False, True)
    assert torch.equal(torch.get_rng_state(), drawn[0])
    assert (random.getstate(), np.random.get_state()[1].tolist()) == drawn[1:]  # noqa: NPY002
    assert not any(one._forward_hooks or one._forward_pre_hooks for one in profiled.model.modules())
    assert "_run_direction" not in vars(profiled.model.body)
    # and the next run is the one it would have been
    profiled.model.head.train()
    for learner in (profiled, plain):
        learner.fit(data, epochs=1, seed=2, progress=False)
    for one, other in zip(profiled.model.parameters(), plain.model.parameters(), strict=True):
        assert torch.equal(one, other)


def test_a_finished_optimizer_and_batch_statistics_come_back():
    model = nn.Sequential(nn.Flatten(), nn.BatchNorm1d(6), nn.Linear(6, 1))
    optimizer = torch.optim.Adam(model.parameters(), lr=0.1)
    learner = rnnkit.Learner(model, loss="mse", optimizer=optimizer)
    before = copy.deepcopy(model.state_dict())
    learner.profile((torch.randn(16, 2, 3), torch.randn(16)), steps=2, batch_size=4)
    assert all(torch.equal(one, before[name]) for name, one in model.state_dict().items())
    assert optimizer.state == {}
    assert learner._session.optimizer is None


def test_an_error_leaves_nothing_behind(data):
    learner = make(num_layers=2)
    before = copy.deepcopy(learner.model.state_dict())

    calls = []

    def loss(output, target):
        calls.append(1)
        if len(calls) > 9:
            raise KeyError
        return nn.functional.cross_entropy(output, target)

    broken = rnnkit.Learner(learner.model, loss=loss)
    with pytest.raises(KeyError):
        broken.profile(data, steps=4, batch_size=8)
    assert all(torch.equal(one, before[name]) for name, one in learner.model.state_dict().items())
    assert "_run_direction" not in vars(learner.model.body)
    assert not any(one._forward_hooks or one._forward_pre_hooks for one in learner.model.modules())


@pytest.mark.parametrize(
    "body",
    [
        rnnkit.GRU(3, 8, num_layers=2, bidirectional=True, batch_first=True),
        rnnkit.LSTM(3, 8, num_layers=2, recompute=2),
        rnnkit.GRU(3, 8, num_layers=2, backend="torch"),
        rnnkit.SimpleRNN(3, 8),
    ],
    ids=["both ways", "recomputed", "torch", "simple"],
)
def test_every_body(body, data):
    found = rnnkit.Learner(rnnkit.SequenceClassifier(body, classes=4)).profile(data, steps=2, batch_size=8)
    layers = [one for one in found.parts if one.level == 1]
    opened = isinstance(body, rnnkit.GRU) and body.backend == "auto"
    assert len(layers) == (2 if opened else 0)
    for one in (*layers, part(found, "body")):
        assert one.backward > 0


def test_a_cell_recomputed_over_time(data):
    class Model(nn.Module):
        def __init__(self):
            super().__init__()
            self.body = rnnkit.RNN(rnnkit.GRUCell(3, 4), batch_first=True, recompute=2)

        def forward(self, x):
            return self.body(x)[1]

    found = rnnkit.Learner(Model(), loss="cross_entropy").profile(data, steps=2, batch_size=8)
    assert part(found, "body.cell").forward > 0


def test_it_reads_well(data):
    found = make(num_layers=2).profile(data, steps=2, batch_size=8)
    lines = str(found).splitlines()
    assert lines[0].split()[:4] == ["part", "kind", "forward", "ms"]
    assert lines[3].startswith("  layer 0")
    assert found.sentence in lines
    assert found.sentence.count(" takes ") == 2
    assert any(line.startswith("Peak: ") and "1 thread" in line for line in lines)
    assert found._repr_html_().count("<tr>") == 2 + len(found.parts)
    if found.peak_memory is not None:
        assert found.peak_memory > 2**20


@pytest.mark.parametrize("look", ["profile", "summary", "find_rate"])
@pytest.mark.parametrize("own", [None, torch.Generator()], ids=["torch's generator", "its own"])
def test_a_loader_draws_the_same_afterwards(data, look, own):
    loader = DataLoader(TensorDataset(*data), 8, shuffle=True, generator=own)
    learner, generator = make(), own or torch.default_generator
    before = generator.get_state()
    settings = {"profile": {"steps": 2}, "summary": {}, "find_rate": {"steps": 10}}
    getattr(learner, look)(loader, **settings[look])
    assert torch.equal(generator.get_state(), before)


def test_what_cannot_be_profiled(data):
    learner = make()
    with pytest.raises(ConfigError, match="steps=0 arrived"):
        learner.profile(data, steps=0)
    with pytest.raises(ConfigError, match="can be read once"):
        learner.profile(iter([data]))


def test_generators_come_back_whatever_happens():
    def drawn():
        return torch.rand(1).item(), random.random(), np.random.random()  # noqa: NPY002

    def draw_and_fail():
        with generators(torch.device("cpu")):
            drawn()
            raise KeyError

    states = torch.get_rng_state(), random.getstate(), np.random.get_state()  # noqa: NPY002
    expected = drawn()
    torch.set_rng_state(states[0])
    random.setstate(states[1])
    np.random.set_state(states[2])  # noqa: NPY002
    with pytest.raises(KeyError):
        draw_and_fail()
    assert drawn() == expected
