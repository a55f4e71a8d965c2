"""From the parsed lines of a file with a row a series to a set of series: the rows are checked once, here."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ...errors import DataError, Place, Remedy
from ..reading import Options
from ..row_checks import check_ids, check_labels, check_numbers, check_present, check_rows
from ..series import SeriesSet, default_channels
from . import text
from .numerals import Numerals, to_numbers

if TYPE_CHECKING:
    import numpy.typing as npt


@dataclass
class ParsedRows:
    """What a reader found in the lines of a file; nothing of it is checked yet.

    Attributes:
        path: the file.
        values: row i is [T_i, channels].
        lines: the line number of each row.
        cells: the text of each row's target; None if the file has none.
        declared: the labels that the file declares; empty where it declares none.
        are_numbers: whether the file says that its targets are numbers.
        channels: their names, where the file has some.
        ids: of the rows, where the file has some.
        groups: of the rows, where the file has some.
        step_times: row i is [T_i]; None where the file has none.
        read_options: as in `SeriesSet`.
    """

    path: Path
    values: list[npt.NDArray[np.float64]] = field(default_factory=list)
    lines: list[int] = field(default_factory=list)
    cells: list[str] | None = None
    declared: Collection[str] = ()
    are_numbers: bool = False
    channels: tuple[str, ...] | None = None
    ids: list[str] | None = None
    groups: list[str] | None = None
    step_times: list[npt.NDArray[Any]] | None = None
    read_options: dict[str, Any] = field(default_factory=dict)

    def place(self, row: int) -> Place:
        """Return ``file:line`` of a row."""
        return Place(str(self.path), self.lines[row] if self.lines else None)

    def to_series(self, options: Options, numerals: Numerals | None = None) -> SeriesSet:
        """Check the rows and make a set of them.

        Args:
            options: what the user named.
            numerals: how numbers are written; else as `options` say.

        Raises:
            DataError: rows or targets that cannot be used; see `rnnkit.data.row_checks`.
        """
        check_rows(self.values, self.place)
        width = self.values[0].shape[1]
        ids = tuple(f"{self.path.name}:{line}" for line in self.lines)
        if self.ids is not None:
            ids = tuple(name.strip() for name in self.ids)
            check_present(np.array([not name for name in ids]), self.place, "id")
            check_ids(ids, self.place)
        return SeriesSet(
            values=list(self.values),
            channels=self.channels or default_channels(width),
            targets=self._targets(options, numerals or Numerals.of(options)),
            ids=ids,
            groups=None if self.groups is None else np.array([name.strip() for name in self.groups], np.str_),
            times=None if self.step_times is None else np.array([stamps[0] for stamps in self.step_times]),
            source=str(self.path),
            step_times=self.step_times,
            read_options=self.read_options,
        )

    def _targets(self, options: Options, numerals: Numerals) -> npt.NDArray[Any] | None:
        if options.targets is None:
            return None
        place = Place(str(self.path))
        if self.cells is None:
            raise DataError(f"has no {options.targets}", place, Remedy("targets", None, "to read without them"))
        if options.targets == "labels":
            if self.are_numbers:
                raise DataError("its targets are numbers (@targetLabel)", place, Remedy("targets", "numbers"))
            cells = ["" if cell.strip() in numerals.words else cell for cell in self.cells]
            check_labels(cells, self.place, self.declared)
            return text.labels(cells, numerals.decimal)
        rows: Sequence[tuple[int, str]] = list(enumerate(self.cells))
        numbers = np.concatenate([to_numbers([cell], self.place(row), ["target"], numerals) for row, cell in rows])
        check_numbers(numbers, self.place)
        return numbers
