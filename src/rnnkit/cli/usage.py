"""Mistakes in the words of a command, which click and typer find: what arrived, and what to type instead.

Classes of errors are recognised by their attributes: typer brings its own copy of click, or depends on click.
"""

from __future__ import annotations

import difflib
import shlex
from collections.abc import Sequence
from typing import Any

import typer

from ..errors import ConfigError

UsageError: Any = typer.BadParameter.__mro__[1]
# What messages of click and typer call a number, what is expected then, and an example.
_NUMBERS = (("integer",), "a whole number", "3"), (("number", "float"), "a number", "0.5")


def is_unknown_option(error: Any) -> bool:
    """Return whether an error is about an option that the verb does not have."""
    return hasattr(error, "possibilities")


def mistake(error: Any, ctx: Any, words: Sequence[str], meant: str | None = None) -> ConfigError:
    """Return the error about the words of a verb as one of rnnkit's, which says what to type.

    Args:
        error: a `UsageError` of click.
        ctx: the context of the verb.
        words: what stands behind the verb.
        meant: what is meant by an unknown option, where that is known.
    """
    parameter = getattr(error, "param", None)
    if is_unknown_option(error):
        return _unknown_option(error.option_name, ctx, meant)
    if hasattr(error, "param_type"):  # something is missing
        name = "value" if parameter is None else _name(parameter)
        return ConfigError(f"no {name} arrived; {_line_and_help(ctx)}")
    if hasattr(error, "option_name"):  # a value is missing, or too much
        return _value_problem(error.option_name, ctx)
    if parameter is not None:
        return _refused_value(error, parameter, words)
    return ConfigError(f"{_sentence(error.format_message())}; {_line_and_help(ctx)}")


def unknown_verb(word: str, ctx: Any, known: Sequence[str], recipes: Sequence[str] = ()) -> ConfigError:
    """Return the error about a verb that does not exist.

    Args:
        word: what was typed in its place.
        ctx: the context of the group of verbs.
        known: the verbs.
        recipes: names that stand behind the verb train.
    """
    problem = f"there is no `{_command(ctx)} {word}`"
    if word in recipes:
        return ConfigError(f"{problem}, and {word} is a recipe; type `{_command(ctx)} train {word}`")
    near = difflib.get_close_matches(word, known, n=1)
    if near:
        return ConfigError(f"{problem}; did you mean `{_command(ctx)} {near[0]}`?")
    return ConfigError(f"{problem}; expected one of {', '.join(known)}: `{_command(ctx)} --help` says what each does")


def _unknown_option(option: str, ctx: Any, meant: str | None) -> ConfigError:
    if meant is None:
        known = {name.strip("-"): name for parameter in _options(ctx) for name in parameter.opts}
        near = difflib.get_close_matches(option.strip("-"), known, n=1)
        meant = known[near[0]] if near else None
    if meant is not None:
        return ConfigError(f"there is no option {option}; did you mean {meant}?")
    return ConfigError(f"there is no option {option}; `{_command(ctx)} --help` lists the options")


def _value_problem(option: str, ctx: Any) -> ConfigError:
    for parameter in _options(ctx):
        if option in (*parameter.opts, *parameter.secondary_opts):
            if getattr(parameter, "is_flag", False):
                return ConfigError(f"{option} arrived with a value; it takes none: type {option}")
            return ConfigError(f"{option} arrived without its value; type {option} {_value(parameter)}")
    return ConfigError(f"{option} arrived in a way that it does not take; `{_command(ctx)} --help` says what it takes")


def _refused_value(error: Any, parameter: Any, words: Sequence[str]) -> ConfigError:
    option, name = parameter.param_type_name == "option", _name(parameter)
    arrived = _typed_value(parameter.opts, words) if option else None
    said = name if arrived is None else f"{name} {shlex.quote(arrived)}"
    for kinds, expected, example in _NUMBERS:
        if any(kind in error.message for kind in kinds):
            typed = f": type {name} {example}" if option else f", such as {example}"
            return ConfigError(f"{said} arrived; expected {expected}{typed}")
    return ConfigError(f"{said} arrived: {_sentence(error.message)}")


def _typed_value(names: Sequence[str], words: Sequence[str]) -> str | None:
    """The value of an option as it was typed last."""
    found = None
    for number, word in enumerate(words):
        name, assigned, value = word.partition("=")
        if name in names:
            found = value if assigned else next(iter(words[number + 1 :]), None)
    return found


def _options(ctx: Any) -> list[Any]:
    return [parameter for parameter in ctx.command.get_params(ctx) if parameter.param_type_name == "option"]


def _name(parameter: Any) -> str:
    if parameter.param_type_name == "argument":
        return _value(parameter)
    option: str = parameter.opts[0]
    return option


def _value(parameter: Any) -> str:
    """How a value is called in a line."""
    name: str = parameter.metavar or parameter.name
    return name if parameter.metavar else name.upper()


def _line_and_help(ctx: Any) -> str:
    """The line with all that a verb needs; what may be left out stands in brackets."""
    pieces = [_command(ctx)]
    for parameter in ctx.command.get_params(ctx):
        value, more = _value(parameter), " ..." if parameter.nargs == -1 else ""
        if parameter.param_type_name == "argument":
            pieces.append(f"{value}{more}" if parameter.required else f"[{value}{more}]")
        elif parameter.required:
            pieces.append(f"{parameter.opts[0]} {value}")
    return f"type `{' '.join(pieces)}` (`{_command(ctx)} --help` says more)"


def _command(ctx: Any) -> str:
    """The words that lead to a verb: rnnkit, and the verb."""
    names: list[str] = []
    while ctx.parent is not None:
        names.insert(0, ctx.info_name)
        ctx = ctx.parent
    return " ".join(["rnnkit", *names])


def _sentence(message: str) -> str:
    """A message of click as a part of a sentence."""
    return message[:1].lower() + message[1:].rstrip(".")
