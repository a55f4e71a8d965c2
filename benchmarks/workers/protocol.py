"""What a worker and the orchestrator say to each other: one JSON object a line, on stdin and stdout.

    {"what": "step", "on": "lstm_28", "tuning": "default", "repeats": 20}
    {"ms": [7.9, 7.8, …]}        or        {"error": "…"}
    {"values": "errors", "on": "lstm_28"}       numbers that are no times of a call
    {"values": [1.2e-7, …]}      or        {"error": "…"}

A worker blocks on stdin between requests, so it takes no processor time from the system being timed.
"""

import json
import math
import os
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from typing import SupportsFloat

from benchmarks.workloads import ALL, Workload

WARM_SECONDS = 0.05

Step = Callable[[], SupportsFloat | None]
"""Runs once, to the end, and returns its loss (a number or a scalar array), or None if it has none."""


def serve(
    prepare: Callable[[str, str, str], Step],
    *,
    tunings: Callable[[Workload], Sequence[str]],
    versions: Mapping[str, str],
    notes: Mapping[str, str] | None = None,
    values: Mapping[str, Callable[[str], Sequence[float]]] | None = None,
) -> None:
    """Answer requests until stdin ends.

    `prepare(what, on, tuning)` gives the step to time. It is called for every request, so it keeps what is
    costly to build; "what" is "step" (a whole training step) or another measurement that the worker knows,
    "on" the name of its workload. `values[what](on)` are numbers that are no times of a call. The first line out
    says which tunings are worth trying on each workload, which versions these are, and what a reader must know
    about a workload (`notes`, by its name).
    """
    # Libraries print; the conversation keeps the real stdout to itself.
    answers = os.fdopen(os.dup(1), "w", buffering=1)
    os.dup2(2, 1)
    greeting = {
        "tunings": {load.name: list(tunings(load)) for load in ALL.values()},
        "versions": dict(versions),
        "notes": dict(notes or {}),
    }
    print(json.dumps(greeting), file=answers)
    seen: set[tuple[str, str, str]] = set()
    answer: dict[str, object]
    for line in sys.stdin:
        request = json.loads(line)
        try:
            if "values" in request:
                answer = {"values": [float(value) for value in (values or {})[request["values"]](request["on"])]}
            else:
                key = (request["what"], request["on"], request["tuning"])
                answer = {"ms": measure(prepare(*key), request["repeats"], first_time=key not in seen)}
                seen.add(key)
        except Exception as error:  # whatever a library raises is an answer; the other workloads go on
            answer = {"error": f"{type(error).__name__}: {error}"}
        print(json.dumps(answer), file=answers)


def measure(step: Step, repeats: int, *, first_time: bool) -> list[float]:
    """Time `step` `repeats` times, after unmeasured calls that compile it and fill the caches."""
    step()
    if first_time:  # some compile again when they meet their own output
        step()
    warm_until = time.perf_counter() + WARM_SECONDS
    while time.perf_counter() < warm_until:
        step()
    ms = []
    for _ in range(repeats):
        start = time.perf_counter()
        loss = step()
        ms.append((time.perf_counter() - start) * 1e3)
    if loss is not None and not math.isfinite(float(loss)):
        raise ArithmeticError(f"its loss became {float(loss)}, so its time is worth nothing")
    return ms
