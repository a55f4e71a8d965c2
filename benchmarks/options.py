"""What each option of the layers costs beside the plain layer."""

from collections.abc import Sequence

from benchmarks.race import Contestant, Race
from benchmarks.results import OURS, Figure, Line, Part
from benchmarks.tables import milliseconds
from benchmarks.workloads import OPTIONS, Workload

LIMIT = 1.25

TEXT = """\
Forward and backward of the layers alone while training, milliseconds: with the option, and without any. Dropout of a
quarter, zoneout of a tenth; `lengths` of full rows, `resets` at one step in twenty, a projection to half the units.
"""


def measure(race: Race, loads: Sequence[Workload]) -> Part:
    lines, problems = [], {}
    for load in loads:
        options = [option for option in OPTIONS if option != "proj_size" or load.cell == "lstm"]
        running = [Contestant(OURS, "option", load.name, (option,)) for option in options]
        failed = race.contest(f"{load.name}, options", running)
        problems |= {f"{load.label}, {name}": problem for name, problem in failed.items()}
        times = {one.tunings[0]: one.best().ms for one in running}
        lines += [judge(load, option, times) for option in options if option != "plain"]
    return Part("What options cost", TEXT, ("B, T, I, H", "plain", "with it"), "with ÷ plain", lines, problems)


def judge(load: Workload, option: str, times: dict[str, float]) -> Line:
    plain, with_it = times.get("plain"), times.get(option)
    ratio = None if plain is None or with_it is None else with_it / plain
    cells = ("—" if ms is None else milliseconds(ms) for ms in (plain, with_it))
    return Line((load.sizes, *cells), Figure(f"{load.title}, `{option}`", ratio, LIMIT, unit=" ×"))
