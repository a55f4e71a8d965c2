"""``rnnkit predict``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from .. import recipes
from ..errors import ConfigError, DataError
from .evaluate import RecipeFile, Run, recipe_of
from .output import complain


def predict(
    run: Run,
    files: Annotated[list[Path], typer.Argument(metavar="IMAGE...", help="Any size, dark on light or the reverse.")],
    recipe: RecipeFile = None,
) -> None:
    """Name what images show: a line each with file, class and confidence, separated by tabs."""
    chosen = recipe_of(run, recipe)
    if not isinstance(chosen, recipes.Predicting):
        raise ConfigError(f"the recipe of {run} has no predictor(folder), so its model cannot be used on files")
    classify = chosen.predictor(run)
    failed = False
    for file in files:
        try:
            label, confidence = classify(file)
        except DataError as error:
            complain(error)
            failed = True
        else:
            typer.echo(f"{file}\t{label}\t{confidence:.1%}")
    if failed:
        raise typer.Exit(1)
