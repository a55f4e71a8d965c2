"""What recipes of sound have in common: a folder stands for the sound files in it."""

from __future__ import annotations

from pathlib import Path
from typing import ClassVar

from rnnkit.recipes.file_run import FileRecipe


class SoundRecipe(FileRecipe):
    """Base of the recipes that learn from recordings."""

    noun: ClassVar[str] = "recording"

    def files_in(self, folder: Path) -> list[Path] | None:
        """Return the sound files in a folder."""
        from rnnkit.data.audio.sound_files import SUFFIXES
        from rnnkit.ordering import files_inside

        return files_inside(folder, SUFFIXES)
