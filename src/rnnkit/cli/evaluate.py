"""``rnnkit evaluate``."""

from __future__ import annotations

import inspect
from pathlib import Path
from typing import Annotated, Any

import typer

from .. import recipes
from ..errors import ConfigError
from ..recipes.overrides import override
from .output import plain_warnings, report
from .train import recipe_of as recipe_of

Run = Annotated[Path, typer.Argument(metavar="RUN", help="A run folder, such as runs/mnist.")]
RecipeFile = Annotated[
    str | None,
    typer.Option("--recipe", help="The recipe's file, for a run that was trained from one; it is executed."),
]


def evaluate(
    run: Run,
    recipe: RecipeFile = None,
    device: Annotated[str | None, typer.Option(help="Where to compute, if not where the run was trained.")] = None,
    data: Annotated[
        Path | None, typer.Option(help="A file of other rows, with the columns of the training data and the answers.")
    ] = None,
) -> None:
    """Evaluate a run's model on the test set again, or on other data."""
    chosen = recipe_of(run, recipe)
    if device is not None:
        chosen = override(chosen, [f"device={device}"])
    if not isinstance(chosen, recipes.Evaluating):
        raise ConfigError(f"the recipe of {run} has no evaluate(folder), so it cannot be evaluated again")
    more: dict[str, Any] = {}
    if data is not None:
        if "data" not in inspect.signature(chosen.evaluate).parameters:
            raise ConfigError(f"--data {data} arrived, but the recipe of {run} evaluates on its own test set alone")
        more["data"] = data
    with plain_warnings():
        report(chosen.evaluate(run, **more))
