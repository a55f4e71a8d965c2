"""Time every system in turn and write the report: `python -m benchmarks --write` (`make bench`)."""

import argparse
import contextlib
import dataclasses
import json
import sys
import time
from collections.abc import Callable, Sequence
from datetime import date
from functools import partial
from pathlib import Path
from typing import Any

from benchmarks import (
    around,
    busy,
    errors,
    inference,
    loop,
    machine,
    memory,
    options,
    pages,
    picture,
    processes,
    ragged,
    report,
    streaming,
)
from benchmarks.environment import ROOT, peers_python
from benchmarks.race import Race
from benchmarks.results import ONE_THREAD, ONNX, OURS, PEERS, Part, Run
from benchmarks.workers.client import Worker, WorkerError
from benchmarks.workloads import (
    BESIDE_BUSY,
    OPTIONED,
    RAGGED,
    REPEATED,
    SMALL,
    STREAMED,
    UNTUNED,
    WORKLOADS,
    Workload,
    workload,
)

OVERVIEW = ROOT / "docs" / "benchmarks.md"
PAGES = ROOT / "docs" / "benchmarks"
PICTURE = ROOT / "docs" / "training_step.png"
RECORD = ROOT / "runs" / "benchmarks.json"

TRAINERS = PEERS[1:]
LOADS: dict[str, Sequence[Workload]] = {
    "around": WORKLOADS,
    "busy": BESIDE_BUSY,
    "steps": WORKLOADS,
    "untuned": UNTUNED,
    "loop": WORKLOADS,
    "processes": REPEATED,
    "layers": SMALL,
    "ragged": RAGGED,
    "inference": WORKLOADS,
    "streaming": STREAMED,
    "options": [workload(name) for name in OPTIONED],
    "errors": WORKLOADS,
    "memory": WORKLOADS,
}
"""The workloads of each part of the run; what is short and may be broken comes first."""
NEEDS = {"busy": (ONE_THREAD,), "steps": TRAINERS, "untuned": TRAINERS, "inference": (ONNX,), "streaming": (ONNX,)}
"""The systems that a part needs beside rnnkit and PyTorch."""


def say(message: str) -> None:
    print(f"{time.strftime('%H:%M:%S')} {message}", file=sys.stderr, flush=True)


def main() -> int:
    wanted = parse()
    began, others_before = time.perf_counter(), machine.cpu_seconds_of_others()
    with contextlib.ExitStack() as stack:
        run = measure(start(stack, wanted.parts), wanted)
    others, seconds = machine.cpu_seconds_of_others(), time.perf_counter() - began
    run = dataclasses.replace(run, minutes=seconds / 60)
    if others is not None and others_before is not None:
        run = dataclasses.replace(
            run, others_share=max(0.0, others - others_before) / (seconds * machine.usable_cores())
        )
    RECORD.parent.mkdir(exist_ok=True)
    RECORD.write_text(json.dumps(dataclasses.asdict(run), indent=1))
    page = report.render(run)
    if wanted.write:
        written = PAGES / f"{pages.name(run.machine)}.md"
        if written.exists() and len(wanted.parts) < len(LOADS):
            page = pages.renewed(written.read_text(encoding="utf-8"), page, run.date)
        written.write_text(page, encoding="utf-8")
        OVERVIEW.write_text(pages.overview(PAGES), encoding="utf-8")
        if run.rows and run.rows[0].workload is WORKLOADS[0] and run.rows[0].steps:
            picture.draw(run.rows[0], PICTURE)
        say(f"wrote {written.relative_to(ROOT)} and {OVERVIEW.relative_to(ROOT)}")
    else:
        print(page)
    return 1 if run.problems else 0


