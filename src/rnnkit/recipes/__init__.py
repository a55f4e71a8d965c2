"""Runs by name. A recipe is a typed function that returns a :class:`Recipe`, a frozen dataclass of settings.

Importing this package, or a recipe's module, loads no torch: that is left to the run.
"""

from __future__ import annotations

import importlib
import importlib.util
import sys
import traceback
from collections.abc import Callable
from pathlib import Path

from ..errors import ConfigError, suggest
from ..runs import Metrics
from .base import PreparedRun, Recipe
from .interface import DataRequest, InspectionData, TextAnswer, TextModel

__all__ = [
    "IMPORTED",
    "RECIPES",
    "DataRequest",
    "InspectionData",
    "Metrics",
    "PreparedRun",
    "Recipe",
    "TextAnswer",
    "TextModel",
    "find",
    "from_file",
    "is_known",
    "open_recipe",
    "source_text",
    "summary",
]

# Name → the module here, and the function in it.
RECIPES = {
    "adding": ("adding", "adding"),
    "adding-plain": ("adding", "plain"),
    "blood-cells": ("blood_cells", "blood_cells"),
    "classify": ("classify", "classify"),
    "classify-images": ("classify_images", "classify_images"),
    "detect": ("detect", "detect"),
    "digit-strings": ("digit_strings", "digit_strings"),
    "forecast": ("forecast", "forecast"),
    "forecast-energy": ("forecast", "energy"),
    "forecast-etth1": ("forecast", "etth1"),
    "forecast-stocks": ("forecast", "stocks"),
    "forecast-weather": ("forecast", "weather"),
    "lm": ("lm", "lm"),
    "lm-awd": ("lm", "awd"),
    "lm-tang": ("lm", "tang"),
    "lm-tinyshakespeare": ("lm", "tinyshakespeare"),
    "instances": ("instances", "instances"),
    "intents": ("intents", "intents"),
    "intents-snips": ("intents", "snips"),
    "pretrain": ("pretrain", "pretrain"),
    "regress": ("regress", "regress"),
    "text-classify": ("text_classify", "text_classify"),
    "ngram": ("ngram", "ngram"),
    "mnist": ("mnist", "mnist"),
    "mnist-founding": ("mnist", "founding"),
    "mnist-gru": ("mnist", "rows_gated"),
    "mnist-permuted": ("mnist", "permuted"),
    "mnist-pixels": ("mnist", "pixels"),
    "mnist-renet": ("mnist_renet", "mnist_renet"),
    "moving-digits": ("moving_digits", "moving_digits"),
    "next-frames": ("next_frames", "next_frames"),
    "nuclei": ("instances", "nuclei"),
    "read": ("read", "read"),
    "segment": ("segment", "segment"),
    "sound-classify": ("sound_classify", "sound_classify"),
    "speech": ("speech", "speech"),
    "speech-digits": ("speech_digits", "speech_digits"),
    "spoken-intents": ("spoken_intents", "spoken_intents"),
    "summarize": ("summarize", "summarize"),
    "summarize-scitldr": ("summarize", "summarize_scitldr"),
    "translate": ("translate", "translate"),
    "translate-multi30k": ("translate", "translate_multi30k"),
    "translate-tatoeba": ("translate", "translate_tatoeba"),
    "vad": ("vad", "vad"),
    "vad-digits": ("vad", "vad_digits"),
    "video": ("video", "video"),
}
# Runs that another program trained: of `rnnkit import`, not of `rnnkit train`.
IMPORTED = {"imported": ("imported", "imported")}


def is_known(name: str) -> bool:
    """Return whether a run's recipe is one of rnnkit's.

    Example:
        >>> is_known("mnist"), is_known("imported"), is_known("mine.py")
        (True, True, False)
    """
    return name in RECIPES or name in IMPORTED


def find(name: str) -> Callable[[], Recipe]:
    """Return the recipe function of that name.

    Raises:
        ConfigError: there is none; the message names the nearest.

    Example:
        >>> find("mnist")().seed
        0
    """
    if not is_known(name):
        if Path(name).exists():
            raise ConfigError(f"{name} is data, not a recipe; name the recipe first: `rnnkit train classify {name}`")
        known = suggest(name, list(RECIPES)).rstrip("?")
        end = "?" if "did you mean" in known else "."
        raise ConfigError(f"there is no recipe {name!r}{known}{end} Name a file as ./{name}.py")
    module, function = RECIPES[name] if name in RECIPES else IMPORTED[name]
    found: Callable[[], Recipe] = getattr(importlib.import_module(f".{module}", __name__), function)
    return found


def from_file(file: Path) -> Recipe:
    """Execute a Python file and return what its function ``recipe()`` returns.

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
        name = type(recipe).__name__
        base = f"class {name}(Recipe):" if hasattr(recipe, "run") else "class Mine(Recipe): with run(self, folder)"
        raise ConfigError(
            f"recipe() in {file} returned a {name}; expected a rnnkit.recipes.Recipe: type `from rnnkit.recipes import "
            f"Recipe`, and `{base}`"
        )
    return recipe


def open_recipe(name: str) -> Recipe:
    """Return the recipe of that name, or of that file where the name is a path."""
    if name.endswith(".py") or "/" in name or "\\" in name:
        return from_file(Path(name))
    return find(name)()


def source_text(name: str) -> str:
    """Return the text of a recipe's file, ready to be edited and run by ``rnnkit train ./FILE``."""
    function = find(name)
    module = importlib.import_module(function.__module__)
    text = Path(str(module.__file__)).read_text(encoding="utf-8")
    return f"{text}\n\nrecipe = {function.__name__}  # what `rnnkit train ./FILE` runs\n"


def summary(name: str) -> str:
    """Return the first line of a recipe's docstring."""
    return (find(name).__doc__ or "").strip().partition("\n")[0]
