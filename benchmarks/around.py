"""What is around the step: `Learner.fit`, `import rnnkit`, `rnnkit --help`."""

import subprocess
import sys
import sysconfig
import time
from collections.abc import Sequence
from pathlib import Path
from statistics import median

from benchmarks.race import PILOT_REPEATS, Race
from benchmarks.results import OURS, Figure, Line, Part, Run
from benchmarks.tables import milliseconds
from benchmarks.workers.client import WorkerError
from benchmarks.workloads import WORKLOADS, Workload

FIRST_USE = "from rnnkit import GRU, LSTM, Learner, SequenceClassifier, SimpleRNN"

LAYER_SHARE = 0.6  # what the first workload's recurrent layer must reach of the peak
FIT_LIMIT = 1.3
FIT_ROWS = 60_000  # of an epoch at most, as many as MNIST has images
EPOCH_SECONDS, LEAST_STEPS = 1.0, 10

FIT_TEXT = """\
An epoch of `Learner.fit` (rows picked in a new order, loss, accuracy or absolute error, checks, history, a line of
progress) beside as many bare steps, the updates that `fit` makes, on one batch that is there already; both divided by
the steps of the epoch, milliseconds. An epoch has 60,000 rows, or as many as a second takes, but ten steps at least.
Each round times both in turn, and the figure is the median of the rounds' quotients.
"""


def startup(repeats: int) -> list[Figure]:
    """Start-up figures, medians of `repeats` fresh processes each, taken in turn."""
    commands = {
        "torch": [sys.executable, "-c", "import torch"],
        "rnnkit": [sys.executable, "-c", "import rnnkit"],
        "first use": [sys.executable, "-c", FIRST_USE],
        "help": [str(Path(sysconfig.get_path("scripts")) / "rnnkit"), "--help"],
    }
    seconds: dict[str, list[float]] = {name: [] for name in commands}
    for number in range(repeats + 1):
        for name, command in commands.items():
            start = time.perf_counter()
            subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
            if number:  # the first one finds the disk cold
                seconds[name].append(time.perf_counter() - start)
    s = {name: median(values) for name, values in seconds.items()}
    beside = f"beside `import torch`, {s['torch']:.2f} s"
    return [
        Figure("`import rnnkit`", s["rnnkit"] / s["torch"], 1.2, f"{s['rnnkit']:.2f} s {beside}", " ×"),
        Figure(f"`{FIRST_USE}`", s["first use"] / s["torch"], 1.2, f"{s['first use']:.2f} s {beside}", " ×"),
        Figure("`rnnkit --help`", s["help"], 0.5, f"median of {repeats}", " s"),
    ]


def layer_figures(run: Run) -> list[Figure]:
    """What is asked of the first workload's recurrent layer alone."""
    first = next((row for row in run.rows if row.workload is WORKLOADS[0] and OURS in row.layers), None)
    if first is None:
        return []
    name = f"{first.workload.title} (first row), layer alone"
    share = run.share(first.layers[OURS], first.workload)
    return [Figure(name, share, LAYER_SHARE, "share of the peak", at_least=True)]


def fit(race: Race, loads: Sequence[Workload]) -> Part:
    """What `Learner.fit` adds to the bare step of each workload."""
    lines, problems = [], {}
    for load in loads:
        try:
            lines.append(judge(load, *fit_rounds(race, load)))
        except WorkerError as error:
            problems[load.label] = str(error)
            lines.append(judge(load, None, [], []))
    columns = ("B, T, I, H", "steps an epoch", "bare step", "step of `fit`")
    return Part("What `Learner.fit` costs", FIT_TEXT, columns, "fit ÷ bare", lines, problems)


def fit_rounds(race: Race, load: Workload) -> tuple[int, list[float], list[float]]:
    """The steps of an epoch, and each round's milliseconds of a bare step and of a step of `fit`."""
    race.say(f"{load.name}: fit, pilot")
    pilot = min(race.turn(OURS, "step", load.name, repeats=PILOT_REPEATS))  # an epoch too long does no harm
    steps = min(FIT_ROWS // load.batch, max(LEAST_STEPS, round(1e3 * EPOCH_SECONDS / pilot)))
    repeats = max(3, round(1e3 * race.turn_seconds / pilot))
    bare, whole = [], []
    for number in range(race.rounds):
        race.say(f"{load.name}: fit, round {number + 1} of {race.rounds}")

        def one_bare() -> None:
            bare.append(median(race.turn(OURS, "step", load.name, repeats=repeats)))

        def one_epoch() -> None:
            whole.append(median(race.turn(OURS, "epoch", load.name, str(steps))) / steps)

        for act in (one_bare, one_epoch) if number % 2 else (one_epoch, one_bare):
            act()
    return steps, bare, whole


def judge(load: Workload, steps: int | None, bare: Sequence[float], whole: Sequence[float]) -> Line:
    if steps is None:
        return Line((load.sizes, "—", "—", "—"), Figure(load.title, None, FIT_LIMIT, unit=" ×"))
    ratio = median(epoch / step for epoch, step in zip(whole, bare, strict=True))
    cells = (load.sizes, str(steps), milliseconds(median(bare)), milliseconds(median(whole)))
    return Line(cells, Figure(load.title, ratio, FIT_LIMIT, unit=" ×"))
