"""What users pass to `fit`, `evaluate` and `find_rate`, before it becomes batches: pairs, class names, warnings."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ..errors import ConfigError, DataError
from ..ops.losses import Loss
from .batching.class_names import encode_names, names_in
from .objectives.cross_entropy import note_class_names


def joined(x: Any, y: Any) -> Any:
    """Return (x, y) where both were passed, else x; a data set with `arrays()` gives its (X, y)."""
    if y is not None:
        return x, y
    return x.arrays() if hasattr(x, "arrays") else x


def inputs_of(x: Any) -> Any:
    """Return X; a data set with `arrays()` gives its inputs."""
    return x.arrays()[0] if hasattr(x, "arrays") else x


def known_names(model: Any, extra: dict[str, Any]) -> tuple[str, ...] | None:
    """Return the names of a model's classes: its own, else those stored beside it; None where they are numbers."""
    own = getattr(model, "class_names", None)
    found = own if own is not None else extra.get("class_names")
    return None if found is None else tuple(found)


def held_out_of(validation: Any, split: float | None) -> Any:
    """Return the validation data, or the share of the training data that is kept for it.

    Raises:
        ConfigError: both arrived, or the share is none.
    """
    if split is None:
        return validation
    if validation is not None:
        raise ConfigError("validation and validation_split arrived; pass one of them")
    if not isinstance(split, float) or not 0 < split < 1:
        raise ConfigError(f"validation_split={split!r} arrived; expected a share between 0 and 1, as in 0.2")
    return split


def set_names(model: Any, extra: dict[str, Any], names: Sequence[str] | None) -> None:
    """Store the names of a model's classes: in the model if it has `class_names`, else beside it.

    Raises:
        DataError: the model has another number of classes.
    """
    if hasattr(type(model), "class_names"):
        model.class_names = names
    elif names is None:
        extra.pop("class_names", None)
    else:
        extra["class_names"] = list(names)


def class_names_of(data: Any) -> tuple[str, ...] | None:
    """Return the names of the classes in (X, y), in natural order; None where y holds no names."""
    return names_in(data[1]) if type(data) is tuple and len(data) == 2 else None


def encode_labels(data: Any, names: tuple[str, ...] | None, loss: Loss) -> Any:
    """Return (X, y) with the number of each class in place of its name; other data as it is. The loss learns the names.

    Raises:
        DataError: a name that is none of the classes, or names where the loss expects numbers.
    """
    found = class_names_of(data)
    note_class_names(loss, names or found)
    if found is None:
        return data
    if loss.probabilities != "softmax":
        raise DataError(f"labels such as {found[0]!r} arrived; the loss {loss.name!r} expects numbers")
    return data[0], encode_names(data[1], names or found)


class ColumnNames:
    """The columns of the DataFrames that a model was trained on, in order; those of new DataFrames must be the same.

    Example:
        >>> import pandas as pd
        >>> names = ColumnNames()
        >>> names.remember([pd.DataFrame({"x": [1.0], "y": [2.0]})])
        >>> names.check([pd.DataFrame({"y": [2.0], "x": [1.0]})])
        Traceback (most recent call last):
        ...
        rnnkit.errors.DataError: DataFrame 0 has the columns 'y', 'x'; the model was trained on 'x', 'y': X = \
[frame[['x', 'y']] for frame in X]
    """

    def __init__(self) -> None:
        self._names: tuple[str, ...] | None = None

    def remember(self, x: Any) -> None:
        """Take the columns of training data; those of earlier data stay where it has no DataFrames.

        Raises:
            DataError: the DataFrames of a list differ in their columns.
        """
        frames = _frames(x)
        if frames:
            self._names = _columns(frames[0])
        self.check(x)

    def check(self, x: Any) -> None:
        """Raise DataError where a DataFrame has other columns, or has them in another order."""
        for at, frame in enumerate(_frames(x)):
            found = _columns(frame)
            if self._names is None or found in (self._names, None):
                continue
            one = not isinstance(x, list | tuple)
            what = "the DataFrame" if one else f"DataFrame {at}"
            typed = f"X[{list(self._names)}]" if one else f"[frame[{list(self._names)}] for frame in X]"
            same = sorted(found) == sorted(self._names)
            raise DataError(
                f"{what} has the columns {_quoted(found)}; the model was trained on {_quoted(self._names)}"
                + (f": X = {typed}" if same else "")
            )


def _frames(x: Any) -> list[Any]:
    rows = x if isinstance(x, list | tuple) else [x]
    return [row for row in rows if hasattr(row, "columns") and hasattr(row, "iloc")]


def _columns(frame: Any) -> tuple[str, ...] | None:
    """The names of the columns; None where pandas counted them."""
    names = tuple(frame.columns)
    return names if all(isinstance(name, str) for name in names) else None


def _quoted(names: Sequence[str], most: int = 8) -> str:
    return ", ".join(map(repr, names[:most])) + (f" and {len(names) - most} more" if len(names) > most else "")
