"""Whole sequences through the recurrent layers, for inference, beside PyTorch and ONNX Runtime."""

from collections.abc import Sequence

from benchmarks.race import Contestant, Race
from benchmarks.results import ONNX, OURS, Figure, Line, Part, Timing
from benchmarks.tables import milliseconds
from benchmarks.workers.client import WorkerError
from benchmarks.workloads import Workload

PEERS = ("PyTorch", ONNX)
REQUIRED, REQUIRED_WIDE, WIDE = 1.5, 1.0, 512
"""What the best peer's time over ours must be; less from WIDE hidden units on, where all are near the peak."""
ALIKE = 1e-3
"""How far the outputs of two systems may lie apart."""

TEXT = """\
The recurrent layers of the workloads above, forward only, nothing kept for a backward pass; milliseconds. All
systems hold the same weights, and one whose outputs differ is not counted. ONNX Runtime computes its own RNN, LSTM
and GRU operators, on the threads it chooses, on one and on two; the best counts, as PyTorch's does.
"""


def measure(race: Race, loads: Sequence[Workload]) -> Part:
    lines, problems = [], {}
    for load in loads:
        running = []
        for system in (OURS, *PEERS):
            if problem := unlike(race, system, load):
                problems[f"{load.label}, {system}"] = problem
            else:
                running.append(Contestant(system, "inference", load.name, race.tunings(system, load.name)))
        failed = race.contest(f"{load.name}, inference", running)
        problems |= {f"{load.label}, {name}": problem for name, problem in failed.items()}
        lines.append(line(load, {one.system: one.best() for one in running}))
    return Part(
        "Inference of whole sequences", TEXT, ("B, T, I, H", OURS, *PEERS), "best peer ÷ rnnkit", lines, problems
    )


def unlike(race: Race, system: str, load: Workload) -> str | None:
    """What is wrong with a system's outputs, beside PyTorch's."""
    try:
        found, expected = (race.values(name, "outputs", load.name) for name in (system, "PyTorch"))
    except WorkerError as error:
        return str(error)
    apart = max(abs(one - other) for one, other in zip(found, expected, strict=True))
    return None if apart <= ALIKE else f"its outputs differ from PyTorch's by {apart:.1e}"


def line(load: Workload, timings: dict[str, Timing]) -> Line:
    peers = [timings[peer].ms for peer in PEERS if peer in timings]
    ratio = min(peers) / timings[OURS].ms if peers and OURS in timings else None
    cells = [milliseconds(timings[system].ms) if system in timings else "—" for system in (OURS, *PEERS)]
    limit = REQUIRED_WIDE if load.hidden >= WIDE else REQUIRED
    return Line((load.sizes, *cells), Figure(load.title, ratio, limit, at_least=True))
