"""``rnnkit train``."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

import typer

from ..errors import ConfigError, RunFolderError
from ..recipes import Recipe, open_recipe
from ..recipes.wording import on_full_disk
from ..runs import RECIPE, Metrics, folders
from ..runs.data_files import data_names, named_where_refused, note
from ..runs.settings import override
from ..serialization import FILE
from .arguments import (
    Assignments,
    BatchSize,
    Cell,
    Device,
    Epochs,
    Exchanged,
    Hidden,
    Layers,
    Order,
    Out,
    Processes,
    Rate,
    Restarts,
    Seed,
    check_once,
    complete_recipe,
    one_file,
    recipe_of,
    shorthands,
)
from .command import WORDS
from .launch import Launch
from .member import check_restartable, exchange_of, has_begun, in_turn, member, run_folder, say_exchanges
from .misplaced import check_data, check_recipe, check_resumed
from .output import INTERRUPTED, plain_warnings, report
from .standard_input import DASH, NAME

FEW = 10  # test rows, of which one weighs a tenth or more


def train(
    ctx: typer.Context,
    recipe: Annotated[
        str | None,
        typer.Argument(
            help="A recipe's name (`rnnkit recipes list`), or a file ./my_recipe.py.", autocompletion=complete_recipe
        ),
    ] = None,
    file: Annotated[Path | None, typer.Argument(metavar="FILE", help="Same as --data FILE.")] = None,
    data: Annotated[
        Path | None, typer.Option(help="The file or folder to learn from, of recipes that read one.")
    ] = None,
    epochs: Epochs = None,
    batch_size: BatchSize = None,
    lr: Rate = None,
    hidden: Hidden = None,
    layers: Layers = None,
    cell: Cell = None,
    order: Order = None,
    seed: Seed = None,
    device: Device = None,
    set_: Assignments = None,
    out: Out = None,
    resume: Annotated[
        Path | None,
        typer.Option(metavar="RUN", help="Continue a run that was stopped, in its folder and with its settings."),
    ] = None,
    restartable: Annotated[
        bool,
        typer.Option("--restartable", help="Continue the run of --out where it has begun, else begin it there."),
    ] = False,
    processes: Processes = None,
    max_restarts: Restarts = 0,
    exchange: Exchanged = None,
) -> None:
    """Run a recipe and keep the model, figures and pictures in a run folder.

    `rnnkit train RECIPE --help` lists all settings of a recipe.
    """
    if recipe is None and resume is None:
        raise ConfigError("no recipe arrived; name one (`rnnkit recipes list`), or a run to continue: --resume RUN")
    if DASH in (file, data):
        raise ConfigError(
            f"- arrived, which is {NAME}; training reads its data more than once, from a file: type "
            "`cat > mine.txt` in front of it, and name mine.txt"
        )
    if resume is not None and restartable:
        raise ConfigError(f"--restartable arrived with --resume {resume}; expected one of them")
    if resume is not None:
        check_resumed(resume, recipe, (file, data))
    elif recipe is not None:
        check_recipe(recipe, (file, data))
        check_data("train", recipe, (file, data))
    stored = None if resume is None else recipe_of(resume, recipe)
    base = stored if stored is not None else open_recipe(str(recipe))
    short = {
        "--epochs": epochs,
        "--batch-size": batch_size,
        "--lr": lr,
        "--hidden": hidden,
        "--layers": layers,
        "--cell": cell,
        "--order": order,
        "--seed": seed,
        "--device": device,
    }
    path = _data_assignment(base, one_file(file, data), str(recipe))
    options = [*path, *shorthands(base, short)]
    check_once(set_ or [], options)
    chosen = override(base, [*(set_ or []), *options])
    if resume is not None and out is not None:
        raise ConfigError(f"--out {out} arrived with --resume; a run goes on in its own folder, {resume}")
    how = exchange_of(exchange)
    device = str(getattr(chosen, "device", "auto"))
    launched = Launch("train", processes, max_restarts, folders.resume_again)
    if launched.starts(device):
        launched.run(ctx.meta.get(WORDS, ()), str(recipe), out, resume)
        return
    say_exchanges(exchange)
    restartable = check_restartable(out, restartable, resumed=resume is not None)
    with how, member(device, folders.resume_again(resume or out or Path("RUN"))), plain_warnings():
        if resume is not None:
            _resume(resume, base, chosen)
        elif restartable and out is not None and has_begun(out / RECIPE):
            _resume(out, _same(out, str(recipe), chosen), chosen)
        else:
            _begin(str(recipe), chosen, out)


def _begin(name: str, chosen: Recipe, out: Path | None) -> None:
    from .. import runs

    ready = in_turn(chosen.prepare)
    with run_folder(lambda: runs.start(name, chosen, out)) as folder:
        typer.echo(f"Run folder: {folder}")
        for sentence in ready.findings():
            typer.echo(sentence)
        with on_full_disk(folder):
            note(folder, data_names(chosen))
            metrics = ready.run(folder)
    _conclude(folder, chosen, metrics)


def _same(folder: Path, name: str, chosen: Recipe) -> Recipe:
    """Return the recipe of a resumed run if its settings are the same.

    Raises:
        RunFolderError: it is another recipe's.
    """
    from ..runs.folders import read_recipe
    from ..training.distribution.group import is_first_process

    if not is_first_process():
        return chosen
    stored = read_recipe(folder)
    if stored.name != name:
        raise RunFolderError(f"{folder} is a run of {stored.name}, not of {name}; name another folder with --out")
    return recipe_of(folder, None)


def _data_assignment(recipe: Recipe, path: Path | None, name: str) -> list[str]:
    """Return the assignment of the setting that names the training data."""
    if path is None:
        return []
    if recipe.data_setting is None:
        raise ConfigError(
            f"{path} arrived, but the recipe {name} takes no data file: it makes or finds its data itself"
        )
    quoted = '"' + str(path) + '"' if str(path).lower() == "none" else str(path)
    return [f"{recipe.data_setting}={quoted}"]


def _resume(folder: Path, stored: Recipe, chosen: Recipe) -> None:
    from ..runs import resuming
    from ..training.distribution.group import from_first_process, is_first_process

    described, changes = "", []
    if is_first_process():  # the others need not see its disk
        resuming.check_settings(folder, stored, chosen)
        state = resuming.progress(folder, chosen)
        described = state.described
        if state.finished and chosen == stored and (folder / FILE).is_file():
            more = f"--set {resuming.length_of(stored)}=N"
            typer.echo(f"{folder} is finished ({described}); to train it longer add {more}")
            report(state.test)
            from_first_process(False)
            return
        changes = resuming.changes(folder, chosen)
    if not from_first_process(True):
        return
    ready = in_turn(chosen.prepare)
    with run_folder(lambda: _going_on(folder, chosen)) as place:
        ready.check_data(place)
        typer.echo(f"Run folder: {folder}")
        typer.echo(f"Going on: {described}")
        for line in changes:
            typer.echo(f"Warning: {line}; the weights will not be the same bits as an unbroken run's", err=True)
        if is_first_process():
            resuming.reopen(folder, chosen)
        with on_full_disk(place), named_where_refused(place, folder, "train into a new folder"):
            metrics = ready.run(place)
    _conclude(folder, chosen, metrics)


@contextmanager
def _going_on(folder: Path, chosen: Recipe) -> Iterator[Path]:
    """Open the folder of a resumed run."""
    from ..runs.folders import check_complete

    try:
        yield folder
    except OSError:
        check_complete(folder)  # whose error says more
        raise
    check_complete(folder)


def _conclude(folder: Path, recipe: Recipe, metrics: Metrics | None) -> None:
    from ..runs.folders import resume_again

    metrics = metrics or {}
    interrupted = metrics.get("stopped") == "interrupted"
    if interrupted:
        typer.echo(
            f"Interrupted; the model as it was then is in {folder}, and `{resume_again(folder)}` goes on",
            err=True,
        )
    report(metrics.get("test", metrics.get("validation", {})))
    for sentence in metrics.get("summary", []):
        typer.echo(sentence)
    if "verdict" in metrics:
        typer.echo(metrics["verdict"])
    judged = metrics.get("rows", {}).get("test" if "test" in metrics else "validation")
    if judged is not None and judged < FEW:
        typer.echo(f"Judged on {recipe.count_rows(judged)} alone, which says little", err=True)
    if interrupted:
        raise typer.Exit(INTERRUPTED)
