"""Times the systems in turn, round by round, so that what slows the machine slows all of them."""

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from statistics import median

from benchmarks.machine import cpu_seconds
from benchmarks.results import OURS, PEERS, Row, Timing
from benchmarks.workers.client import Worker, WorkerError
from benchmarks.workloads import Workload
from rnnkit.ops.machine import SIZES

PILOT_REPEATS = 5
HOPELESS = 1.3
"""A tuning this many times slower than its system's best in the pilot is not timed further."""
SETTLE_SECONDS = 0.05
"""Between two turns: thread pools spin for a while before they sleep."""


@dataclass
class Contestant:
    """One system doing one thing on one workload, under each tuning that is still in the race.

    `what` is "step", "layer" or another measurement that the system's worker knows.
    """

    system: str
    what: str
    on: str
    tunings: Sequence[str] = ("default",)
    repeats: dict[str, int] = field(default_factory=dict)
    timings: dict[str, list[list[float]]] = field(default_factory=dict)

    @property
    def name(self) -> str:
        return f"{self.system}, {self.what}" + (f" {self.tunings[0]}" if self.what == "option" else "")

    def best(self) -> Timing:
        return min((Timing(tuning, rounds) for tuning, rounds in self.timings.items()), key=lambda t: t.ms)


@dataclass
class Race:
    """The workers by system, the pace, and what is learned on the way.

    `say` is told what goes on.
    """

    workers: Mapping[str, Worker]
    rounds: int
    turn_seconds: float
    say: Callable[[str], None]
    peaks: list[float] = field(default_factory=list)
    timed_seconds: float = 0.0
    idle_seconds: float = 0.0

    def turn(self, system: str, what: str, on: str, tuning: str = "default", repeats: int = 1) -> list[float]:
        """One worker works while the others wait: its milliseconds, one per repeat."""
        return self._alone(system, lambda worker: worker.time(what, on, tuning, repeats))

    def values(self, system: str, what: str, on: str) -> list[float]:
        """One worker finds out numbers that are no times of a call."""
        return self._alone(system, lambda worker: worker.values(what, on))

    def row(self, load: Workload, *, steps: bool = True) -> Row:
        """All systems on one workload. A system that fails is left out, and the row says why."""
        entered = [(system, "step") for system in (OURS, *PEERS) if steps and system in self.workers]
        entered += [(system, "layer") for system in (OURS, "PyTorch")]
        running = [Contestant(system, what, load.name, self.tunings(system, load.name)) for system, what in entered]
        problems = self.contest(load.name, running, after_round=self.measure_peak if steps else lambda: None)
        return Row(
            load,
            steps={c.system: c.best() for c in running if c.what == "step"},
            layers={c.system: c.best() for c in running if c.what == "layer"},
            problems=problems,
            note=self.workers[OURS].greeting["notes"].get(load.name, ""),
        )

    def contest(
        self, label: str, running: list[Contestant], after_round: Callable[[], None] = lambda: None
    ) -> dict[str, str]:
        """Times all contestants and takes those that fail out of the list; returns what went wrong, by name."""
        problems: dict[str, str] = {}
        for contestant in running.copy():
            self.say(f"{label}: {contestant.name}, pilot")
            self._guarded(self._pilot, contestant, running, problems)
        for number in range(self.rounds):
            self.say(f"{label}: round {number + 1} of {self.rounds}")
            first = number % len(running) if running else 0
            for contestant in running[first:] + running[:first]:
                self._guarded(self._round, contestant, running, problems)
            after_round()
        return problems

    def measure_peak(self) -> None:
        """Notes the GFLOP/s of PyTorch's best float32 matrix product now."""
        fastest = {size: min(self.turn("PyTorch", "sgemm", str(size), repeats=4)) for size in SIZES}
        self.peaks.append(max(2 * size**3 / ms / 1e6 for size, ms in fastest.items()))

    def tunings(self, system: str, on: str) -> list[str]:
        """What a system tries on a workload."""
        found: list[str] = self.workers[system].greeting["tunings"][on]
        return found

    def _guarded(
        self,
        act: Callable[[Contestant], None],
        contestant: Contestant,
        running: list[Contestant],
        problems: dict[str, str],
    ) -> None:
        try:
            act(contestant)
        except WorkerError as error:
            running.remove(contestant)
            problems[contestant.name] = str(error)

    def _pilot(self, contestant: Contestant) -> None:
        """Compile, and learn how often each tuning fits into a turn and which are hopeless."""
        pilot = {}
        for tuning in contestant.tunings:
            first = self.turn(contestant.system, contestant.what, contestant.on, tuning)[0]
            repeats = 1 if first > 1e3 * self.turn_seconds else PILOT_REPEATS
            pilot[tuning] = median(self.turn(contestant.system, contestant.what, contestant.on, tuning, repeats))
        for tuning, ms in pilot.items():
            if ms <= HOPELESS * min(pilot.values()):
                contestant.repeats[tuning] = max(1, round(1e3 * self.turn_seconds / ms))
                contestant.timings[tuning] = []

    def _round(self, contestant: Contestant) -> None:
        for tuning, repeats in contestant.repeats.items():
            ms = self.turn(contestant.system, contestant.what, contestant.on, tuning, repeats)
            contestant.timings[tuning].append(ms)

    def _alone(self, system: str, act: Callable[[Worker], list[float]]) -> list[float]:
        time.sleep(SETTLE_SECONDS)
        start, before = time.perf_counter(), self._idle(system)
        found = act(self.workers[system])
        self.timed_seconds += time.perf_counter() - start
        self.idle_seconds += self._idle(system) - before
        return found

    def _idle(self, system: str) -> float:
        """Processor seconds that the workers have used so far, without that of `system`."""
        others = (worker for name, worker in self.workers.items() if name != system)
        return sum(cpu_seconds(worker.pid) or 0.0 for worker in others)
