"""What users pass to `fit`, `evaluate` and `find_rate`, before it becomes batches: pairs, class names, warnings."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ..errors import DataError
from ..ops.losses import Loss
from .batching.class_names import encode_names, names_in


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
    """Return the sorted names of the classes in (X, y); None where y holds no names."""
    return names_in(data[1]) if type(data) is tuple and len(data) == 2 else None


def encode_labels(data: Any, names: tuple[str, ...] | None, loss: Loss) -> Any:
    """Return (X, y) with the number of each class in place of its name; other data as it is.

    Raises:
        DataError: a name that is none of the classes, or names where the loss expects numbers.
    """
    found = class_names_of(data)
    if found is None:
        return data
    if loss.probabilities != "softmax":
        raise DataError(f"labels such as {found[0]!r} arrived; the loss {loss.name!r} expects numbers")
    return data[0], encode_names(data[1], names or found)
