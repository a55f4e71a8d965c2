"""What each part makes of its measurements."""

import pytest

from benchmarks import around, busy, errors, inference, loop, memory, options, processes, ragged, streaming
from benchmarks.results import Timing
from benchmarks.workers import rnnkit_worker
from benchmarks.workers.client import WorkerError
from benchmarks.workloads import STREAMED, workload


def figures(lines):
    return [(line.figure.name, line.figure.value, line.figure.met) for line in lines]


def test_the_overhead_of_padding_is_beside_the_share_of_valid_steps():
    load = workload("lstm_ragged")
    share = load.valid_steps / 6400
    lines = ragged.judge(load, 10 * share * 1.2, 10.0, 36 * share)
    assert lines[0].cells[1] == "61%"
    assert figures(lines) == [
        ("LSTM, ragged: overhead", pytest.approx(1.2), True),
        ("LSTM, ragged: PyTorch ÷ rnnkit", pytest.approx(3.0), True),
    ]
    assert figures(ragged.judge(load, 10 * share * 1.3, 10.0, 36 * share))[0][2] is False
    assert figures(ragged.judge(workload("gru_ragged"), None, 10.0, 9.0)) == [("GRU, ragged: overhead", None, False)]


@pytest.mark.parametrize(
    ("name", "ours", "ratio", "met"),
    [("lstm_28", 2.0, 1.5, True), ("lstm_28", 2.5, 1.2, False), ("lstm_512", 3.0, 1.0, True)],
)
def test_inference_is_beside_the_best_peer(name, ours, ratio, met):
    timings = {"rnnkit": ours, "PyTorch": 4.0, "ONNX Runtime": 3.0}
    line = inference.line(workload(name), {system: Timing("default", [[ms]]) for system, ms in timings.items()})
    assert line.cells[1:] == (f"{ours:.2f}", "4.00", "3.00")
    assert (line.figure.value, line.figure.met) == (ratio, met)


def test_inference_without_ours_is_not_met():
    line = inference.line(workload("lstm_28"), {"PyTorch": Timing("default", [[4.0]])})
    assert (line.figure.value, line.figure.met) == (None, False)


class Answers:
    """A race whose workers know their outputs."""

    def __init__(self, **outputs):
        self.outputs = outputs

    def values(self, system, what, on):
        return self.outputs[system]


def test_a_system_with_other_outputs_is_not_counted():
    race = Answers(PyTorch=[0.1, 0.2], rnnkit=[0.1, 0.2004], other=[0.1, 0.3])
    assert inference.unlike(race, "rnnkit", workload("lstm_28")) is None
    assert "differ from PyTorch's by 1.0e-01" in inference.unlike(race, "other", workload("lstm_28"))


def test_streaming_has_limits_inside_and_outside():
    times = {"rnnkit, inside the call": 5.0, "rnnkit": 13.0, "torch.nn.LSTMCell": 20.0}
    lines = streaming.judge(STREAMED[0], times)
    assert lines[0].cells == ("28 → 128", "5.00", "13.0", "20.0", "—", "—")
    assert figures(lines) == [("LSTM: inside the call", 5.0, True), ("LSTM: from Python", 13.0, False)]
    assert figures(streaming.judge(STREAMED[1], times)) == [("LSTM: LSTMCell ÷ rnnkit", pytest.approx(20 / 13), True)]
    assert figures(streaming.judge(STREAMED[1], {"rnnkit": 1.0})) == [("LSTM: LSTMCell ÷ rnnkit", None, False)]


def test_an_option_is_beside_the_plain_layer():
    times = {"plain": 4.0, "zoneout": 5.0, "layer_norm": 5.1}
    lines = [options.judge(workload("gru_28"), option, times) for option in ("zoneout", "layer_norm", "resets")]
    assert [(value, met) for _, value, met in figures(lines)] == [(1.25, True), (1.275, False), (None, False)]


@pytest.mark.parametrize(
    ("found", "quotient"),
    [
        ([4e-7, 3e-7, 1e-7, 3e-7], 4.0),
        ([1e-7, 9e-7, 1e-7, 1e-7], 9.0),
        ([1e-9, 1e-9, 0.0, 0.0], 1.0),  # below rounding nothing is an error
    ],
)
def test_errors_are_judged_by_the_worse_quotient(found, quotient):
    line = errors.judge(workload("lstm_28"), found)
    assert line.figure.value == pytest.approx(quotient)
    assert line.figure.met is (quotient < 4.1)


