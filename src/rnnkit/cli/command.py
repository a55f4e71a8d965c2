"""Verbs as typer runs them: their help lists the settings, and mistakes are answered with what to type."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from dataclasses import is_dataclass
from pathlib import Path
from typing import Any

import typer
import typer.core

from ..errors import ConfigError, RnnkitError
from ..recipes import RECIPES, open_recipe
from ..runs.settings import SYNONYMS, settings, show
from .arguments import TARGET_PATH, recipe_of, short_option_of
from .output import complain
from .usage import UsageError, is_unknown_option, mistake, unknown_verb

WORDS = "rnnkit.words"  # what was typed, in the context of a command
# What users of other tools type → the option here.
_OPTIONS = {
    "learning-rate": "--lr",
    "epoch": "--epochs",
    "n-epochs": "--epochs",
    "num-epochs": "--epochs",
    "max-iter": "--epochs",
    "batch": "--batch-size",
    "bs": "--batch-size",
    "hidden-size": "--hidden",
    "hidden-units": "--hidden",
    "units": "--hidden",
    "num-layers": "--layers",
    "n-layers": "--layers",
    "random-state": "--seed",
    "gpu": "--device cuda",
    "cuda": "--device cuda",
    "cpu": "--device cpu",
    "output": "--out",
    "output-dir": "--out",
    "out-dir": "--out",
    "save": "--out",
    "file": "--data",
    "path": "--data",
    "input": "--data",
    "csv": "--data",
    "length": "--max-tokens",
    "max-length": "--max-tokens",
    "max-new-tokens": "--max-tokens",
    "num-tokens": "--max-tokens",
    "n-tokens": "--max-tokens",
    "temp": "--temperature",
    "topk": "--top-k",
    "topp": "--top-p",
    "nucleus": "--top-p",
    "repeat-penalty": "--repetition-penalty",
    "stop-string": "--stop",
    "num-return-sequences": "--count",
    "num-samples": "--count",
    "start": "--prompt",
    "beam": "--width",
    "beams": "--width",
    "beam-size": "--width",
    "beam-width": "--width",
    "num-beams": "--width",
    "alpha": "--length-penalty",
    "plot": "--attention",
    "test": "--set data.test=FILE",
    "target": "--set data.target=COLUMN",
    "label": "--set data.label=COLUMN",
}


class Verbs(typer.core.TyperGroup):
    """A group of verbs; rnnkit's own errors become a message, and all others keep their traceback."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        words = list(args)
        try:
            return super().parse_args(ctx, args)
        except UsageError as error:
            if not words:  # then the error is the help
                raise
            complain(mistake(error, ctx, words))
            raise typer.Exit(2) from error

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:
        try:
            return super().resolve_command(ctx, args)
        except UsageError as error:
            recipes = list(RECIPES) if ctx.parent is None else []
            raise unknown_verb(args[0], ctx, self.list_commands(ctx), recipes) from error

    def invoke(self, ctx: Any) -> Any:
        try:
            return super().invoke(ctx)
        except RnnkitError as error:
            if os.environ.get("RNNKIT_DEBUG", "0") not in ("", "0"):
                raise
            complain(error)
            raise typer.Exit(2) from error


class Verb(typer.core.TyperCommand):
    """A verb whose unknown options are answered with the option or setting that is meant."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        words = ctx.meta[WORDS] = list(args)
        try:
            rest: list[str] = super().parse_args(ctx, args)
        except UsageError as error:
            meant = self._meant(ctx, error.option_name) if is_unknown_option(error) else None
            raise mistake(error, ctx, words, meant) from error
        self._check_paths(ctx, words)
        return rest

    def _check_paths(self, ctx: Any, words: Sequence[str]) -> None:
        """Raise ConfigError for an empty path, which would be the current folder."""
        typed, *_ = self.make_parser(ctx).parse_args(list(words))
        for parameter in self.params:
            value, text = ctx.params.get(parameter.name), typed.get(parameter.name)
            values, texts = (one if isinstance(one, list | tuple) else [one] for one in (value, text))
            if "" in texts and any(isinstance(one, Path) for one in values):
                what = next(
                    (one for one in parameter.opts if one.startswith("-")), parameter.metavar or parameter.name.upper()
                )
                raise ConfigError(f"{what} '' arrived; expected a path, or . for the current folder")

    def _meant(self, ctx: Any, option: str) -> str | None:
        name = option.lstrip("-").replace("_", "-")
        has = {one for parameter in self.params for one in parameter.opts}
        meant = f"--{name}" if f"--{name}" in has else _OPTIONS.get(name)
        if meant is not None and meant.split()[0] in has:
            first, _, assignment = meant.partition(" ")
            if first != "--set" or assignment.partition("=")[0] in self.known_settings(ctx):
                return meant
        last = SYNONYMS.get(name.replace("-", "_"), name.replace("-", "_"))
        known = [one for one in self.known_settings(ctx) if one.rpartition(".")[2] == last]
        return f"--set {known[0]}=VALUE" if known else None

    def known_settings(self, ctx: Any) -> list[str]:
        """Return the names of the settings that --set takes."""
        recipe = self.settings_of(ctx)
        return list(settings(recipe)) if is_dataclass(recipe) else []

    def settings_of(self, ctx: Any) -> Any:
        """Return the recipe, or another dataclass, whose settings the verb changes; None for none."""
        return None

    def format_help(self, ctx: Any, formatter: Any) -> None:
        super().format_help(ctx, formatter)
        recipe = self.settings_of(ctx)
        if is_dataclass(recipe):
            typer.echo("\n Settings, each changed by --set FIELD=VALUE:\n")
            for line in setting_lines(recipe):
                typer.echo(f"  {line}")


class Train(Verb):
    """The verb train: settings are those of the recipe that is named."""

    def settings_of(self, ctx: Any) -> Any:
        for word in ctx.meta.get(WORDS, ()):
            if word in RECIPES or word.endswith(".py"):
                try:
                    return open_recipe(word)
                except RnnkitError:
                    return None
        return None


class DataVerb(Verb):
    """A verb of runs whose one setting is the second of two parallel files."""

    def known_settings(self, ctx: Any) -> list[str]:
        return [TARGET_PATH]


class FineTuneVerb(Verb):
    """The verb finetune: settings are those of the run that is named, else those that most runs have."""

    def known_settings(self, ctx: Any) -> list[str]:
        return [*super().known_settings(ctx), TARGET_PATH]

    def settings_of(self, ctx: Any) -> Any:
        from ..recipes.finetuning import FineTune
        from .misplaced import kind_of

        for word in ctx.meta.get(WORDS, ()):
            if not word.startswith("-") and kind_of(Path(word)) == "run":
                try:
                    return recipe_of(Path(word), None).fine_tune_defaults()
                except RnnkitError:
                    break
        return FineTune()


def setting_lines(recipe: Any) -> Iterator[str]:
    """Give two lines for each setting: ``name=default`` with what it takes, and below its meaning."""
    found = settings(recipe)
    names: Sequence[str] = list(found)
    lines = {name: f"{name}={show(setting.value)}" for name, setting in found.items()}
    width = max(map(len, lines.values()), default=0)
    for name, setting in found.items():
        yield f"{lines[name]:{width}}  {setting.accepted()}"
        option = short_option_of(name, names)
        parts = (setting.meaning, f"Same as {option}." if option is not None else "")
        meaning = " ".join(part for part in parts if part)
        if meaning:
            yield f"    {meaning}"
