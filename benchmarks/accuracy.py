"""Train what has an accuracy to reach for three seeds, and judge the mean: `make accuracy`.

Digits by the founding settings and by the recipe's own, and three sets of the UCR and UEA archives by the recipe for
series as it is (their TRAIN file to train on, their TEST file to judge by; read from the folder in RNNKIT_DATA, and
left out where there is none). Finished runs are kept in runs/accuracy and used again; `--fresh` trains them anew, as a
change of the code needs; `--only NAME` trains one.
"""

import argparse
import dataclasses
import json
import os
import shutil
import sys
from pathlib import Path
from statistics import mean
from typing import Any, NamedTuple

from benchmarks.tables import table, verdict
from rnnkit import recipes
from rnnkit.recipes import runs
from rnnkit.recipes.overrides import override

FOLDER = Path("runs") / "accuracy"
SEEDS = (0, 1, 2)


class Job(NamedTuple):
    """A recipe, its settings (``{data}`` stands for the folder in RNNKIT_DATA), and the mean test accuracy to reach."""

    recipe: str
    required: float
    settings: tuple[str, ...] = ()


def _series(name: str) -> Job:
    folder = f"{{data}}/ucr_uea/{name}/{name}"
    return Job("classify", 0.95, (f"data.path={folder}_TRAIN.ts", f"data.test={folder}_TEST.ts"))


JOBS = {
    "mnist-founding": Job("mnist-founding", 0.973),
    "mnist": Job("mnist", 0.985),
    "GunPoint": _series("GunPoint"),
    "ItalyPowerDemand": _series("ItalyPowerDemand"),
    "BasicMotions": _series("BasicMotions"),
}


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.accuracy", description=__doc__)
    parser.add_argument("--fresh", action="store_true", help="train again what was trained before")
    parser.add_argument("--only", choices=list(JOBS), action="append", help="judge this one; may be repeated")
    options = parser.parse_args()
    chosen = [name for name in options.only or JOBS if possible(JOBS[name])]
    for name in set(options.only or JOBS) - set(chosen):
        print(f"{name}: left out, RNNKIT_DATA names no folder with its files", file=sys.stderr)
    accuracies = {name: [accuracy(name, seed, fresh=options.fresh) for seed in SEEDS] for name in chosen}
    print(render(accuracies))
    return 0 if all(mean(values) >= JOBS[name].required for name, values in accuracies.items()) else 1


def possible(job: Job) -> bool:
    """Whether the files that the job's settings name are there."""
    files = [text.partition("=")[2] for text in resolve(job) if text.startswith("data.")]
    return all(Path(file).is_file() for file in files)


def resolve(job: Job) -> list[str]:
    """The job's settings with the data folder in them."""
    return [text.replace("{data}", os.environ.get("RNNKIT_DATA", "")) for text in job.settings]


def accuracy(name: str, seed: int, *, fresh: bool) -> float:
    """The test accuracy of a job with that seed, from its run folder where it has finished."""
    job = JOBS[name]
    found: Any = override(recipes.find(job.recipe)(), resolve(job))
    recipe = dataclasses.replace(found, seed=seed)
    folder = FOLDER / f"{name}-{seed}"
    if fresh or not finished(folder, recipe):
        shutil.rmtree(folder, ignore_errors=True)
        print(f"{name}, seed {seed}: training into {folder}", file=sys.stderr)
        with runs.start(job.recipe, recipe, folder):
            recipe.run(folder)
    if not finished(folder, recipe):
        raise SystemExit(f"{name}, seed {seed}: the run in {folder} was ended early; repeat the command")
    value: float = read(folder / runs.METRICS)["test"]["accuracy"]
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


def render(accuracies: dict[str, list[float]]) -> str:
    """Test accuracies by job, a column for each seed."""
    header = ["job", *(f"seed {seed}" for seed in SEEDS), "mean", "required", ""]
    lines = [
        [
            name,
            *(f"{value:.2%}" for value in (*values, mean(values))),
            f"≥ {JOBS[name].required:.1%}",
            verdict(mean(values) >= JOBS[name].required),
        ]
        for name, values in accuracies.items()
    ]
    return table(header, lines)


if __name__ == "__main__":
    sys.exit(main())
