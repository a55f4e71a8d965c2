"""What recipes of pictures have in common: pictures, and an answer a file."""

from __future__ import annotations

from pathlib import Path
from typing import ClassVar

from rnnkit import runs
from rnnkit.recipes.base import Columns, DataRequest, Recipe


class PictureRecipe(Recipe):
    """Base of the recipes that learn from pictures."""

    data_setting: ClassVar[str | None] = "data.path"
    one_answer_a_file: ClassVar[bool] = True

    def count_rows(self, count: int) -> str:
        """Return a number of pictures in words."""
        return f"{count} {'picture' if count == 1 else 'pictures'}"

    def run(self, folder: Path) -> runs.Metrics | None:
        """Train, judge on the test part, and write model, metrics, answers and the page into the folder."""
        return self.prepare().run(folder)

    def predict(self, folder: Path, data: DataRequest) -> Columns:
        """Return the answer to a picture."""
        return self.predictor(folder)(data)

    def files_in(self, folder: Path) -> list[Path] | None:
        """Return the pictures in a folder."""
        from rnnkit.data.images.picture_files import SUFFIXES
        from rnnkit.ordering import files_inside

        return files_inside(folder, SUFFIXES)