def test_errors_that_could_not_be_found():
    assert errors.judge(workload("lstm_28"), None).cells == ("32, 28, 28, 128", "—", "—", "—", "—")


class Turns:
    """A race in which a step of one workload takes 2 ms, and an epoch what is given."""

    rounds, turn_seconds = 3, 0.01

    def __init__(self, epochs):
        self.epochs, self.log = epochs, []

    def say(self, message):
        pass

    def turn(self, system, what, on, tuning="default", repeats=1):
        self.log.append((what, tuning))
        if what == "step":
            return [2.0] * repeats
        if on == "lstm_512":
            raise WorkerError("no memory")
        return [self.epochs.pop(0) * int(tuning)]


def test_fit_is_beside_the_bare_step_round_by_round():
    race = Turns([2.4, 9.0, 2.6])
    part = around.fit(race, [workload("lstm_28"), workload("lstm_512")])
    first, failed = part.lines
    assert first.cells == ("32, 28, 28, 128", "500", "2.00", "2.60")
    assert (first.figure.value, first.figure.limit, first.figure.met) == (pytest.approx(1.3), 1.3, True)
    assert [what for what, _ in race.log[1:7]] == ["epoch", "step", "step", "epoch", "epoch", "step"]
    assert (failed.figure.value, failed.figure.met) == (None, False)
    assert part.problems == {"LSTM (32, 64, 512, 512)": "no memory"}


@pytest.mark.parametrize("name", ["lstm_28", "stacked_simple_rnn_100"])
def test_an_epoch_has_as_many_steps_as_asked(name, monkeypatch):
    seen = []
    original = rnnkit_worker.rnnkit.Learner.fit

    def fit(self, data, **settings):
        history = original(self, data, **settings, progress=False)
        seen.append((len(data[0]) // settings["batch_size"], len(history.rows)))

    monkeypatch.setattr(rnnkit_worker.rnnkit.Learner, "fit", fit)
    rnnkit_worker.epoch.__wrapped__(name, 3)()
    assert seen == [(3, 1)]


def test_memory_is_measured_in_a_process_of_its_own():
    load = workload("simple_rnn_28")
    mib = memory.peak_mib("PyTorch", load)
    parameters = 128 * (28 + 128 + 2) + 10 * 129
    at_least = 4 * (3 * parameters + load.batch * load.time * load.hidden)  # gradients, two moments, all h
    assert at_least / 2**20 < mib < 20
    line = memory.judge(load, {"rnnkit": 1.0, "PyTorch": 0.9})
    assert (line.cells[1:], line.figure.met) == (("1.0", "0.9"), False)


def test_steps_beside_busy_processes_are_judged_by_one_thread_on_a_quiet_machine():
    load = workload("lstm_97")
    times = {
        ("rnnkit, one thread", 0): 10.0,
        ("rnnkit, one thread", 1): 11.0,
        ("rnnkit", 0): 6.0,
        ("rnnkit", 1): 12.0,
        ("rnnkit", 2): 21.0,
        ("PyTorch", 0): 11.0,
        ("PyTorch", 1): 300.0,
    }
    one, two = busy.judge(load, 1, times), busy.judge(load, 2, times)
    assert figures([one, two]) == [("2 × LSTM", pytest.approx(1.2), True), ("2 × LSTM", pytest.approx(2.1), False)]
    assert one.cells == ("19, 37, 23, 97", "1", "10.0", "11.0", "6.00", "12.0", "11.0", "300")
    assert two.cells[-1] == "—"
    assert figures([busy.judge(load, 1, {})]) == [("2 × LSTM", None, False)]


def test_busy_processes_end_with_their_section():
    with busy.busy_processes(2) as running:
        assert [process.poll() for process in running] == [None, None]
    assert all(process.returncode is not None for process in running)


def test_a_loop_is_judged_beside_pytorchs():
    load = workload("lstm_28")
    assert figures([loop.judge(load, 1.0, 2.0, 3.0)]) == [("LSTM", 1.5, True)]
    assert figures([loop.judge(load, 1.0, 2.0, None)]) == [("LSTM", None, False)]


def test_the_slowest_process_is_judged_beside_the_median():
    load = workload("lstm_28")
    assert figures([processes.judge(load, [1.0, 1.0, 1.1])]) == [("LSTM", 1.1, True)]
    assert figures([processes.judge(load, [1.0, 1.0, 1.5])]) == [("LSTM", 1.5, False)]
    assert figures([processes.judge(load, [])]) == [("LSTM", None, False)]
