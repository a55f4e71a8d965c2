"""An estimator's parameters as settings of the recipe for series, and errors in the words of scikit-learn."""

from __future__ import annotations

import types
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from numbers import Integral, Real
from typing import Any, Literal, Union, get_args, get_origin, get_type_hints

import numpy as np

from ..errors import ConfigError, DataError, Remedy, Words, check_choice, check_number, check_whole, suggest
from ..tasks.settings import Fit, Model

# Where the estimators have the name that scikit-learn's users know.
_OTHER_NAMES = {"learning_rate": "lr"}
# What another parameter of the estimators says.
_TAKEN = ("class_weights", "early_stopping")
# The strengths of made-up changes, which "augment" multiplies; `scale` alone is that of the values.
_CHANGES = ("jitter", "scale", "warp")


def recipe(parameters: Mapping[str, Any]) -> tuple[Model, Fit]:
    """The settings of network and training among an estimator's parameters.

    Args:
        parameters: of `get_params`: those that are settings of `Model` or `Fit` by name; "augment", a factor on the
            strengths of all made-up changes; "settings", a mapping with any further ones.

    Raises:
        ConfigError: an unknown name in "settings", or a value of another kind or outside its range.
    """
    strength = _number("augment", parameters["augment"], float)
    wanted = dict(parameters) | {name: strength * getattr(Model(), name) for name in _CHANGES}
    model, fit = chosen(wanted, (Model, Fit), _OTHER_NAMES, taken=_TAKEN)
    return model, fit


def chosen(
    parameters: Mapping[str, Any],
    classes: tuple[Any, ...],
    other_names: Mapping[str, str],
    *,
    taken: Sequence[str] = (),
) -> Any:
    """The settings of each class among an estimator's parameters.

    Args:
        parameters: those that are fields of a class by name; "settings", a mapping with any further ones.
        classes: of settings.
        other_names: an estimator's name → that of the field.
        taken: fields that no parameter sets by this way.

    Raises:
        ConfigError: an unknown name in "settings", or a value of another kind or outside its range.
    """
    hints = {cls: get_type_hints(cls) for cls in classes}
    known = {name: cls for cls in classes for name in hints[cls] if name not in taken}
    named = {other_names.get(name, name): (name, value) for name, value in parameters.items()}
    found = {name: pair for name, pair in named.items() if name in known}
    for name, value in (parameters["settings"] or {}).items():
        if name not in known:
            raise ConfigError(f"settings has {name!r}, which is no setting of the recipe{suggest(name, list(known))}")
        found[name] = (name, value)
    try:
        return tuple(
            cls(**{name: _fitting(*pair, hints[cls][name]) for name, pair in found.items() if known[name] is cls})
            for cls in classes
        )
    except ConfigError as error:
        raise in_parameters(error, other_names) from None


def in_parameters(error: ConfigError, other_names: Mapping[str, str]) -> ConfigError:
    """The error of a setting in the estimator's names: the recipe calls a setting model.NAME, fit.NAME or data.NAME."""
    words = _Parameters(other_names)
    return error.renamed(words.setting(error.argument)) if error.argument else error.in_words(words)


class _Parameters(Words):
    """The words of an estimator for settings: the names of its parameters.

    Args:
        other_names: an estimator's name → that of the field.
    """

    def __init__(self, other_names: Mapping[str, str]) -> None:
        self.parameters = {field: parameter for parameter, field in other_names.items()}

    def setting(self, name: str) -> str:
        """Write a setting without its group."""
        field = name.rpartition(".")[2]
        return self.parameters.get(field, field)


class _Estimator(Words):
    """The words of an estimator, which reads no file: arguments of readers are left out."""

    def clause(self, remedy: Remedy) -> None:
        return None


@contextmanager
def in_estimator_words() -> Iterator[None]:
    """Say errors about data that a block raises without the arguments of functions that read files.

    Example:
        >>> with in_estimator_words():
        ...     raise DataError("channel 'b' has no value", remedy=Remedy("ignore_columns", ["b"]))
        Traceback (most recent call last):
        ...
        rnnkit.errors.DataError: channel 'b' has no value
    """
    try:
        yield
    except DataError as error:
        raise error.in_words(_Estimator()) from None


def share(name: str, value: Any) -> float:
    """Return a number above 0 and below 1."""
    check_number(value, name, above=0, below=1)
    return float(value)


def count(name: str, value: Any) -> int:
    """Return a whole number of at least 1."""
    check_whole(value, name)
    return int(value)


def _fitting(name: str, value: Any, hint: Any) -> Any:
    """`value` as the plain Python value that a field of type `hint` takes."""
    options = get_args(hint) if get_origin(hint) in (Union, types.UnionType) else (hint,)
    if value is None and type(None) in options:
        return None
    hint = next(option for option in options if option is not type(None))
    if get_origin(hint) is Literal:
        check_choice(value, name, get_args(hint))
        return value
    if get_origin(hint) is tuple:
        if isinstance(value, str) or not np.iterable(value):
            raise ConfigError.of(name, value, "expected a tuple")
        return tuple(_number(name, item, get_args(hint)[0]) for item in value)
    return _number(name, value, hint)


def _number(name: str, value: Any, kind: type) -> Any:
    """`value` as an int, float or bool, from NumPy's too; a grid of values is often an array."""
    accepted = {int: Integral, float: Real, bool: bool | np.bool_}[kind]
    if not isinstance(value, accepted) or (kind is not bool and isinstance(value, bool | np.bool_)):
        what = {int: "a whole number", float: "a number", bool: "True or False"}[kind]
        raise ConfigError.of(name, value, f"expected {what}")
    if kind is float:
        check_number(value, name)
    return kind(value)
