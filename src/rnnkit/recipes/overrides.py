"""Changing the fields of a recipe by their dotted names, as ``--set fit.lr=1e-3`` does.

A recipe is a frozen dataclass whose fields are values or further frozen dataclasses (its groups).
The annotation of a field decides how the text is read: int, float, bool, str, Literal, tuple, and
each of them ``| None``.
"""

from __future__ import annotations

import math
import types
from collections.abc import Iterable, Mapping
from dataclasses import fields, is_dataclass, replace
from typing import Any, Literal, NamedTuple, TypeVar, Union, get_args, get_origin, get_type_hints

from ..errors import ConfigError, suggest

R = TypeVar("R")

_BOOLEANS = {"true": True, "yes": True, "on": True, "1": True, "false": False, "no": False, "off": False, "0": False}


class Setting(NamedTuple):
    """One field of a recipe: its value now and the type it was declared with."""

    value: Any
    annotation: Any


def settings(recipe: Any, prefix: str = "") -> dict[str, Setting]:
    """Returns every field of a recipe under its dotted name, groups opened.

    Example:
        >>> from rnnkit.recipes.mnist import mnist
        >>> settings(mnist())["fit.epochs"].value
        10
    """
    found: dict[str, Setting] = {}
    hints = get_type_hints(type(recipe))
    for item in fields(recipe):
        value, name = getattr(recipe, item.name), prefix + item.name
        if is_dataclass(value):
            found |= settings(value, name + ".")
        else:
            found[name] = Setting(value, hints[item.name])
    return found


def override(recipe: R, assignments: Iterable[str]) -> R:
    """Returns a copy of the recipe with the fields changed that ``"fit.lr=1e-3"`` and its like name.

    Args:
        recipe: a frozen dataclass.
        assignments: texts ``FIELD=VALUE``; of two for the same field the later one holds.

    Raises:
        ConfigError: no such field (the nearest is named), or a value that its type cannot hold.

    Example:
        >>> from rnnkit.recipes.mnist import mnist
        >>> override(mnist(), ["fit.epochs=3", "model.cell=lstm"]).fit.epochs
        3
    """
    texts = list(assignments)
    if not texts:
        return recipe
    if not is_dataclass(recipe) or isinstance(recipe, type):
        raise ConfigError(f"{texts[0]} cannot be set: the recipe is a {type(recipe).__name__}, not a dataclass")
    known = settings(recipe)
    changes: dict[str, Any] = {}
    for text in texts:
        name, equals, value = (part.strip() for part in text.partition("="))
        if not equals or not name:
            example = next(iter(known), "fit.lr")
            raise ConfigError(f"{text!r} arrived; expected FIELD=VALUE, as in {example}={show(known[example].value)}")
        if name not in known:
            members = [other for other in known if other.startswith(name + ".")]
            if members:
                raise ConfigError(f"{name!r} is a group of fields; set one of {', '.join(members)}")
            raise ConfigError(f"the recipe has no field {name!r}{suggest(name, list(known))}")
        *groups, last = name.split(".")
        inner = changes
        for group in groups:
            inner = inner.setdefault(group, {})
        inner[last] = _parse_field(name, value, known[name])
    changed: R = _apply(recipe, changes)
    return changed


def restore(recipe: R, stored: Mapping[str, Any]) -> R:
    """Returns the recipe with the values of a nested mapping, as ``recipe.json`` holds them."""

    def flatten(values: Mapping[str, Any], prefix: str = "") -> Iterable[str]:
        for name, value in values.items():
            if isinstance(value, Mapping):
                yield from flatten(value, f"{prefix}{name}.")
            else:
                yield f"{prefix}{name}={show(value)}"

    return override(recipe, flatten(stored))


def show(value: Any) -> str:
    """Writes a value the way :func:`parse` reads it.

    Example:
        >>> show(None), show(True), show((1, 2)), show(0.001)
        ('none', 'true', '1,2', '0.001')
    """
    if value is None:
        return "none"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, (tuple, list)):
        return ",".join(map(show, value))
    return str(value)


def parse(text: str, annotation: Any) -> Any:
    """Reads a text as a value of the annotated type.

    Raises:
        ValueError: the text is no such value.

    Example:
        >>> parse("1e-3", float), parse("none", int | None), parse("3,5", tuple[int, ...])
        (0.001, None, (3, 5))
    """
    origin, arguments = get_origin(annotation), get_args(annotation)
    if origin in (Union, types.UnionType):
        if text.lower() == "none" and type(None) in arguments:
            return None
        for member in arguments:
            if member is not type(None):
                try:
                    return parse(text, member)
                except ValueError:
                    continue
        raise ValueError(text)
    if origin is Literal:
        for choice in arguments:
            if text == show(choice):
                return choice
        raise ValueError(text)
    if origin is tuple:
        parts = [part.strip() for part in text.strip("()[] ").split(",") if part.strip()]
        members = arguments[:1] * len(parts) if arguments[-1:] == (...,) else arguments
        return tuple(parse(part, member) for part, member in zip(parts, members, strict=True))
    if annotation is bool:
        if text.lower() not in _BOOLEANS:
            raise ValueError(text)
        return _BOOLEANS[text.lower()]
    if annotation is float:
        number = float(text)
        if not math.isfinite(number):
            raise ValueError(text)
        return number
    if annotation in (int, str):
        return annotation(text)
    raise TypeError(f"a field of type {annotation} cannot be set from text")


def describe(annotation: Any) -> str:
    """Says in words what :func:`parse` accepts.

    Example:
        >>> describe(int | None), describe(Literal["relu", "tanh"])
        ('a whole number or none', 'relu | tanh')
    """
    origin, arguments = get_origin(annotation), get_args(annotation)
    if origin in (Union, types.UnionType):
        return " or ".join("none" if member is type(None) else describe(member) for member in arguments)
    if origin is Literal:
        return " | ".join(map(show, arguments))
    if origin is tuple:
        if arguments[-1:] == (...,):
            return f"{describe(arguments[0])} or several, separated by commas"
        return f"{len(arguments)} values separated by commas"
    words = {int: "a whole number", float: "a number", bool: "true or false", str: "text"}
    return words.get(annotation, str(annotation))


def _parse_field(name: str, text: str, setting: Setting) -> Any:
    try:
        return parse(text, setting.annotation)
    except ValueError:
        raise ConfigError(
            f"{name}={text} arrived; expected {describe(setting.annotation)}, as in {name}={show(setting.value)}"
        ) from None
    except TypeError as error:
        raise ConfigError(f"{name}: {error}") from None


def _apply(group: Any, changes: Mapping[str, Any]) -> Any:
    """Replaces each group once, so that checks across fields see all changes together."""
    return replace(
        group,
        **{
            name: _apply(getattr(group, name), value) if isinstance(value, dict) else value
            for name, value in changes.items()
        },
    )
