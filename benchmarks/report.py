"""The page that a run becomes: docs/benchmarks.md."""

from collections.abc import Iterable, Sequence

from benchmarks.results import OURS, PEERS, Figure, Row, Run, Timing

QUIET = 0.05
"""The share of the machine that other processes may take in a run that is to be believed."""

_HEAD = """\
# Benchmarks

How long rnnkit and its peers take for one training step on the CPU: forward, loss, backward and Adam, on one
batch that is already in memory. `make bench` measures every system in the same run and writes this page.
Milliseconds, lower is better, the best of each row in bold; in brackets the lowest and the highest round.
"""

_METHOD = """\
## How it is measured

- Each system works in a process of its own with its default threads, one at a time, while the others wait on
  a pipe. They take turns in {rounds} rounds, in a rotating order, so that a machine that slows down slows all
  of them; a number is the median of all its timings. Each call waits for its result. Each turn begins with
  calls that are not counted, compilation among them.
- All train the same network on the same made batch from Glorot and orthogonal weights, with softmax
  cross-entropy over ten classes (2 × SimpleRNN: one output, mean squared error). A system whose loss is not
  finite is not counted.
- PyTorch runs eagerly with fused Adam, and is told to flush denormals to zero: without that, the plain
  recurrence over 784 steps takes ten times longer. rnnkit runs in the same environment and the same loop, and
  is told nothing. Keras is called by the function that its own `fit` calls, without `fit` around it. JAX by
  hand is a jitted step around `lax.scan`, the input projection outside the loop, its buffers donated.
- A peer counts with the best of its tunings in each row: PyTorch on one thread; Keras by `train_on_batch`,
  with `unroll=True` where that compiles in reasonable time, on TensorFlow without XLA; JAX with the scan
  unrolled 4 or 10 times. Those that beat the default:
{tunings}- Operations are those of the recurrent layers, with G gates (1, LSTM 4, GRU 3): forward 2·B·T·G·H·(I + H),
  backward the recurrent part twice and the input part once, and once more in a layer that is not the first.
  "At the peak" is the time they would take at the speed of PyTorch's best float32 matrix product of this run
  (1024³ to 2048³).
- "Layers alone" is their forward and backward, with a gradient for the last state and none for the input.
"""


def render(run: Run) -> str:
    """The whole page, in Markdown."""
    parts = [_HEAD, _machine(run), "## One training step\n", _steps(run), _notes(run.rows)]
    parts += ["## Against the machine\n", _arithmetic(run)]
    if run.figures:
        parts += ["## Around the step\n", _figures(run.figures)]
    tunings = "".join(f"  - {text}\n" for row in run.rows if (text := _tunings(row)))
    parts += [_METHOD.format(rounds=run.rounds, tunings=tunings or "  - none\n") + _checks(run)]
    return "\n".join(part for part in parts if part)


def table(header: Sequence[str], rows: Iterable[Sequence[str]], *, left: int = 1) -> str:
    """A Markdown table whose first `left` columns hold words and the others numbers."""
    rules = ["---"] * left + ["---:"] * (len(header) - left)
    return "".join(f"| {' | '.join(cells)} |\n" for cells in [header, rules, *rows])


def milliseconds(value: float) -> str:
    """Three significant digits or the whole milliseconds: 0.463, 7.91, 20.4, 1957."""
    digits = next((digits for digits, limit in ((3, 1), (2, 10), (1, 100)) if value < limit), 0)
    return f"{value:.{digits}f}"


def verdict(met: bool) -> str:
    return "met" if met else "**not met**"


def _machine(run: Run) -> str:
    facts = {
        "Date": run.date,
        **run.machine,
        "Matrix product, float32": f"{run.peak:.0f} GFLOP/s",
        "Versions": ", ".join(f"{name} {version}" for name, version in run.versions.items()),
    }
    return table(["Machine", ""], facts.items(), left=2)


def _sizes(row: Row) -> str:
    load = row.workload
    return f"{load.batch}, {load.time}, {load.inputs}, {load.hidden}"


def _steps(run: Run) -> str:
    header = ["network", "B, T, I, H", *(OURS, *PEERS), "at the peak", "best peer ÷ rnnkit", "target", ""]
    lines = []
    for row in run.rows:
        best = min((timing.ms for timing in row.steps.values()), default=None)
        times = [_time(row.steps.get(system), best) for system in (OURS, *PEERS)]
        ratio, target = row.ratio, row.workload.target
        lines.append(
            [
                row.workload.title,
                _sizes(row),
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
    lines = [f"- {_label(row)}, rnnkit: {row.note}\n" for row in rows if row.note]
    lines += [
        f"- {_label(row)}, {system}: not measured, {problem}\n"
        for row in rows
        for system, problem in row.problems.items()
    ]
    return "".join(lines)


def _label(row: Row) -> str:
    return f"{row.workload.title} ({_sizes(row)})"


def _arithmetic(run: Run) -> str:
    header = ["network", "B, T, I, H", "MFLOP", "step, GFLOP/s", "share of the peak"]
    header += ["layers alone, ms", "GFLOP/s", "share of the peak", "PyTorch's layers alone, ms"]
    lines = []
    for row in run.rows:
        step, layers, theirs = row.steps.get(OURS), row.layers.get(OURS), row.layers.get("PyTorch")
        lines.append(
            [
                row.workload.title,
                _sizes(row),
                f"{row.workload.flops / 1e6:.0f}",
                *_speed(run, row, step),
                "—" if layers is None else milliseconds(layers.ms),
                *_speed(run, row, layers),
                "—" if theirs is None else milliseconds(theirs.ms),
            ]
        )
    return table(header, lines, left=2)


def _speed(run: Run, row: Row, timing: Timing | None) -> tuple[str, str]:
    if timing is None:
        return "—", "—"
    return f"{run.gflops(timing, row.workload):.0f}", f"{run.share(timing, row.workload):.0%}"


def _figures(figures: Sequence[Figure]) -> str:
    lines = [
        [
            figure.name,
            f"{figure.value:.2f}{figure.unit}",
            f"{'≥' if figure.at_least else '≤'} {figure.limit:g}{figure.unit}",
            figure.detail,
            verdict(figure.met),
        ]
        for figure in figures
    ]
    return table(["", "measured", "limit", "from", ""], lines)


def _tunings(row: Row) -> str:
    tunings = {peer: row.steps[peer].tuning for peer in PEERS if peer in row.steps}
    chosen = [f"{peer} with {tuning}" for peer, tuning in tunings.items() if tuning != "default"]
    return f"{_label(row)}: {', '.join(chosen)}" if chosen else ""


def _checks(run: Run) -> str:
    lines = []
    if run.idle_share is not None:
        lines.append(f"- The waiting workers together took {run.idle_share:.1%} of one core.\n")
    if run.others_share is not None:
        lines.append(f"- Other processes took {run.others_share:.1%} of the machine during the run.\n")
        if run.others_share > QUIET:
            lines.append("- **That is too much for these numbers to be trusted.** Repeat the run on a quiet machine.\n")
    return "".join(lines)
