"""Times the systems in turn, round by round, so that what slows the machine slows all of them."""

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from statistics import median

from benchmarks.machine import cpu_seconds
from benchmarks.results import OURS, Row, Timing
from benchmarks.workers.client import Worker, WorkerError
from benchmarks.workloads import Workload

PILOT_REPEATS = 5
HOPELESS = 1.3
"""A tuning this many times slower than its system's best in the pilot is not timed further."""
SETTLE_SECONDS = 0.05
"""Between two turns: thread pools spin for a while before they sleep."""
SGEMM_SIZES = (1024, 1536, 2048)


@dataclass
class Contestant:
    """One system doing one thing ("step" or "layer"), under each tuning that is still in the race."""

    system: str
    what: str
    repeats: dict[str, int] = field(default_factory=dict)
    timings: dict[str, list[list[float]]] = field(default_factory=dict)

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
        time.sleep(SETTLE_SECONDS)
        start, before = time.perf_counter(), self._idle(system)
        ms = self.workers[system].time(what, on, tuning, repeats)
        self.timed_seconds += time.perf_counter() - start
        self.idle_seconds += self._idle(system) - before
        return ms

    def row(self, load: Workload) -> Row:
        """All systems on one workload. A system that fails is left out, and the row says why."""
        problems: dict[str, str] = {}
        running = [Contestant(system, "step") for system in self.workers]
        running += [Contestant(system, "layer") for system in (OURS, "PyTorch")]
        for contestant in running.copy():
            self.say(f"{load.name}: {contestant.system}, {contestant.what}, pilot")
            self._guarded(self._pilot, contestant, load, running, problems)
        for number in range(self.rounds):
            self.say(f"{load.name}: round {number + 1} of {self.rounds}")
            first = number % len(running) if running else 0
            for contestant in running[first:] + running[:first]:
                self._guarded(self._round, contestant, load, running, problems)
            self.peaks.append(self._peak())
        return Row(
            load,
            steps={c.system: c.best() for c in running if c.what == "step"},
            layers={c.system: c.best() for c in running if c.what == "layer"},
            problems=problems,
            note=self.workers[OURS].greeting["notes"].get(load.name, ""),
        )

    def _guarded(
        self,
        act: Callable[[Contestant, Workload], None],
        contestant: Contestant,
        load: Workload,
        running: list[Contestant],
        problems: dict[str, str],
    ) -> None:
        try:
            act(contestant, load)
        except WorkerError as error:
            running.remove(contestant)
            problems[f"{contestant.system}, {contestant.what}"] = str(error)

    def _pilot(self, contestant: Contestant, load: Workload) -> None:
        """Compile, and learn how often each tuning fits into a turn and which are hopeless."""
        pilot = {}
        for tuning in self.workers[contestant.system].greeting["tunings"][load.name]:
            first = self.turn(contestant.system, contestant.what, load.name, tuning)[0]
            repeats = 1 if first > 1e3 * self.turn_seconds else PILOT_REPEATS
            pilot[tuning] = median(self.turn(contestant.system, contestant.what, load.name, tuning, repeats))
        for tuning, ms in pilot.items():
            if ms <= HOPELESS * min(pilot.values()):
                contestant.repeats[tuning] = max(1, round(1e3 * self.turn_seconds / ms))
                contestant.timings[tuning] = []

    def _round(self, contestant: Contestant, load: Workload) -> None:
        for tuning, repeats in contestant.repeats.items():
            ms = self.turn(contestant.system, contestant.what, load.name, tuning, repeats)
            contestant.timings[tuning].append(ms)

    def _peak(self) -> float:
        """GFLOP/s of PyTorch's best float32 matrix product now."""
        fastest = {size: min(self.turn("PyTorch", "sgemm", str(size), repeats=4)) for size in SGEMM_SIZES}
        return max(2 * size**3 / ms / 1e6 for size, ms in fastest.items())

    def _idle(self, system: str) -> float:
        """Processor seconds that the workers have used so far, without that of `system`."""
        others = (worker for name, worker in self.workers.items() if name != system)
        return sum(cpu_seconds(worker.pid) or 0.0 for worker in others)
