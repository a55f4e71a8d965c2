"""The page that a run becomes: the one of its processor under docs/benchmarks."""

from collections.abc import Sequence
from statistics import median

from benchmarks.results import OURS, PEERS, Figure, Part, Row, Run, Timing
from benchmarks.tables import judged, milliseconds, table, verdict

QUIET = 0.05
"""The share of the machine that other processes may take in a run that is to be believed."""

_HEAD = """\
# Benchmarks

How long rnnkit and its peers take for one training step on the CPU: forward, loss, backward and Adam, on one
batch that is already in memory. `make bench` measures every system in the same run and writes this page.
Milliseconds, lower is better, the best of each row in bold; in brackets the lowest and the highest round. Every
figure has what is asked of it and whether it is met, losses included.
"""

UNTUNED_MEDIAN = 1.5
"""What the median of best peer ÷ rnnkit must reach over the shapes that nobody tuned for."""
SHARES = ((50e6, 0.5), (10e6, 0.05))
"""The share of the peak that the layers alone must reach, from so many operations up."""

_METHOD = """\
## How it is measured

- Each system works in a process of its own with its default threads, one at a time, while the others wait on
  a pipe. They take turns in {rounds} rounds (fewer and shorter ones for what is not among the first rows), in a
  rotating order, so that a machine that slows down slows all of them; a number is the median of all its timings.
  Each call waits for its result. Each turn begins with calls that are not counted, compilation among them.
- All train the same network on the same made batch from Glorot and orthogonal weights, with softmax
  cross-entropy over ten classes (2 × SimpleRNN: one output, mean squared error). A system whose loss is not
  finite is not counted.
- PyTorch runs eagerly with fused Adam, and is told to flush denormals to zero: without that, the plain
  recurrence over 784 steps takes ten times longer. rnnkit runs in the same environment, and is told nothing. rnnkit
  and Keras are called by the function that their own `fit` calls for a step, without `fit` around it; "In a loop of
  one's own" has rnnkit's layers in PyTorch's loop. JAX by hand is a jitted step around `lax.scan`, the input
  projection outside the loop, its buffers donated.
- A peer counts with the best of its tunings in each row: PyTorch on one thread; Keras by `train_on_batch`,
  with `unroll=True` where that compiles in reasonable time, on TensorFlow without XLA; JAX with the scan
  unrolled 4 or 10 times. Those that beat the default:
{tunings}- Ragged rows have between T/4 and T valid steps, in no order. PyTorch packs them, Keras masks them, JAX by
  hand lets the state stand still behind a row's end, rnnkit is given the lengths. The head of a bidirectional
  network reads the last state of both directions.
- Operations are those of the recurrent layers, with G gates (1, LSTM 4, GRU 3): forward 2·B·T·G·H·(I + H) in
  each direction, backward the recurrent part twice and the input part once, and once more in a layer that is not
  the first. Steps behind a row's length are not counted. "At the peak" is the time they would take at the speed
  of PyTorch's best float32 matrix product of this run (1024³ to 2048³).
- "Layers alone" is their forward and backward, with a gradient for the last state and none for the input.
"""


def render(run: Run) -> str:
    """The whole page, in Markdown."""
    parts = [_HEAD, _machine(run)]
    if run.rows:
        parts += ["## One training step\n", _steps(run, run.rows), _notes(run.rows)]
    if run.untuned:
        parts += ["## Shapes nobody tuned for\n", _steps(run, run.untuned), _notes(run.untuned), _untuned(run.untuned)]
    if run.all_rows:
        parts += ["## Against the machine\n", _arithmetic(run), _notes(run.small)]
    for part in run.parts:
        parts += [f"## {part.title}\n", part.text, _part(part), _problems(part)]
    if run.figures:
        parts += ["## Around the step\n", _figures(run.figures)]
    tunings = "".join(f"  - {text}\n" for row in run.all_rows if (text := _tunings(row)))
    parts += [_METHOD.format(rounds=run.rounds, tunings=tunings or "  - none\n") + _checks(run)]
    return "\n".join(part for part in parts if part)


def _machine(run: Run) -> str:
    facts = {
        "Date": run.date,
        **run.machine,
        **({"Matrix product, float32": f"{run.peak:.0f} GFLOP/s"} if run.peaks else {}),
        "Versions": ", ".join(f"{name} {version}" for name, version in run.versions.items()),
    }
    return table(["Machine", ""], facts.items(), left=2)


