"""``rnnkit evaluate``."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any

import typer

from .. import recipes
from ..errors import ConfigError
from ..recipes.overrides import override
from .output import plain_warnings, report
from .train import trained_recipe_of

Run = Annotated[Path, typer.Argument(metavar="RUN", help="A run folder, such as runs/mnist.")]
RecipeFile = Annotated[
    str | None,
    typer.Option("--recipe", help="The recipe's file, for a run that was trained from one; it is executed."),
]

Encoding = Annotated[
    str | None,
    typer.Option(help="Of the file, such as gb18030, if it is neither UTF-8 nor as the training data."),
]


def in_encoding(method: Callable[..., Any], encoding: str | None) -> dict[str, Any]:
    """The argument of a recipe's method that reads a file in that encoding, none if none was named."""
    if encoding is None:
        return {}
    if "encoding" not in inspect.signature(method).parameters:
        raise ConfigError(f"--encoding {encoding} arrived, but this run's recipe reads no text files")
    return {"encoding": encoding}


def evaluate(
    run: Run,
    recipe: RecipeFile = None,
    device: Annotated[str | None, typer.Option(help="Where to compute, if not where the run was trained.")] = None,
    data: Annotated[
        Path | None, typer.Option(help="A file of other rows, with the columns of the training data and the answers.")
    ] = None,
    encoding: Encoding = None,
) -> None:
    """Evaluate a run's model on the test set again, or on other data."""
    chosen = trained_recipe_of(run, recipe)
    if device is not None:
        chosen = override(chosen, [f"device={device}"])
    if not isinstance(chosen, recipes.Evaluating):
        raise ConfigError(f"the recipe of {run} has no evaluate(folder), so it cannot be evaluated again")
    more: dict[str, Any] = {}
    if data is not None:
        if "data" not in inspect.signature(chosen.evaluate).parameters:
            raise ConfigError(f"--data {data} arrived, but the recipe of {run} evaluates on its own test set alone")
        more["data"] = data
    more |= in_encoding(chosen.evaluate, encoding)
    with plain_warnings():
        report(chosen.evaluate(run, **more))
