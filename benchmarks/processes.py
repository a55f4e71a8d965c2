"""Whether a training step takes the same in one process as in the next."""

import dataclasses
import sys
from collections.abc import Sequence
from pathlib import Path
from statistics import median

from benchmarks.race import PILOT_REPEATS, Race
from benchmarks.results import OURS, Figure, Line, Part
from benchmarks.tables import milliseconds
from benchmarks.workers.client import Worker, WorkerError
from benchmarks.workloads import Workload

PROCESSES = 10
WORST = 1.15
"""What the slowest process may take, in times of the median of all."""

TEXT = f"""\
The step of `Learner.fit` in {PROCESSES} processes, each started anew, its median; milliseconds.
"""
COLUMNS = ("B, T, I, H", "fastest", "median", "slowest")


def measure(race: Race, loads: Sequence[Workload]) -> Part:
    times: dict[str, list[float]] = {load.name: [] for load in loads}
    problems: dict[str, str] = {}
    for number in range(PROCESSES):
        race.say(f"process {number + 1} of {PROCESSES}")
        with Worker("rnnkit_worker", Path(sys.executable)) as worker:
            try:
                worker.greet()
                alone = dataclasses.replace(race, workers={OURS: worker})
                for load in loads:
                    times[load.name].append(one_process(alone, load))
            except WorkerError as error:
                problems[f"process {number + 1}"] = str(error)
    return Part(
        "Process after process", TEXT, COLUMNS, "slowest ÷ median", [judge(load, times[load.name]) for load in loads],
        problems,
    )  # fmt: skip


def one_process(race: Race, load: Workload) -> float:
    """The median of the step in a process that the race has alone."""
    pilot = median(race.turn(OURS, "step", load.name, repeats=PILOT_REPEATS))
    repeats = max(PILOT_REPEATS, round(1e3 * race.turn_seconds / pilot))
    return median(race.turn(OURS, "step", load.name, repeats=repeats))


def judge(load: Workload, times: Sequence[float]) -> Line:
    if not times:
        return Line((load.sizes, "—", "—", "—"), Figure(load.title, None, WORST, unit=" ×"))
    middle, worst = median(times), max(times)
    cells = (load.sizes, *map(milliseconds, (min(times), middle, worst)))
    return Line(cells, Figure(load.title, worst / middle, WORST, unit=" ×"))
