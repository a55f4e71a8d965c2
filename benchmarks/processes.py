"""Whether a training step takes the same in one process as in the next."""

import contextlib
import dataclasses
import sys
from collections.abc import Sequence
from pathlib import Path
from statistics import median

from benchmarks.race import Contestant, Race
from benchmarks.results import Figure, Line, Part
from benchmarks.tables import milliseconds
from benchmarks.workers.client import Worker
from benchmarks.workloads import Workload

PROCESSES = 10
WORST = 1.15
"""What the slowest process may take, in times of the median of all."""

TEXT = f"""\
The step of `Learner.fit` in {PROCESSES} processes that were started one after the other and then take turns, the median
of each; milliseconds.
"""
COLUMNS = ("B, T, I, H", "fastest", "median", "slowest")


def measure(race: Race, loads: Sequence[Workload]) -> Part:
    with contextlib.ExitStack() as stack:
        race.say(f"starting {PROCESSES} processes")
        workers = {f"process {number + 1}": stack.enter_context(started()) for number in range(PROCESSES)}
        among = dataclasses.replace(race, workers=workers)
        problems: dict[str, str] = {}
        lines = []
        for load in loads:
            running = [Contestant(name, "step", load.name) for name in workers]
            problems |= among.contest(f"{load.name}, process after process", running)
            lines.append(judge(load, [contestant.best().ms for contestant in running]))
    return Part("Process after process", TEXT, COLUMNS, "slowest ÷ median", lines, problems)


def started() -> Worker:
    worker = Worker("rnnkit_worker", Path(sys.executable))
    worker.greet()
    return worker


def judge(load: Workload, times: Sequence[float]) -> Line:
    if not times:
        return Line((load.sizes, "—", "—", "—"), Figure(load.title, None, WORST, unit=" ×"))
    middle, worst = median(times), max(times)
    cells = (load.sizes, *map(milliseconds, (min(times), middle, worst)))
    return Line(cells, Figure(load.title, worst / middle, WORST, unit=" ×"))
