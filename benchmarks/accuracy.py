"""Train what has a figure to reach, and judge it on test data: `make accuracy`.

Digits by the founding settings, by the recipe's own and by gates; three sets of the UCR and UEA archives by the recipe
for series as it is (their TRAIN file to train on, their TEST file to judge by; read from the folder in RNNKIT_DATA, and
left out where there is none); intents of spoken commands on voices that were not trained on, where espeak-ng is there
to make them (`python -m benchmarks.understanding` has the cascade beside it); the adding problem over 400 and 1,000
steps, every seed of which must pass; and digits read one pixel a step, one seed, which take most of the two or three
hours that all of it needs on two cores. Finished runs are kept in runs/accuracy and used again; `--fresh` trains them
anew, as a change of the code needs; `--only NAME` trains one.

The same seed gives another accuracy on another processor, so a mean over seeds is judged, and its spread is shown.
Where the spread is wide, more seeds are trained. `--machine avx2` and `--machine generic` compute as on other
processors; their runs lie in folders of their own.
"""

import argparse
import dataclasses
import json
import os
import shutil
import sys
from pathlib import Path
from statistics import mean, stdev
from typing import Any, NamedTuple

from benchmarks.tables import table, verdict
from rnnkit import recipes, runs
from rnnkit.runs.settings import override

FOLDER = Path("runs") / "accuracy"
SEEDS = (0, 1, 2)
MANY_SEEDS = tuple(range(8))
SERIES_SEEDS = tuple(range(5))
MACHINES: dict[str, dict[str, str]] = {
    "own": {},
    "avx2": {
        "ATEN_CPU_CAPABILITY": "avx2",
        "MKL_ENABLE_INSTRUCTIONS": "AVX2",
        "ONEDNN_MAX_CPU_ISA": "AVX2",
        "RNNKIT_CPU": "avx2",
    },
    "generic": {
        "ATEN_CPU_CAPABILITY": "default",
        "MKL_ENABLE_INSTRUCTIONS": "SSE4_2",
        "ONEDNN_MAX_CPU_ISA": "SSE41",
        "RNNKIT_CPU": "generic",
    },
}
"""The environments in which libraries and the native core compute as on other processors, as in the Makefile."""


class Job(NamedTuple):
    """A recipe, and the figure it must reach.

    Attributes:
        required: the least mean test accuracy over the seeds; of an error ("mse") the most that any seed may have.
        settings: what the recipe is given; ``{data}`` stands for the folder in RNNKIT_DATA.
    """

    recipe: str
    required: float
    settings: tuple[str, ...] = ()
    seeds: tuple[int, ...] = SEEDS
    figure: str = "accuracy"

    def met(self, values: list[float]) -> bool:
        return mean(values) >= self.required if self.figure == "accuracy" else max(values) < self.required

    def show(self, value: float) -> str:
        return f"{value:.2%}" if self.figure == "accuracy" else f"{value:.1e}"


def _series(name: str) -> Job:
    folder = f"{{data}}/ucr_uea/{name}/{name}"
    return Job("classify", 0.95, (f"data.path={folder}_TRAIN.ts", f"data.test={folder}_TEST.ts"), SERIES_SEEDS)


