"""``rnnkit finetune``."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from .. import recipes
from ..errors import ConfigError
from ..recipes.overrides import override
from .evaluate import Encoding, RecipeFile, Run, in_encoding
from .output import plain_warnings
from .train import INTERRUPTED, trained_recipe_of


def finetune(
    run: Run,
    data: Annotated[Path, typer.Option(help="What to learn: a file or folder like the one the run was trained on.")],
    set_: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="FIELD=VALUE", help="Change a setting, as in epochs=3, rank=8 or replay=none."),
    ] = None,
    out: Annotated[
        Path | None, typer.Option(help="The new run's folder, new or empty; else the next free runs/RECIPE-N.")
    ] = None,
    seed: Annotated[int | None, typer.Option(help="Same as --set seed=N.")] = None,
    device: Annotated[str | None, typer.Option(help="Same as --set device=NAME: auto, cpu, cuda, cuda:1, mps.")] = None,
    recipe: RecipeFile = None,
    encoding: Encoding = None,
) -> None:
    """Teach a trained run something new, in a run folder of its own; report what was learned and what was lost."""
    from ..finetuning.freeze import matching
    from ..recipes import runs
    from ..recipes.finetuning import FineTune, learn

    shorthands = {"seed": seed, "device": device}
    assignments = [f"{name}={value}" for name, value in shorthands.items() if value is not None]
    settings = override(FineTune(), [*(set_ or []), *assignments])
    stored, chosen = runs.read_recipe(run), trained_recipe_of(run, recipe)
    if not isinstance(chosen, recipes.FineTuning):
        raise ConfigError(f"the recipe of {run} has no lesson(...), so its runs cannot be fine-tuned")
    more = in_encoding(chosen.lesson, encoding)
    with plain_warnings():
        lesson = chosen.lesson(run, data, settings, **more)
        matching(lesson.learner.model, settings.freeze)  # a name that means nothing is refused before there is a folder
        facts = {"from": str(run), "data": str(data), "settings": asdict(settings)}
        with runs.start(stored.name, chosen, out, finetune=facts) as folder:
            typer.echo(f"Run folder: {folder}")
            history = learn(lesson, settings, folder)
    interrupted = history.stopped == "interrupted"
    if interrupted:
        again = runs.finetune_again(folder)
        typer.echo(f"Interrupted; the model as it was then is in {folder}; `{again}` begins anew", err=True)
    typer.echo(str(history.report))
    if interrupted:
        raise typer.Exit(INTERRUPTED)
