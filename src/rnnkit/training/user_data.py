"""What users pass to `fit`, `evaluate` and `find_rate`, before it becomes batches: pairs, class names, warnings."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from typing import Any

import numpy as np
from torch import Tensor

from ..errors import DataError, suggest
from ..ops.losses import Loss
from ..ordering import sorted_names


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
    """Return the names of the classes in (X, y), in natural order; None where y holds no names."""
    if type(data) is not tuple or len(data) != 2 or not _are_names(data[1]):
        return None
    return sorted_names(np.asarray(data[1]).astype(str).ravel().tolist())


def encode_labels(data: Any, names: tuple[str, ...] | None, loss: Loss) -> Any:
    """Return (X, y) with the number of each class in place of its name; other data as it is.

    Raises:
        DataError: a name that is none of the classes, or names where the loss expects numbers.
    """
    found = class_names_of(data)
    if found is None:
        return data
    if loss.targets != "labels":
        raise DataError(f"labels such as {found[0]!r} arrived; the loss {loss.name!r} expects numbers")
    known = names or found
    missing = [name for name in found if name not in known]
    if missing:
        raise DataError(f"the label {missing[0]!r} is none of the classes{suggest(missing[0], known)}")
    table = {name: index for index, name in enumerate(known)}
    labels = np.asarray(data[1]).astype(str)
    return data[0], np.vectorize(table.__getitem__, otypes=[np.int64])(labels)


def warn_of_bytes(data: Any) -> None:
    """Warn of images that arrive as bytes, which networks learn slowly from."""
    x: Any = data[0] if type(data) is tuple and data else None
    if getattr(x, "ndim", 0) < 3 or not str(getattr(x, "dtype", "")).endswith("uint8"):
        return
    largest = int(x.max()) if len(x) else 0
    if largest > 16:
        warnings.warn(
            f"the inputs are bytes up to {largest}; networks learn best from about [-1, 1]: divide by 255", stacklevel=3
        )


def _are_names(targets: Any) -> bool:
    if isinstance(targets, Tensor) or not (isinstance(targets, np.ndarray | list | tuple) or hasattr(targets, "iloc")):
        return False
    try:
        array = np.asarray(targets)
    except ValueError:  # rows of unequal lengths
        return False
    return array.dtype.kind in "UST" or (array.dtype.kind == "O" and array.size > 0 and isinstance(array.flat[0], str))
