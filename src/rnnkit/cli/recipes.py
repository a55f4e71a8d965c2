"""``rnnkit recipes list | show | copy``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from .. import recipes
from ..errors import RunFolderError
from ..recipes.overrides import describe, settings, show

app = typer.Typer(help="See the recipes, their settings, and take one to change.", no_args_is_help=True)

Name = Annotated[str, typer.Argument(help="A recipe's name.")]


@app.command("list")
def list_() -> None:
    """List the recipes."""
    width = max(map(len, recipes.RECIPES))
    for name in recipes.RECIPES:
        typer.echo(f"{name:{width}}  {recipes.summary(name)}")


@app.command("show")
def show_(name: Name) -> None:
    """Show a recipe's settings, as --set takes them, and what each may be."""
    found = settings(recipes.find(name)())
    lines = {field: f"{field}={show(setting.value)}" for field, setting in found.items()}
    width = max(map(len, lines.values()))
    for field, line in lines.items():
        typer.echo(f"{line:{width}}  {describe(found[field].annotation)}")


@app.command("copy")
def copy(
    name: Name,
    file: Annotated[Path | None, typer.Argument(help="The file to write; else NAME.py here.")] = None,
) -> None:
    """Write a recipe's source to a file of your own, to be changed and run with `rnnkit train ./FILE`."""
    text = recipes.source(name)
    file = file or Path(f"{name}.py")
    try:
        with file.open("x", encoding="utf-8") as opened:  # never over another file
            opened.write(text)
    except FileExistsError:
        raise RunFolderError(f"{file} exists; name another file: rnnkit recipes copy {name} FILE") from None
    except OSError as error:
        raise RunFolderError(f"{file} cannot be written ({error.strerror}); name another file") from None
    where = file if file.is_absolute() else f"./{file}"
    typer.echo(f"Wrote {file}; run it with: rnnkit train {where}")
