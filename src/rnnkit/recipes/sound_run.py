"""What recipes of sound have in common: recordings, and an answer a file."""

from __future__ import annotations

from pathlib import Path
from typing import ClassVar

from rnnkit import runs
from rnnkit.recipes.base import Columns, DataRequest, Recipe


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

    def files_in(self, folder: Path) -> list[Path] | None:
        """Return the sound files in a folder."""
        from rnnkit.data.audio.sound_files import SUFFIXES
        from rnnkit.ordering import files_inside

        return files_inside(folder, SUFFIXES)
