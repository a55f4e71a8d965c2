"""What a reader guessed about a file: collected while it reads, then said in one line each."""

from __future__ import annotations

import warnings
from collections.abc import Iterable
from dataclasses import dataclass, field

from ..errors import DataWarning, Place, Remedy


@dataclass
class Guesses:
    """The guesses of one call of ``read_series``; the same guess about several files of a folder is one.

    Example:
        >>> guesses = Guesses()
        >>> for file in ("a.csv", "b.csv"):
        ...     guesses.add("the delimiter ';' was found", Place(file), Remedy("delimiter"))
        >>> [str(one) for one in guesses.warnings()]
        ["a.csv: the delimiter ';' was found; type delimiter=. The same holds for 1 more file"]
    """

    _found: dict[str, tuple[DataWarning, set[str]]] = field(default_factory=dict)

    def add(
        self,
        problem: str,
        place: Place,
        remedy: Remedy | str | Iterable[Remedy | str] | None = None,
        *,
        note: str = "",
    ) -> None:
        """Note a guess: what was done, where, and what to type if it is wrong."""
        _, sources = self._found.setdefault(problem, (DataWarning(problem, place, remedy, note=note), set()))
        sources.add(place.source)

    def warnings(self) -> list[DataWarning]:
        """Return one warning for each guess."""
        said = []
        for warning, sources in self._found.values():
            more = len(sources) - 1
            note = f"the same holds for {more} more file{'s' if more > 1 else ''}" if more else warning.note
            said.append(DataWarning(warning.problem, warning.place, warning.remedies, note=note))
        return said

    def warn(self, stacklevel: int) -> None:
        """Issue the warnings; `stacklevel` 1 is the caller."""
        for warning in self.warnings():
            warnings.warn(warning, stacklevel=stacklevel + 1)
