"""Names of classes as targets: whether there are any, and their numbers."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
from torch import Tensor

from ...errors import DataError, check_no_missing, suggest
from ...ordering import sorted_names
from ...spelling import composed_labels


def names_in(targets: Any) -> tuple[str, ...] | None:
    """Return the names of the classes in targets [N], [N, T] or in rows of unequal lengths, in natural order.

    Returns:
        The names; None where the targets are no names.

    Raises:
        DataError: some of the targets are names, and others are missing.
    """
    arrays = _arrays(targets)
    if arrays is None:
        return None
    return sorted_names({name for array in arrays for name in set(_text(array).ravel().tolist())})


def encode_names(targets: Any, known: Sequence[str]) -> Any:
    """Return the number of each class in place of its name: an array, or a list of arrays of unequal lengths.

    Raises:
        DataError: a name that is none of the classes.
    """
    arrays = _arrays(targets)
    assert arrays is not None
    table = {name: index for index, name in enumerate(known)}
    found = {name for array in arrays for name in set(_text(array).ravel().tolist())}
    if missing := sorted_names(found - set(known)):
        raise DataError(f"the label {missing[0]!r} is none of the classes{suggest(missing[0], known)}")
    numbers = [_each(_text(array), table) for array in arrays]
    return numbers[0] if len(arrays) == 1 and not _is_ragged(targets) else numbers


def _each(names: np.ndarray, table: dict[str, int]) -> np.ndarray:
    return np.array([table[name] for name in names.ravel().tolist()], np.int64).reshape(names.shape)


def _arrays(targets: Any) -> list[np.ndarray] | None:
    """Targets that are names as one array, or as an array for each of their rows of unequal lengths; else None."""
    if isinstance(targets, Tensor) or not (
        isinstance(targets, np.ndarray | list | tuple) or hasattr(targets, "__array__")
    ):
        return None
    rows: Iterable[Any] = targets if _is_ragged(targets) else [targets]
    arrays = [np.asarray(row, object if _holds_text(row) else None) for row in rows]
    if not any(_is_text(array) for array in arrays):
        return None
    for array in arrays:
        check_no_missing(array.ravel())
    if not all(_is_text(array) or array.size == 0 for array in arrays):
        raise DataError("only some of the rows of targets hold names; expected names in all of them, or numbers")
    return arrays


def _is_ragged(targets: Any) -> bool:
    if not isinstance(targets, list | tuple) and not (isinstance(targets, np.ndarray) and targets.dtype == object):
        return False
    return len({np.shape(row) for row in targets if not isinstance(row, str | bytes)}) > 1


def _holds_text(row: Any) -> bool:
    """Whether a list holds text, of which NumPy would make text of a missing value beside it too."""
    return isinstance(row, list | tuple) and any(isinstance(label, str) for label in row)


def _is_text(array: np.ndarray) -> bool:
    if array.dtype.kind in "UST":
        return True
    return array.dtype.kind == "O" and any(isinstance(label, str) for label in array.flat)


def _text(array: np.ndarray) -> np.ndarray:
    return composed_labels(array.astype(str))