def _steps(run: Run, rows: Sequence[Row]) -> str:
    header = ["network", "B, T, I, H", *(OURS, *PEERS), "at the peak", "best peer ÷ rnnkit", "target", ""]
    lines = []
    for row in rows:
        best = min((timing.ms for timing in row.steps.values()), default=None)
        times = [_time(row.steps.get(system), best) for system in (OURS, *PEERS)]
        ratio, target = row.ratio, row.workload.target
        lines.append(
            [
                row.workload.title,
                row.workload.sizes,
                *times,
                milliseconds(row.workload.flops / run.peak / 1e6),
                "—" if ratio is None else f"{ratio:.2f}",
                f"≥ {target:g}",
                verdict(ratio is not None and ratio >= target),
            ]
        )
    return table(header, lines, left=2)


def _time(timing: Timing | None, best: float | None) -> str:
    if timing is None:
        return "—"
    number = milliseconds(timing.ms)
    low, high = (milliseconds(value) for value in timing.spread)
    return f"{f'**{number}**' if timing.ms == best else number} ({low}–{high})"


def _notes(rows: Sequence[Row]) -> str:
    lines = [f"- {row.workload.label}, rnnkit: {row.note}\n" for row in rows if row.note]
    lines += [
        f"- {row.workload.label}, {system}: not measured, {problem}\n"
        for row in rows
        for system, problem in row.problems.items()
    ]
    return "".join(lines)


def _untuned(rows: Sequence[Row]) -> str:
    ratios = [row.ratio for row in rows if row.ratio is not None]
    name = "Median of best peer ÷ rnnkit over these rows"
    return _figures([Figure(name, median(ratios) if ratios else None, UNTUNED_MEDIAN, at_least=True)])


def _arithmetic(run: Run) -> str:
    header = ["network", "B, T, I, H", "MFLOP", "step, GFLOP/s", "share of the peak"]
    header += ["PyTorch's layers alone, ms", "layers alone, ms", "GFLOP/s", "share of the peak", "required", ""]
    lines = []
    for row in run.all_rows:
        step, layers, theirs = row.steps.get(OURS), row.layers.get(OURS), row.layers.get("PyTorch")
        lines.append(
            [
                row.workload.title,
                row.workload.sizes,
                f"{row.workload.flops / 1e6:.0f}",
                *_speed(run, row, step),
                "—" if theirs is None else milliseconds(theirs.ms),
                "—" if layers is None else milliseconds(layers.ms),
                *_speed(run, row, layers),
                *_share(run, row, layers),
            ]
        )
    return table(header, lines, left=2)


def _speed(run: Run, row: Row, timing: Timing | None) -> tuple[str, str]:
    if timing is None:
        return "—", "—"
    return f"{run.gflops(timing, row.workload):.0f}", f"{run.share(timing, row.workload):.0%}"


def _share(run: Run, row: Row, layers: Timing | None) -> tuple[str, str]:
    """What the layers alone must reach of the peak, and whether they do."""
    required = next((share for flops, share in SHARES if row.workload.flops >= flops), None)
    if required is None:
        return "—", ""
    return f"≥ {required:.0%}", verdict(layers is not None and run.share(layers, row.workload) >= required)


def _part(part: Part) -> str:
    header = ["", *part.columns, part.counts, "required", ""]
    return table(header, ([line.figure.name, *line.cells, *judged(line.figure)] for line in part.lines), left=2)


def _problems(part: Part) -> str:
    return "".join(f"- {what}: not measured, {problem}\n" for what, problem in part.problems.items())


def _figures(figures: Sequence[Figure]) -> str:
    lines = []
    for figure in figures:
        value, limit, met = judged(figure)
        lines.append([figure.name, value, limit, figure.detail, met])
    return table(["", "measured", "limit", "from", ""], lines)


def _tunings(row: Row) -> str:
    tunings = {peer: row.steps[peer].tuning for peer in PEERS if peer in row.steps}
    chosen = [f"{peer} with {tuning}" for peer, tuning in tunings.items() if tuning != "default"]
    return f"{row.workload.label}: {', '.join(chosen)}" if chosen else ""


def _checks(run: Run) -> str:
    lines = []
    if run.minutes is not None:
        lines.append(f"- The run took {run.minutes:.0f} minutes.\n")
    if run.idle_share is not None:
        lines.append(f"- The waiting workers together took {run.idle_share:.1%} of one core.\n")
    if run.others_share is not None:
        lines.append(f"- Other processes took {run.others_share:.1%} of the machine during the run.\n")
        if run.others_share > QUIET:
            lines.append("- **That is too much for these numbers to be trusted.** Repeat the run on a quiet machine.\n")
    return "".join(lines)
