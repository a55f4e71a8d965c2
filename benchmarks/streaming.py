"""One step at a time at batch 1, as live input is read."""

from collections.abc import Sequence
from statistics import median

from benchmarks.race import Contestant, Race
from benchmarks.results import ONNX, OURS, Figure, Line, Part
from benchmarks.tables import milliseconds
from benchmarks.workers.client import WorkerError
from benchmarks.workloads import STREAM_STEPS, STREAMED, Workload

INSIDE, FROM_PYTHON = 6.0, 12.0  # µs a step of the first workload
CONTESTANTS = {  # by column: the system, and what its worker calls it
    "rnnkit, inside the call": (OURS, "inside"),
    "rnnkit": (OURS, "streamed"),
    "torch.nn.LSTMCell": ("PyTorch", "streamed cell"),
    "torch.nn.LSTM": ("PyTorch", "streamed layer"),
    ONNX: (ONNX, "streamed"),
}

TEXT = f"""\
Microseconds a step, each from the state of the one before, {STREAM_STEPS} steps timed together from Python.
`layer.stream(1, reuse_output=True)` is ours, which allocates nothing; "inside the call" is the native step alone, timed
in the core. The others hand their state from call to call, without gradients.
"""


def measure(race: Race, loads: Sequence[Workload]) -> Part:
    lines, problems = [], {}
    for load in loads:
        times, failed = microseconds(race, load)
        problems |= {f"{load.label}, {name}": problem for name, problem in failed.items()}
        lines += judge(load, times)
    return Part("One step at a time", TEXT, ("I → H", *CONTESTANTS), "", lines, problems)


def microseconds(race: Race, load: Workload) -> tuple[dict[str, float], dict[str, str]]:
    """A step's time by column, and what could not be measured."""
    running = {
        column: Contestant(system, what, load.name, race.tunings(system, load.name))
        for column, (system, what) in CONTESTANTS.items()
        if what != "inside"
    }
    inside: list[float] = []
    problems = {}

    def ask_the_core() -> None:
        try:
            inside.extend(race.values(OURS, "seconds per step", load.name))
        except WorkerError as error:
            problems["rnnkit, inside the call"] = str(error)

    entered = list(running.values())
    problems |= race.contest(load.name, entered, after_round=ask_the_core)
    times = {column: one.best().ms * 1e3 / STREAM_STEPS for column, one in running.items() if one in entered}
    return times | ({"rnnkit, inside the call": median(inside) * 1e6} if inside else {}), problems


def judge(load: Workload, times: dict[str, float]) -> list[Line]:
    """Limits on the time of the first workload; the wide one must beat PyTorch's cell."""
    cells = (
        f"{load.inputs} → {load.hidden}",
        *(milliseconds(times[column]) if column in times else "—" for column in CONTESTANTS),
    )
    if load is STREAMED[0]:
        inside, outside = times.get("rnnkit, inside the call"), times.get("rnnkit")
        return [
            Line(cells, Figure(f"{load.title}: inside the call", inside, INSIDE, unit=" µs")),
            Line(cells, Figure(f"{load.title}: from Python", outside, FROM_PYTHON, unit=" µs")),
        ]
    both = [times.get("torch.nn.LSTMCell"), times.get("rnnkit")]
    ratio = None if None in both else times["torch.nn.LSTMCell"] / times["rnnkit"]
    return [Line(cells, Figure(f"{load.title}: LSTMCell ÷ rnnkit", ratio, 1.0, unit=" ×", at_least=True))]
