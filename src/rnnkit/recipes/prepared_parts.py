"""A run whose data was read and divided before there is a run folder, such as recordings or pictures."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from rnnkit.recipes.base import PreparedRun
from rnnkit.runs import data_digests


@dataclass(frozen=True)
class PreparedParts(PreparedRun):
    """Base of the runs whose data was read and divided.

    Attributes:
        told: sentences about the data.
        division: how the parts were made.
        digests: of the data as it was read, by its path.
    """

    told: list[str]
    division: str
    digests: dict[str, str]

    def check_data(self, folder: Path) -> None:
        """Raise DataError where the run in a folder was begun on other data than this."""
        data_digests.check(folder, self.digests, "train into a new folder")

    def findings(self) -> list[str]:
        """Return what was found in the data."""
        return self.told
