"""Runs by name. A recipe is a typed function that returns a frozen dataclass with a ``run(folder)``.

Importing this package, or a recipe's module, loads no torch: that is left to the run.
"""

from __future__ import annotations

import importlib
import importlib.util
import sys
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any, Protocol, TypedDict, runtime_checkable

from ..errors import ConfigError, suggest

# Name → the module here, and the function in it.
RECIPES = {
    "adding": ("adding", "adding"),
    "adding-plain": ("adding", "plain"),
    "classify": ("classify", "classify"),
    "regress": ("regress", "regress"),
    "mnist": ("mnist", "mnist"),
    "mnist-founding": ("mnist", "founding"),
    "mnist-gru": ("mnist", "rows_gated"),
    "mnist-permuted": ("mnist", "permuted"),
    "mnist-pixels": ("mnist", "pixels"),
}


class Metrics(TypedDict, total=False):
    """What a run reports and ``metrics.json`` holds; figures of a split by the metric's name.

    Attributes:
        validation, test: loss and metrics; ``validation`` only where images were held out.
        split: which rows were held out, and how they were drawn.
        rows: the number of rows trained on, validated on and tested on, where rows are counted.
        chosen_on: what the weights were chosen on, and that it was not the test set.
        epochs: how many were completed.
        seconds: the time training took, and
        samples_per_second: training samples over that time without validation; None before the first epoch ended.
        stopped: "finished", "early stopping" or "interrupted" (by Ctrl-C).
    """

    validation: dict[str, float]
    test: dict[str, float]
    split: str
    rows: dict[str, int]
    chosen_on: str
    epochs: int
    seconds: float
    samples_per_second: float | None
    stopped: str


@runtime_checkable
class Recipe(Protocol):
    """The least that ``rnnkit train`` needs; a dataclass besides, if ``--set`` is to change it."""

    def run(self, folder: Path) -> Metrics | None:
        """Trains, and writes what came of it into the folder."""
        ...


@runtime_checkable
class Evaluating(Protocol):
    """A recipe that can go back to a run: ``rnnkit evaluate``."""

    def evaluate(self, folder: Path) -> dict[str, float]:
        """Returns the metrics on the test set of the model saved in the folder."""
        ...


@runtime_checkable
class Predicting(Protocol):
    """A recipe whose models can be used on one file after the other, such as images: ``rnnkit predict``."""

    def predictor(self, folder: Path) -> Callable[[Path], tuple[str, float]]:
        """Returns a function from a file to the class's name and its probability; it raises DataError."""
        ...


@runtime_checkable
class Preparing(Protocol):
    """A recipe that can read and check its data before there is a run folder."""

    def prepare(self) -> Recipe:
        """Returns what will run."""
        ...


@runtime_checkable
class PredictingTables(Protocol):
    """A recipe whose models can be used on files of rows: ``rnnkit predict RUN FILE --out TABLE``."""

    def predict(self, folder: Path, file: Path) -> dict[str, list[Any]]:
        """Returns the answers for the rows of a file, a list a column; it raises DataError."""
        ...


@runtime_checkable
class Inspecting(Protocol):
    """A recipe whose runs can be looked into: ``rnnkit inspect``."""

    def batch(self, folder: Path, data: Path | None) -> tuple[Any, Any, Any, Any]:
        """Returns the folder's model, inputs and targets to measure it on, and the loss.

        Args:
            folder: the run folder.
            data: a file of other rows, as ``rnnkit predict`` and ``evaluate`` take them; None for rows of the run's.
        """
        ...


@runtime_checkable
class FineTuning(Protocol):
    """A recipe whose runs can be taught something new: ``rnnkit finetune``."""

    def lesson(self, folder: Path, data: Path, settings: Any) -> Any:
        """Returns a :class:`rnnkit.recipes.finetuning.Lesson`, read and checked; it writes nothing.

        Args:
            folder: the run folder.
            data: the file or folder with what to learn.
            settings: a :class:`rnnkit.recipes.finetuning.FineTune`.
        """
        ...


def find(name: str) -> Callable[[], Recipe]:
    """Returns the recipe function of that name.

    Raises:
        ConfigError: there is none; the message names the nearest.

    Example:
        >>> find("mnist")().seed
        0
    """
    if name not in RECIPES:
        raise ConfigError(f"there is no recipe {name!r}{suggest(name, list(RECIPES))}; a file is named as ./{name}.py")
    module, function = RECIPES[name]
    found: Callable[[], Recipe] = getattr(importlib.import_module(f".{module}", __name__), function)
    return found


def from_file(file: Path) -> Recipe:
    """Executes a Python file and returns what its function ``recipe()`` returns.

    Raises:
        ConfigError: no such file, no function ``recipe`` in it, an exception while it ran, or no recipe came back.
    """
    if not file.is_file():
        raise ConfigError(f"{file} does not exist; `rnnkit recipes copy mnist {file}` makes one to start from")
    name = f"rnnkit_recipe_{file.stem}"
    spec = importlib.util.spec_from_file_location(name, file)
    if spec is None or spec.loader is None:
        raise ConfigError(f"{file} is no Python file; its name must end in .py")
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module  # where dataclasses look up their annotations
    try:
        spec.loader.exec_module(module)
        if not callable(function := getattr(module, "recipe", None)):
            raise ConfigError(f"{file} has no function recipe(); it must return the recipe to run")
        recipe = function()
    except ConfigError:
        raise
    except Exception as error:
        lines = [
            frame.lineno for frame in traceback.extract_tb(error.__traceback__) if frame.filename == module.__file__
        ]
        where = f" in line {lines[-1]}" if lines else ""
        raise ConfigError(f"{file} failed{where}: {type(error).__name__}: {error}") from error
    if not isinstance(recipe, Recipe):
        raise ConfigError(f"recipe() in {file} returned a {type(recipe).__name__}; expected an object with run(folder)")
    return recipe


def source(name: str) -> str:
    """Returns the text of a recipe's file, ready to be edited and run by ``rnnkit train ./FILE``."""
    function = find(name)
    module = importlib.import_module(function.__module__)
    text = Path(str(module.__file__)).read_text(encoding="utf-8")
    return f"{text}\n\nrecipe = {function.__name__}  # what `rnnkit train ./FILE` runs\n"


def summary(name: str) -> str:
    """The first line of a recipe's docstring."""
    return (find(name).__doc__ or "").strip().partition("\n")[0]
