"""The training step beside processes that keep cores busy."""

import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from statistics import median

from benchmarks.race import PILOT_REPEATS, Race
from benchmarks.results import ONE_THREAD, OURS, Figure, Line, Part
from benchmarks.tables import milliseconds
from benchmarks.workers.client import WorkerError
from benchmarks.workloads import Workload

LIMITS = {1: 1.3, 2: 2.0}
"""By the number of busy processes: what the step may take, in times of one thread on a quiet machine."""
SETTLE_SECONDS = 0.5
LEAST_REPEATS = 5
ENOUGH = 1e4
"""Milliseconds of timed steps, behind which a system takes no more turns."""

TEXT = """\
A whole training step while other processes do nothing but loops, as many as the columns say, median milliseconds. The
quotient is the step beside them over the step on one thread of a quiet machine (`OMP_NUM_THREADS=1`); the column behind
that one has what one thread takes beside them. All take turns, quiet and busy, in each round.
"""
COLUMNS = (
    "B, T, I, H",
    "busy processes",
    "one thread, quiet",
    "one thread",
    "rnnkit, quiet",
    "rnnkit",
    "PyTorch, quiet",
    "PyTorch",
)


def measure(race: Race, loads: Sequence[Workload]) -> Part:
    lines, problems = [], {}
    for load in loads:
        times: dict[tuple[str, int], list[float]] = {}
        try:
            for number in range(race.rounds):
                race.say(f"{load.name}: beside busy processes, round {number + 1} of {race.rounds}")
                for processes in (0, *LIMITS):
                    with busy_processes(processes):
                        for system in (ONE_THREAD, OURS, "PyTorch"):
                            time_step(race, system, load, times.setdefault((system, processes), []))
        except WorkerError as error:
            problems[load.label] = str(error)
        middle = {key: median(taken) for key, taken in times.items() if taken}
        lines += [judge(load, processes, middle) for processes in LIMITS]
    return Part("Beside busy processes", TEXT, COLUMNS, "rnnkit ÷ one thread", lines, problems)


@contextmanager
def busy_processes(count: int) -> Iterator[list[subprocess.Popen[bytes]]]:
    """As many processes that loop, each in a session of its own as from another terminal."""
    command = [sys.executable, "-c", "while True: pass"]
    running = [subprocess.Popen(command, start_new_session=True) for _ in range(count)]
    try:
        time.sleep(SETTLE_SECONDS)
        yield running
    finally:
        for process in running:
            process.kill()
            process.wait()


def time_step(race: Race, system: str, load: Workload, times: list[float]) -> None:
    """Add a turn's times, unless there are seconds of them: PyTorch takes a second a step at times."""
    if sum(times) > ENOUGH:
        return
    pilot = median(race.turn(system, "step", load.name, repeats=PILOT_REPEATS))
    times += race.turn(system, "step", load.name, repeats=max(LEAST_REPEATS, round(1e3 * race.turn_seconds / pilot)))


def judge(load: Workload, processes: int, times: dict[tuple[str, int], float]) -> Line:
    keys = [(system, count) for system in (ONE_THREAD, OURS, "PyTorch") for count in (0, processes)]
    cells = [milliseconds(times[key]) if key in times else "—" for key in keys]
    alone, ours = times.get((ONE_THREAD, 0)), times.get((OURS, processes))
    ratio = None if alone is None or ours is None else ours / alone
    return Line((load.sizes, str(processes), *cells), Figure(load.title, ratio, LIMITS[processes], unit=" ×"))
