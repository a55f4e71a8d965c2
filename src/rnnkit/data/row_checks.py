"""The checks that every reader makes of its rows, once, after parsing.

Legend: N rows, T time, K numbers a target. `where` gives the `Place` of a row by its index.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from ..errors import DataError, Place, Remedy
from ..ordering import sorted_names

if TYPE_CHECKING:
    import numpy.typing as npt

Where = Callable[[int], Place]

LARGEST = float(np.finfo(np.float32).max)
_IF_MISSING = "leave the cell empty if the value is missing"
_MISSING_WORDS = {"missing", "unknown", "nil", "void", "empty", "inf"}


def observed_length(row: npt.NDArray[Any]) -> int:
    """The number of steps of [T, channels] up to the last one with a value; the steps behind it are padding.

    Example:
        >>> observed_length(np.array([[1.0, np.nan], [np.nan, np.nan], [np.nan, 2.0], [np.nan, np.nan]]))
        3
    """
    seen = np.flatnonzero(~np.isnan(row).all(1))
    return int(seen[-1]) + 1 if len(seen) else 0


def check_rows(rows: Sequence[npt.NDArray[Any]], where: Where, channels: Sequence[str] = ()) -> None:
    """Raise where rows are no series of one set.

    Args:
        rows: [T_i, channels] each, NaN where a value is missing.
        where: of each row.
        channels: the channels' names, for messages.

    Raises:
        DataError: there is no row; a row has no value, another number of channels than the first one, or a number
            that float32 cannot hold.

    Example:
        >>> check_rows([np.ones((2, 1)), np.full((1, 1), np.inf)], lambda row: Place("my.csv", line=row + 1))
        Traceback (most recent call last):
        ...
        rnnkit.errors.DataError: my.csv:2: holds inf at step 0 in channel 0; expected finite float32 numbers, or NaN \
for what is missing
    """
    if not rows:
        raise DataError("no series arrived; expected at least one", where(0).at(line=None, row=None, part=""))
    width = rows[0].shape[1]
    for index, row in enumerate(rows):
        if row.shape[1] != width:
            raise DataError(f"has {row.shape[1]} channels; expected {width} as in the first series", where(index))
        if np.isnan(row).all():  # also where there is no step
            raise no_value_error(where(index))
        beyond = np.abs(row) > LARGEST
        if beyond.any():
            step, channel = np.argwhere(beyond)[0].tolist()
            named = repr(channels[channel]) if channels else str(channel)
            raise DataError(
                f"holds {row[step, channel]} at step {step} in channel {named}; expected finite float32 numbers, or "
                "NaN for what is missing",
                where(index),
            )


def no_value_error(place: Place) -> DataError:
    """The error about a series of which every value is missing."""
    return DataError("the series has no value at all", place, "leave the series out")


def check_ids(ids: Sequence[str], where: Where) -> None:
    """Raise where two rows of a table with a row a series have the same id."""
    if len(set(ids)) == len(ids):
        return
    seen: set[str] = set()
    for index, name in enumerate(ids):
        if name in seen:
            raise DataError(
                f"the id {name!r} occurs twice in a table with a row a series",
                where(index),
                ("mend the id", Remedy("layout", "long", "if a row is a time step")),
            )
        seen.add(name)


def check_labels(labels: Sequence[str], where: Where, declared: Collection[str] = ()) -> None:
    """Raise where a row's label is missing, or is none of those that the file declares."""
    for index, label in enumerate(labels):
        if is_missing_label(label):
            raise DataError(
                "the label is missing",
                where(index),
                ("give it or drop the line", Remedy("targets", None, "to read without labels")),
            )
        if declared and label not in declared:
            known = list(sorted_names(declared))
            raise DataError(f"the label {label!r} is not among those declared: {known}", where(index))


def check_numbers(targets: npt.NDArray[np.float64], where: Where, names: Sequence[str] = ()) -> None:
    """Raise where a number of targets [N] or [N, K] is missing or infinite."""
    wrong = ~np.isfinite(targets.reshape(len(targets), -1))
    if wrong.any():
        row, column = np.argwhere(wrong)[0].tolist()
        value = targets.reshape(len(targets), -1)[row, column]
        problem = "the target is missing" if np.isnan(value) else f"the target is {value}; expected a finite number"
        place = where(row).at(column=names[column]) if names else where(row)
        raise DataError(problem, place, "give it or drop the line")


def check_present(cells: npt.NDArray[np.bool_], where: Where, what: str) -> None:
    """Raise where a cell of a column is missing, such as an id or a time.

    Args:
        cells: [N], true where the cell is missing.
        where: of each row.
        what: the column's role, for the message.
    """
    if cells.any():
        raise DataError(f"the {what} is missing", where(int(cells.argmax())), "give it or drop the line")


def is_missing_label(label: str) -> bool:
    """Return whether a label's text says that there is none; "none" and "na" are labels like others."""
    return label.strip().lower() in {"", "?", "nan"}


def number_error(
    cell: str,
    place: Place,
    *,
    decimal_comma: bool = True,
    ignore: Sequence[str] = (),
    codes: Sequence[str] | None = None,
) -> DataError:
    """Return the error about a cell that is not a finite number.

    Args:
        cell: its text.
        place: where it is.
        decimal_comma: whether the comma is free to be the decimal mark.
        ignore: the value of `ignore_columns` that leaves the cell's column out; empty where that cannot be.
        codes: what stands for a missing value already; None where the cell cannot be meant so.
    """
    cell = cell.strip()
    value = parse_number(cell)
    remedies: list[Remedy | str] = [_IF_MISSING]
    if abs(value) > LARGEST:
        problem = f"{cell} is infinite or beyond float32; expected a finite number"
    else:
        problem = f"{cell[:40]!r} is not a number"
        if cell.count(",") == 1 and not np.isnan(parse_number(cell.replace(",", "."))):
            point = f"write {cell.replace(',', '.')} with a decimal point"
            remedies.insert(0, Remedy("decimal", ",", "if the comma is the decimal mark") if decimal_comma else point)
    if codes is not None and _may_be_code(cell):
        remedies.append(Remedy("missing_codes", [*codes, cell], "if it stands for a missing value"))
    if ignore:
        remedies.append(Remedy("ignore_columns", list(ignore), "if the column is no channel"))
    return DataError(problem, place, remedies)


def _may_be_code(cell: str) -> bool:
    """Whether a cell that is no number is written as people write missing values, such as "n.d.", "--" or "#DIV/0!"."""
    if len(cell) > 12 or (cell[:1] != "#" and any(map(str.isdigit, cell))):
        return False
    return len(cell) < 3 or not cell.isalpha() or cell.lower() in _MISSING_WORDS


def parse_number(cell: str) -> float:
    """Return the cell's number; NaN for anything that is not plainly one."""
    try:
        return float("nan" if "_" in cell else cell)
    except ValueError:
        return float("nan")
