"""What runs of sound have in common: recordings that are read before there is a run folder, and an answer a file."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from rnnkit import runs
from rnnkit.recipes.base import Columns, DataRequest, PreparedRun, Recipe
from rnnkit.runs import data_digests


class SoundRecipe(Recipe):
    """Base of the recipes that learn from recordings."""

    data_setting: ClassVar[str | None] = "data.path"
    one_answer_a_file: ClassVar[bool] = True

    def count_rows(self, count: int) -> str:
        """Return a number of recordings in words."""
        return f"{count} {'recording' if count == 1 else 'recordings'}"

    def run(self, folder: Path) -> runs.Metrics | None:
        """Train, judge on the test part, and write model, metrics, mistakes and the report into the folder."""
        return self.prepare().run(folder)

    def predict(self, folder: Path, data: DataRequest) -> Columns:
        """Return the answer to a sound file, and how sure it is."""
        return self.predictor(folder)(data)


@dataclass(frozen=True)
class PreparedRecordings(PreparedRun):
    """Base of the runs whose recordings were read and divided.

    Attributes:
        told: sentences about the recordings.
        division: how the parts were made.
        digests: of the recordings as they were read, by their path.
    """

    told: list[str]
    division: str
    digests: dict[str, str]

    def check_data(self, folder: Path) -> None:
        """Raise DataError where the run in a folder was begun on other recordings than these."""
        data_digests.check(folder, self.digests, "train into a new folder")

    def findings(self) -> list[str]:
        """Return what was found in the recordings."""
        return self.told
