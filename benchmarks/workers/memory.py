"""Prints the bytes that a first training step takes at most: `python -m benchmarks.workers.memory rnnkit lstm_28`."""

import ctypes
import dataclasses
import sys
from importlib import import_module

import torch

from benchmarks.results import OURS
from benchmarks.workers.torch_steps import training_step
from benchmarks.workloads import workload
from rnnkit.ops.machine import reset_peak, resident

PR_SET_THP_DISABLE = 41


def main() -> None:
    system, name = sys.argv[1:]
    if not reset_peak():
        raise SystemExit("the system does not count the peak of a process's memory; Linux does")
    ctypes.CDLL(None).prctl(PR_SET_THP_DISABLE, 1, 0, 0, 0)  # pages of 2 MiB would count what nobody touched
    module = {OURS: "rnnkit_worker", "PyTorch": "torch_worker"}[system]
    model = import_module(f"benchmarks.workers.{module}").LIBRARY.model
    load = workload(name)
    torch.set_flush_denormal(system == "PyTorch")
    tiny = dataclasses.replace(load, time=3, hidden=16)
    warm = training_step(model(tiny), tiny)
    for _ in range(2):
        warm()
    torch.mm(*torch.rand(2, 512, 512))  # wakes every thread
    step = training_step(model(load), load)
    reset_peak()
    before = resident("VmRSS")
    step()
    peak = resident("VmHWM")
    assert before is not None
    assert peak is not None
    print(peak - before)


if __name__ == "__main__":
    main()
