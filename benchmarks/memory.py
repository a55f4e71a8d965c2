"""Memory that a training step takes at most, each measured in a process of its own."""

import os
import subprocess
import sys
from collections.abc import Callable, Sequence

from benchmarks.environment import ROOT
from benchmarks.results import OURS, Figure, Line, Part
from benchmarks.workers.client import WorkerError
from benchmarks.workloads import Workload

LIMIT = 1.0
SYSTEMS = (OURS, "PyTorch")
REPEATS = 2  # the smaller counts: what else a process does can only add

TEXT = """\
How far the memory of a fresh process rises above what it held just before its first training step, MiB: activations,
gradients, the optimizer's moments and all scratch, whoever asked for them, as the kernel counts the process's own
pages (the peak of its resident set, put back just before the step). The process has run a tiny network before, so
libraries are loaded and threads there, and returns freed memory at once, so nothing old is used again uncounted. The
smaller of two runs counts.
"""
# Every block from 64 KiB up is a mapping of its own, and goes back to the system when it is freed.
ENVIRONMENT = {"MALLOC_MMAP_THRESHOLD_": "65536", "MALLOC_TRIM_THRESHOLD_": "65536", "MALLOC_TOP_PAD_": "0"}


def measure(say: Callable[[str], None], loads: Sequence[Workload]) -> Part:
    lines, problems = [], {}
    for load in loads:
        peaks: dict[str, float] = {}
        for system in SYSTEMS:
            say(f"{load.name}: memory of {system}")
            try:
                peaks[system] = min(peak_mib(system, load) for _ in range(REPEATS))
            except WorkerError as error:
                problems[f"{load.label}, {system}"] = str(error)
        lines.append(judge(load, peaks))
    return Part("Memory of a training step", TEXT, ("B, T, I, H", *SYSTEMS), "rnnkit ÷ PyTorch", lines, problems)


def peak_mib(system: str, load: Workload) -> float:
    command = [sys.executable, "-m", "benchmarks.workers.memory", system, load.name]
    done = subprocess.run(command, cwd=ROOT, env={**os.environ, **ENVIRONMENT}, capture_output=True, text=True)
    if done.returncode:
        raise WorkerError(done.stderr.strip().rpartition("\n")[2])
    return int(done.stdout) / 2**20


def judge(load: Workload, peaks: dict[str, float]) -> Line:
    cells = (f"{peaks[system]:.1f}" if system in peaks else "—" for system in SYSTEMS)
    ratio = peaks[OURS] / peaks["PyTorch"] if len(peaks) == len(SYSTEMS) else None
    return Line((load.sizes, *cells), Figure(load.title, ratio, LIMIT))
