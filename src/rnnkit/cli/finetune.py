"""``rnnkit finetune``."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ..errors import ConfigError
from ..recipes import DataRequest
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
    Seed,
    check_once,
    data_request,
    shorthands,
    trained_recipe_of,
    with_target_path,
)
from .misplaced import check_data, check_run
from .output import INTERRUPTED, plain_warnings

if TYPE_CHECKING:
    from ..recipes.finetuning import FineTune, FineTuneWork
    from ..training.history import History


def finetune(
    run: Annotated[Path | None, typer.Argument(metavar="[RUN]", help="A run folder, such as runs/mnist.")] = None,
    file: File = None,
    data: Annotated[
        Path | None, typer.Option(help="What to learn: a file or folder like the one the run was trained on.")
    ] = None,
    task: Annotated[
        str | None,
        typer.Option(
            help="What a pretrained network shall learn: classify (language models, series) or regress (series); then "
            "--set data.NAME=VALUE is its data."
        ),
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
    resume: Annotated[
        Path | None,
        typer.Option(metavar="RUN", help="Continue a fine-tuning of forecasts that was stopped, in its folder."),
    ] = None,
) -> None:
    """Train a run's model on new data, in a run folder of its own; report what was learned and what was lost."""
    from .. import runs

    if resume is not None:
        given = (run, file, data, task, epochs, batch_size, lr, seed, *(set_ or ()), out, encoding)
        others = [one for one in given if one is not None]
        if others:
            raise ConfigError(
                f"{others[0]} arrived with --resume {resume}; a fine-tuning goes on with its own run, data and "
                "settings, in its own folder"
            )
        _resume(resume, recipe, device)
        return
    if run is None:
        raise ConfigError("no run arrived; name the run and what to learn: `rnnkit finetune RUN FILE`")
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
        facts |= {} if encoding is None else {"encoding": encoding}
        if request.target_path is not None:
            facts["target_path"] = str(request.target_path)
        with runs.start(name, chosen, out, finetune=facts) as folder:
            history = _run(job, settings, folder)
    _conclude(folder, history)


def _run(job: FineTuneWork, settings: FineTune, folder: Path) -> History:
    typer.echo(f"Run folder: {folder}")
    for sentence in job.findings():
        typer.echo(sentence)
    return job.run(settings, folder)


def _conclude(folder: Path, history: History) -> None:
    from ..runs.folders import finetune_again

    interrupted = history.stopped == "interrupted"
    if interrupted:
        again = finetune_again(folder)
        then = "goes on" if "--resume" in again else "begins anew"
        typer.echo(f"Interrupted; the model as it was then is in {folder}; `{again}` {then}", err=True)
    typer.echo(str(history.report))
    if interrupted:
        raise typer.Exit(INTERRUPTED)


def _resume(folder: Path, recipe: str | None, device: str | None) -> None:
    """Go on with a fine-tuning that was stopped, to the bits of an unbroken one."""
    from ..runs import FINETUNE, METRICS, read_facts
    from ..runs.folders import check_complete, finetune_again, resume_again
    from ..runs.settings import restore

    check_run("finetune --resume", folder)
    facts = read_facts(folder / FINETUNE)
    if not {"from", "data", "settings"} <= set(facts):
        raise ConfigError(f"{folder} began as no fine-tuning; to go on with its training type `{resume_again(folder)}`")
    stopped = read_facts(folder / METRICS).get("stopped")
    if stopped is not None and stopped != "interrupted":
        raise ConfigError(f"{folder} is finished; to learn more fine-tune it: `rnnkit finetune {folder} FILE`")
    source = Path(str(facts["from"]))
    chosen = trained_recipe_of(source, recipe).require("finetune", source)
    settings = restore(chosen.fine_tune_defaults(), facts["settings"])
    settings = override(settings, shorthands(settings, {"--device": device}))
    with plain_warnings():
        job = chosen.fine_tune_job(source, DataRequest(Path(str(facts["data"])), facts.get("encoding")), settings)
        if not job.resumable:
            raise ConfigError(f"{folder} cannot be resumed: no state is kept; `{finetune_again(folder)}` begins anew")
        job.check(settings)
        history = _run(job, settings, folder)
    check_complete(folder)
    _conclude(folder, history)
