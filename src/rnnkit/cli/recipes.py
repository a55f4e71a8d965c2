"""``rnnkit recipes list | show | copy``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from .. import recipes
from ..errors import RunFolderError
from .arguments import complete_recipe
from .command import Verb, Verbs, setting_lines

app = typer.Typer(cls=Verbs, help="See the recipes, their settings, and take one to change.", no_args_is_help=True)

Name = Annotated[str, typer.Argument(help="A recipe's name.", autocompletion=complete_recipe)]


@app.command("list", cls=Verb)
def list_() -> None:
    """List the recipes."""
    width = max(map(len, recipes.RECIPES))
    for name in recipes.RECIPES:
        typer.echo(f"{name:{width}}  {recipes.summary(name)}")


@app.command("show", cls=Verb)
def show_(
    name: Annotated[
        str, typer.Argument(help="A recipe's name, or a file ./my_recipe.py.", autocompletion=complete_recipe)
    ],
) -> None:
    """Show a recipe's settings as --set takes them: default, what each may be, and what it means."""
    for line in setting_lines(recipes.open_recipe(name)):
        typer.echo(line)


@app.command("copy", cls=Verb)
def copy(
    name: Name,
    file: Annotated[Path | None, typer.Argument(help="The file to write; else NAME.py here.")] = None,
) -> None:
    """Write a recipe's source to a file of your own, to be changed and run with `rnnkit train ./FILE`."""
    text = recipes.source_text(name)
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
