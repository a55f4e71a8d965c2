"""What is around the step: an epoch of `Learner.fit`, `import rnnkit`, `rnnkit --help`."""

import subprocess
import sys
import sysconfig
import time
from pathlib import Path
from statistics import median

from benchmarks.race import Race
from benchmarks.results import OURS, Figure, Run
from benchmarks.workloads import WORKLOADS, Workload

FIRST_USE = "from rnnkit import GRU, LSTM, Learner, SequenceClassifier, SimpleRNN"


LAYER_SHARE = 0.6  # what the first workload's recurrent layer must reach of the peak
EPOCH_STEPS, EPOCH_OVERHEAD = 60_000 // 32, 1.3


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


def epoch(load: Workload, race: Race) -> Figure:
    """An epoch of `Learner.fit` beside as many bare steps, taken in turn."""
    steps, epochs = [], []
    for number in range(1 if race.rounds < 3 else 3):
        race.say(f"{load.name}: epoch {number + 1}")
        epochs += race.turn(OURS, "epoch", load.name)
        steps += race.turn(OURS, "step", load.name, repeats=EPOCH_STEPS // 2)
    bare, whole = median(steps), median(epochs)
    return Figure(
        "Epoch of `Learner.fit`, 60,000 images",
        whole / (EPOCH_STEPS * bare),
        EPOCH_OVERHEAD,
        f"{whole / 1e3:.2f} s beside {EPOCH_STEPS} bare steps of {bare:.3f} ms",
        " ×",
    )
