"""Time every system in turn and write the report: `python -m benchmarks --write` (`make bench`)."""

import argparse
import contextlib
import dataclasses
import json
import sys
import time
from datetime import date
from pathlib import Path
from statistics import median

from benchmarks import machine, picture, report, startup
from benchmarks.environment import ROOT, peers_python
from benchmarks.race import Race
from benchmarks.results import OURS, PEERS, Figure, Row, Run
from benchmarks.workers.client import Worker, WorkerError
from benchmarks.workloads import WORKLOADS, Workload, workload

PAGE = ROOT / "docs" / "benchmarks.md"
PICTURE = ROOT / "docs" / "training_step.png"
RECORD = ROOT / "runs" / "benchmarks.json"
LAYER_SHARE = 0.6  # what the first workload's recurrent layer must reach of the peak
EPOCH_STEPS, EPOCH_OVERHEAD = 60_000 // 32, 1.3


def say(message: str) -> None:
    print(f"{time.strftime('%H:%M:%S')} {message}", file=sys.stderr, flush=True)


def main() -> int:
    options = parse()
    python = peers_python(say)
    began, others_before = time.perf_counter(), machine.cpu_seconds_of_others()
    with contextlib.ExitStack() as stack:
        run = measure(start(stack, python), options)
    others = machine.cpu_seconds_of_others()
    if others is not None and others_before is not None:
        spent = (time.perf_counter() - began) * machine.cores()
        run = dataclasses.replace(run, others_share=max(0.0, others - others_before) / spent)
    RECORD.parent.mkdir(exist_ok=True)
    RECORD.write_text(json.dumps(dataclasses.asdict(run), indent=1))
    page = report.render(run)
    if options.write:
        PAGE.write_text(page)
        if run.rows[0].workload is WORKLOADS[0] and run.rows[0].steps:
            picture.draw(run.rows[0], PICTURE)
        say(f"wrote {PAGE.relative_to(ROOT)}")
    else:
        print(page)
    return 1 if any(row.problems for row in run.rows) else 0


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    names = ", ".join(load.name for load in WORKLOADS)
    parser.add_argument("--rows", type=rows, default=WORKLOADS, help=f"only these, by commas: {names}")
    parser.add_argument("--quick", action="store_true", help="few repeats: shows that all works, not how fast")
    parser.add_argument("--write", action="store_true", help="write docs/benchmarks.md instead of printing it")
    return parser.parse_args()


def rows(text: str) -> tuple[Workload, ...]:
    try:
        return tuple(workload(name) for name in text.split(","))
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from None


def start(stack: contextlib.ExitStack, peers: Path) -> dict[str, Worker]:
    """All systems' workers, ready."""
    own = Path(sys.executable)
    systems = {
        OURS: ("rnnkit_worker", own, {}),
        "PyTorch": ("torch_worker", own, {}),
        "Keras on TensorFlow": ("keras_worker", peers, {"KERAS_BACKEND": "tensorflow"}),
        "Keras on JAX": ("keras_worker", peers, {"KERAS_BACKEND": "jax"}),
        "JAX by hand": ("jax_worker", peers, {}),
    }
    assert set(systems) == {OURS, *PEERS}
    workers = {}
    for system, arguments in systems.items():
        say(f"starting {system}")
        workers[system] = stack.enter_context(Worker(*arguments))
        try:
            workers[system].greet()
        except WorkerError as error:
            raise SystemExit(f"{system} cannot be timed: {error}") from error
    return workers


def measure(workers: dict[str, Worker], options: argparse.Namespace) -> Run:
    race = Race(workers, *((2, 0.05) if options.quick else (7, 0.3)), say)
    say("start-up")  # what is short comes first, so what is broken shows at once
    around = startup.figures(repeats=2 if options.quick else 7)
    if WORKLOADS[0] in options.rows:
        around.insert(0, epoch_figure(WORKLOADS[0], race))
    measured = [race.row(load) for load in options.rows]
    return Run(
        date=date.today().isoformat(),
        machine=machine.describe(),
        versions={name: v for worker in workers.values() for name, v in worker.greeting["versions"].items()},
        rounds=race.rounds,
        peaks=race.peaks,
        rows=measured,
        figures=layer_figures(measured, race) + around,
        idle_share=race.idle_seconds / race.timed_seconds,
    )


def layer_figures(measured: list[Row], race: Race) -> list[Figure]:
    """What is asked of the first workload's recurrent layer alone."""
    first = next((row for row in measured if row.workload is WORKLOADS[0] and OURS in row.layers), None)
    if first is None:
        return []
    peak = median(race.peaks)
    share = first.workload.flops / first.layers[OURS].ms / 1e6 / peak
    name = f"{first.workload.title} (first row), layer alone"
    return [Figure(name, share, LAYER_SHARE, "share of the peak", at_least=True)]


def epoch_figure(load: Workload, race: Race) -> Figure:
    """An epoch of `Learner.fit` beside as many bare steps, taken in turn."""
    steps, epochs = [], []
    for number in range(1 if race.rounds < 3 else 3):
        say(f"{load.name}: epoch {number + 1}")
        epochs += race.turn(OURS, "epoch", load.name)
        steps += race.turn(OURS, "step", load.name, repeats=EPOCH_STEPS // 2)
    step, epoch = median(steps), median(epochs)
    return Figure(
        "Epoch of `Learner.fit`, 60,000 images",
        epoch / (EPOCH_STEPS * step),
        EPOCH_OVERHEAD,
        f"{epoch / 1e3:.2f} s beside {EPOCH_STEPS} bare steps of {step:.3f} ms",
        " ×",
    )


if __name__ == "__main__":
    sys.exit(main())
