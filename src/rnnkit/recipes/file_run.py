"""What recipes have in common whose files have an answer each: pictures, clips, recordings."""

from __future__ import annotations

from pathlib import Path
from typing import ClassVar

from rnnkit import runs
from rnnkit.recipes.base import Recipe
from rnnkit.recipes.interface import Columns, DataRequest


class FileRecipe(Recipe):
    """Base of the recipes that learn from files with an answer each. A subclass has `prepare` and `predictor`.

    Attributes:
        noun: what a file holds, in the singular.
    """

    data_setting: ClassVar[str | None] = "data.path"
    one_answer_a_file: ClassVar[bool] = True
    noun: ClassVar[str]

    def count_rows(self, count: int) -> str:
        """Return a number of files in words, as in "2 pictures"."""
        return f"{count} {self.noun}{'' if count == 1 else 's'}"

    def run(self, folder: Path) -> runs.Metrics | None:
        """Train, judge on the test part, and write model, metrics, answers and the page into the folder."""
        return self.prepare().run(folder)

    def predict(self, folder: Path, data: DataRequest) -> Columns:
        """Return the answer to a file."""
        return self.predictor(folder)(data)
