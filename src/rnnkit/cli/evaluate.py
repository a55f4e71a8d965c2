"""``rnnkit evaluate``, and how a run folder leads back to its recipe."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from .. import recipes
from ..errors import ConfigError
from ..recipes.overrides import override, restore
from .output import report
from .train import open_recipe

Run = Annotated[Path, typer.Argument(metavar="RUN", help="A run folder, such as runs/mnist.")]
RecipeFile = Annotated[
    str | None,
    typer.Option("--recipe", help="The recipe's file, for a run that was trained from one; it is executed."),
]


def evaluate(
    run: Run,
    recipe: RecipeFile = None,
    device: Annotated[str | None, typer.Option(help="Where to compute, if not where the run was trained.")] = None,
) -> None:
    """Evaluate a run's model on the test set again."""
    chosen = recipe_of(run, recipe)
    if device is not None:
        chosen = override(chosen, [f"device={device}"])
    if not isinstance(chosen, recipes.Evaluating):
        raise ConfigError(f"the recipe of {run} has no evaluate(folder), so it cannot be evaluated again")
    report(chosen.evaluate(run))


def recipe_of(run: Path, file: str | None) -> recipes.Recipe:
    """Returns the recipe that a run folder was made with, with the settings it had.

    A folder may come from anywhere, so it only names a recipe: a file is executed when the user names it.
    """
    from ..recipes.runs import read_recipe

    stored = read_recipe(run)
    if file is None and stored.name not in recipes.RECIPES:
        raise ConfigError(
            f"{run} was trained from the file {stored.name}; if you trust that file, add --recipe {stored.name}"
        )
    return restore(open_recipe(file or stored.name), stored.settings)
