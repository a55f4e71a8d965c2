"""A table of pandas, and where its rows stand in the file."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ...errors import MissingExtraError, Place
from ..row_checks import Where
from .numerals import PLAIN, Numerals

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt
    import pandas as pd


def need_pandas(source: str) -> None:
    """Raise `MissingExtraError` if pandas is not installed."""
    try:
        import pandas as pd  # noqa: F401
    except ImportError:
        raise MissingExtraError(
            "tables are read with pandas, which is not installed", Place(source), "type pip install 'rnnkit[tables]'"
        ) from None


@dataclass(frozen=True)
class Table:
    """A table and the place of its rows in the file.

    Attributes:
        frame: all rows, index 0 to N − 1.
        source: the file, or what else the table came from.
        name: the file's name, by which rows without an id are called.
        lines: [N] line numbers; None where the format has none, then rows are counted from 1.
        numerals: how its numbers are written.
        reread: reads columns of the file once more, as text; None where text and numbers are distinguished already.
        ignored: columns that the user leaves out already.
    """

    frame: pd.DataFrame
    source: str
    name: str
    lines: npt.NDArray[np.int64] | None = None
    numerals: Numerals = PLAIN
    reread: Callable[[list[str]], pd.DataFrame] | None = None
    ignored: Sequence[str] = ()

    @property
    def whole(self) -> Place:
        """The place of the whole table."""
        return Place(self.source)

    def place(self, row: int) -> Place:
        """Return ``file:line`` of a row."""
        if self.lines is None:
            return Place(self.source, row=row + 1)
        return Place(self.source, line=int(self.lines[row]))

    def column(self, name: str) -> Where:
        """Return the places of a column's cells."""
        return lambda row: self.place(row).at(column=name)

    def called(self, row: int) -> str:
        """Return the name of a row without an id."""
        return f"{self.name}:{row + 1 if self.lines is None else self.lines[row]}"
