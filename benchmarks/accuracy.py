"""Train the main job for three seeds, by the founding settings and by the recipe's own: `make accuracy`.

Finished runs are kept in runs/accuracy and used again; `--fresh` trains them anew, as a change of the code needs.
"""

import argparse
import dataclasses
import json
import shutil
import sys
from pathlib import Path
from statistics import mean
from typing import Any

from benchmarks.tables import table, verdict
from rnnkit import recipes
from rnnkit.recipes import runs

FOLDER = Path("runs") / "accuracy"
SEEDS = (0, 1, 2)
REQUIRED = {"mnist-founding": 0.973, "mnist": 0.985}
"""What the mean test accuracy of each recipe must reach."""


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.accuracy", description=__doc__)
    parser.add_argument("--fresh", action="store_true", help="train again what was trained before")
    options = parser.parse_args()
    accuracies = {name: [accuracy(name, seed, fresh=options.fresh) for seed in SEEDS] for name in REQUIRED}
    print(render(accuracies))
    return 0 if all(mean(values) >= REQUIRED[name] for name, values in accuracies.items()) else 1


def accuracy(name: str, seed: int, *, fresh: bool) -> float:
    """The test accuracy of a recipe with that seed, from its run folder where it has finished."""
    found: Any = recipes.find(name)()
    recipe = dataclasses.replace(found, seed=seed)
    folder = FOLDER / f"{name}-{seed}"
    if fresh or not finished(folder, recipe):
        shutil.rmtree(folder, ignore_errors=True)
        print(f"{name}, seed {seed}: training into {folder}", file=sys.stderr)
        with runs.start(name, recipe, folder):
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
    """Test accuracies by recipe, a column for each seed."""
    header = ["recipe", *(f"seed {seed}" for seed in SEEDS), "mean", "required", ""]
    lines = [
        [
            name,
            *(f"{value:.2%}" for value in (*values, mean(values))),
            f"≥ {REQUIRED[name]:.1%}",
            verdict(mean(values) >= REQUIRED[name]),
        ]
        for name, values in accuracies.items()
    ]
    return table(header, lines)


if __name__ == "__main__":
    sys.exit(main())
