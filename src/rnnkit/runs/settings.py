"""The fields of a recipe by their dotted names: listed with their meaning, changed as ``--set fit.lr=1e-3`` does.

A recipe is a frozen dataclass whose fields are values or further frozen dataclasses (its groups). The annotation of a
field decides how the text is read (int, float, bool, str, Literal, tuple, and each of them ``| None``) and may hold its
range (:mod:`rnnkit.tasks.ranges`). Its meaning is in the docstring of its dataclass, under ``Attributes:``.
"""

from __future__ import annotations

import csv
import inspect
import math
import re
import types
from collections.abc import Iterable, Mapping
from dataclasses import fields, is_dataclass, replace
from functools import cache
from typing import Any, Literal, NamedTuple, TypeVar, Union, get_args, get_origin, get_type_hints

from ..errors import ConfigError, suggest
from ..tasks.ranges import Range, ranges_of

R = TypeVar("R")

_BOOLEANS = {"true": True, "yes": True, "on": True, "1": True, "false": False, "no": False, "off": False, "0": False}


# What users of Keras and scikit-learn type → the last part of a setting's name here.
SYNONYMS = {
    "learning_rate": "lr",
    "learning_rate_init": "lr",
    "units": "hidden_size",
    "hidden": "hidden_size",
    "hidden_units": "hidden_size",
    "hidden_layer_sizes": "hidden_size",
    "layers": "num_layers",
    "n_layers": "num_layers",
    "batch": "batch_size",
    "n_epochs": "epochs",
    "num_epochs": "epochs",
    "max_iter": "epochs",
    "patience": "early_stopping",
    "n_iter_no_change": "early_stopping",
    "validation_split": "validation",
    "validation_fraction": "validation",
    "random_state": "seed",
    "clipnorm": "clip_norm",
    "alpha": "weight_decay",
    "class_weight": "class_weights",
    "rnn": "cell",
    "file": "path",
}


class Setting(NamedTuple):
    """One field of a recipe.

    Attributes:
        value: what it is now.
        annotation: the type it was declared with.
        meaning: a sentence about it, "" where its dataclass does not say.
        allowed: the range of its numbers, None where any will do.
    """

    value: Any
    annotation: Any
    meaning: str = ""
    allowed: Range | None = None

    def accepted(self) -> str:
        """Return in words what may be typed for it, as in "a whole number or none, at least 1"."""
        return describe(self.annotation) + (f", {self.allowed}" if self.allowed is not None else "")


def settings(recipe: Any, prefix: str = "") -> dict[str, Setting]:
    """Return every field of a recipe under its dotted name, groups opened.

    Example:
        >>> from rnnkit.recipes.mnist import mnist
        >>> setting = settings(mnist())["fit.epochs"]
        >>> setting.value, setting.meaning, setting.accepted()
        (10, 'passes over the training images.', 'a whole number, at least 1')
    """
    found: dict[str, Setting] = {}
    cls: Any = type(recipe)
    hints, ranges, meant = _hints(cls), ranges_of(cls), meanings(cls)
    for item in fields(recipe):
        value, name = getattr(recipe, item.name), prefix + item.name
        if is_dataclass(value):
            found |= settings(value, name + ".")
        else:
            found[name] = Setting(value, hints[item.name], meant.get(item.name, ""), ranges.get(item.name))
    return found


@cache
def _hints(cls: type) -> dict[str, Any]:
    return get_type_hints(cls)


