"""What one run of the benchmark measured."""

from dataclasses import dataclass, field
from statistics import median

from benchmarks.workloads import Workload

OURS = "rnnkit"
PEERS = ("PyTorch", "Keras on TensorFlow", "Keras on JAX", "JAX by hand")


@dataclass(frozen=True)
class Timing:
    """The milliseconds of one thing, timed a few at a time in every round of the run."""

    tuning: str
    rounds: list[list[float]]

    @property
    def ms(self) -> float:
        return median(value for values in self.rounds for value in values)

    @property
    def spread(self) -> tuple[float, float]:
        """The lowest and the highest round, each by its median: how far the machine drifted."""
        medians = [median(values) for values in self.rounds]
        return min(medians), max(medians)


@dataclass(frozen=True)
class Row:
    """A workload's timings by system: whole steps, and the recurrent layers alone.

    `problems` says by system what went wrong; `note` what a reader must know of rnnkit's side.
    """

    workload: Workload
    steps: dict[str, Timing]
    layers: dict[str, Timing]
    problems: dict[str, str] = field(default_factory=dict)
    note: str = ""

    @property
    def best_peer(self) -> str | None:
        return min((peer for peer in PEERS if peer in self.steps), key=lambda p: self.steps[p].ms, default=None)

    @property
    def ratio(self) -> float | None:
        """The best peer's time over ours: above 1, rnnkit is faster."""
        if self.best_peer is None or OURS not in self.steps:
            return None
        return self.steps[self.best_peer].ms / self.steps[OURS].ms


@dataclass(frozen=True)
class Figure:
    """One more measured number, and the most (or, on request, the least) it may be."""

    name: str
    value: float
    limit: float
    detail: str
    unit: str = ""
    at_least: bool = False

    @property
    def met(self) -> bool:
        return self.value >= self.limit if self.at_least else self.value <= self.limit


@dataclass(frozen=True)
class Run:
    """Everything that the report tells."""

    date: str
    machine: dict[str, str]
    versions: dict[str, str]
    rounds: int
    peaks: list[float]  # GFLOP/s of float32 matrix products, each round's best
    rows: list[Row]
    figures: list[Figure]
    idle_share: float | None = None  # processor time of the waiting workers, as a share of one core
    others_share: float | None = None  # of all cores, taken by processes that are not the benchmark's

    @property
    def peak(self) -> float:
        return median(self.peaks)

    def gflops(self, timing: Timing, workload: Workload) -> float:
        return workload.flops / timing.ms / 1e6

    def share(self, timing: Timing, workload: Workload) -> float:
        return self.gflops(timing, workload) / self.peak
