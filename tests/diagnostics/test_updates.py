import json
import math

import pytest
import torch
from torch import nn

import rnnkit
from rnnkit.diagnostics import update_ratios
from rnnkit.diagnostics.updates import Diagnostics, read_records, write_records
from rnnkit.errors import ConfigError, DataError


def test_ratios_are_what_a_step_of_plain_descent_does():
    model = nn.Linear(3, 1)
    nn.init.zeros_(model.bias)
    before = {name: p.detach().clone() for name, p in model.named_parameters()}
    model(torch.ones(2, 3)).sum().backward()
    torch.optim.SGD(model.parameters(), lr=0.1).step()
    ratios = update_ratios(model, before)
    expected = 0.1 * model.weight.grad.norm() / before["weight"].norm()
    assert ratios["weight"] == pytest.approx(expected.item(), rel=1e-4)
    assert math.isnan(ratios["bias"])


def problem():
    torch.manual_seed(0)
    x = torch.randn(64, 8, 1)
    return rnnkit.SequenceRegressor(rnnkit.LSTM(1, 6)), x, x.sum(1)


class Truth(rnnkit.Callback):
    """The same figures of every step, the simple way."""

    def __init__(self):
        self.norms, self.ratios, self.before = [], [], None

    def on_backward_end(self, learner, step):
        self.norms.append(torch.cat([p.grad.flatten() for p in learner.model.body.parameters()]).norm().item())
        self.before = learner.model.head.weight.detach().clone()

    def on_step_end(self, learner, step):
        weight = learner.model.head.weight.detach()
        self.ratios.append(((weight - self.before).norm() / self.before.norm()).item())


def test_it_records_the_measured_steps_of_each_epoch(tmp_path):
    model, x, y = problem()
    watch, truth = Diagnostics(every=3, inputs=x[:5], file=tmp_path / "d.json"), Truth()
    learner = rnnkit.Learner(model, clip_norm=1e-3)
    learner.fit((x, y), epochs=2, batch_size=8, seed=0, callbacks=[watch, truth], progress=False)  # 8 steps an epoch
    assert [(record["epoch"], record["measured"]) for record in watch.records] == [(1, 3), (2, 3)]
    for record, steps in zip(watch.records, [(0, 3, 6), (8, 11, 14)], strict=True):
        assert record["gradients"]["body.l0"] == pytest.approx(sum(truth.norms[s] for s in steps) / 3, rel=1e-5)
        assert record["updates"]["head.weight"] == pytest.approx(sum(truth.ratios[s] for s in steps) / 3, rel=1e-4)
        assert record["gradient_peak"] >= 1
        assert set(record["updates"]) == {name for name, _ in model.named_parameters()}
        assert set(record["saturation"]["body.l0"]) == {"i", "f", "g", "o", "tanh(c)", "dead", "constant"}
    assert read_records(tmp_path / "d.json") == watch.records


def test_it_changes_nothing_and_comes_back_from_its_state():
    results = []
    for callbacks in ([], [Diagnostics(every=1, inputs=torch.zeros(2, 8, 1))]):
        model, x, y = problem()
        rnnkit.Learner(model).fit((x, y), epochs=1, seed=0, callbacks=callbacks, progress=False)
        results.append(model.state_dict())
    assert all(torch.equal(results[0][name], results[1][name]) for name in results[0])
    first = Diagnostics(every=1)
    learner = rnnkit.Learner(model)
    learner.fit((x, y), epochs=1, callbacks=[first], progress=False)
    again = Diagnostics(every=1)
    again.load_state_dict(json.loads(json.dumps(first.state_dict())))
    assert again.records == first.records
    learner.fit((x, y), epochs=1, callbacks=[again], progress=False)
    assert len(again.records) == 2
    assert len(first.records) == 1


def test_a_resumed_run_goes_on_with_the_records(tmp_path):
    records = []
    for epochs in (1, 3):
        model, x, y = problem()
        watch = Diagnostics(every=2)
        rnnkit.Learner(model).fit(
            (x, y), epochs=epochs, seed=0, checkpoint=tmp_path / "run", resume=True, callbacks=[watch], progress=False
        )
        records.append(watch.records)
    assert [record["epoch"] for record in records[1]] == [1, 2, 3]
    assert records[1][0] == records[0][0]


def test_frozen_weights_are_left_out_and_zero_gradients_do_no_harm():
    model, x, y = problem()
    model.body.requires_grad_(False)
    watch = Diagnostics(every=1)
    rnnkit.Learner(model).fit((x, y), epochs=1, callbacks=[watch], progress=False)
    assert set(watch.records[0]["gradients"]) == {"head"}
    assert set(watch.records[0]["updates"]) == {"head.weight", "head.bias"}
    dead = Diagnostics(every=1)
    rnnkit.Learner(model, loss=lambda output, target: 0 * output.sum()).fit(
        (x, y), epochs=1, callbacks=[dead], progress=False
    )
    assert dead.records[0]["gradient_peak"] is None


def test_records_of_a_network_that_blew_up_are_strict_json(tmp_path):
    write_records([{"epoch": 1, "saturation": {"dead": float("nan")}}], tmp_path / "d.json")
    json.loads((tmp_path / "d.json").read_text(), parse_constant=pytest.fail)
    assert read_records(tmp_path / "d.json") == [{"epoch": 1, "saturation": {"dead": None}}]


def test_what_cannot_be_used_is_refused(tmp_path):
    for every in (0, 2.5, True):
        with pytest.raises(ConfigError, match="expected a number of steps"):
            Diagnostics(every=every)
    for text in ("{", "{}", '{"records": [1]}'):
        (tmp_path / "d.json").write_text(text)
        with pytest.raises(DataError, match="d.json holds no records"):
            read_records(tmp_path / "d.json")
