"""The settings of one layer of a Keras configuration, read without trust.

Each setting is asked for by name, with the range that it must lie in. What was never asked for is refused at the end,
unless it is known to change nothing.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from ...errors import DataError, suggest
from ...layers.graph.activations import ACTIVATIONS

MAX_SIZE = 2**24  # units, features, steps: a size beyond it is a mistake or an attack
MAX_ROWS = 2**28  # of an embedding

# Settings without a part in what a trained network computes.
_WITHOUT_EFFECT = {
    "name", "trainable", "dtype", "seed", "implementation", "unroll", "use_cudnn", "batch_input_shape", "input_shape",
    "batch_shape", "input_dtype", "unit_forget_bias", "synchronized", "input_length", "lora_alpha", "auto_cast",
    "build_input_shape", "input_spec",
}  # fmt: skip
_ENDINGS = ("_initializer", "_regularizer", "_constraint")

# Names in Keras, and in :data:`rnnkit.layers.graph.activations.ACTIVATIONS`, where they differ.
_RENAMED = {"swish": "silu", "hard_swish": "hard_silu"}
OLD_HARD_SIGMOID = "hard_sigmoid_of_keras_2"  # no file names it: "hard_sigmoid" means it before Keras 3
_ACTIVATIONS = ACTIVATIONS.keys() - {OLD_HARD_SIGMOID}
_MISSING: Any = object()


@dataclass(frozen=True)
class Location:
    """Where something stands: the file, and the path of layers to it.

    Attributes:
        file: its name.
        path: such as "layer 'lstm' (LSTM)"; "" for the file itself.
        version: Keras's major version, 2 or 3.
    """

    file: str
    path: str = ""
    version: int = 3

    def inside(self, what: str) -> Location:
        """Return the place of a part."""
        return Location(self.file, f"{self.path}, {what}" if self.path else what, self.version)

    def problem(self, sentence: str) -> DataError:
        """Return the error about this place."""
        return DataError(f"{self.file}: {self.path}: {sentence}" if self.path else f"{self.file}: {sentence}")


@dataclass
class LayerSettings:
    """Settings with their place.

    Attributes:
        values: as the configuration has them.
        place: of the layer.
        used: names that were asked for.
    """

    values: Mapping[str, Any]
    place: Location
    used: set[str] = field(default_factory=set)

    def get(self, name: str, default: Any = _MISSING) -> Any:
        """Return a setting as it stands."""
        self.used.add(name)
        if name in self.values:
            return self.values[name]
        if default is _MISSING:
            raise self.place.problem(f"its configuration has no {name!r}")
        return default

    def whole(self, name: str, default: Any = _MISSING, *, least: int = 1, most: int = MAX_SIZE) -> int:
        """Return a whole number in a range."""
        return self._whole(name, self.get(name, default), least, most)

    def single(self, name: str, default: Any = _MISSING, *, least: int = 1) -> int:
        """Return a whole number, which may stand in a list of one, as sizes of windows over time do."""
        value = self.get(name, default)
        if isinstance(value, list | tuple):
            if len(value) != 1:
                raise self.place.problem(f"{name}={short(value)} arrived; expected one number, for the time")
            value = value[0]
        return self._whole(name, value, least, MAX_SIZE)

    def wholes(self, name: str, *, least: int = 1, most: int = MAX_SIZE) -> list[int]:
        """Return a list of whole numbers."""
        value = self.get(name)
        if not isinstance(value, list | tuple) or not 0 < len(value) <= 8:
            raise self.place.problem(f"{name}={short(value)} arrived; expected a list of 1 to 8 whole numbers")
        return [self._whole(name, one, least, most) for one in value]

    def number(self, name: str, default: Any = _MISSING, *, least: float = -math.inf, below: float = math.inf) -> float:
        """Return a finite number in a range."""
        value = self.get(name, default)
        good = isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
        if not (good and least <= value < below):
            low = "" if least == -math.inf else f" of at least {least:g}"
            high = "" if below == math.inf else f" below {below:g}"
            raise self.place.problem(f"{name}={short(value)} arrived; expected a finite number{low}{high}")
        return float(value)

    def flag(self, name: str, default: Any = _MISSING) -> bool:
        """Return a truth value."""
        value = self.get(name, default)
        if not isinstance(value, bool):
            raise self.place.problem(f"{name}={short(value)} arrived; expected true or false")
        return value

    def choice(self, name: str, choices: Sequence[Any], default: Any = _MISSING) -> Any:
        """Return one of some values."""
        value = self.get(name, default)
        if not any(value is one or (type(value) is type(one) and value == one) for one in choices):
            raise self.place.problem(f"{name}={short(value)} arrived; expected one of {', '.join(map(repr, choices))}")
        return value

    def activation(self, name: str, default: Any = "linear") -> str:
        """Return the name of an activation function as rnnkit has it.

        Raises:
            DataError: an unknown function, or one of the user's.
        """
        value = self.get(name, default)
        if value is None:
            return "linear"
        if isinstance(value, dict):
            own = str(value.get("registered_name") or "")
            if value.get("class_name") != "function" or ">" in own or "." in str(value.get("config")):
                raise self.place.problem(
                    f"{name} is {short(value.get('class_name'))} {short(own)}, a function of one's own; only Keras's "
                    "own functions are read"
                )
            value = value.get("config")
        known = _RENAMED.get(value, value) if isinstance(value, str) else None
        if known not in _ACTIVATIONS:
            near = suggest(value, sorted(_ACTIVATIONS)) if isinstance(value, str) and len(value) < 100 else ""
            raise self.place.problem(f"{name}={short(value)} arrived, which rnnkit does not know{near}")
        if known == "hard_sigmoid" and self.place.version < 3:
            return OLD_HARD_SIGMOID
        return str(known)

    def finish(self) -> None:
        """Refuse settings that were not asked for, unless they change nothing or are off."""
        for name, value in self.values.items():
            if name in self.used or name in _WITHOUT_EFFECT or str(name).endswith(_ENDINGS):
                continue
            if value is None or value is False or value in ([], {}, ""):
                continue
            raise self.place.problem(f"{short(name)}={short(value)} is a setting that rnnkit does not know")

    def not_carried(self) -> list[str]:
        """Return which regularizers and constraints there are: they act while training, and are not taken over."""
        return [
            str(name)
            for name, value in self.values.items()
            if value is not None and str(name).endswith(("_regularizer", "_constraint"))
        ]

    def _whole(self, name: str, value: Any, least: int, most: int) -> int:
        if isinstance(value, float) and value.is_integer():  # some versions wrote 128.0
            value = int(value)
        if not isinstance(value, int) or isinstance(value, bool) or not least <= value <= most:
            raise self.place.problem(f"{name}={short(value)} arrived; expected a whole number from {least} to {most}")
        return value


def short(value: Any) -> str:
    """Return a value as a message shows it."""
    text = repr(value)
    return text if len(text) <= 60 else f"{text[:57]}..."
