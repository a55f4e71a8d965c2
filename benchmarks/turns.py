"""Times functions in turn, so that what slows the machine slows all of them."""

import time
from collections.abc import Callable
from statistics import median
from typing import Any


def take_turns(runners: dict[str, Callable[[], Any]], rounds: int, repeats: int = 1) -> dict[str, float]:
    """Return the median seconds of a call of each, which take turns."""
    times: dict[str, list[float]] = {name: [] for name in runners}
    for run in runners.values():
        run()
    for _ in range(rounds):
        for name, run in runners.items():
            began = time.perf_counter()
            for _ in range(repeats):
                run()
            times[name].append((time.perf_counter() - began) / repeats)
    return {name: median(found) for name, found in times.items()}
