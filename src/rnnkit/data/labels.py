"""Class labels: their order and their numbers."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from ..errors import DataError, Place
from ..ordering import sorted_names
from ..spelling import composed
from .sentences import quoted

if TYPE_CHECKING:
    import numpy.typing as npt


# 1.0, and what printf("%e") and NumPy make of whole numbers: 1.0000000e+00. A label such as 1E50 is text.
_DECIMALS = re.compile(r"(-?)(0|[1-9]\d*)\.0+")
_EXPONENT = re.compile(r"-?\d\.\d{6,}e[+-]\d\d|-?\d\.0+e\+00")
_LARGEST = 2**53  # up to here float64 holds every whole number


def plain_label(label: str, decimal: str = ".") -> str:
    """Return a label as it stands, but "1.0" and "1.0000000e+00" as "1": their file was saved as floats.

    Args:
        label: its text.
        decimal: the decimal mark of its file.

    Example:
        >>> [plain_label(label) for label in (" 1.0", "1.0000000e+00", "1E1", "01", "1.50", "v1.0")]
        ['1', '1', '1E1', '01', '1.50', 'v1.0']
    """
    name = composed(label).strip()
    if decimal != "." and "." in name:
        return name
    pointed = name.replace(decimal, ".")
    if _DECIMALS.fullmatch(pointed):
        whole = pointed.partition(".")[0]
        return "0" if whole == "-0" else whole
    if _EXPONENT.fullmatch(pointed) and float(pointed).is_integer() and abs(float(pointed)) < _LARGEST:
        return str(int(float(pointed)))
    return name


def sorted_classes(labels: Any) -> tuple[str, ...]:
    """Return the distinct labels in order: by value where all of them are numbers, else in natural order.

    Example:
        >>> sorted_classes(["10", "9", "9"]), sorted_classes(["b", "a_10", "a_9", "10"])
        (('9', '10'), ('10', 'a_9', 'a_10', 'b'))
    """
    return sorted_names(np.asarray(labels).tolist())


def encode_labels(
    labels: Any, classes: Sequence[str], ids: Sequence[str] | None = None, *, source: str = ""
) -> npt.NDArray[np.int64]:
    """Return the index of each label in `classes`, int64 [N].

    Args:
        labels: [N].
        classes: the known classes in order.
        ids: what each row is called, for the message.
        source: the file they came from, for the message.

    Raises:
        DataError: a label is none of them; the message names all such labels.

    Example:
        >>> encode_labels(["walk", "rest"], ("rest", "walk")).tolist()
        [1, 0]
    """
    index = {composed(name): number for number, name in enumerate(classes)}
    index |= {name: number for number, name in enumerate(classes)}
    names = [name if (name := str(label)) in index else composed(name) for label in np.asarray(labels).tolist()]
    unseen = sorted_classes([name for name in names if name not in index])
    if unseen:
        row = next(row for row, name in enumerate(names) if name not in index)
        first = f"series {row if ids is None else ids[row]}"
        raise DataError(
            f"unseen {'class' if len(unseen) == 1 else 'classes'} {quoted(unseen, 10)}, first in {first}; known: "
            f"{quoted(classes, 10)}",
            Place(source),
            ("drop these rows", "train on data that has them"),
        )
    return np.array([index[name] for name in names], np.int64)
