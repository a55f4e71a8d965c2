"""What padding costs: rows of unequal length beside full ones."""

from collections.abc import Sequence

from benchmarks.race import Contestant, Race
from benchmarks.results import OURS, Figure, Line, Part
from benchmarks.tables import milliseconds
from benchmarks.workloads import Workload

OVERHEAD, GOAL = 1.25, 1.15
PACKED = 3.0
"""How many times faster than PyTorch's packed LSTM ours must be."""

TEXT = f"""\
Forward and backward of the layers alone, rows between T/4 and T steps long, in no order; milliseconds. PyTorch packs
the rows, and that counts. "Overhead" is our time over that of full rows times the share of valid steps, so 1 would be
padding that costs nothing; the goal is {GOAL:g}.
"""


def measure(race: Race, loads: Sequence[Workload]) -> Part:
    lines, problems = [], {}
    for load in loads:
        ours = Contestant(OURS, "layer", load.name)
        full = Contestant(OURS, "layer", load.dense().name)
        running = [ours, full, Contestant("PyTorch", "layer", load.name, race.tunings("PyTorch", load.name))]
        failed = race.contest(load.name, running)
        problems |= {f"{load.label}, {name}": problem for name, problem in failed.items()}
        times = {(one.system, one.on): one.best().ms for one in running}
        lines += judge(load, *(times.get(key) for key in ((OURS, ours.on), (OURS, full.on), ("PyTorch", load.name))))
    columns = ("B, T, I, H", "valid steps", "rnnkit", "rnnkit, full rows", "PyTorch, packed")
    return Part("Rows of unequal length", TEXT, columns, "", lines, problems)


def judge(load: Workload, ours: float | None, full: float | None, packed: float | None) -> list[Line]:
    """The overhead of padding; for the LSTM also how much faster than PyTorch's packed one it is."""
    share = load.valid_steps / (load.batch * load.time)
    times = ("—" if ms is None else milliseconds(ms) for ms in (ours, full, packed))
    cells = (load.sizes, f"{share:.0%}", *times)
    overhead = None if ours is None or full is None else ours / (full * share)
    lines = [Line(cells, Figure(f"{load.title}: overhead", overhead, OVERHEAD, unit=" ×"))]
    if load.cell == "lstm":
        faster = None if ours is None or packed is None else packed / ours
        lines.append(Line(cells, Figure(f"{load.title}: PyTorch ÷ rnnkit", faster, PACKED, unit=" ×", at_least=True)))
    return lines
