"""``rnnkit train``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from .. import recipes
from ..errors import ConfigError
from ..recipes.overrides import override
from ..recipes.wording import on_full_disk
from .output import plain_warnings, report

INTERRUPTED = 130
FEW = 10  # rows to judge by, of which one weighs a tenth or more


def train(
    recipe: Annotated[
        str | None, typer.Argument(help="A recipe's name (`rnnkit recipes list`), or a file ./my_recipe.py.")
    ] = None,
    set_: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="FIELD=VALUE", help="Change a setting, as in fit.epochs=3; may be repeated."),
    ] = None,
    out: Annotated[
        Path | None, typer.Option(help="The run folder, new or empty; else the next free runs/RECIPE-N.")
    ] = None,
    seed: Annotated[int | None, typer.Option(help="Same as --set seed=N.")] = None,
    device: Annotated[str | None, typer.Option(help="Same as --set device=NAME: auto, cpu, cuda, cuda:1, mps.")] = None,
    resume: Annotated[
        Path | None,
        typer.Option(metavar="RUN", help="Go on with a run that was stopped, in its folder and with its settings."),
    ] = None,
) -> None:
    """Run a recipe and keep all that came of it in a run folder."""
    from ..recipes import runs

    shorthands = {"seed": seed, "device": device}
    assignments = [*(set_ or []), *(f"{name}={value}" for name, value in shorthands.items() if value is not None)]
    if resume is not None:
        if out is not None:
            raise ConfigError(f"--out {out} arrived with --resume; a run goes on in its own folder, {resume}")
        with plain_warnings():
            _resume(resume, recipe, assignments)
        return
    if recipe is None:
        raise ConfigError("no recipe arrived; name one (`rnnkit recipes list`), or a run to go on with: --resume RUN")
    chosen = override(open_recipe(recipe), assignments)
    with plain_warnings():
        ready = chosen.prepare() if isinstance(chosen, recipes.Preparing) else chosen
        with runs.start(recipe, chosen, out) as folder:
            typer.echo(f"Run folder: {folder}")
            with on_full_disk(folder):
                metrics = ready.run(folder)
    _conclude(folder, metrics)


def _resume(folder: Path, file: str | None, assignments: list[str]) -> None:
    from ..recipes import resuming
    from ..recipes.series import Prepared

    stored = recipe_of(folder, file)
    chosen = override(stored, assignments)
    resuming.check_settings(folder, stored, chosen)
    state = resuming.progress(folder)
    if state.finished and chosen == stored:
        more = f"--set {resuming.length_of(stored)}=N"
        typer.echo(f"{folder} is finished ({state.said}); to train it longer add {more}")
        report(state.test)
        return
    changes = resuming.changes(folder, chosen)
    ready = chosen.prepare() if isinstance(chosen, recipes.Preparing) else chosen
    if isinstance(ready, Prepared):
        ready.check(folder)
    typer.echo(f"Run folder: {folder}")
    typer.echo(f"Going on: {state.said}")
    for line in changes:
        typer.echo(f"Warning: {line}; the weights will not be the same bits as an unbroken run's", err=True)
    resuming.reopen(folder, chosen)
    with on_full_disk(folder):
        metrics = ready.run(folder)
    _conclude(folder, metrics)


def _conclude(folder: Path, metrics: recipes.Metrics | None) -> None:
    from ..recipes.runs import resume_again

    metrics = metrics or {}
    interrupted = metrics.get("stopped") == "interrupted"
    if interrupted:
        typer.echo(
            f"Interrupted; the model as it was then is in {folder}, and `{resume_again(folder)}` goes on",
            err=True,
        )
    report(metrics.get("test", metrics.get("validation", {})))
    judged = metrics.get("rows", {}).get("test" if "test" in metrics else "validation")
    if judged is not None and judged < FEW:
        typer.echo(f"Judged on {judged} {'row' if judged == 1 else 'rows'} alone, which says little", err=True)
    if interrupted:
        raise typer.Exit(INTERRUPTED)


def open_recipe(name: str) -> recipes.Recipe:
    """Returns the recipe of that name, or of that file where the name is a path."""
    if name.endswith(".py") or "/" in name or "\\" in name:
        return recipes.from_file(Path(name))
    return recipes.find(name)()


def trained_recipe_of(run: Path, file: str | None) -> recipes.Recipe:
    """As `recipe_of`, of a run whose model is to be used; a recipe from a file may keep its own in its own way."""
    from ..recipes.runs import check_model

    chosen = recipe_of(run, file)
    if file is None:
        check_model(run)
    return chosen


def recipe_of(run: Path, file: str | None, how: str = "--recipe ") -> recipes.Recipe:
    """Returns the recipe that a run folder was made with, with the settings it had.

    A folder may come from anywhere, so it only names a recipe: a file is executed when the user names it.
    """
    from ..recipes.overrides import restore
    from ..recipes.runs import RECIPE, read_recipe

    stored = read_recipe(run)
    if file is None and stored.name not in recipes.RECIPES:
        raise ConfigError(
            f"{run} was trained from the file {stored.name}; if you trust that file, add {how}{stored.name}"
        )
    try:
        return restore(open_recipe(file or stored.name), stored.settings)
    except ConfigError as error:
        raise ConfigError(f"{run / RECIPE}: {error}") from error
