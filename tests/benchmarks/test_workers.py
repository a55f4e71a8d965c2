"""What the workers time is the same computation in both libraries, and arrives over the pipe."""

import sys
from pathlib import Path

import pytest
import torch
from tolerances import assert_close

import rnnkit
from benchmarks.workers import rnnkit_worker, torch_worker
from benchmarks.workers.client import Worker, WorkerError
from benchmarks.workers.protocol import measure
from benchmarks.workers.rounding import compared, errors
from benchmarks.workers.torch_steps import batch, last_hidden, loaded
from benchmarks.workloads import STREAM_STEPS, Workload

SIZES = (3, 8, 4, 6)
LOADS = [
    Workload("made", "simple_rnn", *SIZES, nonlinearity="relu"),
    Workload("made", "lstm", *SIZES, bidirectional=True, ragged=True),
    Workload("made", "gru", *SIZES, layers=2, bidirectional=True),
]


@pytest.mark.parametrize("load", LOADS, ids=lambda load: load.title)
def test_both_libraries_compute_the_same(load):
    x, lengths = batch(load)
    last = [
        last_hidden(library.run(loaded(library.body(load), load), x, lengths)[1], load.directions)
        for library in (rnnkit_worker.LIBRARY, torch_worker.LIBRARY)
    ]
    assert_close(*last)
    heads = [library.model(load) for library in (rnnkit_worker.LIBRARY, torch_worker.LIBRARY)]
    heads[0].load_state_dict(heads[1].state_dict())
    inputs = (x,) if lengths is None else (x, lengths)
    assert_close(heads[0](*inputs), heads[1](*inputs))


def test_errors_are_those_of_rounding():
    found = errors(rnnkit_worker.rnnkit_body, torch_worker.torch_body, LOADS[0])
    assert len(found) == 4
    assert all(0 < error < 1e-5 for error in found)


def test_an_error_is_a_share_of_the_largest_entry():
    truth = [torch.tensor([2.0, -4.0]), torch.tensor([1.0]), torch.tensor([5.0, 10.0])]
    found = [torch.tensor([2.0, -4.4]), torch.tensor([1.0]), torch.tensor([5.5, 10.0])]
    assert compared(found, truth) == [pytest.approx(0.1), pytest.approx(0.05)]


class Stream:
    """As the layers promise it: called with x, and able to time its own native call."""

    def __init__(self):
        self.calls = 0

    def __call__(self, x):
        assert x.shape == (1, 28)
        self.calls += 1

    def seconds_per_step(self, x, repeats):
        return 5e-6


def test_streaming_asks_for_what_the_layers_promise(monkeypatch):
    made = Stream()
    asked = []
    monkeypatch.setattr(rnnkit.LSTM, "stream", lambda self, batch, **options: asked.append(options) or made)
    rnnkit_worker.stream.cache_clear()
    rnnkit_worker.streamed("lstm_28_streamed")()
    assert made.calls == STREAM_STEPS
    assert rnnkit_worker.seconds_per_step("lstm_28_streamed") == [5e-6]
    assert asked == [{"reuse_output": True}]
    rnnkit_worker.stream.cache_clear()


def test_options_reach_the_layers(monkeypatch):
    for option in ("plain", "lengths", "resets"):
        rnnkit_worker.optional("simple_rnn_28", option)()
    seen = []
    monkeypatch.setattr(rnnkit, "LSTM", lambda *sizes, **options: seen.append(options) or torch.nn.LSTM(*sizes))
    rnnkit_worker.optional("lstm_28", "zoneout")
    rnnkit_worker.optional("lstm_28", "proj_size")
    rnnkit_worker.optional.cache_clear()
    assert seen[0]["zoneout"] == 0.1
    assert seen[1]["proj_size"] == 64


def test_times_values_and_errors_arrive():
    with Worker("torch_worker", Path(sys.executable)) as worker:
        worker.greet()
        assert worker.greeting["tunings"]["lstm_11mf"] == ["default", "one thread"]
        assert len(worker.values("outputs", "lstm_11mf")) > 50
        for what in ("layer", "inference", "streamed cell", "streamed layer"):
            assert all(ms > 0 for ms in worker.time(what, "lstm_11mf", "one thread", 2))
        with pytest.raises(WorkerError, match="KeyError: 'nothing'"):
            worker.values("nothing", "lstm_11mf")
        with pytest.raises(WorkerError, match="no workload is called 'nobody'"):
            worker.time("step", "nobody", "default", 1)


def test_a_training_step_is_timed():
    """In this process: in a fresh one an optimizer would import the compiler, which takes seconds."""
    assert all(ms > 0 for ms in measure(torch_worker.LIBRARY.build("step", "lstm_11mf"), 2, first_time=True))
