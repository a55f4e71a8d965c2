"""``rnnkit finetune``."""

from __future__ import annotations

import json
from collections.abc import Container, Iterable, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ..errors import ConfigError
from ..recipes import DataRequest
from ..recipes.wording import on_full_disk
from ..runs.data_files import named_where_refused, note
from ..runs.files import ENDED
from ..runs.folders import finetune_again, is_tuned, mark_tuned, resume_again
from ..runs.settings import override
from ..runs.settings import settings as known_settings
from ..serialization import STATE
from .arguments import (
    Assignments,
    BatchSize,
    Device,
    Encoding,
    Epochs,
    Exchanged,
    File,
    Out,
    Processes,
    Rate,
    RecipeFile,
    Restarts,
    Seed,
    check_once,
    data_request,
    recipe_of,
    shorthands,
    trained_recipe_of,
    with_target_path,
)
from .command import WORDS
from .launch import Launch
from .member import check_restartable, exchange_of, has_begun, member, run_folder, say_exchanges
from .misplaced import check_data, check_run
from .output import INTERRUPTED, plain_warnings

if TYPE_CHECKING:
    from ..recipes import Recipe
    from ..recipes.finetuning import FineTune, FineTuneWork
    from ..training.history import History


def finetune(
    ctx: typer.Context,
    run: Annotated[Path | None, typer.Argument(metavar="RUN", help="A run folder, such as runs/mnist.")] = None,
    file: File = None,
    data: Annotated[
        Path | None, typer.Option(help="What to learn: a file or folder like the one the run was trained on.")
    ] = None,
    task: Annotated[
        str | None,
        typer.Option(
            help="What a pretrained network shall learn: classify (language models, series), regress or forecast "
            "(series); then --set data.NAME=VALUE is its data, and --set horizon=N of a forecast."
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
        typer.Option(
            metavar="RUN", help="Continue a fine-tuning that was stopped, in its folder and with its settings."
        ),
    ] = None,
    restartable: Annotated[
        bool,
        typer.Option(
            "--restartable", help="Continue the fine-tuning of --out where it has begun, else begin it there."
        ),
    ] = False,
    processes: Processes = None,
    max_restarts: Restarts = 0,
    exchange: Exchanged = None,
) -> None:
    """Train a run's model on new data, in a run folder of its own; report what was learned and what was lost."""
    from .. import runs

    how, launched = exchange_of(exchange), Launch("finetune", processes, max_restarts, finetune_again)
    if resume is not None:
        named: dict[str, object] = {"--data": data, "--task": task, "--out": out, "--encoding": encoding}
        named |= {"--epochs": epochs, "--batch-size": batch_size, "--lr": lr, "--seed": seed}
        others = [str(one) for one in (run, file) if one is not None]
        others += [f"{name} {value}" for name, value in named.items() if value is not None]
        others += [f"--set {one}" for one in set_ or ()] + ["--restartable"] * restartable
        if others:
            raise ConfigError(
                f"{others[0]} arrived with --resume {resume}; a fine-tuning goes on with its own run, data and "
                "settings, in its own folder"
            )
        with how:
            _resume(resume, recipe, device, launched, ctx.meta.get(WORDS, ()))
        return
    if run is None:
        raise ConfigError("no run arrived; name the run and what to learn: `rnnkit finetune RUN FILE`")
    check_run("finetune", run, (file, data))
    check_data("finetune", run, (file, data))
    request = data_request(file, data, encoding)
    if request is None:
        raise ConfigError(f"no data arrived; name what to learn: `rnnkit finetune {run} FILE`")
    short = {"--epochs": epochs, "--batch-size": batch_size, "--lr": lr, "--seed": seed, "--device": device}
    stored = chosen = trained_recipe_of(run, recipe)
    _refuse_quantized(run)
    assignments, name = set_ or [], runs.read_recipe(run).name
    if task is None:
        request, assignments = with_target_path(request, chosen, assignments)
        assert request is not None
        defaults = chosen.require("finetune", run).fine_tune_defaults()
        _refuse_reading(assignments, known_settings(chosen), known_settings(defaults))
    else:
        name, chosen = chosen.successor(task, request)
        defaults = chosen.transfer_defaults()
        own = {name for name in known_settings(chosen) if name.startswith("data.") or "." not in name}
        own -= set(known_settings(defaults))
        of_task = [one for one in assignments if one.partition("=")[0].strip() in own or one.startswith("data.")]
        chosen = override(chosen, of_task)
        assignments = [one for one in assignments if one not in of_task]
    options = shorthands(defaults, short)
    check_once(assignments, options)
    settings = override(defaults, [*assignments, *options])
    if launched.starts(settings.device):
        launched.run(ctx.meta.get(WORDS, ()), name, out, None)
        return
    say_exchanges(exchange)
    restartable = check_restartable(out, restartable, resumed=False)
    facts = {"from": str(run), "sha256": _digest(run, stored), "data": str(request.path), "settings": asdict(settings)}
    facts |= {} if task is None else {"task": task}
    facts |= {} if encoding is None else {"encoding": encoding}
    if request.target_path is not None:
        facts["target_path"] = str(request.target_path)
    with how, member(settings.device, finetune_again(Path("RUN") if out is None else out)), plain_warnings():
        begun = restartable and out is not None and has_begun(out / runs.FINETUNE)
        if begun and _is_over(out, facts):
            return
        if begun and out is not None and (out / STATE).is_file():
            _tell_progress(out, settings)
        job = _job(chosen, run, task, request, settings)
        with run_folder(lambda: runs.start(name, chosen, out, finetune=facts, again=begun)) as folder:
            history = _run(job, settings, folder, out or folder, request)
        _conclude(folder, history)


def _refuse_reading(assignments: Iterable[str], of_run: Container[str], of_tuning: Container[str]) -> None:
    """Raise ConfigError for a setting of how the run's own data was read, which a fine-tuning keeps."""
    for one in assignments:
        name = one.partition("=")[0].strip()
        if name.startswith("data.") and name in of_run and name not in of_tuning:
            raise ConfigError(
                f"{one} arrived; new data is read as the run's own was: leave {name} out, and write the data in that "
                "form, with the same names of columns"
            )


def _refuse_quantized(run: Path) -> None:
    """Raise ConfigError for a run whose model has weights in 8 bits, and name the run that it was made from."""
    from ..recipes.quantizing import REPORT, quantized_run

    if (run / REPORT).is_file():
        raise quantized_run(run, "be trained", "rnnkit finetune {} FILE")


def _is_over(folder: Path | None, facts: Mapping[str, Any]) -> bool:
    """Return whether the fine-tuning of a folder is finished, as the first process sees it, and say so.

    Raises:
        RunFolderError: it is another fine-tuning than the one that was typed.
    """
    from ..errors import RunFolderError
    from ..runs import FINETUNE, read_facts
    from ..training.distribution.group import from_first_process, is_first_process

    assert folder is not None
    over = False
    if is_first_process():
        begun = {name: one for name, one in read_facts(folder / FINETUNE).items() if name != ENDED}
        if begun != json.loads(json.dumps(facts)):
            raise RunFolderError(
                f"{folder} began as another fine-tuning; name another folder with --out, or type what it began with"
            )
        over = is_tuned(folder)
        if over:
            typer.echo(f"{folder} is finished; to learn more fine-tune it: `rnnkit finetune {folder} FILE`")
    return bool(from_first_process(over))


def _run(job: FineTuneWork, settings: FineTune, folder: Path, run: Path, request: DataRequest) -> History:
    """Fine-tune in a folder, which is that of the run or has copies of its small files."""
    from ..runs import REPORT
    from ..training.distribution.group import is_first_process

    (folder / REPORT).unlink(missing_ok=True)  # of a run that was interrupted: it is not the one of the results to come
    typer.echo(f"Run folder: {folder}")
    for sentence in job.findings():
        typer.echo(sentence)
    instead = "fine-tune into a new folder"
    with on_full_disk(folder), named_where_refused(folder, run, instead):
        note(folder, [str(one) for one in (request.path, request.target_path) if one is not None])
        history = job.run(settings, folder)
        if history.stopped != "interrupted" and is_first_process():
            mark_tuned(folder)
    return history


def _conclude(folder: Path, history: History) -> None:
    interrupted = history.stopped == "interrupted"
    if interrupted:
        again = finetune_again(folder)
        then = "goes on" if "--resume" in again else "begins anew"
        typer.echo(f"Interrupted; the model as it was then is in {folder}; `{again}` {then}", err=True)
    if history.report is not None:  # of a job of the user's own there may be none
        typer.echo(str(history.report))
    if interrupted:
        raise typer.Exit(INTERRUPTED)


def _resume(folder: Path, recipe: str | None, device: str | None, launched: Launch, typed: Sequence[str]) -> None:
    """Resume a fine-tuning that was stopped, with the same bits as an unbroken one."""
    from ..runs.folders import check_complete
    from ..runs.settings import restore

    check_run("finetune --resume", folder)
    _refuse_quantized(folder)
    facts = _facts_of_stopped(folder)
    source, task = Path(str(facts["from"])), facts.get("task")
    if not source.is_dir():
        raise ConfigError(
            f"{folder} began with the run {source}, which does not exist; put it back, or go to where it was typed"
        )
    trained = trained_recipe_of(source, recipe)
    _check_source(folder, source, trained, facts)
    # What another task learns from is in the settings of its recipe.
    chosen = trained.require("finetune", source) if task is None else recipe_of(folder, None)
    settings = restore(chosen.fine_tune_defaults() if task is None else chosen.transfer_defaults(), facts["settings"])
    settings = override(settings, shorthands(settings, {"--device": device}))
    if launched.starts(settings.device):
        launched.run(typed, source.name, None, folder)
        return
    with member(settings.device, finetune_again(folder)), plain_warnings():
        target = None if facts.get("target_path") is None else Path(str(facts["target_path"]))
        request = DataRequest(Path(str(facts["data"])), facts.get("encoding"), target)
        job = _job(chosen, source, task, request, settings)
        with run_folder(lambda: nullcontext(folder)) as place:
            _tell_progress(folder, settings)
            history = _run(job, settings, place, folder, request)
        check_complete(folder)
        _conclude(folder, history)


def _job(chosen: Recipe, source: Path, task: str | None, request: DataRequest, settings: FineTune) -> FineTuneWork:
    """Return what a run's model should learn, read and checked."""
    job = chosen.fine_tune_job(source, request, settings) if task is None else chosen.transfer_job(source, settings)
    job.check(settings)
    return job


def _facts_of_stopped(folder: Path) -> dict[str, Any]:
    """Return what a fine-tuning was begun with.

    Raises:
        ConfigError: there is no such folder, it holds none, or one that is finished or kept no state.
    """
    from ..runs import FINETUNE, read_facts

    if not folder.is_dir():
        raise ConfigError(f"{folder} does not exist; expected the folder of a fine-tuning that was stopped")
    facts = read_facts(folder / FINETUNE)
    if not {"from", "data", "settings"} <= set(facts):
        raise ConfigError(f"{folder} began as no fine-tuning; to go on with its training type `{resume_again(folder)}`")
    if is_tuned(folder):
        raise ConfigError(f"{folder} is finished; to learn more fine-tune it: `rnnkit finetune {folder} FILE`")
    again = finetune_again(folder)
    if "--resume" not in again:
        raise ConfigError(f"{folder} cannot be resumed: no state is kept; `{again}` begins anew")
    return facts


def _check_source(folder: Path, source: Path, recipe: Recipe, facts: Mapping[str, Any]) -> None:
    """Raise ConfigError where the run that a fine-tuning began with has another model now."""
    if facts.get("sha256") not in (None, _digest(source, recipe)):
        raise ConfigError(
            f"{source} has another model now than the one that {folder} began with; fine-tune it into a new folder: "
            f"`rnnkit finetune {source} --data {facts['data']} --out NEW`"
        )


def _digest(run: Path, recipe: Recipe) -> str | None:
    """Return the digest of a run's model; None where a recipe of the user stores its model in another file."""
    from ..runs.data_files import digest_file

    file = run / recipe.model_file
    return digest_file(file) if file.is_file() else None


def _tell_progress(folder: Path, settings: FineTune) -> None:
    """Say how far a fine-tuning has come, and what has changed since it began."""
    from ..runs import resuming
    from ..training.distribution.group import is_first_process

    if not is_first_process():  # the others need not see its disk
        return
    typer.echo(f"Going on: {resuming.progress(folder).described}")
    for line in resuming.changes(folder, settings):
        typer.echo(f"Warning: {line}; the weights will not be the same bits as an unbroken run's", err=True)
