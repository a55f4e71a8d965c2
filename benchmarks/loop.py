"""rnnkit's layers in the training loop that everybody writes, beside PyTorch's."""

from collections.abc import Sequence

from benchmarks.race import Contestant, Race
from benchmarks.results import OURS, Figure, Line, Part
from benchmarks.tables import milliseconds
from benchmarks.workloads import Workload

AT_LEAST = 1.0
"""How many times faster than PyTorch's the loop with rnnkit's layers must be."""

TEXT = """\
`optimizer.zero_grad()`, the model, the loss, `loss.backward()` and `optimizer.step()`, with rnnkit's model and with
PyTorch's; beside them the step that `Learner.fit` takes, which is a few native calls where the model, the loss and the
optimizer are common ones. Milliseconds.
"""
COLUMNS = ("B, T, I, H", "`Learner`'s step", "rnnkit in a loop", "PyTorch in a loop")


def measure(race: Race, loads: Sequence[Workload]) -> Part:
    lines, problems = [], {}
    for load in loads:
        running = [
            Contestant(OURS, "step", load.name),
            Contestant(OURS, "loop", load.name),
            Contestant("PyTorch", "step", load.name, race.tunings("PyTorch", load.name)),
        ]
        failed = race.contest(load.name, running)
        problems |= {f"{load.label}, {name}": problem for name, problem in failed.items()}
        times = {(one.system, one.what): one.best().ms for one in running}
        lines.append(judge(load, *(times.get(key) for key in ((OURS, "step"), (OURS, "loop"), ("PyTorch", "step")))))
    return Part("In a loop of one's own", TEXT, COLUMNS, "PyTorch ÷ rnnkit in a loop", lines, problems)


def judge(load: Workload, step: float | None, loop: float | None, theirs: float | None) -> Line:
    cells = (load.sizes, *("—" if ms is None else milliseconds(ms) for ms in (step, loop, theirs)))
    ratio = None if loop is None or theirs is None else theirs / loop
    return Line(cells, Figure(load.title, ratio, AT_LEAST, unit=" ×", at_least=True))
