"""``rnnkit quantize``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from ..errors import ConfigError
from ..recipes import Recipe
from .arguments import Encoding, File, RecipeFile, Run, data_request, trained_recipe_of
from .misplaced import check_data, check_run
from .output import plain_warnings

_OUT = typer.Option(help="The new run's folder, new or empty; else RUN-int8, or RUN-int8-2 and so on.")
_DATA = typer.Option(help="Rows with their answers to compare on; else those that the run held out for validation.")


def quantize(
    run: Run,
    file: File = None,
    data: Annotated[Path | None, _DATA] = None,
    out: Annotated[Path | None, _OUT] = None,
    encoding: Encoding = None,
    recipe: RecipeFile = None,
) -> None:
    """Make a run with weights in 8 bits of a trained one, for predictions on the CPU.

    Size, time, figures before and after and what stays float are printed, and kept in quantize.json. The new run takes
    the verbs of the old one but finetune, inspect and export.
    """
    check_run("quantize", run, (file, data), options=("--data",))
    check_data("quantize", run, (file, data), "--data")
    chosen = trained_recipe_of(run, recipe)
    if chosen.model_file != Recipe.model_file:
        raise ConfigError(
            f"{run} is a run of {type(chosen).__name__}, whose model {chosen.model_file} is no network; expected a run "
            "of a recurrent network"
        )
    request = data_request(file, data, encoding)
    if request is not None:
        chosen.require("evaluate", run)

    from ..recipes.quantizing import quantize_run

    with plain_warnings():
        folder, report = quantize_run(run, chosen, out=out, data=request)
    typer.echo(f"Run folder: {folder}")
    for line in report.lines():
        typer.echo(line)
