"""What one run of the benchmark measured."""

from dataclasses import dataclass, field
from statistics import median

from benchmarks.workloads import Workload

OURS = "rnnkit"
PEERS = ("PyTorch", "Keras on TensorFlow", "Keras on JAX", "JAX by hand")
ONE_THREAD = "rnnkit, one thread"
ONNX = "ONNX Runtime"  # computes without training, so it takes part where nothing is trained


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
    """One more measured number (None: it could not be), and the most (or, on request, the least) it may be."""

    name: str
    value: float | None
    limit: float
    detail: str = ""
    unit: str = ""
    at_least: bool = False

    @property
    def met(self) -> bool:
        if self.value is None:
            return False
        return self.value >= self.limit if self.at_least else self.value <= self.limit


@dataclass(frozen=True)
class Line:
    """One line of a part: what was measured, a cell for each of the part's columns, and the figure that counts."""

    cells: tuple[str, ...]
    figure: Figure


@dataclass(frozen=True)
class Part:
    """A section of the page beside the training steps.

    `columns` head the lines' cells, `counts` their figures; `text` says what was measured and how; `problems` by
    what was attempted what went wrong.
    """

    title: str
    text: str
    columns: tuple[str, ...]
    counts: str
    lines: list[Line]
    problems: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Run:
    """Everything that the report tells. `rows` are the workloads, `untuned` the shapes that nobody tuned for, and
    `small` those of which only the layers were timed."""

    date: str
    machine: dict[str, str]
    versions: dict[str, str]
    rounds: int
    peaks: list[float]  # GFLOP/s of float32 matrix products, each round's best
    rows: list[Row] = field(default_factory=list)
    untuned: list[Row] = field(default_factory=list)
    small: list[Row] = field(default_factory=list)
    parts: list[Part] = field(default_factory=list)
    figures: list[Figure] = field(default_factory=list)
    minutes: float | None = None
    idle_share: float | None = None  # processor time of the waiting workers, as a share of one core
    others_share: float | None = None  # of all cores, taken by processes that are not the benchmark's

    @property
    def peak(self) -> float:
        return median(self.peaks)

    @property
    def all_rows(self) -> list[Row]:
        return [*self.rows, *self.untuned, *self.small]

    @property
    def problems(self) -> bool:
        """Whether something could not be measured."""
        return any(one.problems for one in (*self.all_rows, *self.parts))

    def gflops(self, timing: Timing, workload: Workload) -> float:
        return workload.flops / timing.ms / 1e6

    def share(self, timing: Timing, workload: Workload) -> float:
        return self.gflops(timing, workload) / self.peak
