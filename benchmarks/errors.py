"""How exact float32 is: rnnkit's errors beside PyTorch's, against PyTorch in float64."""

from collections.abc import Sequence

from benchmarks.race import Race
from benchmarks.results import OURS, Figure, Line, Part
from benchmarks.workers.client import WorkerError
from benchmarks.workloads import Workload

LIMIT = 4.0
ROUNDING = 2.0**-24
"""An error below float32's own rounding is no error."""

TEXT = """\
The largest difference to PyTorch in float64 on the same weights, as a share of the tensor's largest entry: for the
outputs of all steps, and for the gradients of the input and of every weight, where every output has a gradient. The
figure is the worse of the two quotients.
"""


def measure(race: Race, loads: Sequence[Workload]) -> Part:
    lines, problems = [], {}
    for load in loads:
        race.say(f"{load.name}: errors")
        found = None
        try:
            found = race.values(OURS, "errors", load.name)
        except WorkerError as error:
            problems[load.label] = str(error)
        lines.append(judge(load, found))
    columns = ("B, T, I, H", "outputs, rnnkit", "PyTorch", "gradients, rnnkit", "PyTorch")
    return Part("Errors", TEXT, columns, "rnnkit ÷ PyTorch", lines, problems)


def judge(load: Workload, found: Sequence[float] | None) -> Line:
    """`found`: errors of outputs and gradients, ours and then PyTorch's."""
    if found is None:
        return Line((load.sizes, *["—"] * 4), Figure(load.title, None, LIMIT))
    out, gradient, their_out, their_gradient = found
    pairs = [(out, their_out), (gradient, their_gradient)]
    cells = [f"{error:.1e}" for pair in pairs for error in pair]
    worst = max(max(ours, ROUNDING) / max(theirs, ROUNDING) for ours, theirs in pairs)
    return Line((load.sizes, *cells), Figure(load.title, worst, LIMIT))
