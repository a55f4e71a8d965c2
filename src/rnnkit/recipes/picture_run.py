"""What recipes of pictures have in common: a folder stands for the pictures in it."""

from __future__ import annotations

from pathlib import Path
from typing import ClassVar

from rnnkit.recipes.file_run import FileRecipe


class PictureRecipe(FileRecipe):
    """Base of the recipes that learn from pictures."""

    noun: ClassVar[str] = "picture"

    def files_in(self, folder: Path) -> list[Path] | None:
        """Return the pictures in a folder."""
        from rnnkit.data.images.picture_files import SUFFIXES
        from rnnkit.ordering import files_inside

        return files_inside(folder, SUFFIXES)
