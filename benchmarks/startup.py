"""How long it takes until rnnkit is there: `import rnnkit`, and `rnnkit --help`."""

import subprocess
import sys
import sysconfig
import time
from pathlib import Path
from statistics import median

from benchmarks.results import Figure

FIRST_USE = "from rnnkit import GRU, LSTM, Learner, SequenceClassifier, SimpleRNN"


def figures(repeats: int) -> list[Figure]:
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