JOBS = {
    "mnist-founding": Job("mnist-founding", 0.965, seeds=MANY_SEEDS),
    "mnist": Job("mnist", 0.985),
    "GunPoint": _series("GunPoint"),
    "ItalyPowerDemand": _series("ItalyPowerDemand"),
    "BasicMotions": _series("BasicMotions"),
    "mnist-gru": Job("mnist-gru", 0.990),
    "adding-400": Job("adding", 1e-3, figure="mse"),
    "adding-1000": Job("adding", 1e-3, ("data.steps=1000",), figure="mse"),
    "spoken-intents": Job("spoken-intents", 0.90, seeds=(0,)),
    "mnist-pixels": Job("mnist-pixels", 0.985, seeds=(0,)),
    "mnist-permuted": Job("mnist-permuted", 0.92, seeds=(0,)),
}


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.accuracy", description=__doc__)
    parser.add_argument("--fresh", action="store_true", help="train again what was trained before")
    parser.add_argument("--machine", choices=list(MACHINES), default="own", help="compute as on this processor")
    parser.add_argument("--only", choices=list(JOBS), action="append", help="judge this one; may be repeated")
    options = parser.parse_args()
    wanted = MACHINES[options.machine]
    if any(os.environ.get(name) != value for name, value in wanted.items()):
        # The libraries read these when they are loaded.
        os.execve(sys.executable, [sys.executable, "-m", "benchmarks.accuracy", *sys.argv[1:]], os.environ | wanted)
    chosen = [name for name in options.only or JOBS if possible(JOBS[name])]
    for name in set(options.only or JOBS) - set(chosen):
        print(
            f"{name}: left out, RNNKIT_DATA names no folder with its files, or espeak-ng is not installed",
            file=sys.stderr,
        )
    folder = FOLDER if options.machine == "own" else FOLDER / options.machine
    figures = {name: [figure(name, seed, folder, fresh=options.fresh) for seed in JOBS[name].seeds] for name in chosen}
    print(render(figures))
    return 0 if all(JOBS[name].met(values) for name, values in figures.items()) else 1


def possible(job: Job) -> bool:
    """Whether the files that the job's settings name are there, and what makes its data."""
    if job.recipe == "spoken-intents" and shutil.which("espeak-ng") is None:
        return False
    files = [text.partition("=")[2] for text in resolve(job) if text.startswith(("data.path=", "data.test="))]
    return all(Path(file).is_file() for file in files)


def resolve(job: Job) -> list[str]:
    """The job's settings with the data folder in them."""
    return [text.replace("{data}", os.environ.get("RNNKIT_DATA", "")) for text in job.settings]


def figure(name: str, seed: int, runs_folder: Path, *, fresh: bool) -> float:
    """What a job reaches on test data with that seed, from its run folder where it has finished."""
    job = JOBS[name]
    found: Any = override(recipes.find(job.recipe)(), resolve(job))
    recipe = dataclasses.replace(found, seed=seed)
    folder = runs_folder / f"{name}-{seed}"
    if fresh or not finished(folder, recipe):
        shutil.rmtree(folder, ignore_errors=True)
        print(f"{name}, seed {seed}: training into {folder}", file=sys.stderr)
        with runs.start(job.recipe, recipe, folder):
            recipe.run(folder)
    if not finished(folder, recipe):
        raise SystemExit(f"{name}, seed {seed}: the run in {folder} was ended early; repeat the command")
    value: float = read(folder / runs.METRICS)["test"][job.figure]
    return value


def finished(folder: Path, recipe: Any) -> bool:
    """Whether the folder holds a whole run of this very recipe."""
    if not (folder / runs.METRICS).exists() or read(folder / runs.METRICS)["stopped"] == "interrupted":
        return False
    settings: dict[str, Any] = json.loads(json.dumps(dataclasses.asdict(recipe)))
    return settings == runs.read_recipe(folder).settings


def read(path: Path) -> dict[str, Any]:
    content: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return content


def render(figures: dict[str, list[float]]) -> str:
    """Test figures by job: the seeds, the lowest and highest, mean and standard deviation, and what is required."""
    header = ["job", "seeds", "lowest", "highest", "mean", "deviation", "required", ""]
    lines = []
    for name, values in figures.items():
        job = JOBS[name]
        lines.append(
            [
                name,
                str(len(values)),
                *(job.show(value) for value in (min(values), max(values), mean(values))),
                job.show(stdev(values)) if len(values) > 1 else "",
                ("≥ " if job.figure == "accuracy" else "each < ") + job.show(job.required),
                verdict(job.met(values)),
            ]
        )
    return table(header, lines)


if __name__ == "__main__":
    sys.exit(main())
