"""Columns that only count rows, such as an index that pandas wrote: recognised by their values, or by name and values.

Such a column must not become a channel: where the rows are sorted by class, it alone distinguishes the classes.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from ...errors import Place, Remedy
from ..reading import Options

if TYPE_CHECKING:
    import numpy.typing as npt

# Names as `plain_name` writes them: what pandas and R call an index without a name, and what people call a counter.
_WRITTEN = re.compile(r"unnamed:(_\d+)+|__index_level_\d+__|column_\d+_\(without_a_name\)|rownames?")
_COUNTERS = {
    *("#", "idx", "index", "level_0", "level_1", "line", "line_no", "line_number", "lineno", "no", "nr", "obs"),
    *("recno", "record", "record_id", "record_no", "record_number", "row", "row_id", "row_index", "row_name"),
    *("row_names", "row_no", "row_nr", "row_num", "row_number", "rowid", "rowno", "rownr", "rownum", "rownumber"),
    *("rows", "s_no", "serial", "serial_no", "sl_no", "sno", "行", "行号", "行数", "索引"),
}
_FEWEST = 6  # rows; in fewer, numbers rise by chance, or in an example that somebody typed
_FEWEST_IN_FRONT = 3
_FEWEST_SHUFFLED = 12  # 12 random numbers below 12 are all different once in 19,000 files


def plain_name(name: str) -> str:
    """Return a column's name in lower case, with blanks, dots and hyphens as "_"."""
    return re.sub(r"[\s.\-]+", "_", name.strip().lower())


def is_written_index(name: str) -> bool:
    """Whether pandas or R gives this name to an index that has none."""
    return _WRITTEN.fullmatch(plain_name(name)) is not None or re.fullmatch(r"\.\.\.\d+", name) is not None


def is_counter_name(name: str) -> bool:
    """Whether a column by this name is likely to count rows."""
    return is_written_index(name) or plain_name(name) in _COUNTERS


def counts_rows(values: npt.NDArray[Any], name: str, *, in_front: bool = False) -> bool:
    """Whether a column only counts the rows of its file.

    Args:
        values: [N] in the file's order, NaN where a cell is no number.
        name: the column's.
        in_front: whether it is the first column of its file, where programs write an index.

    Returns:
        True for whole numbers that rise with every row, or fall with every row, if there are 6 or more of them, or the
        name says so; in front 3 are enough if they do not fall by more than 1. 12 or more numbers from 0 or 1 on, each
        once, may be shuffled. By its name, an index of any length may be shuffled or have empty cells; one without
        a name may begin again where files were joined.

    Example:
        >>> counts_rows(np.array([0, 2, 3, 9]), "Unnamed: 0"), counts_rows(np.array([0, 2, 3, 9]), "x")
        (True, False)
        >>> counts_rows(np.arange(9), "x"), counts_rows(np.arange(9) / 2, "x")
        (True, False)
        >>> counts_rows(np.array([9, 7, 6, 4, 2, 1]), "x"), counts_rows(np.arange(12) * 5 % 12, "x")
        (True, True)
    """
    if values.dtype.kind not in "iuf" or not len(values):
        return False
    numbers = values.astype(np.float64)
    if is_written_index(name) and 2 * np.isnan(numbers).sum() < len(numbers):
        numbers = numbers[~np.isnan(numbers)]  # rows that somebody added below have no number
    if not np.isfinite(numbers).all() or (numbers % 1 != 0).any():
        return False
    steps = np.diff(numbers)
    falls = 0 if (steps == -1).all() else int((steps <= 0).sum())
    if is_written_index(name):
        return len(np.unique(numbers)) == len(numbers) or 3 * falls < len(numbers)
    in_order = falls == 0 or bool((steps < 0).all())
    ordered = np.sort(numbers)
    has_all = np.array_equal(ordered - ordered[0], np.arange(len(ordered)))
    if is_counter_name(name):
        return in_order or has_all
    if in_front and falls == 0 and len(numbers) >= _FEWEST_IN_FRONT:
        return True
    return (in_order and len(numbers) >= _FEWEST) or (
        has_all and ordered[0] in (0, 1) and len(numbers) >= _FEWEST_SHUFFLED
    )


def say_left_out(names: Sequence[str], place: Place, options: Options, what: str = "column") -> None:
    """Note that columns which only count rows are left out; `what` says what messages call a column."""
    if not names:
        return
    one = len(names) == 1
    problem = f"the {what}{'' if one else 's'} {' and '.join(map(repr, names))} only count{'s' if one else ''} the rows"
    keep = Remedy("keep_columns", [*options.keep_columns, *names], f"to keep {'it' if one else 'them'}")
    options.guesses.add(f"{problem} and {'is' if one else 'are'} left out", place, keep)
