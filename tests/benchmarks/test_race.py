"""Who is timed how often, and what happens when one fails."""

import pytest

from benchmarks import race as module
from benchmarks.race import Contestant, Race
from benchmarks.workers.client import WorkerError


class Fake:
    """A worker that takes as many milliseconds as it is told, by tuning."""

    pid = 0

    def __init__(self, fail_after=None, **ms):
        self.ms, self.calls, self.fail_after = ms, 0, fail_after
        self.greeting = {"tunings": {"lstm_28": list(ms)}, "notes": {}}

    def time(self, what, on, tuning, repeats):
        self.calls += 1
        if self.fail_after is not None and self.calls > self.fail_after:
            raise WorkerError("out of memory")
        return [self.ms[tuning]] * repeats


@pytest.fixture(autouse=True)
def _no_settling(monkeypatch):
    monkeypatch.setattr(module, "SETTLE_SECONDS", 0)


def entered(race, *systems):
    return [Contestant(system, "step", "lstm_28", race.tunings(system, "lstm_28")) for system in systems]


def test_the_best_tuning_counts_and_a_hopeless_one_is_dropped():
    race = Race({"a": Fake(default=2.0, other=1.9, slow=9.0)}, 3, 0.02, lambda message: None)
    running = entered(race, "a")
    rounds = []
    assert race.contest("made", running, after_round=lambda: rounds.append(1)) == {}
    assert set(running[0].timings) == {"default", "other"}
    assert running[0].best().tuning == "other"
    assert [len(values) for values in running[0].timings["default"]] == [10, 10, 10]
    assert len(rounds) == 3


def test_one_that_fails_is_left_out_and_says_why():
    race = Race({"a": Fake(default=2.0), "b": Fake(default=2.0, fail_after=3)}, 3, 0.02, lambda message: None)
    running = entered(race, "a", "b")
    assert race.contest("made", running) == {"b, step": "out of memory"}
    assert [one.system for one in running] == ["a"]
    assert running[0].best().ms == 2.0
