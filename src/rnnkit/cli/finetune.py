"""``rnnkit finetune``."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from ..errors import ConfigError
from ..runs.settings import override
from .arguments import (
    Assignments,
    BatchSize,
    Device,
    Encoding,
    Epochs,
    File,
    Out,
    Rate,
    RecipeFile,
    Run,
    Seed,
    check_once,
    data_request,
    shorthands,
    trained_recipe_of,
    with_target_path,
)
from .misplaced import check_data, check_run
from .output import INTERRUPTED, plain_warnings


def finetune(
    run: Run,
    file: File = None,
    data: Annotated[
        Path | None, typer.Option(help="What to learn: a file or folder like the one the run was trained on.")
    ] = None,
    task: Annotated[
        str | None,
        typer.Option(help="classify: make a classifier of a language model; then --set data.NAME=VALUE is its data."),
    ] = None,
    epochs: Epochs = None,
    batch_size: BatchSize = None,
    lr: Rate = None,
    seed: Seed = None,
    device: Device = None,
    set_: Assignments = None,
    out: Out = None,
    encoding: Encoding = None,
    recipe: RecipeFile = None,
) -> None:
    """Train a run's model on new data, in a run folder of its own; report what was learned and what was lost."""
    from .. import runs
    from ..runs.folders import finetune_again

    check_run("finetune", run, (file, data))
    check_data("finetune", run, (file, data))
    request = data_request(file, data, encoding)
    if request is None:
        raise ConfigError(f"no data arrived; name what to learn: `rnnkit finetune {run} FILE`")
    short = {"--epochs": epochs, "--batch-size": batch_size, "--lr": lr, "--seed": seed, "--device": device}
    stored, chosen = runs.read_recipe(run), trained_recipe_of(run, recipe)
    assignments, name = set_ or [], stored.name
    if task is None:
        request, assignments = with_target_path(request, chosen, assignments)
        assert request is not None
        defaults = chosen.require("finetune", run).fine_tune_defaults()
    else:
        name, chosen = chosen.successor(task, request)
        chosen = override(chosen, [one for one in assignments if one.startswith("data.")])
        assignments = [one for one in assignments if not one.startswith("data.")]
        defaults = chosen.transfer_defaults()
    options = shorthands(defaults, short)
    check_once(assignments, options)
    settings = override(defaults, [*assignments, *options])
    with plain_warnings():
        job = chosen.fine_tune_job(run, request, settings) if task is None else chosen.transfer_job(run, settings)
        job.check(settings)
        facts = {"from": str(run), "data": str(request.path), "settings": asdict(settings)}
        if request.target_path is not None:
            facts["target_path"] = str(request.target_path)
        with runs.start(name, chosen, out, finetune=facts) as folder:
            typer.echo(f"Run folder: {folder}")
            history = job.run(settings, folder)
    interrupted = history.stopped == "interrupted"
    if interrupted:
        again = finetune_again(folder)
        typer.echo(f"Interrupted; the model as it was then is in {folder}; `{again}` begins anew", err=True)
    typer.echo(str(history.report))
    if interrupted:
        raise typer.Exit(INTERRUPTED)