def parse(arguments: Sequence[str] | None = None) -> argparse.Namespace:
    """`parts`: by name the workloads that are wanted of it; parts with none are left out."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    names = ", ".join(dict.fromkeys(load.name for loads in LOADS.values() for load in loads))
    parser.add_argument("--rows", type=rows, help=f"only these workloads, by commas: {names}")
    parser.add_argument("--parts", type=parts, default=LOADS, help=f"only these parts, by commas: {', '.join(LOADS)}")
    parser.add_argument("--rounds", type=int, default=7, help="fewer take less time and tell less (default 7)")
    parser.add_argument("--quick", action="store_true", help="few repeats: shows that all works, not how fast")
    parser.add_argument(
        "--write",
        action="store_true",
        help="write this processor's page under docs/benchmarks instead of printing it",
    )
    found = parser.parse_args(arguments)
    if found.rows is not None and found.write:
        parser.error("--write takes whole parts; leave --rows out, or --write")
    if found.rows is not None:
        chosen = {name: [load for load in loads if load in found.rows] for name, loads in found.parts.items()}
        found.parts = {name: loads for name, loads in chosen.items() if loads}
        if not found.parts:
            parser.error("none of these workloads belongs to these parts")
    return found


def rows(text: str) -> tuple[Workload, ...]:
    try:
        return tuple(workload(name) for name in text.split(","))
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from None


def parts(text: str) -> dict[str, Sequence[Workload]]:
    if unknown := [name for name in text.split(",") if name not in LOADS]:
        raise argparse.ArgumentTypeError(f"no part is called {unknown[0]!r}; there are {', '.join(LOADS)}")
    return {name: loads for name, loads in LOADS.items() if name in text.split(",")}


def start(stack: contextlib.ExitStack, wanted: dict[str, Sequence[Workload]]) -> dict[str, Worker]:
    """The workers of all systems that the parts need, ready."""
    own = Path(sys.executable)
    others = {system for part in wanted for system in NEEDS.get(part, ())}
    peers = peers_python(say) if others - {ONE_THREAD} else own
    systems: dict[str, tuple[Any, ...]] = {
        OURS: ("rnnkit_worker", own),
        ONE_THREAD: ("rnnkit_worker", own, {"OMP_NUM_THREADS": "1"}),
        "PyTorch": ("torch_worker", own),
        "Keras on TensorFlow": ("keras_worker", peers, {"KERAS_BACKEND": "tensorflow"}),
        "Keras on JAX": ("keras_worker", peers, {"KERAS_BACKEND": "jax"}),
        "JAX by hand": ("jax_worker", peers),
        ONNX: ("onnx_worker", peers),
    }
    assert set(systems) == {OURS, ONE_THREAD, *PEERS, ONNX}
    workers = {}
    for system, arguments in systems.items():
        if system not in (OURS, "PyTorch", *others):
            continue
        say(f"starting {system}")
        workers[system] = stack.enter_context(Worker(*arguments))
        try:
            workers[system].greet()
        except WorkerError as error:
            raise SystemExit(f"{system} cannot be timed: {error}") from error
    return workers


def measure(workers: dict[str, Worker], wanted: argparse.Namespace) -> Run:
    race = Race(workers, *((2, 0.05) if wanted.quick else (wanted.rounds, 0.3)), say)
    # Fewer and shorter turns where there are many rows, so that the whole run stays under half an hour.
    brisk = dataclasses.replace(
        race, **({} if wanted.quick else {"rounds": min(5, wanted.rounds), "turn_seconds": 0.2})
    )
    loads: dict[str, Sequence[Workload]] = wanted.parts
    figures = []
    if "around" in loads:
        say("start-up")
        figures = around.startup(repeats=2 if wanted.quick else 7)
    rows = [race.row(load) for load in loads.get("steps", ())]
    untuned = [brisk.row(load) for load in loads.get("untuned", ())]
    small = [brisk.row(load, steps=False) for load in loads.get("layers", ())]
    measurers: dict[str, Callable[[Sequence[Workload]], Part]] = {
        "around": partial(around.fit, race),
        "busy": partial(busy.measure, brisk),
        "loop": partial(loop.measure, brisk),
        "processes": partial(processes.measure, brisk),
        "ragged": partial(ragged.measure, race),
        "inference": partial(inference.measure, brisk),
        "streaming": partial(streaming.measure, brisk),
        "options": partial(options.measure, race),
        "errors": partial(errors.measure, brisk),
        "memory": partial(memory.measure, say),
    }
    if small and not race.peaks:
        race.measure_peak()
    sections = [act(loads[name]) for name, act in measurers.items() if name in loads]
    run = Run(
        date=date.today().isoformat(),
        machine=machine.describe(),
        versions={name: v for worker in workers.values() for name, v in worker.greeting["versions"].items()},
        rounds=race.rounds,
        peaks=[*race.peaks],
        rows=rows,
        untuned=untuned,
        small=small,
        parts=sections,
        idle_share=(race.idle_seconds + brisk.idle_seconds) / max(1e-9, race.timed_seconds + brisk.timed_seconds),
    )
    return dataclasses.replace(run, figures=[*around.layer_figures(run), *figures])


if __name__ == "__main__":
    sys.exit(main())