@cache
def meanings(cls: type) -> dict[str, str]:
    """Return what the docstrings of a dataclass and its bases say of its fields under ``Attributes:``.

    Example:
        >>> class Fit:
        ...     '''The training.
        ...
        ...     Attributes:
        ...         lr, momentum: of the optimizer, see
        ...             ``torch.optim.SGD``.
        ...     '''
        >>> meanings(Fit)["momentum"]
        'of the optimizer, see torch.optim.SGD.'
    """
    found: dict[str, str] = {}
    for base in reversed(cls.__mro__):
        lines = inspect.cleandoc(vars(base).get("__doc__") or "").splitlines()
        names: list[str] = []
        for line in lines[lines.index("Attributes:") + 1 :] if "Attributes:" in lines else ():
            if line and not line.startswith("    "):
                break
            if entry := re.fullmatch(r"    (\w[\w, ]*): (.*)", line):
                names = entry[1].split(", ")
                found |= dict.fromkeys(names, entry[2])
            else:
                found |= {name: f"{found[name]} {line.strip()}".rstrip() for name in names}
    return {name: re.sub(r":\w+:(?=`)|`", "", text) for name, text in found.items()}


def override(recipe: R, assignments: Iterable[str]) -> R:
    """Return a copy of the recipe with the fields changed that ``"fit.lr=1e-3"`` and its like name.

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
        name, equals, value = text.partition("=")
        name, value = name.strip(), value.strip() or value  # a blank alone is a delimiter
        if not equals or not name:
            example = next(iter(known), "fit.lr")
            raise ConfigError(f"{text!r} arrived; expected FIELD=VALUE, as in {example}={show(known[example].value)}")
        if name not in known:
            members = [other for other in known if other.startswith(name + ".")]
            if members:
                raise ConfigError(f"{name!r} is a group of fields; set one of {', '.join(members)}")
            raise ConfigError(f"the recipe has no field {name!r}{nearest(name, known)}")
        *groups, last = name.split(".")
        inner = changes
        for group in groups:
            inner = inner.setdefault(group, {})
        inner[last] = _parse_field(name, value, known[name])
    changed: R = _apply(recipe, changes)
    return changed


def nearest(name: str, known: Iterable[str]) -> str:
    """Return ``"; did you mean 'fit.lr'?"``, also for names that other libraries have for it.

    Example:
        >>> nearest("learning_rate", ["fit.lr", "fit.epochs"])
        "; did you mean 'fit.lr'?"
    """
    names, last = list(known), name.rpartition(".")[2].lower().replace("-", "_")
    meant = [other for other in names if other.rpartition(".")[2] == SYNONYMS.get(last, last)]
    return f"; did you mean {meant[0]!r}?" if meant else suggest(name, names)


def restore(recipe: R, stored: Mapping[str, Any]) -> R:
    """Return the recipe with the values of a nested mapping, as ``recipe.json`` holds them.

    They are taken as they are, not read from text: a column may be called ``a,b`` or ``none``. A setting that is newer
    than the run has the value that the recipe names in `before`, if it does.

    Raises:
        ConfigError: no such field, or a value of another type.
    """
    if not stored:
        return recipe
    if not is_dataclass(recipe) or isinstance(recipe, type):
        raise ConfigError(f"settings are stored, but the recipe is a {type(recipe).__name__}, not a dataclass")
    known = settings(recipe)

    def check(values: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
        found: dict[str, Any] = {}
        for last, value in values.items():
            name = prefix + last
            if isinstance(value, Mapping):
                found[last] = check(value, f"{name}.")
            elif name not in known:
                raise ConfigError(f"the recipe has no field {name!r}{suggest(name, list(known))}")
            else:
                found[last] = _take_field(name, value, known[name])
        return found

    for name, value in getattr(recipe, "before", {}).items():
        group, _, last = name.partition(".")
        stored = {**stored, group: {last: value, **stored.get(group, {})}}
    changed: R = _apply(recipe, check(stored))
    return changed


def show(value: Any) -> str:
    """Write a value the way :func:`parse` reads it.

    Example:
        >>> show(None), show(True), show((1, 2)), show(0.001)
        ('none', 'true', '1,2', '0.001')
    """
    if value is None:
        return "none"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, (tuple, list)):
        return ",".join(map(_quoted, map(show, value)))
    return str(value)


def parse(text: str, annotation: Any) -> Any:
    """Read a text as a value of the annotated type.

    Raises:
        ValueError: the text is no such value.

    Example:
        >>> parse("1e-3", float), parse("none", int | None), parse("3,5", tuple[int, ...])
        (0.001, None, (3, 5))
        >>> parse('temp (C),"x,y"', tuple[str, ...])  # quotation marks keep a comma
        ('temp (C)', 'x,y')
    """
    origin, arguments = get_origin(annotation), get_args(annotation)
    if origin in (Union, types.UnionType):
        if text.lower() == "none" and type(None) in arguments:
            return None
        if not text:  # such as a shell's variable without a value
            raise ValueError(text)
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
        cells = next(csv.reader([_unbracketed(text.strip())], skipinitialspace=True), [])
        parts = [part.strip() for part in cells if part.strip()]
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
    if annotation is int:
        return int(text)
    if annotation is str:  # "none" in quotation marks is the word
        return text[1:-1].replace('""', '"') if len(text) > 1 and text[0] == text[-1] == '"' else text
    raise TypeError(f"a field of type {annotation} cannot be set from text")


def describe(annotation: Any) -> str:
    """Say in words what :func:`parse` accepts.

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


