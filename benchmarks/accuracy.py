"""Train what has a figure to reach, and judge it on test data: `make accuracy`.

Digits by the founding settings, by the recipe's own, by gates, and one pixel a step; three sets of the UCR and UEA
archives by the recipe for series as it is; the adding problem over 400 and 1,000 steps; forecasts of ETTh1 at four
horizons, of AEP's load, of Seattle's temperature, and of a series with few observations; a language model of
Shakespeare by characters, intents and slots of SNIPS, intents of spoken commands (`benchmarks.understanding` has the
cascade beside them), translations of Multi30k and, both ways, of Tatoeba, and summaries of SciTLDR.
`benchmarks/accuracy_jobs.py` has the figures. All of it takes most of a day on two cores;
`--only NAME` trains one, `--skip NAME` leaves one out. Data is looked for in the folder RNNKIT_DATA. What is not there
is downloaded where it may be, else its jobs are left out.

Finished runs are kept in runs/accuracy and used again; `--fresh` trains them anew, as a change of the code needs.

The same seed gives another accuracy on another processor, so a mean over seeds is judged, and its spread is shown.
Where the spread is wide, more seeds are trained. `--machine avx2` and `--machine generic` compute as on other
processors; their runs lie in folders of their own.
"""

import argparse
import dataclasses
import importlib
import json
import os
import shutil
import sys
from collections.abc import Mapping
from pathlib import Path
from statistics import mean, stdev
from typing import Any

from benchmarks.accuracy_jobs import JOBS, Job, Metrics
from benchmarks.tables import table, verdict
from rnnkit import recipes, runs
from rnnkit.errors import DownloadError, MissingExtraError
from rnnkit.runs.files import write_json
from rnnkit.runs.settings import override

FOLDER = Path("runs") / "accuracy"
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


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.accuracy", description=__doc__)
    parser.add_argument("--fresh", action="store_true", help="train again what was trained before")
    parser.add_argument("--machine", choices=list(MACHINES), default="own", help="compute as on this processor")
    parser.add_argument("--only", choices=list(JOBS), action="append", help="judge this one; may be repeated")
    parser.add_argument("--skip", choices=list(JOBS), action="append", default=[], help="leave out; may be repeated")
    options = parser.parse_args(arguments)
    wanted = MACHINES[options.machine]
    if any(os.environ.get(name) != value for name, value in wanted.items()):
        # The libraries read these when they are loaded.
        os.execve(sys.executable, [sys.executable, "-m", "benchmarks.accuracy", *sys.argv[1:]], os.environ | wanted)
    folder = FOLDER if options.machine == "own" else FOLDER / options.machine
    found: dict[str, list[Metrics]] = {}
    for name in options.only or JOBS:
        if name in options.skip:
            continue
        job = JOBS[name]
        if not possible(job):
            lacks = f", or {job.program} is not installed" if job.program else ""
            print(f"{name}: left out, RNNKIT_DATA names no folder with its files{lacks}", file=sys.stderr)
            continue
        try:
            found[name] = [metrics_of(name, job, seed, folder, fresh=options.fresh) for seed in job.seeds]
        except (DownloadError, MissingExtraError) as error:
            print(f"{name}: left out, {error}", file=sys.stderr)
    print(render(found))
    met = all(goal.met([goal.value(one) for one in all_]) for name, all_ in found.items() for goal in JOBS[name].goals)
    return 0 if met else 1


def possible(job: Job) -> bool:
    """Whether the files that the job's settings name are there, what it needs of RNNKIT_DATA, and its program."""
    files = [text.partition("=")[2] for text in resolve(job) if text.startswith(("data.path=", "data.test="))]
    data = os.environ.get("RNNKIT_DATA")
    if job.program and shutil.which(job.program) is None:
        return False
    needed = not job.needs or (data is not None and (Path(data) / job.needs).exists())
    return needed and all(Path(file).is_file() for file in files)


def resolve(job: Job) -> list[str]:
    """The job's settings with the data folder in them."""
    return [text.replace("{data}", os.environ.get("RNNKIT_DATA", "")) for text in job.settings]


def metrics_of(name: str, job: Job, seed: int, runs_folder: Path, *, fresh: bool) -> Metrics:
    """Return what a job reaches with that seed, from its folder where it has finished."""
    folder = runs_folder / f"{name}-{seed}"
    if job.study:
        return study_metrics(name, job, seed, folder, fresh=fresh)
    chosen: Any = override(recipes.find(job.recipe)(), resolve(job))
    recipe = dataclasses.replace(chosen, seed=seed)
    if fresh or not finished(folder, recipe):
        shutil.rmtree(folder, ignore_errors=True)
        print(f"{name}, seed {seed}: training into {folder}", file=sys.stderr)
        with runs.start(job.recipe, recipe, folder):
            recipe.run(folder)
    if not finished(folder, recipe):
        raise SystemExit(f"{name}, seed {seed}: the run in {folder} was ended early; repeat the command")
    return read(folder / runs.METRICS)


def study_metrics(name: str, job: Job, seed: int, folder: Path, *, fresh: bool) -> Metrics:
    """Return the metrics of a study, from its folder where it has finished."""
    file = folder / runs.METRICS
    if fresh or not file.exists():
        print(f"{name}, seed {seed}: measuring into {folder}", file=sys.stderr)
        found: Metrics = importlib.import_module(f"benchmarks.{job.recipe}").measure(seed)
        folder.mkdir(parents=True, exist_ok=True)
        write_json(file, dict(found))
    return read(file)


def finished(folder: Path, recipe: Any) -> bool:
    """Whether the folder holds a whole run of this very recipe."""
    if not (folder / runs.METRICS).exists() or read(folder / runs.METRICS)["stopped"] == "interrupted":
        return False
    settings: dict[str, Any] = json.loads(json.dumps(dataclasses.asdict(recipe)))
    return settings == runs.read_recipe(folder).settings


def read(path: Path) -> dict[str, Any]:
    content: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return content


def render(found: Mapping[str, list[Metrics]]) -> str:
    """Figures by job: the seeds, the lowest and highest, mean and standard deviation, and what is required."""
    header = ["job", "figure", "seeds", "lowest", "highest", "mean", "deviation", "required", ""]
    lines = []
    for name, several in found.items():
        for goal in JOBS[name].goals:
            values = [goal.value(one) for one in several]
            lines.append(
                [
                    name,
                    goal.name,
                    str(len(values)),
                    *(goal.form.format(value) for value in (min(values), max(values), mean(values))),
                    goal.form.format(stdev(values)) if len(values) > 1 else "",
                    goal.required,
                    verdict(goal.met(values)) if goal.required else "shown",
                ]
            )
    return table(header, lines, left=2)


if __name__ == "__main__":
    sys.exit(main())
