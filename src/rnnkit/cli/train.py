"""``rnnkit train``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from .. import recipes
from ..recipes.overrides import override
from .output import report

INTERRUPTED = 130


def train(
    recipe: Annotated[str, typer.Argument(help="A recipe's name (`rnnkit recipes list`), or a file ./my_recipe.py.")],
    set_: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="FIELD=VALUE", help="Change a setting, as in fit.epochs=3; may be repeated."),
    ] = None,
    out: Annotated[
        Path | None, typer.Option(help="The run folder, new or empty; else the next free runs/RECIPE-N.")
    ] = None,
    seed: Annotated[int | None, typer.Option(help="Same as --set seed=N.")] = None,
    device: Annotated[str | None, typer.Option(help="Same as --set device=NAME: auto, cpu, cuda, cuda:1, mps.")] = None,
) -> None:
    """Run a recipe and keep all that came of it in a run folder."""
    from ..recipes import runs

    chosen = open_recipe(recipe)
    shorthands = {"seed": seed, "device": device}
    assignments = [f"{name}={value}" for name, value in shorthands.items() if value is not None]
    chosen = override(chosen, [*(set_ or []), *assignments])
    with runs.start(recipe, chosen, out) as folder:
        typer.echo(f"Run folder: {folder}")
        metrics = chosen.run(folder) or {}
    interrupted = metrics.get("stopped") == "interrupted"
    if interrupted:
        typer.echo(f"Interrupted; the model as it was then is in {folder}", err=True)
    report(metrics.get("test", {}))
    if interrupted:
        raise typer.Exit(INTERRUPTED)


def open_recipe(name: str) -> recipes.Recipe:
    """Returns the recipe of that name, or of that file where the name is a path."""
    if name.endswith(".py") or "/" in name or "\\" in name:
        return recipes.from_file(Path(name))
    return recipes.find(name)()