def _unbracketed(text: str) -> str:
    """Return a text without the one pair of brackets around the whole, as in (3, 5), but not in (a) b (c)."""
    if text[:1] + text[-1:] not in ("()", "[]"):
        return text
    depth = 0
    for at, mark in enumerate(text):
        depth += (mark == text[0]) - (mark == text[-1])
        if depth == 0:
            return text[1:-1] if at == len(text) - 1 else text
    return text


def _quoted(part: str) -> str:
    """Return a part of a list in quotation marks, where :func:`parse` would not read it back without."""
    plain = part and part == part.strip() and "," not in part and '"' not in part and part[0] not in "(["
    return part if plain else '"' + part.replace('"', '""') + '"'


def _take(value: Any, annotation: Any) -> Any:
    """Return a JSON value as one of the annotated type; raise ValueError if it is none."""
    origin, arguments = get_origin(annotation), get_args(annotation)
    if origin in (Union, types.UnionType):
        if value is None and type(None) in arguments:
            return None
        for member in arguments:
            try:
                return _take(value, member)
            except ValueError:
                continue
    elif origin is Literal:
        if any(value == choice and type(value) is type(choice) for choice in arguments):
            return value
    elif origin is tuple and arguments == (str, ...) and (value is None or isinstance(value, str)):
        return () if value is None else (value,)  # of a run from before the setting took several
    elif origin is tuple and isinstance(value, (list, tuple)):
        members = arguments[:1] * len(value) if arguments[-1:] == (...,) else arguments
        return tuple(_take(one, member) for one, member in zip(value, members, strict=True))
    elif annotation is float:
        if isinstance(value, (int, float)) and not isinstance(value, bool) and math.isfinite(value):
            return float(value)
    elif origin is None and type(value) is annotation:
        return value
    raise ValueError(value)


def _take_field(name: str, value: Any, setting: Setting) -> Any:
    try:
        return _take(value, setting.annotation)
    except ValueError:
        raise ConfigError(f"{name} is {value!r}; expected {describe(setting.annotation)}") from None


def _parse_field(name: str, text: str, setting: Setting) -> Any:
    if not text and setting.value == ():  # a shell's variable without a value, which would change nothing
        raise ConfigError(f"{name}= arrived without a value; expected {describe(setting.annotation)}")
    try:
        return parse(text, setting.annotation)
    except ValueError:
        raise ConfigError(
            f"{name}={text} arrived; expected {describe(setting.annotation)}, as in {name}={show(setting.value)}"
        ) from None
    except TypeError as error:
        raise ConfigError(f"{name}: {error}") from None


def _apply(group: Any, changes: Mapping[str, Any]) -> Any:
    """Replace each group once, so that checks across fields see all changes together."""
    return replace(
        group,
        **{
            name: _apply(getattr(group, name), value) if isinstance(value, dict) else value
            for name, value in changes.items()
        },
    )
